// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_net.h - another process as the back end of a network card: what vhost_net.h needs of it, over vhost_user.h.
 *
 * One connection has all pairs of queues. The object outlives a connection: when one ends, `lost` takes the card's link
 * away, so that the queues stop, and when another back end comes, the card goes on where its queues were. A packet that was
 * under way then may be lost, as on any network; that is why the device needs no reset, unlike a disk.
 *
 * vhost_user_net_open waits for answers and needs no lock; the rest runs under the machine lock.
 */
#ifndef PMVM_VHOST_USER_NET_H
#define PMVM_VHOST_USER_NET_H

#include "loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

struct vhost_backend;
struct vhost_user_net;

struct vhost_user_net_options {
	const char *id; /* of the netdev, for messages; copied */
	unsigned npairs;
	struct loop *loop;
	/*
	 * The connection has ended: the card must stop its queues. `again`: the back end closed it, and did nothing worse, so
	 * that another one may come. Main thread.
	 */
	void (*lost)(void *owner, bool again);
	void *owner;
};

/* Takes a connected socket, also on failure. Errors: QEMU's texts. -ETIMEDOUT, -EPROTO, -ECONNRESET... */
int vhost_user_net_open(const struct vhost_user_net_options *opts, int fd, struct vhost_user_net **out,
                        struct vpmem_error *err);
/* After it was opened: the event loop notices the end of the connection. -ENOSPC. */
int vhost_user_net_watch(struct vhost_user_net *net);
/* Another back end, after `lost`; takes the socket. -errno, and a line in the log: it cannot be used. */
int vhost_user_net_connect(struct vhost_user_net *net, int fd);
/*
 * After vhost_user_net_connect failed: the back end closed the connection or is unsuitable, so that another one may
 * come. False: it hung or sent nonsense, and the next one may cost as much time.
 */
bool vhost_user_net_was_closed(const struct vhost_user_net *net);
/* Ends the connection, without `lost`. */
void vhost_user_net_disconnect(struct vhost_user_net *net);
/* NULL is allowed. */
void vhost_user_net_close(struct vhost_user_net *net);

/* For struct vhost_net_backends, with is_one. */
struct vhost_backend *vhost_user_net_backend(struct vhost_user_net *net);
uint64_t vhost_user_net_features(const struct vhost_user_net *net);
unsigned vhost_user_net_regions_max(const struct vhost_user_net *net);
/* The driver uses so many pairs. */
int vhost_user_net_set_pairs(struct vhost_user_net *net, unsigned npairs);
/*
 * For the next start. A back end with the protocol feature NET_MTU gets the MTU, unless that is 0. One that follows another
 * one and has RARP is asked to announce the address on its network, which may know it at another place.
 */
void vhost_user_net_describe(struct vhost_user_net *net, uint16_t mtu, const uint8_t *mac);

#endif
