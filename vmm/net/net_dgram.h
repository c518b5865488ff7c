// SPDX-License-Identifier: Apache-2.0
/*
 * net_dgram.h - a network back end on a socket of datagrams: QEMU's -netdev dgram. Each datagram is a frame.
 *
 * The socket is bound to one address and sends to another one, which need not be there: what nobody takes is lost. Or a
 * descriptor was passed, whose socket has both. To a path a second socket sends (net_remote.h).
 *
 * All of it runs under the machine lock.
 */
#ifndef PMVM_NET_DGRAM_H
#define PMVM_NET_DGRAM_H

#include "broker.h"
#include "net_port.h"

#include <vpmem.h>

struct net_dgram;

/* One end: a path, a host and a port as numbers, or the number of a descriptor. */
struct net_dgram_address {
	const char *path, *host, *port, *fd;
};

struct net_dgram_options {
	const char *id;                         /* for messages */
	struct net_dgram_address local, remote; /* borrowed; remote: of a path or a host */
};

/* Makes a socket with its own address; of a path two, of which the second one receives. */
extern const struct broker_op net_dgram_bind_op;

/* Errors have QEMU's text. A passed descriptor is taken on success. */
int net_dgram_open(const struct net_dgram_options *opts, struct net_dgram **out, struct vpmem_error *err);
/* Removes the path of a socket that it made. NULL is allowed. */
void net_dgram_close(struct net_dgram *d);
/* The netdev was deleted, while a card has the port. */
void net_dgram_end(struct net_dgram *d);

struct net_port *net_dgram_port(struct net_dgram *d);

#endif
