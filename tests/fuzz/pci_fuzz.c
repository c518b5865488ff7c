// SPDX-License-Identifier: Apache-2.0
/*
 * pci_fuzz.c - the PCI function as a sequence of accesses: configuration space by ports and by ECAM, BARs that
 * move, the transport's registers, MSI-X table and pending bits, the hotplug registers, resets; devices that come
 * and go, flushes that are served in between, and a host that refuses ioeventfds, routes and memory slots.
 */
#include "pci_machine.h"

#include "memory_map.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define STEPS_MAX 300u
#define STORE_MAX 64u
#define RUNNING (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

/* Rings as the driver of START lays them out. */
#define RING_SIZE 8u
#define DESC_GPA RAM_GPA
#define AVAIL_GPA (RAM_GPA + 0x800)
#define USED_GPA (RAM_GPA + 0xa00)
#define DATA_GPA (RAM_GPA + 0x1000)

/* ---- accesses ---------------------------------------------------------------------------------------- */

static unsigned take_width(struct input *in)
{
	return 1u << take8(in) % 4;
}

/* A read gives what fits into its width. */
static void access_space(struct io_space *space, uint64_t addr, struct input *in)
{
	unsigned how = take8(in), width = 1u << how % 4;

	if (how & 0x80)
		io_write(space, addr, width, input_take(in, width));
	else
		CHECK(width == 8 || io_read(space, addr, width) >> 8 * width == 0);
}

/*
 * The first eight slots of each bus are near each other: most of what matters happens between few devices. And some of
 * a bus that does not exist.
 */
static unsigned take_slot(struct input *in)
{
	unsigned byte = take8(in);

	if (byte < 0xc0)
		return byte % 8;
	return byte < 0xf0 ? (byte >> 4 & 3) * PCI_BUS_SLOTS + byte % 8 : byte;
}

/* Some register of a function, by its offset in BAR 0, wherever the guest put it. */
static void access_registers(struct pci_machine *m, struct input *in)
{
	unsigned slot = take_slot(in);
	uint16_t off = take16(in) & (REGS_BAR_SIZE - 1);

	if (m->functions[slot].vp)
		access_space(&m->rig.mmio, pci_device_bar(m->functions[slot].vp->pci, REGS_BAR, NULL) + off, in);
}

static void access_config(struct pci_machine *m, struct input *in)
{
	unsigned slot = take_slot(in), off = take8(in);
	unsigned width = 1u << take8(in) % 3, how = take8(in);
	uint32_t val = take32(in);

	if (how & 1 && how & 2)
		port_write(&m->rig, slot, off, width, val);
	else if (how & 1)
		ecam_write(&m->rig, slot, off, width, val);
	else if (how & 2)
		port_read(&m->rig, slot, off, width);
	else
		ecam_read(&m->rig, slot, off, width);
}

static void move_bar(struct pci_machine *m, struct input *in)
{
	unsigned slot = take_slot(in), how = take8(in), bar = how & 1 ? SHMEM_BAR : REGS_BAR;
	uint64_t pages = take16(in);

	if (how & 8) { /* ports: anywhere, or beside PCI's own */
		ecam_write(&m->rig, slot, PCI_BASE_ADDRESS_4, 4, how & 16 ? 0xcf0u + pages % 32 : (uint32_t)pages);
		return;
	}

	switch (how >> 1 & 3) {
	case 0:
		bar64_set(&m->rig, slot, bar, RIG_MEM32 + pages * REGS_BAR_SIZE);
		break;
	case 1:
		bar64_set(&m->rig, slot, bar, RIG_MEM64 + pages * VPMEM_GRANULE);
		break;
	case 2: /* to where another function's BAR is */
		if (m->functions[pages % 8].vp)
			bar64_set(&m->rig, slot, bar, pci_device_bar(m->functions[pages % 8].vp->pci, REGS_BAR, NULL));
		break;
	default:
		bar64_set(&m->rig, slot, bar, input_take(in, 8));
	}
}

