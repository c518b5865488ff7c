// SPDX-License-Identifier: Apache-2.0
/*
 * net_port.h - where Ethernet frames go and come from: a descriptor, and how frames are marked on it.
 *
 * On a stream, a frame follows its length, 4 bytes in network byte order, as in QEMU's -netdev stream and socket. On a socket of
 * datagrams or a tap, each read and each write is one frame; a tap may want a header of zeros before it.
 *
 * A port has two users. One thread, the worker of the card that has the port, moves frames. The main thread puts
 * descriptors in and takes them away, as connections come and go. Descriptors never block.
 *
 * The other side may send anything. A frame that is too long ends the connection of a stream, and is dropped otherwise; a frame that was
 * sent in part is completed before the next one begins.
 */
#ifndef PMVM_NET_PORT_H
#define PMVM_NET_PORT_H

#include "net_remote.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define NET_FRAME_MAX 69632u /* bytes; QEMU's limit: peers may send no more */
#define NET_LENGTH_SIZE 4u
#define NET_PARTS_MAX 16u

enum net_port_kind { NET_PORT_STREAM, NET_PORT_DATAGRAM, NET_PORT_TAP };

struct net_port {
	enum net_port_kind kind;
	unsigned header_size;             /* of a tap: zeros before each frame */
	struct net_remote *remote;        /* of datagrams to a path: borrowed; NULL: to dest_addr */
	const struct sockaddr *dest_addr; /* of other datagrams: borrowed; NULL: the socket is connected */
	socklen_t dest_len;

	pthread_mutex_t lock;                /* guards what follows */
	int fd;                              /* borrowed; -1: no connection */
	unsigned generation;                 /* counts the descriptors */
	int wake_efd;                        /* of the worker; -1: there is none */
	int lost_efd;                        /* for the main thread; -1: nobody waits for it */
	void (*worker_changed)(void *owner); /* a worker has come or gone; under the machine lock. NULL: nobody cares */
	void *owner;
	const char *why; /* the connection was lost; NULL: the other side ended it */
	int error;       /* or errno */

	/* The worker's. */
	unsigned seen; /* the generation of what is in the buffers */
	uint8_t *in;   /* IN_SIZE bytes; of a stream: several frames, the last one perhaps in part */
	size_t in_at, in_end;
	uint8_t *out; /* the rest of a frame that was sent in part */
	size_t out_at, out_end;
};

/* Without a descriptor. -ENOMEM. */
int net_port_init(struct net_port *port, enum net_port_kind kind);
void net_port_fini(struct net_port *port);

/* ---- the main thread ------------------------------------------------------------------------------------- */

/*
 * The descriptor from now on; -1: none. The worker does not use the one before it when this returns: it may be closed.
 */
void net_port_set_fd(struct net_port *port, int fd);
/* Why the connection was lost, for a message: text, or NULL. */
const char *net_port_why_lost(struct net_port *port);
/* A worker comes (its eventfd), or goes (-1). */
void net_port_set_wake_efd(void *port, int efd);
bool net_port_has_worker(struct net_port *port);

/* ---- the worker: as struct net_worker_port has them ---------------------------------------------------------- */

int net_port_poll_fd(void *port);
const uint8_t *net_port_next(void *port, size_t *len);
void net_port_drop(void *port);
int net_port_send(void *port, const struct iovec *iov, unsigned niov, size_t len);
bool net_port_flush(void *port);
void net_port_hung_up(void *port, int fd);

#endif
