// SPDX-License-Identifier: Apache-2.0
// What holds after every access to the PCI bus, whatever it was.
#include "pci_machine.h"

#include <endian.h>
#include <linux/pci_regs.h>
#include <string.h>

static const struct pci_bar_desc *bar_desc(const struct function *f, unsigned bar)
{
	return &pci_device_description(f->vp->pci)->bars[bar];
}

/* Regions lie in order and do not touch each other: a guest's access has one owner. */
static void check_space(const struct io_space *space)
{
	for (unsigned i = 0; i < space->nregions; i++) {
		const struct io_region *region = &space->regions[i];

		CHECK(region->size > 0 && region->base + (region->size - 1) >= region->base);
		CHECK(i == 0 || space->regions[i - 1].base + (space->regions[i - 1].size - 1) < region->base);
	}
}

static bool in_window(gpa_t gpa, uint64_t size, gpa_t window, uint64_t window_size)
{
	return gpa >= window && gpa - window < window_size && size <= window_size - (gpa - window);
}

static uint64_t efd_addr(const struct function *f, enum vm_space space)
{
	return f->vp->ioeventfds[space].queues ? f->vp->ioeventfds[space].addr : 0;
}

static void check_ports(struct pci_machine *m, const struct function *f, uint64_t port, bool mapped)
{
	uint64_t efd_port = efd_addr(f, VM_SPACE_PORTS);

	CHECK(f->vp->pio_notify && pci_device_slot(f->vp->pci) < PCI_BUS_SLOTS);
	CHECK(mapped ? efd_port == 0 || efd_port == port : efd_port == 0);
	if (!mapped)
		return;
	CHECK(in_window(port, NOTIFY_IO_BAR_SIZE_MIN, RIG_PORT, RIG_NPORTS));
	CHECK(pci_config_get(f->vp->pci, PCI_COMMAND, 2) & PCI_COMMAND_IO);
	CHECK(efd_port == 0 || fake_vm_port_ioeventfd(&m->rig.fake, port) >= 0);
}

