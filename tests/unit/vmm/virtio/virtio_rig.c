// SPDX-License-Identifier: Apache-2.0
// The transport on a fake device, and a guest's accesses to its BAR 0.
#include "virtio_rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void count_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct fixture *f = opaque;

	assert_int_equal(event, VPMEM_EVENT_SYNC_FAILED);
	assert_int_equal(error, -EIO);
	assert_string_equal(text, "text");
	f->nevents++;
}

void plug(struct fixture *f, bool shmem)
{
	const struct virtio_pmem_options cfg = {
		.pci.bus = f->rig.bus, .pci.slot = SLOT, .pci.id = "nv1", .pci.register_page = f->register_page,
		.pci.pio_notify = f->pio_notify, .mem = &f->mem,
		.device = {
			.name = "nv1", .backing = &f->backing, .shmem = shmem, .gpa = shmem ? 0 : 0x240000000,
			.callbacks = { .event = count_event, .opaque = f },
		},
	};

	assert_int_equal(virtio_pmem_create(&cfg, &f->vp, NULL), 0);
	f->dev = virtio_pmem_device(f->vp);
	f->bar0 = bar64_get(&f->rig, SLOT, 0);
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static struct fixture *fixture_new(bool shmem, bool page, bool pio)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_init(&f->rig);
	f->backing = (struct vpmem_backing) { .size = 6 << 20, .hva = f };
	f->register_page = page;
	f->pio_notify = pio;
	plug(f, shmem);
	return f;
}

int setup(void **state)
{
	*state = fixture_new(false, false, false);
	return 0;
}

int setup_page(void **state)
{
	*state = fixture_new(false, true, false);
	return 0;
}

int setup_page_shmem(void **state)
{
	*state = fixture_new(true, true, false);
	return 0;
}

int setup_pio_notify(void **state)
{
	*state = fixture_new(true, false, true);
	return 0;
}

int setup_shmem(void **state)
{
	*state = fixture_new(true, false, false);
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_destroy(f->vp);
	assert_int_equal(fake_vpmem_ndevices, 0);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

uint64_t rd(struct fixture *f, unsigned off, unsigned width)
{
	return io_read(&f->rig.mmio, f->bar0 + off, width);
}

void wr(struct fixture *f, unsigned off, unsigned width, uint64_t val)
{
	io_write(&f->rig.mmio, f->bar0 + off, width, val);
}

void msix_enable(struct fixture *f, bool enable)
{
	unsigned cap = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	ecam_write(&f->rig, SLOT, cap + PCI_MSIX_FLAGS, 2, enable ? PCI_MSIX_FLAGS_ENABLE : 0);
}

/* Vector idx sends data 0x40 + idx, unmasked. */
void vector_set(struct fixture *f, unsigned idx)
{
	wr(f, TABLE_PAGE + 16 * idx, 8, MSG_ADDR);
	wr(f, TABLE_PAGE + 16 * idx + 8, 8, 0x40 + idx);
}

int sent(struct fixture *f, unsigned idx)
{
	const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x40 + idx);

	return route ? (int)fake_efd_take(route->efd) : -1;
}