/* ---- a driver that knows what it wants ------------------------------------------------------------------ */

static void store(struct pci_machine *m, uint64_t gpa, uint64_t val, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		if (gpa + i >= RAM_GPA && gpa + i - RAM_GPA < RAM_SIZE)
			m->ram[gpa + i - RAM_GPA] = (uint8_t)(val >> (8 * i));
}

static void start_driver(struct pci_machine *m, struct input *in)
{
	unsigned slot = take_slot(in), how = take8(in);
	const struct {
		unsigned off, width;
		uint64_t val;
	} writes[] = {
		{ VIRTIO_PCI_COMMON_STATUS, 1, 0 },
		{ VIRTIO_PCI_COMMON_GFSELECT, 4, 1 },
		{ VIRTIO_PCI_COMMON_GF, 4, how & 2 ? 0x101 : 1 },
		{ VIRTIO_PCI_COMMON_GFSELECT, 4, 0 },
		{ VIRTIO_PCI_COMMON_GF, 4, how & 4 ? 0x30000001 : 0 },
		{ VIRTIO_PCI_COMMON_STATUS, 1, RUNNING },
		{ VIRTIO_PCI_COMMON_MSIX, 2, how & 8 ? 0 : MSIX_NO_VECTOR },
		{ VIRTIO_PCI_COMMON_Q_SELECT, 2, 0 },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 2, RING_SIZE },
		{ VIRTIO_PCI_COMMON_Q_MSIX, 2, how & 16 ? 1 : MSIX_NO_VECTOR },
		{ VIRTIO_PCI_COMMON_Q_DESCLO, 8, DESC_GPA },
		{ VIRTIO_PCI_COMMON_Q_AVAILLO, 8, AVAIL_GPA },
		{ VIRTIO_PCI_COMMON_Q_USEDLO, 8, USED_GPA },
		{ VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1 },
		{ VIRTIO_PCI_COMMON_STATUS, 1, RUNNING | VIRTIO_CONFIG_S_DRIVER_OK },
	};

	if (!m->functions[slot].vp)
		return;
	command_set(&m->rig, slot, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ecam_write(&m->rig, slot, m->functions[slot].vp->msix_cap_off + PCI_MSIX_FLAGS, 2,
	           how & 32 ? PCI_MSIX_FLAGS_ENABLE : 0);
	memset(m->ram, 0, RAM_SIZE);
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		io_write(&m->rig.mmio, pci_device_bar(m->functions[slot].vp->pci, REGS_BAR, NULL) + writes[i].off,
		         writes[i].width, writes[i].val);
}

/* Makes one flush available and notifies the device. */
static void submit_flush(struct pci_machine *m, struct input *in)
{
	unsigned slot = take_slot(in), n = take8(in) % (RING_SIZE / 2);
	uint64_t desc_gpa = DESC_GPA + 32 * n, data_gpa = DATA_GPA + 8 * n;
	uint16_t idx = (uint16_t)(m->ram[AVAIL_GPA - RAM_GPA + 2] | m->ram[AVAIL_GPA - RAM_GPA + 3] << 8);

	store(m, data_gpa, 0, 4);
	store(m, desc_gpa, data_gpa, 8);
	store(m, desc_gpa + 8, 4 | UINT64_C(1) << 32 | (uint64_t)(2 * n + 1) << 48, 8);
	store(m, desc_gpa + 16, data_gpa + 4, 8);
	store(m, desc_gpa + 24, 4 | UINT64_C(2) << 32, 8);
	store(m, AVAIL_GPA + 4 + 2 * (idx % RING_SIZE), 2 * n, 2);
	store(m, AVAIL_GPA + 2, idx + 1u, 2);
	if (m->functions[slot].vp)
		io_write(&m->rig.mmio, pci_device_bar(m->functions[slot].vp->pci, REGS_BAR, NULL) + NOTIFY_OFF, 2, 0);
}

