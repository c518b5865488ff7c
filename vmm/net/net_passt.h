// SPDX-License-Identifier: Apache-2.0
/*
 * net_passt.h - a network for a guest without any privilege: the program passt, which is started here as a child process.
 *
 * passt answers ARP and DHCP, and makes sockets of the host out of the guest's connections. It and the port are the two ends
 * of a pair of sockets, so it ends when its end is closed, whatever happens to this process. What it prints goes to the log.
 *
 * All of it runs under the machine lock, and all but net_passt_close and net_passt_end in the main thread.
 */
#ifndef PMVM_NET_PASST_H
#define PMVM_NET_PASST_H

#include "loop.h"
#include "net_port.h"

#include <vpmem.h>

struct net_passt;

struct net_passt_options {
	const char *id;          /* of the netdev, for messages; copied */
	const char *const *args; /* of passt, besides those that this module gives; ends with NULL; borrowed */
	/* passt has ended by itself: there is no network any more. In the main thread. May be NULL. */
	void (*ended)(void *owner);
	void *owner;
};

/*
 * Starts passt, which is searched for in PATH, and waits until it is ready, PASST_START_MS at most, with the machine lock
 * released. An error has what passt printed.
 */
int net_passt_open(const struct net_passt_options *opts, struct loop *loop, struct net_passt **out,
                   struct vpmem_error *err);
/* Ends passt, and waits for its end. NULL is allowed. */
void net_passt_close(struct net_passt *p);
/* The netdev was deleted, while a card has the port: passt ends. */
void net_passt_end(struct net_passt *p);

struct net_port *net_passt_port(struct net_passt *p);

#endif
