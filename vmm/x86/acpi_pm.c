// SPDX-License-Identifier: Apache-2.0
// Power-off and reset that the guest requests by ACPI's registers or the keyboard controller.
#include "acpi_pm.h"

#include "memory_map.h"

/* Sleep control register, ACPI specification 4.8.3.7. */
#define SLP_TYP_SHIFT 2u
#define SLP_TYP_MASK 0x7u
#define SLP_EN 0x20u

#define I8042_RESET 0xfeu

/* WAK_STS is the only defined bit, and is set after a wake-up only. */
static uint64_t pm_read(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	(void)off;
	(void)width;
	return 0;
}

static void pm_write_byte(struct acpi_pm *pm, uint64_t off, uint8_t val)
{
	switch (off) {
	case ACPI_SLEEP_CONTROL_OFF:
		if ((val & SLP_EN) && ((val >> SLP_TYP_SHIFT) & SLP_TYP_MASK) == ACPI_SLP_TYP_S5)
			pm->power_off(pm->owner);
		break;
	case ACPI_RESET_OFF:
		if (val == ACPI_RESET_VALUE)
			pm->reset(pm->owner);
		break;
	default:
		break;
	}
}

static void pm_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	for (unsigned i = 0; i < width; i++)
		pm_write_byte(owner, off + i, (uint8_t)(val >> (8 * i)));
}

/* A driver reads all ones where there is no controller. */
static uint64_t i8042_read(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	(void)off;
	(void)width;
	return 0xff;
}

static void i8042_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct acpi_pm *pm = owner;

	(void)off;
	(void)width;
	if (val == I8042_RESET)
		pm->reset(pm->owner);
}

int acpi_pm_attach(struct acpi_pm *pm, struct io_space *pio)
{
	const struct io_region registers = {
		.name = "acpi-pm",
		.base = ACPI_PORT,
		.size = ACPI_PORT_SIZE,
		.read = pm_read,
		.write = pm_write,
		.owner = pm,
	};
	const struct io_region i8042 = {
		.name = "i8042",
		.base = I8042_PORT,
		.size = 1,
		.read = i8042_read,
		.write = i8042_write,
		.owner = pm,
	};
	int rc = io_add(pio, &registers);

	if (rc < 0)
		return rc;
	rc = io_add(pio, &i8042);
	if (rc < 0)
		io_remove(pio, registers.base);
	return rc;
}
