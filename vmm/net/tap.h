// SPDX-License-Identifier: Apache-2.0
/*
 * tap.h - a tap: a network interface of the host, whose frames a program sends and receives.
 *
 * Here it is opened and configured. Its frames pass by descriptors, one for each queue, which the kernel's vhost_net gets:
 * no function here reads or writes one. A frame has a struct virtio_net_hdr of 12 bytes before it where the tap can do
 * that; only then it can have no checksum yet, or be larger than the interface's MTU.
 *
 * The interface may be there before, made by root for this user, or it is made, which needs CAP_NET_ADMIN, and goes with the last
 * descriptor. Neither its address nor its state (up, in a bridge) is changed.
 *
 * All of it runs under the machine lock.
 */
#ifndef PMVM_TAP_H
#define PMVM_TAP_H

#include "broker.h"

#include <vpmem.h>

#include <stdbool.h>
#include <stdint.h>

#define TAP_QUEUES_MAX 31u

struct tap_options {
	const char *ifname; /* NULL: the kernel chooses the name; with fds: not used */
	const int *fds;   /* open descriptors of a tap, one for each queue; NULL: it is opened here. Taken on success */
	unsigned nqueues; /* 1 to TAP_QUEUES_MAX */
	bool no_header;   /* frames without struct virtio_net_hdr; with fds: as the tap is */
};

struct tap;

/* Makes one queue: its descriptor, and the name. */
extern const struct broker_op tap_queue_op;

/* Errors have QEMU's text. */
int tap_open(const struct tap_options *opts, struct tap **out, struct vpmem_error *err);
void tap_close(struct tap *tap); /* NULL is allowed */

const char *tap_ifname(const struct tap *tap);
unsigned tap_nqueues(const struct tap *tap);
bool tap_has_header(const struct tap *tap);
int tap_fd(const struct tap *tap, unsigned idx); /* the tap's; idx below tap_nqueues */

/* What tap_set_offloads can do: bits of VIRTIO_NET_F_GUEST_*. 0 without a header. */
uint64_t tap_offloads(const struct tap *tap);
/* What the receiver of frames accepts in them: a subset of tap_offloads. 0 or -errno. */
int tap_set_offloads(struct tap *tap, uint64_t features);
/* The first n queues get frames, the others none. 0 or -errno. */
int tap_set_queues(struct tap *tap, unsigned n);

#endif
