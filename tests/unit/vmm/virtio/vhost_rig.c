// SPDX-License-Identifier: Apache-2.0
// A vhost device on the transport, a fake machine and a fake kernel, and its driver in the guest.
#include "vhost_rig.h"

#include "log.h"

#include <dirent.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

struct vhost_rig *vhost_rig_new(void)
{
	struct vhost_rig *r = aligned_alloc(4096, sizeof(*r));

	memset(r, 0, sizeof(*r));
	fake_vhost_init();
	rig_init(&r->rig);
	gmem_init(&r->mem);
	assert_int_equal(gmem_add(&r->mem, RAM_GPA, RAM_SIZE, r->ram), 0);
	assert_int_equal(vm_memory_add(&r->rig.fake.vm, RAM_GPA, RAM_SIZE, r->ram, false), 0);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_lock(&r->lock);
	assert_int_equal(loop_init(&r->loop, &r->lock), 0);
	log_open(); /* which has a descriptor */
	r->nfds = count_fds();
	return r;
}

void vhost_rig_free(struct vhost_rig *r)
{
	virtio_pci_destroy(r->vp);
	assert_int_equal(r->loop.nsources, 0);
	assert_null(r->rig.fake.vm.memory.listeners);
	assert_int_equal(fake_vhost.ndevices, 0);
	assert_int_equal(count_fds(), r->nfds);
	vm_memory_del(&r->rig.fake.vm, RAM_GPA, RAM_SIZE);
	loop_fini(&r->loop);
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_destroy(&r->lock);
	rig_fini(&r->rig);
	free(r);
}

int vhost_rig_share_ram(struct vhost_rig *r, uint64_t fd_off)
{
	const struct vm_memory_region region = { .gpa = RAM_GPA,
		                                 .size = RAM_SIZE,
		                                 .hva = r->ram,
		                                 .fd = memfd_create("ram", MFD_CLOEXEC),
		                                 .fd_off = fd_off };

	vm_memory_del(&r->rig.fake.vm, RAM_GPA, RAM_SIZE);
	assert_int_equal(vm_memory_add_region(&r->rig.fake.vm, &region, false), 0);
	return region.fd;
}

struct virtio_pci_config vhost_rig_place(struct vhost_rig *r)
{
	return (struct virtio_pci_config) {
		.bus = r->rig.bus, .bus_nr = -1, .slot = SLOT, .id = "v1", .register_page = true, .loop = &r->loop
	};
}

/* ---- registers --------------------------------------------------------------------------------------------- */

/* Where there is a register page, it says the same as the register. */
uint64_t rd(struct vhost_rig *r, unsigned off, unsigned width)
{
	const uint8_t *page = fake_vm_readonly(&r->rig.fake, r->regs + off);
	uint64_t val = io_read(&r->rig.mmio, r->regs + off, width);

	for (unsigned i = 0; page && i < width; i++)
		assert_int_equal(page[i], val >> 8 * i & 0xff);
	return val;
}

void wr(struct vhost_rig *r, unsigned off, unsigned width, uint64_t val)
{
	io_write(&r->rig.mmio, r->regs + off, width, val);
}

uint8_t status(struct vhost_rig *r)
{
	return (uint8_t)rd(r, VIRTIO_PCI_COMMON_STATUS, 1);
}

uint64_t offered_features(struct vhost_rig *r)
{
	uint64_t features = 0;

	for (unsigned word = 0; word < 2; word++) {
		wr(r, VIRTIO_PCI_COMMON_DFSELECT, 4, word);
		features |= rd(r, VIRTIO_PCI_COMMON_DF, 4) << 32 * word;
	}
	return features;
}

/* ---- driver --------------------------------------------------------------------------------------------------- */

void probe(struct vhost_rig *r)
{
	command_set(&r->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	r->regs = bar64_get(&r->rig, SLOT, 0);
}

void negotiate(struct vhost_rig *r, uint64_t features)
{
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		wr(r, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		wr(r, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * word));
	}
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

void queue_set(struct vhost_rig *r, unsigned idx, uint64_t desc, uint64_t avail, uint64_t used, unsigned size)
{
	wr(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, idx);
	wr(r, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	wr(r, VIRTIO_PCI_COMMON_Q_DESCLO, 8, desc);
	wr(r, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, avail);
	wr(r, VIRTIO_PCI_COMMON_Q_USEDLO, 8, used);
}

void queue_enable(struct vhost_rig *r, unsigned idx)
{
	wr(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, idx);
	wr(r, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void queue_setup(struct vhost_rig *r, unsigned idx)
{
	uint64_t gpa = QUEUE_GPA(idx);

	queue_set(r, idx, gpa, gpa + AVAIL_OFF, gpa + USED_OFF, QUEUE_SIZE);
	queue_enable(r, idx);
	assert_int_equal(rd(r, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

void msix_setup(struct vhost_rig *r, unsigned nqueues)
{
	unsigned cap = capability_find(&r->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	ecam_write(&r->rig, SLOT, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	wr(r, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned i = 0; i <= nqueues; i++) {
		wr(r, TABLE + 16 * i, 8, MSG_ADDR);
		wr(r, TABLE + 16 * i + 8, 8, 0x40 + i);
	}
	for (unsigned i = 0; i < nqueues; i++) {
		wr(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		wr(r, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 + i);
	}
}

void driver_ok(struct vhost_rig *r)
{
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNNING);
}

void start(struct vhost_rig *r, uint64_t features, unsigned nqueues)
{
	negotiate(r, BIT(VIRTIO_F_VERSION_1) | features);
	for (unsigned i = 0; i < nqueues; i++)
		queue_setup(r, i);
	msix_setup(r, nqueues);
	driver_ok(r);
}

bool is_bound(struct vhost_rig *r, unsigned queue_idx, int efd)
{
	const struct fake_route *route = fake_vm_route(&r->rig.fake, MSG_ADDR, 0x41 + queue_idx);

	return route && fake_vm_is_bound(&r->rig.fake, route, efd);
}

void loop_turn(struct vhost_rig *r)
{
	loop_wake(&r->loop);
	assert_int_equal(loop_once(&r->loop), 0);
}
