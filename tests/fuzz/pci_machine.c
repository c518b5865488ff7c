// SPDX-License-Identifier: Apache-2.0
// A PCI bus with pmem devices on a fake machine: plugging, unplugging, and the host below them.
#include "pci_machine.h"

#include "fake_log.h"
#include "memory_map.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_SIZE 0x1000u

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_join(pthread_t thread, void **result);

/* ---- the worker that is none ------------------------------------------------------------------------- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque)
{
	(void)attr;
	CHECK(entry && opaque);
	*thread = 0;
	return 0;
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
	(void)thread;
	CHECK(strlen(name) < 16);
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	(void)thread;
	(void)result;
	return 0;
}

/* ---- the backing ------------------------------------------------------------------------------------- */

int vpmem_backing_sync(struct vpmem_backing *b)
{
	return *b->sync_rc;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *b)
{
	return b->size;
}

void *vpmem_backing_hva(const struct vpmem_backing *b)
{
	return (void *)(uintptr_t)b; /* never dereferenced */
}

int vpmem_backing_fd(const struct vpmem_backing *b, uint64_t *off)
{
	(void)b;
	*off = 4096;
	return 7;
}

bool vpmem_backing_is_rom(const struct vpmem_backing *b)
{
	return b->rom;
}

const char *vpmem_backing_id(const struct vpmem_backing *b)
{
	(void)b;
	return "mem1";
}

const char *vpmem_backing_path(const struct vpmem_backing *b)
{
	(void)b;
	return "file.img";
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void on_notify(void *owner)
{
	struct pci_machine *m = owner;

	m->nnotices++;
}

static void on_eject(void *owner, unsigned slot)
{
	CHECK(slot % PCI_BUS_SLOTS > 0 && slot < PCI_DEVICES_MAX);
	pci_machine_unplug(owner, slot);
}

static void on_refused(void *owner, unsigned slot)
{
	struct pci_machine *m = owner;

	CHECK(slot < PCI_DEVICES_MAX);
	m->nrefusals++;
}

static void on_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	(void)opaque;
	CHECK(text[0] != '\0');
	CHECK(event == VPMEM_EVENT_SYNC_FAILED ? error < 0 : error == 0);
}

/* Made once: 16 KiB, with a page that faults on either side. */
static void make_ram(struct pci_machine *m)
{
	static struct gmem mem;
	static uint8_t *ram;

	if (!ram) {
		ram = mmap(NULL, RAM_SIZE + 2 * GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(ram != MAP_FAILED);
		ram += GUARD_SIZE;
		CHECK(mprotect(ram, RAM_SIZE, PROT_READ | PROT_WRITE) == 0);
		CHECK(gmem_add(&mem, RAM_GPA, RAM_SIZE, ram) == 0);
	}
	memset(ram, 0, RAM_SIZE);
	m->mem = &mem;
	m->ram = ram;
}

void pci_machine_start(struct pci_machine *m)
{
	memset(m, 0, sizeof(*m));
	fake_log_clear();
	make_ram(m);
	rig_init_buses(&m->rig, NBUSES);
	m->hotplug = (struct pci_hotplug) {
		.notify = on_notify,
		.eject = on_eject,
		.refused = on_refused,
		.owner = m,
	};
	CHECK(pci_hotplug_attach(&m->hotplug, &m->rig.pio, PCI_HOTPLUG_PORT) == 0);
}

void pci_machine_end(struct pci_machine *m)
{
	for (unsigned slot = 1; slot < PCI_DEVICES_MAX; slot++)
		pci_machine_unplug(m, slot);
	CHECK(io_remove(&m->rig.pio, PCI_HOTPLUG_PORT) == 0);
	rig_fini(&m->rig);
}

/* ---- devices ----------------------------------------------------------------------------------------- */

static uint64_t size_of_kind(unsigned kind)
{
	/* The last two fit into no window, and are no size for a guest. */
	static const uint64_t sizes[] = {
		VPMEM_GRANULE,     3 * VPMEM_GRANULE, UINT64_C(1) << 30,
		UINT64_C(5) << 30, UINT64_C(1) << 40, VPMEM_GRANULE + 4096,
	};

	return sizes[kind % (sizeof(sizes) / sizeof(sizes[0]))];
}

void pci_machine_plug(struct pci_machine *m, unsigned slot, bool shmem, unsigned size_kind)
{
	struct function *f = &m->functions[slot];
	struct vpmem_backing backing = {
		.size = size_of_kind(size_kind),
		.rom = size_kind & 0x80,
		.sync_rc = &m->sync_rc,
	};
	struct virtio_pmem_options cfg = {
		.pci.bus = m->rig.bus, .pci.bus_nr = (int)(slot / PCI_BUS_SLOTS), .pci.slot = slot % PCI_BUS_SLOTS, .pci.id = "nv1", .pci.register_page = !(size_kind & 0x20),
		.pci.pio_notify = size_kind & 0x10,
		.mem = m->mem,
		.device = {
			.name = "nv1", .backing = &f->backing,
			.gpa = shmem ? 0 : UINT64_C(0x1000000000), .shmem = shmem,
			.callbacks = { .event = on_event, .opaque = m },
		},
	};
	struct vpmem_error err = { .text = "" };
	struct virtio_pci *vp = NULL;
	struct vpmem_backing old = f->backing;
	bool taken = slot % PCI_BUS_SLOTS == 0 || slot >= NSLOTS || f->vp ||
	             (cfg.pci.pio_notify && slot >= PCI_BUS_SLOTS);
	int rc;

	if (taken)
		cfg.device.backing = &backing;
	else
		f->backing = backing;
	rc = virtio_pmem_create(&cfg, &vp, &err);
	CHECK(rc ? !vp && err.text[0] : vp && !taken);
	if (rc) {
		f->backing = old;
		return;
	}
	f->vp = vp;
	f->first_cap = pci_config_get(vp->pci, PCI_CAPABILITY_LIST, 1);
	pci_hotplug_added(&m->hotplug, slot);
}

void pci_machine_unplug(struct pci_machine *m, unsigned slot)
{
	struct function *f = &m->functions[slot];

	if (!f->vp)
		return;
	virtio_pci_destroy(f->vp);
	f->vp = NULL;
	pci_hotplug_forget(&m->hotplug, slot);
	CHECK(ecam_read(&m->rig, slot, PCI_VENDOR_ID, 4) == UINT32_MAX);
}
