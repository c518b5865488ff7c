// SPDX-License-Identifier: Apache-2.0
// A PCI device that records the calls of its operations.
#include "toy.h"

#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

uint64_t toy_read(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	(void)width;
	return 0x7000 + off;
}

void toy_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct toy *toy = owner;

	(void)width;
	toy->last_write = off << 32 | val;
}

static int toy_bar_mapped(void *owner, unsigned bar, gpa_t gpa)
{
	struct toy *toy = owner;

	if (toy->map_error)
		return toy->map_error;
	assert_int_equal(toy->mapped_gpa[bar], 0);
	toy->nmapped++;
	toy->mapped_gpa[bar] = gpa;
	return 0;
}

static void toy_bar_unmapped(void *owner, unsigned bar, gpa_t gpa)
{
	struct toy *toy = owner;

	assert_int_equal(toy->mapped_gpa[bar], gpa);
	toy->nunmapped++;
	toy->mapped_gpa[bar] = 0;
}

static void toy_config_read(void *owner, unsigned off, unsigned width)
{
	struct toy *toy = owner;

	(void)off;
	(void)width;
	toy->nconfig_reads++;
}

static void toy_config_written(void *owner, unsigned off, unsigned width)
{
	struct toy *toy = owner;

	(void)off;
	(void)width;
	toy->nconfig_writes++;
}

static void toy_reset(void *owner)
{
	struct toy *toy = owner;

	for (unsigned i = 0; i < PCI_BARS_MAX; i++)
		assert_int_equal(toy->mapped_gpa[i], 0);
	toy->nresets++;
}

static const struct pci_device_ops toy_ops = {
	.bar_mapped = toy_bar_mapped,
	.bar_unmapped = toy_bar_unmapped,
	.config_read = toy_config_read,
	.config_written = toy_config_written,
	.reset = toy_reset,
};

struct pci_device_desc toy_desc(struct toy *toy)
{
	return (struct pci_device_desc) {
		.name = "toy",
		.id = "t0",
		.vendor = 0x1234,
		.device = 0x5678,
		.subsystem_vendor = 0x9abc,
		.subsystem = 0xdef0,
		.revision = 3,
		.class_code = 0x058000,
		.intx = true,
		.bars[0] = { .size = 0x1000, .read = toy_read, .write = toy_write },
		.bars[2] = { .size = 0x10000, .is_64bit = true, .read = toy_read, .write = toy_write },
		.bars[4] = { .size = 0x200000, .is_64bit = true, .prefetchable = true },
		.ops = &toy_ops,
		.owner = toy,
	};
}

void toy_plug(struct rig *rig, struct toy *toy, int slot)
{
	const struct pci_device_desc desc = toy_desc(toy);

	memset(toy, 0, sizeof(*toy));
	assert_int_equal(pci_device_create(&desc, &toy->pci), 0);
	toy->cap = pci_capability_add(toy->pci, PCI_CAP_ID_VNDR, 6);
	pci_config_set(toy->pci, toy->cap + 4, 2, 0xbeef);
	pci_config_set_writable(toy->pci, toy->cap + 4, 2, 0x0ff0);
	pci_capability_add(toy->pci, PCI_CAP_ID_MSIX, 12);
	assert_int_equal(pci_bus_plug(rig->bus, toy->pci, -1, slot, NULL), 0);
}

void toy_unplug(struct toy *toy)
{
	pci_bus_unplug(toy->pci);
	pci_device_free(toy->pci);
}
