// SPDX-License-Identifier: Apache-2.0
/*
 * fake_host.h - a machine without KVM, PCI or files below it: backings, devices and memory slots that only remember what
 * was asked of them, and fail when a test says so. What lies between, the machine's own files, is the product's.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "machine.h"
#include "virtio_pmem.h"

#define FAKE_SLOTS_MAX 8u

struct vpmem_backing {
	char path[32];
	uint64_t size, align;
	bool rom, truncated, kept;
	int room, store_error; /* 0 or -errno */
	unsigned nstores;
	uint8_t bytes[64];
};

struct virtio_pci {
	struct virtio_pmem_options cfg;
	unsigned slot;
	bool unplugged, paused;
};

struct fake_host {
	struct machine m;
	struct machine_config opts;

	/* What happened. */
	struct {
		enum machine_event_kind kind;
		int error;
		bool open;
		char device[16], path[64];
	} events[16];
	unsigned nevents;
	unsigned nopen, ndevices; /* backings, devices that there are */
	bool open_unlocked;       /* the machine lock was free during the last open */
	bool close_unlocked;      /* and during the last close */
	bool destroy_unlocked;    /* and during the last destruction of a device */
	struct {
		gpa_t gpa;
		uint64_t size;
		void *hva;
		bool readonly;
	} slots[FAKE_SLOTS_MAX]; /* size 0: free */
	int set_error;           /* the error that a new device began with */

	/* What fails: 0, or -errno. */
	int open_error, close_error, create_error, slot_error;
	int destroy_error; /* a device's sticky error at its end */
};
extern struct fake_host *fake_host;

/* An empty machine that runs, with the lock held, as all its functions want it. For cmocka. */
int fake_host_setup(void **state);
int fake_host_teardown(void **state);

/* Adds a backend, and a device on it with this id, as the command line does. The file has 4 MiB. */
struct memdev *fake_host_memdev(const char *id);
struct pmem *fake_host_pmem(const char *id, const char *memdev);
struct object_config *fake_host_object(const char *id);
struct pmem_config *fake_host_config(const char *id, const char *memdev);

/* The kinds of objects and devices that there are: memory backends and virtio-pmem-pci. A test may define its own. */
const struct object_kind *fake_host_object_kind(unsigned idx);
const struct device_kind *fake_host_device_kind(unsigned idx);

#endif
