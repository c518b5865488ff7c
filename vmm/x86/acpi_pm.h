// SPDX-License-Identifier: Apache-2.0
/*
 * acpi_pm.h - the ports by which a guest powers off or resets: ACPI sleep control and reset register, and
 * the i8042's reset command (port 0x64, value 0xfe) for `reboot=k`.
 */
#ifndef PMVM_ACPI_PM_H
#define PMVM_ACPI_PM_H

#include "io.h"

/* At ACPI_PORT: byte 0 sleep control, byte 1 sleep status, byte 2 reset. */
#define ACPI_SLEEP_CONTROL_OFF 0u
#define ACPI_SLEEP_STATUS_OFF 1u
#define ACPI_RESET_OFF 2u
#define ACPI_RESET_VALUE 0x01u
#define ACPI_SLP_TYP_S5 5u

struct acpi_pm {
	/* What the guest asked for; called under the machine lock. */
	void (*power_off)(void *owner);
	void (*reset)(void *owner);
	void *owner;
};

int acpi_pm_attach(struct acpi_pm *pm, struct io_space *pio);

#endif
