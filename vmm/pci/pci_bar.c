// SPDX-License-Identifier: Apache-2.0
/*
 * pci_bar.c - base address registers: sizing, assignment, and where they are decoded.
 *
 * Sizing needs no code of its own: the address bits below a BAR's size are not writable, so after a write
 * of all ones the register reads back as the size. Decoding follows the registers: after each change
 * pci_bars_update compares what is mapped with what the registers say.
 */
#include "error.h"
#include "log.h"
#include "pci_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>

#define BAR_FLAGS UINT64_C(0xf)

static unsigned bar_off(unsigned bar)
{
	return PCI_BASE_ADDRESS_0 + 4 * bar;
}

static bool ranges_overlap(gpa_t a, uint64_t a_size, gpa_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

static bool range_inside(gpa_t gpa, uint64_t size, gpa_t window, uint64_t window_size)
{
	return gpa >= window && gpa - window <= window_size && size <= window_size - (gpa - window);
}

static void bar_set(struct pci_device *dev, unsigned bar, uint64_t gpa)
{
	const struct pci_bar_desc *desc = &dev->bars[bar].desc;
	uint64_t val = gpa | (desc->is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	               (desc->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0) |
	               (desc->io ? PCI_BASE_ADDRESS_SPACE_IO : 0);

	pci_config_set(dev, bar_off(bar), 4, (uint32_t)val);
	if (desc->is_64bit)
		pci_config_set(dev, bar_off(bar + 1), 4, (uint32_t)(val >> 32));
}

void pci_bars_init(struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
		const struct pci_bar_desc *desc = &dev->desc.bars[i];

		if (desc->size == 0)
			continue;
		assert((desc->size & (desc->size - 1)) == 0);
		assert(desc->io ? desc->size > BAR_FLAGS && desc->size <= 256 && desc->read && !desc->is_64bit :
		                  desc->size >= 4096);
		assert(desc->is_64bit ? i + 1 < PCI_BARS_MAX : desc->size <= UINT32_MAX && !desc->prefetchable);
		dev->bars[i].desc = *desc;
		bar_set(dev, i, 0);
		pci_config_set_writable(dev, bar_off(i), 4, (uint32_t) ~(desc->size - 1));
		if (!desc->is_64bit)
			continue;
		pci_config_set_writable(dev, bar_off(i + 1), 4, (uint32_t)(~(desc->size - 1) >> 32));
		assert(dev->desc.bars[i + 1].size == 0);
	}
}

gpa_t pci_device_bar(const struct pci_device *dev, unsigned bar, bool *mapped)
{
	uint64_t val = pci_config_get(dev, bar_off(bar), 4);

	assert(bar < PCI_BARS_MAX && dev->bars[bar].desc.size);
	if (dev->bars[bar].desc.is_64bit)
		val |= (uint64_t)pci_config_get(dev, bar_off(bar + 1), 4) << 32;
	if (mapped)
		*mapped = dev->bars[bar].mapped;
	return val & ~BAR_FLAGS;
}

/* ---- assignment ----------------------------------------------------------------------------------- */

/* Shares of several buses begin at multiples of this, as far as the window does. */
#define MEM32_SHARE_GRANULE (UINT64_C(1) << 20)
#define MEM64_SHARE_GRANULE (UINT64_C(1) << 30)

struct pci_windows pci_bus_windows(const struct pci_bus *bus, unsigned nr)
{
	struct pci_windows share = bus->cfg.windows;
	unsigned nbuses = bus->cfg.nbuses;

	assert(nr < nbuses);
	if (nr > 0)
		share.nports = 0;
	if (nbuses == 1)
		return share;
	share.mem32_size = share.mem32_size / nbuses & ~(MEM32_SHARE_GRANULE - 1);
	share.mem64_size = share.mem64_size / nbuses & ~(MEM64_SHARE_GRANULE - 1);
	share.mem32_gpa += nr * share.mem32_size;
	share.mem64_gpa += nr * share.mem64_size;
	return share;
}

/*
 * The end of an assigned BAR of the same kind that overlaps the range, or 0. Where the guest moved BARs to does
 * not count: all return to their assigned place at a reset, and until then an overlap is only a BAR not decoded.
 */
static gpa_t assigned_conflict(const struct pci_bus *bus, bool io, gpa_t gpa, uint64_t size)
{
	for (unsigned slot = 0; slot < bus->nslots; slot++) {
		for (unsigned i = 0; bus->devices[slot] && i < PCI_BARS_MAX; i++) {
			const struct pci_bar *bar = &bus->devices[slot]->bars[i];

			if (bar->assigned_gpa && bar->desc.io == io &&
			    ranges_overlap(gpa, size, bar->assigned_gpa, bar->desc.size))
				return bar->assigned_gpa + bar->desc.size;
		}
	}
	return 0;
}

/* First fit, aligned to its size. Returns 0 if there is no room: address 0 is in no window. */
static gpa_t find_room(const struct pci_bus *bus, bool io, gpa_t window, uint64_t window_size, uint64_t size)
{
	gpa_t gpa = window;

	for (;;) {
		uint64_t pad = (size - (gpa & (size - 1))) & (size - 1);

		/* Subtract first: an aligned address may be beyond 2^64. */
		if (pad > window_size - (gpa - window) || size > window_size - (gpa - window) - pad)
			return 0;
		gpa += pad;
		gpa_t conflict_end = assigned_conflict(bus, io, gpa, size);
		if (conflict_end == 0)
			return gpa;
		gpa = conflict_end;
	}
}

int pci_bars_assign(struct pci_bus *bus, struct pci_device *dev, struct vpmem_error *err)
{
	unsigned nr = dev->slot / PCI_BUS_SLOTS;
	const struct pci_windows share = pci_bus_windows(bus, nr);

	for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
		struct pci_bar *bar = &dev->bars[i];
		bool high = bar->desc.prefetchable, io = bar->desc.io;
		gpa_t window = io ? share.port : high ? share.mem64_gpa : share.mem32_gpa;
		uint64_t window_size = io ? share.nports : high ? share.mem64_size : share.mem32_size;

		if (bar->desc.size == 0)
			continue;
		/* The device is in the bus's table already, so its BARs also avoid each other. */
		bar->assigned_gpa = find_room(bus, io, window, window_size, bar->desc.size);
		if (bar->assigned_gpa == 0) {
			error_set(err, -ENOSPC, "PCI: no room for BAR %u of %s: it needs %" PRIu64 " %s", i,
			          dev->desc.name, bar->desc.size, io ? "ports" : "bytes");
			if (io && nr > 0)
				error_hint(err, "only bus pcie.0 has I/O ports");
			else
				error_hint(err, "bus pcie.%u has %" PRIu64 " bytes at 0x%" PRIx64 " for such BARs", nr,
				           window_size, window);
			return -ENOSPC;
		}
		bar_set(dev, i, bar->assigned_gpa);
	}
	return 0;
}