/* A BAR that is decoded lies in a window, aligned, while decoding is on; and what follows it is there. */
static void check_bar(struct pci_machine *m, const struct function *f, unsigned bar)
{
	uint64_t size = bar_desc(f, bar)->size;
	bool mapped;
	gpa_t gpa = pci_device_bar(f->vp->pci, bar, &mapped);

	CHECK(gpa % size == 0);
	if (bar == NOTIFY_IO_BAR) {
		check_ports(m, f, gpa, mapped);
		return;
	}
	if (!mapped) {
		CHECK(bar == REGS_BAR ? efd_addr(f, VM_SPACE_MEMORY) == 0 : virtio_pmem_gpa(f->vp) == 0);
		return;
	}
	CHECK(in_window(gpa, size, RIG_MEM32, RIG_MEM32_SIZE) || in_window(gpa, size, RIG_MEM64, RIG_MEM64_SIZE));
	CHECK(pci_config_get(f->vp->pci, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	if (bar == SHMEM_BAR)
		CHECK(virtio_pmem_gpa(f->vp) == gpa);
	else if (efd_addr(f, VM_SPACE_MEMORY))
		CHECK(efd_addr(f, VM_SPACE_MEMORY) == gpa + NOTIFY_OFF &&
		      fake_vm_ioeventfd(&m->rig.fake, gpa + NOTIFY_OFF) >= 0);
}

/* The register page, where the guest can read it, holds what a trapped read gives, and else zeros. */
static void check_page(struct pci_machine *m, const struct function *f)
{
	static const uint8_t zeros[REGS_PAGE_SIZE];
	const uint8_t *page = f->vp->page;
	unsigned common_end = (COMMON_CFG_SIZE + 7) & ~7u, device_end = DEVICE_CFG_OFF + VPMEM_CONFIG_SIZE;
	bool mapped;
	gpa_t gpa = pci_device_bar(f->vp->pci, REGS_BAR, &mapped);

	if (!f->vp->page_mapped)
		return;
	CHECK(mapped && fake_vm_readonly(&m->rig.fake, gpa) == page);
	for (unsigned off = 0; off < device_end; off = off + 8 == common_end ? DEVICE_CFG_OFF : off + 8) {
		uint64_t val;

		memcpy(&val, page + off, sizeof(val));
		CHECK(le64toh(val) == virtio_pci_regs_read(f->vp, off, 8));
	}
	CHECK(memcmp(page + common_end, zeros, DEVICE_CFG_OFF - common_end) == 0);
	CHECK(memcmp(page + device_end, zeros, REGS_PAGE_SIZE - device_end) == 0);
}

/* No two memory BARs are decoded in the same place, whatever is behind them. I/O BARs are regions: check_space. */
static void check_overlaps(struct pci_machine *m)
{
	struct {
		gpa_t gpa;
		uint64_t size;
	} bars[2 * NSLOTS];
	unsigned nbars = 0;

	for (unsigned i = 0; i < NSLOTS * PCI_BARS_MAX; i++) {
		const struct function *f = &m->functions[i / PCI_BARS_MAX];
		unsigned bar = i % PCI_BARS_MAX;
		bool mapped;

		if (!f->vp || bar_desc(f, bar)->size == 0 || bar_desc(f, bar)->io)
			continue;
		bars[nbars].gpa = pci_device_bar(f->vp->pci, bar, &mapped);
		bars[nbars].size = bar_desc(f, bar)->size;
		for (unsigned j = 0; mapped && j < nbars; j++)
			CHECK(bars[j].gpa >= bars[nbars].gpa + bars[nbars].size ||
			      bars[nbars].gpa >= bars[j].gpa + bars[j].size);
		nbars += mapped;
	}
}

/* Identity and the list of capabilities are read-only, and the list ends. */
static void check_header(struct pci_machine *m, const struct function *f, unsigned slot)
{
	unsigned off, n = 0;

	CHECK(ecam_read(&m->rig, slot, PCI_VENDOR_ID, 4) == 0x105b1af4);
	CHECK(port_read(&m->rig, slot, PCI_SUBSYSTEM_VENDOR_ID, 4) == 0x11001af4);
	CHECK(pci_config_get(f->vp->pci, PCI_CAPABILITY_LIST, 1) == f->first_cap);
	for (off = f->first_cap; off; off = pci_config_get(f->vp->pci, off + PCI_CAP_LIST_NEXT, 1), n++)
		CHECK(off >= PCI_STD_HEADER_SIZEOF && off % 4 == 0 && n < 8);
	CHECK(n == 6u + (f->vp->window.size != 0) + f->vp->pio_notify);
}

static bool pin_enabled(const struct function *f)
{
	return !(pci_config_get(f->vp->pci, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
}

/* Each line is the OR of the pins on it, as the status registers show them. */
static void check_lines(struct pci_machine *m)
{
	bool lines[RIG_INTX_LINES] = { false };

	for (unsigned slot = 1; slot < NSLOTS; slot++) {
		const struct function *f = &m->functions[slot];

		if (!f->vp || !(ecam_read(&m->rig, slot, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT))
			continue;
		/* A reset takes back what was raised before. */
		CHECK(vpmem_device_status(virtio_pmem_device(f->vp)) != 0);
		if (pin_enabled(f))
			lines[pci_device_gsi(f->vp->pci) - RIG_INTX_GSI] = true;
	}
	for (unsigned i = 0; i < RIG_INTX_LINES; i++)
		CHECK(fake_vm_line(&m->rig.fake, RIG_INTX_GSI + i) == lines[i]);
}

void pci_machine_check(struct pci_machine *m)
{
	unsigned nioeventfds = 0, nslots = 0, nfunctions = 0, nregions = 1, nports = 3; /* ECAM; PCI's and hotplug's */

	check_space(&m->rig.mmio);
	check_space(&m->rig.pio);
	for (unsigned slot = 1; slot < NSLOTS; slot++) {
		const struct function *f = &m->functions[slot];
		bool mapped;

		if (!f->vp)
			continue;
		check_header(m, f, slot);
		for (unsigned bar = 0; bar < PCI_BARS_MAX; bar++)
			if (bar_desc(f, bar)->size)
				check_bar(m, f, bar);
		check_page(m, f);
		pci_device_bar(f->vp->pci, REGS_BAR, &mapped);
		nregions += mapped;
		if (f->vp->pio_notify) {
			pci_device_bar(f->vp->pci, NOTIFY_IO_BAR, &mapped);
			nports += mapped;
		}
		nioeventfds += efd_addr(f, VM_SPACE_MEMORY) ? 1 : 0;
		nioeventfds += efd_addr(f, VM_SPACE_PORTS) ? 1 : 0;
		nslots += f->vp->window.size && virtio_pmem_gpa(f->vp) ? 1 : 0;
		nslots += f->vp->page_mapped;
		nfunctions++;
	}
	CHECK(m->rig.mmio.nregions == nregions && m->rig.pio.nregions == nports);
	CHECK(fake_vm_nioeventfds(&m->rig.fake) == nioeventfds);
	CHECK(fake_vm_nslots(&m->rig.fake) == nslots);
	CHECK(fake_vm_nroutes(&m->rig.fake) <= nfunctions * (1 + VPMEM_QUEUE_COUNT));
	check_overlaps(m);
	check_lines(m);
}
