// SPDX-License-Identifier: Apache-2.0
/*
 * fake_vhost.h - the kernel's side of /dev/vhost-*: checks order and values as the kernel does, remembers what it got, and
 * fails when a test says so. It wraps open64, close and ioctl; a descriptor is real, so that a leak shows.
 */
#ifndef FAKE_VHOST_H
#define FAKE_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_VHOST_QUEUES 2u
#define FAKE_VHOST_DEVICES 8u
#define FAKE_VHOST_REGIONS 64u
#define FAKE_VHOST_LOG 64u

struct fake_vhost_queue {
	unsigned num, base;
	uint64_t desc, avail, used; /* addresses of this process */
	int kick_efd, call_efd, err_efd;
	int backend_fd; /* net; -1: none */
};

/* An open descriptor. */
struct fake_vhost_device {
	bool used, owned, running;
	int fd;
	uint64_t features, cid;
	unsigned nregions;
	struct {
		uint64_t gpa, size, hva;
	} regions[FAKE_VHOST_REGIONS];
	struct fake_vhost_queue queues[FAKE_VHOST_QUEUES];
};

struct fake_vhost {
	struct fake_vhost_device devices[FAKE_VHOST_DEVICES];
	bool can_reset_owner;            /* vhost_net; vhost_vsock cannot */
	unsigned ndevices;               /* open now */
	unsigned nopened;                /* ever */
	uint64_t features;               /* what the kernel offers */
	uint64_t taken_cid;              /* of somebody else; 0: none */
	int open_error;                  /* -errno; 0: it works */
	const char *fail;                /* the ioctl that fails once, e.g. "VHOST_SET_OWNER"; NULL: none */
	int fail_error;                  /* with this -errno */
	unsigned fail_after;             /* after so many that work */
	const char *log[FAKE_VHOST_LOG]; /* the last ioctls, in order */
	unsigned nlog;
};
extern struct fake_vhost fake_vhost;

/* As a kernel that was just booted; every descriptor must be closed. */
void fake_vhost_init(void);
/* An open descriptor, as a user would pass it. */
int fake_vhost_open(void);
/* The one device that is open. */
struct fake_vhost_device *fake_vhost_one(void);
/* Whether these ioctls are the last ones, in this order; NULL ends the list. */
bool fake_vhost_logged(const char *first, ...) __attribute__((sentinel));
void fake_vhost_clear_log(void);

#endif
