// SPDX-License-Identifier: Apache-2.0
/*
 * net_worker.h - the queues of a network card, served by a thread of this process: a back end for vhost.h.
 *
 * The kernel's vhost_net moves packets between a guest and a tap. What is no tap, or shall not use vhost, is a *port*: it
 * takes and gives whole Ethernet frames, and is somebody else's (the room net). A worker moves them between the port
 * and one pair of queues.
 *
 * The guest is hostile, and so may be the other side of the port. A frame has NET_WORKER_FRAME_MAX bytes at most. One for
 * which the guest has no buffers waits, and the port is not read meanwhile; one that does not fit into a buffer of a driver
 * without VIRTIO_NET_F_MRG_RXBUF is dropped. Does the port take no frame now, the guest's next ones wait in its queue.
 * A queue that breaks the specification ends in DEVICE_NEEDS_RESET (vhost_ring.error_efd).
 *
 * Buffers must lie in RAM: the worker does not access windows of persistent memory, whose files may be truncated or
 * read-only. A frame that the guest sends from there is dropped.
 *
 * Threads: the functions of the port but set_wake_efd are called by the worker only; all functions below under the machine lock.
 * The worker never takes that. It holds its own lock for a bounded number of frames (fair_lock.h).
 */
#ifndef PMVM_NET_WORKER_H
#define PMVM_NET_WORKER_H

#include "gmem.h"
#include "vhost.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define NET_WORKER_FRAME_MAX 69632u /* bytes; QEMU's NET_BUFSIZE */

struct net_worker_port {
	/* What poll(2) waits on; -1: there is no connection. It may change at any time: then wake_efd is written to. */
	int (*poll_fd)(void *port);
	/* An eventfd; -1: none any more. Under the machine lock. */
	void (*set_wake_efd)(void *port, int efd);
	/* The next frame, which stays valid until drop; the same one again before that. NULL: there is none now. Never blocks. */
	const uint8_t *(*next)(void *port, size_t *len);
	void (*drop)(void *port);
	/*
	 * Sends a frame of up to NET_WORKER_FRAME_MAX bytes in up to VIRTQ_CHAIN_MAX parts. 0: taken, or lost because there is no
	 * connection. -EAGAIN: not now; POLLOUT of poll_fd says when. Never blocks.
	 */
	int (*send)(void *port, const struct iovec *iov, unsigned niov, size_t len);
	/* The rest of a frame that was taken in part. false: some is left, and POLLOUT says when to go on. */
	bool (*flush)(void *port);
	/* poll(2) said of this descriptor that the other side is gone, while the worker did not want to read. */
	void (*hung_up)(void *port, int fd);
	void *port;
};

struct net_worker;

struct net_worker_options {
	const char *name;                  /* for messages and lists of threads; copied */
	const struct gmem *mem;            /* guest memory; borrowed */
	const struct net_worker_port port; /* borrowed */
};

/* What net_worker_backend can do, of the features of a virtio-net device: VIRTIO_NET_F_* and the rings'. */
uint64_t net_worker_features(void);

/* Starts the thread. -errno with a text. */
int net_worker_create(const struct net_worker_options *opts, struct net_worker **out, struct vpmem_error *err);
/* After the device that has its back end is destroyed. Waits for the thread, which never waits long. NULL is allowed. */
void net_worker_destroy(struct net_worker *w);

struct vhost_backend *net_worker_backend(struct net_worker *w);

/* The card has no link: while its queues do not run, frames of the port are dropped. Otherwise they wait. */
void net_worker_set_discard(struct net_worker *w, bool discard);

#endif
