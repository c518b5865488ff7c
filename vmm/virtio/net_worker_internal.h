// SPDX-License-Identifier: Apache-2.0
/* net_worker_internal.h - the worker of a network card, shared by its files and their tests. */
#ifndef PMVM_NET_WORKER_INTERNAL_H
#define PMVM_NET_WORKER_INTERNAL_H

#include "fair_lock.h"
#include "net_worker.h"
#include "thread.h"
#include "virtio.h"

#define NET_HEADER_SIZE 12u /* struct virtio_net_hdr_mrg_rxbuf: with VIRTIO_F_VERSION_1 it is always this one */
#define NET_FRAME_MIN 14u   /* bytes: two addresses and a type */

/* Frames for one hold of the lock, in each direction; and fewer when they are large. */
#define NET_BATCH_FRAMES 32u
#define NET_BATCH_BYTES (128u << 10)

enum net_queue { NET_RX, NET_TX };

struct net_worker {
	struct vhost_backend backend;
	char *name;
	const struct gmem *mem;
	struct net_worker_port port;
	int wake_efd;
	struct thread thread;
	_Atomic bool ends;

	struct fair_lock lock; /* guards what follows */
	uint64_t features;
	bool running, discards;
	struct virtq queues[2]; /* enum net_queue; as vhost.c set them */
	int kick_efds[2], call_efds[2], error_efd;
	bool rx_starved; /* the next frame waits for buffers: the driver's next notification says that there are more */
	bool tx_blocked; /* the port takes no frame: POLLOUT */
};

/* What the worker waits for, besides wake_efd. -1: nothing there. */
struct net_wait {
	int kick_efds[2];
	int port_fd;
	short port_events;
};

/* All of it but its thread. fini is legal after an init that failed. net_worker.c */
int net_worker_init(struct net_worker *w, const struct net_worker_options *opts);
void net_worker_fini(struct net_worker *w);

/*
 * Moves a bounded number of frames. Returns whether to call it again at once; otherwise *wait says what to wait for. In the worker,
 * without the lock. net_worker_serve.c
 */
bool net_worker_serve(struct net_worker *w, struct net_wait *wait);

#endif
