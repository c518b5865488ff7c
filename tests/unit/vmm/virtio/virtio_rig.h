// SPDX-License-Identifier: Apache-2.0
/* virtio_rig.h - the transport on a fake device, plugged in and decoded, and a guest's accesses to its BAR 0. */
#ifndef VIRTIO_RIG_H
#define VIRTIO_RIG_H

#include "fake_vpmem.h"
#include "rig.h"
#include "virtio_pmem.h"

#define SLOT 4u
#define GSI (RIG_INTX_GSI + SLOT)
#define NO_VECTOR 0xffffu
#define MSG_ADDR 0xfee00000u
#define NOTIFY_PAGE 0x2000u
#define TABLE_PAGE 0x3000u
#define PBA_PAGE 0x4000u

struct fixture {
	struct rig rig;
	struct gmem mem; /* without regions: the fake device uses none */
	struct vpmem_backing backing;
	struct virtio_pci *vp;
	struct vpmem_device *dev;
	gpa_t bar0;
	unsigned nevents;
	bool register_page, pio_notify;
};

/* cmocka fixtures; with shmem the pmem window is BAR 2, with page the registers are also a memory slot. */
int setup(void **state);
int setup_shmem(void **state);
int setup_page(void **state);
int setup_page_shmem(void **state);
int setup_pio_notify(void **state); /* with a pmem window */
int teardown(void **state);
void plug(struct fixture *f, bool shmem);

/* Accesses to BAR 0. */
uint64_t rd(struct fixture *f, unsigned off, unsigned width);
void wr(struct fixture *f, unsigned off, unsigned width, uint64_t val);

void msix_enable(struct fixture *f, bool enable);
/* Vector idx sends data 0x40 + idx, unmasked. */
void vector_set(struct fixture *f, unsigned idx);
/* How often vector idx was sent since the last call; -1: it has no route. */
int sent(struct fixture *f, unsigned idx);

#endif
