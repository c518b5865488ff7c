// SPDX-License-Identifier: Apache-2.0
/*
 * plan.h - what a machine is made of, as `create` has found it out. Everything in it is borrowed by the keeper.
 */
#ifndef PMVM_OCI_PLAN_H
#define PMVM_OCI_PLAN_H

#include "bundle.h"

#include <stdbool.h>
#include <stdint.h>

struct nics;   /* nics.h */
struct rootfs; /* layers.h */

/* Absolute paths: the verbs of a runtime may be called without PATH. */
struct machine_paths {
	const char *pmvm, *kernel, *initrd, *virtiofsd;
};

struct machine_plan {
	const char *id;
	const char *state_dir; /* ROOT/ID; it exists */
	const char *pod_dir; /* member.h: the state directory of the pod's sandbox; NULL: it has a machine of its own */
	const char *
		pidns; /* the id of the pod's container whose pid namespace it joins; NULL: that of the sandbox, or its own */
	const char *joined_dir; /* what those see as root who join the keeper's mount namespace; NULL: the host's */
	struct machine_paths paths;
	uint64_t ram_size; /* bytes */
	unsigned cpus;
	uint32_t uid_base; /* pmvm runs as a user of its own, with a number of 28 bits added to this; 0: as root */
	const struct bundle *bundle;
	struct guest_place place;
	const char *const
		*addresses; /* in the guest, of the images of the layers; NULL: they are plugged at the start */
	const struct rootfs *rootfs;
	struct nics *nics;          /* of nics_make; the keeper calls nics_join and nics_fini */
	const char *console_socket; /* NULL: none */
	unsigned create_timeout_ms; /* from the start of pmvm to a container that is created */
	bool is_pod;                /* further containers come into the machine: member.h */
	bool debug;                 /* the guest's console goes to the file console/log in state_dir */
	/* The container is "created", "running", "paused" or "stopped" now. May be NULL. */
	void (*status_changed)(void *owner, const char *status);
	void *owner;
};

/* Its images: of layers, of what it writes, of volumes. The host's path of number idx; the scratch file is "upper". */
size_t plan_count_images(const struct machine_plan *plan);
const char *plan_image_file(const struct machine_plan *plan, size_t idx);

#endif
