// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_balloon.h - virtio-balloon-pci: the memory balloon device of the virtio specification (section 5.5).
 *
 * The guest gives pages of its RAM to the device, and takes them back. Meanwhile the host has their memory: what the guest
 * reads there afterwards is zero. The device only asks for a number of pages; the guest's driver chooses the pages, and when.
 * With free page reporting it also names ranges that it does not use at present.
 *
 * Only RAM goes back to the host: a page that the guest names is looked up in a list of the RAM, and any other is ignored.
 * Memory of huge pages goes back as whole huge pages. The device counts the pages of each huge page that the guest has
 * given. With VIRTIO_BALLOON_F_MUST_TELL_HOST, which is offered for such memory, it does so until the guest takes them back;
 * without, as QEMU does, only within one request, because the guest may use a page again before the device knows.
 *
 * A worker thread of the device serves the virtqueues, a bounded piece of work at a time (virtio_balloon_serve.c). The
 * device's lock is held for each piece: when a reset returns, no memory is taken away any more.
 */
#ifndef PMVM_VIRTIO_BALLOON_H
#define PMVM_VIRTIO_BALLOON_H

#include "virtio_pci.h"

#define BALLOON_PAGE_SHIFT 12u
#define BALLOON_PAGE_SIZE (UINT64_C(1) << BALLOON_PAGE_SHIFT)
#define BALLOON_REGIONS_MAX 2u
#define BALLOON_STATS_MAX 10u

/* RAM of the guest, and how it goes back to the host. */
struct balloon_region {
	gpa_t gpa;
	uint64_t size; /* bytes, a multiple of page_size */
	uint8_t *hva;  /* borrowed; aligned to page_size */
	uint64_t page_size;
	bool keep;       /* nothing goes back: the memory is that of a file on a disk */
	int fd;          /* the file that is mapped there, into which holes are punched; borrowed. -1: MADV_DONTNEED */
	uint64_t fd_off; /* where the region begins in the file */
	bool is_private; /* a page is the file's until the guest writes to it: both ways */
};

struct virtio_balloon_options {
	struct virtio_pci_config pci; /* where and how it is plugged; ops, device and window are filled here */
	const struct gmem *mem;       /* guest memory; borrowed for the life of the device */
	unsigned nregions;
	struct balloon_region regions[BALLOON_REGIONS_MAX];
	bool deflate_on_oom, page_poison, reporting; /* the features of these names */
	uint32_t stats_interval_s;                   /* 0: the guest is not asked for statistics */
	/* The guest wrote `actual`, and it has another value now. Under the machine lock, in the thread of a vCPU. */
	void (*actual_changed)(void *owner);
	void *owner;
	bool no_event_idx, no_indirect_desc, no_ring_reset;
};

/* What the guest reported last: by the tags of the specification, UINT64_MAX where it did not report one. */
struct virtio_balloon_stats {
	uint64_t vals[BALLOON_STATS_MAX];
	int64_t updated_s; /* when, in seconds of the real-time clock; 0: never */
};

/* Creates the device and plugs it in. On failure nothing is left behind. */
int virtio_balloon_create(const struct virtio_balloon_options *opts, struct virtio_pci **out, struct vpmem_error *err);

/* All of these under the machine lock. */

/* So many pages the device asks the guest for. A reset of the guest does not change it. */
void virtio_balloon_set_target(struct virtio_pci *vp, uint32_t npages);
/* How many the guest says that it has given; any number. */
uint32_t virtio_balloon_actual(const struct virtio_pci *vp);
struct virtio_balloon_stats virtio_balloon_stats(const struct virtio_pci *vp);
/* Seconds between two statistics; 0: none. */
uint32_t virtio_balloon_stats_interval(const struct virtio_pci *vp);
void virtio_balloon_set_stats_interval(struct virtio_pci *vp, uint32_t interval_s);

#endif
