// SPDX-License-Identifier: Apache-2.0
/*
 * acpi_ged.h - the register of ACPI's generic event device: the events that are pending for the guest.
 *
 * The interrupt line (GED_GSI, level-triggered) is high while an event is pending. The guest's ACPI interpreter
 * then reads the byte at GED_PORT, which returns the events and clears them; see _EVT in dsdt.asl. An event
 * that is raised before the guest handles events stays pending. All functions run under the machine lock.
 */
#ifndef PMVM_ACPI_GED_H
#define PMVM_ACPI_GED_H

#include <stdbool.h>

#include "io.h"

enum acpi_ged_event {
	ACPI_GED_POWER_BUTTON = 1u << 0,
	ACPI_GED_PCI_HOTPLUG = 1u << 1,
};

struct acpi_ged {
	void (*set_irq)(void *owner, bool level);
	void *owner;
	uint8_t pending; /* of enum acpi_ged_event; 0 at the start */
};

int acpi_ged_attach(struct acpi_ged *ged, struct io_space *pio);
void acpi_ged_raise(struct acpi_ged *ged, enum acpi_ged_event event);
void acpi_ged_reset(struct acpi_ged *ged);

#endif
