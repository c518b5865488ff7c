// SPDX-License-Identifier: Apache-2.0
/*
 * net_stream.h - a network back end on a stream socket: QEMU's -netdev stream.
 *
 * One peer at a time. A server takes the next one when a peer has left; a client connects until the other side is there, and
 * again after the end of a connection if reconnect_ms is not 0. Nothing waits for a peer. Frames that the guest sends while
 * there is none are lost.
 *
 * All of it runs under the machine lock.
 */
#ifndef PMVM_NET_STREAM_H
#define PMVM_NET_STREAM_H

#include "chardev_config.h"
#include "loop.h"
#include "net_port.h"

#include <vpmem.h>

struct net_stream;

struct net_stream_options {
	const char *id;                       /* for messages; copied */
	const struct chardev_config *address; /* of kind CHARDEV_SOCKET: address, server, reconnect_ms */
	/* A peer has come, or gone. In the main thread, or during net_stream_open; may be NULL. */
	void (*connected)(void *owner, bool connected);
	void *owner;
};

/* Errors have QEMU's text. */
int net_stream_open(const struct net_stream_options *opts, struct loop *loop, struct net_stream **out,
                    struct vpmem_error *err);
/* NULL is allowed. No worker has the port any more, or will come. */
void net_stream_close(struct net_stream *s);
/* The netdev was deleted, while a card has the port: the connection ends, and no other comes. */
void net_stream_end(struct net_stream *s);

struct net_port *net_stream_port(struct net_stream *s);

#endif
