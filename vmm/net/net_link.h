// SPDX-License-Identifier: Apache-2.0
/*
 * net_link.h - the main thread's side of a port whose other side comes and goes: it puts the connected descriptor into the port,
 * and finds out when the connection ends, from the worker or, while no card has the port, by itself.
 *
 * Without a worker nothing is read: the kernel keeps what comes, as much as it has room for.
 */
#ifndef PMVM_NET_LINK_H
#define PMVM_NET_LINK_H

#include "loop.h"
#include "net_port.h"

struct net_link {
	struct net_port port;
	struct loop *loop;
	/* The connection has ended; why: for a message, or NULL. The descriptor is closed. In the main thread. */
	void (*ended)(void *owner, const char *why);
	void *owner;
	int fd;                        /* owned; -1: no connection */
	struct loop_source lost, idle; /* the worker says so; the descriptor does, while there is no worker */
};

/* Without a connection. Undone by net_link_close, also after an error. */
int net_link_open(struct net_link *link, struct loop *loop, void (*ended)(void *owner, const char *why), void *owner);
/* Legal for one that is all zeros. */
void net_link_close(struct net_link *link);

/* Takes the descriptor, which never blocks. */
void net_link_connect(struct net_link *link, int fd);
/* Closes it. `ended` is not called. */
void net_link_disconnect(struct net_link *link);

#endif