/* ---- decoding ------------------------------------------------------------------------------------- */

/* Whether the registers ask for the BAR to be decoded, and where. */
static bool bar_wanted(const struct pci_device *dev, unsigned bar, gpa_t *gpa)
{
	const struct pci_windows *windows = &dev->bus->cfg.windows;
	const struct pci_bar_desc *desc = &dev->bars[bar].desc;
	uint64_t size = desc->size;

	if (size == 0 || !(pci_config_get(dev, PCI_COMMAND, 2) & (desc->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	*gpa = pci_device_bar(dev, bar, NULL);
	if (desc->io)
		return range_inside(*gpa, size, windows->port, windows->nports);
	return range_inside(*gpa, size, windows->mem32_gpa, windows->mem32_size) ||
	       range_inside(*gpa, size, windows->mem64_gpa, windows->mem64_size);
}

static bool overlaps_mapped_bar(const struct pci_bus *bus, bool io, gpa_t gpa, uint64_t size)
{
	for (unsigned slot = 0; slot < bus->nslots; slot++) {
		for (unsigned i = 0; bus->devices[slot] && i < PCI_BARS_MAX; i++) {
			const struct pci_bar *bar = &bus->devices[slot]->bars[i];

			if (bar->mapped && bar->desc.io == io &&
			    ranges_overlap(gpa, size, bar->mapped_gpa, bar->desc.size))
				return true;
		}
	}
	return false;
}

static struct io_space *bar_space(const struct pci_device *dev, unsigned idx)
{
	return dev->bars[idx].desc.io ? dev->bus->cfg.pio : dev->bus->cfg.mmio;
}

static int bar_map(struct pci_device *dev, unsigned idx, gpa_t gpa)
{
	struct pci_bar *bar = &dev->bars[idx];
	const struct pci_device_ops *ops = dev->desc.ops;
	struct io_region region = {
		.name = dev->desc.name,
		.base = gpa,
		.size = bar->desc.size,
		.read = bar->desc.read,
		.write = bar->desc.write,
		.owner = dev->desc.owner,
	};
	int rc = 0;

	/* Memory slots are no regions, so io_add alone would not see a BAR that is one. */
	if (overlaps_mapped_bar(dev->bus, bar->desc.io, gpa, bar->desc.size))
		return -EEXIST;
	if (bar->desc.read)
		rc = io_add(bar_space(dev, idx), &region);
	if (rc)
		return rc;
	rc = ops->bar_mapped ? ops->bar_mapped(dev->desc.owner, idx, gpa) : 0;
	if (rc) {
		if (bar->desc.read)
			io_remove(bar_space(dev, idx), gpa);
		return rc;
	}
	bar->mapped = true;
	bar->mapped_gpa = gpa;
	return 0;
}

static void bar_unmap(struct pci_device *dev, unsigned idx)
{
	struct pci_bar *bar = &dev->bars[idx];

	if (!bar->mapped)
		return;
	bar->mapped = false;
	if (dev->desc.ops->bar_unmapped)
		dev->desc.ops->bar_unmapped(dev->desc.owner, idx, bar->mapped_gpa);
	if (bar->desc.read)
		io_remove(bar_space(dev, idx), bar->mapped_gpa);
}

void pci_bars_unmap(struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_BARS_MAX; i++)
		bar_unmap(dev, i);
}

/* Unmaps the device's BARs that the registers no longer ask for at their place. */
static void unmap_stale(struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
		gpa_t gpa = 0;

		if (!bar_wanted(dev, i, &gpa) || gpa != dev->bars[i].mapped_gpa)
			bar_unmap(dev, i);
	}
}

static void map_wanted(struct pci_device *dev)
{
	for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
		struct pci_bar *bar = &dev->bars[i];
		gpa_t gpa = 0;

		if (!bar_wanted(dev, i, &gpa)) {
			bar->refused_gpa = 0;
			continue;
		}
		if (bar->mapped)
			continue;
		int rc = bar_map(dev, i, gpa);
		if (rc && bar->refused_gpa != gpa)
			log_guest("pci: %02x:%02x.0 %s: BAR %u not mapped: 0x%" PRIx64 ": %s",
			          dev->slot / PCI_BUS_SLOTS, dev->slot % PCI_BUS_SLOTS, dev->desc.name, i, gpa,
			          strerror(-rc));
		bar->refused_gpa = rc ? gpa : 0;
	}
}

void pci_bars_update(struct pci_bus *bus)
{
	/* All that goes away first: the guest may have exchanged two BARs, or freed a place another waits for. */
	for (unsigned slot = 0; slot < bus->nslots; slot++)
		if (bus->devices[slot])
			unmap_stale(bus->devices[slot]);
	for (unsigned slot = 0; slot < bus->nslots; slot++)
		if (bus->devices[slot])
			map_wanted(bus->devices[slot]);
}
