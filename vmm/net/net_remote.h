// SPDX-License-Identifier: Apache-2.0
/*
 * net_remote.h - the receiver of datagrams at a path, which may come later, end, and come again.
 *
 * A process in an empty root directory cannot send to a path. So the path is used by an operation of the broker, which
 * connects a socket; datagrams are sent on that. While there is no receiver they are lost, and a sender tries again to
 * connect, once a second at most. A receiver that is gone is noticed when a datagram is sent to it.
 *
 * The socket is not the one that receives, because a connected one would receive from its peer only. It has the same
 * name, so that a receiver may answer to where a datagram came from. A receiver that is itself connected to the bound
 * socket refuses all others: then that one is connected as well, and the two have a link of their own.
 *
 * No lock of its own: its owner has one.
 */
#ifndef PMVM_NET_REMOTE_H
#define PMVM_NET_REMOTE_H

#include "broker.h"
#include "inet.h"

#include <stdint.h>
#include <sys/socket.h>

struct net_remote {
	struct inet_addr addr;
	int fd;               /* sends; taken; -1: none */
	int bound_fd;         /* receives; borrowed */
	int connected_fd;     /* one of the two; -1: there is no receiver */
	uint64_t next_try_ms; /* monotonic */
};

/* Connects a socket of datagrams, call->in_fd, to a path. */
extern const struct broker_op net_remote_connect_op;

/*
 * The descriptors never block. 0, also without a receiver; -EACCES with `call` for broker_hint: the path is not
 * permitted. In any case net_remote_close is legal.
 */
int net_remote_open(struct net_remote *remote, const struct inet_addr *addr, int fd, int bound_fd,
                    struct broker_call *call);
void net_remote_close(struct net_remote *remote);
/* One datagram, which may be lost. The message has no name. */
void net_remote_send(struct net_remote *remote, const struct msghdr *msg);

#endif
