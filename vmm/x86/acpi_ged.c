// SPDX-License-Identifier: Apache-2.0
// The generic event device's register of pending events.
#include "acpi_ged.h"

#include "memory_map.h"

static void set_pending(struct acpi_ged *ged, uint8_t pending)
{
	bool was = ged->pending != 0, is = pending != 0;

	ged->pending = pending;
	if (was != is)
		ged->set_irq(ged->owner, is);
}

/* The event byte is at offset 0; all other bytes read 0. */
static uint64_t ged_read(void *owner, uint64_t off, unsigned width)
{
	struct acpi_ged *ged = owner;
	uint8_t pending = ged->pending;

	(void)width;
	if (off != 0)
		return 0;
	set_pending(ged, 0);
	return pending;
}

static void ged_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	(void)owner;
	(void)off;
	(void)width;
	(void)val;
}

int acpi_ged_attach(struct acpi_ged *ged, struct io_space *pio)
{
	const struct io_region region = {
		.name = "acpi-ged",
		.base = GED_PORT,
		.size = GED_PORT_SIZE,
		.read = ged_read,
		.write = ged_write,
		.owner = ged,
	};

	return io_add(pio, &region);
}

void acpi_ged_raise(struct acpi_ged *ged, enum acpi_ged_event event)
{
	set_pending(ged, (uint8_t)(ged->pending | event));
}

void acpi_ged_reset(struct acpi_ged *ged)
{
	set_pending(ged, 0);
}