/* ---- what the input says -------------------------------------------------------------------------------- */

/* The worker gets its turn. */
static void serve(struct pci_machine *m, unsigned slot)
{
	if (m->functions[slot].vp)
		pmem_serve_queue(virtio_pmem_device(m->functions[slot].vp));
}

/* The device interrupts, as the worker would, with its lock held; never while it is reset. */
static void interrupt(struct pci_machine *m, unsigned slot, unsigned how)
{
	struct virtio_pci *vp = m->functions[slot].vp;
	struct vpmem_device *dev = vp ? virtio_pmem_device(vp) : NULL;

	if (!dev || vpmem_device_status(dev) == 0)
		return;
	fair_lock_worker_take(&dev->lock);
	dev->callbacks.interrupt(dev->callbacks.opaque, how & 1 ? VPMEM_INTERRUPT_QUEUE : VPMEM_INTERRUPT_CONFIG);
	fair_lock_worker_release(&dev->lock);
}

static void refuse(struct pci_machine *m, unsigned what)
{
	m->rig.fake.ioeventfd_error = what & 1 ? -ENOSPC : 0;
	m->rig.fake.msi_error = what & 2 ? -ENOSPC : 0;
	m->rig.fake.slot_error = what & 4 ? -EINVAL : 0;
	m->sync_rc = what & 8 ? -EIO : 0;
}

static void store_bytes(struct pci_machine *m, struct input *in)
{
	uint64_t gpa = take16(in);
	struct input bytes = input_slice(in, 1 + take8(in) % STORE_MAX);

	for (; bytes.len > 0; gpa++)
		store(m, gpa, take8(&bytes), 1);
}

static void step(struct pci_machine *m, struct input *in)
{
	unsigned slot;

	switch (take8(in) % 18) {
	case 0:
		access_space(&m->rig.mmio, RIG_ECAM + take32(in) % ((NBUSES + 1) * PCI_ECAM_BUS_SIZE), in);
		break;
	case 1:
		access_space(&m->rig.pio, 0xcf8u + take8(in) % 8, in);
		break;
	case 2:
		access_config(m, in);
		break;
	case 3:
		move_bar(m, in);
		break;
	case 4:
		slot = take_slot(in);
		command_set(&m->rig, slot, take16(in));
		break;
	case 5:
		access_registers(m, in);
		break;
	case 6:
		start_driver(m, in);
		break;
	case 7:
		submit_flush(m, in);
		break;
	case 8:
		serve(m, take_slot(in));
		break;
	case 9:
		slot = take_slot(in);
		interrupt(m, slot, take8(in));
		break;
	case 10: {
		slot = take_slot(in);
		unsigned how = take8(in);

		pci_machine_plug(m, slot, how & 0x40, how & 0xbf);
		break;
	}
	case 11:
		pci_machine_unplug(m, take_slot(in));
		break;
	case 12:
		slot = take_slot(in);
		if (m->functions[slot].vp)
			pci_hotplug_request_removal(&m->hotplug, slot);
		break;
	case 13:
		access_space(&m->rig.pio, PCI_HOTPLUG_PORT + take8(in) % (PCI_HOTPLUG_PORT_SIZE + 4), in);
		break;
	case 14:
		pci_bus_reset(m->rig.bus);
		pci_hotplug_reset(&m->hotplug);
		break;
	case 15:
		refuse(m, take8(in));
		break;
	case 16:
		store_bytes(m, in);
		break;
	case 17: {
		uint64_t addr = input_take(in, 8);

		access_space(take_width(in) == 1 ? &m->rig.pio : &m->rig.mmio, addr, in);
		break;
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pci_machine m;
	struct input in = { .data = data, .len = len };

	pci_machine_start(&m);
	pci_machine_plug(&m, 1, false, 0);
	pci_machine_plug(&m, 2, true, 1);
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++) {
		step(&m, &in);
		pci_machine_check(&m);
	}
	pci_machine_end(&m);
	return 0;
}
