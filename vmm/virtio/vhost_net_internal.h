// SPDX-License-Identifier: Apache-2.0
/* vhost_net_internal.h - the state of the device, shared by its files. */
#ifndef PMVM_VHOST_NET_INTERNAL_H
#define PMVM_VHOST_NET_INTERNAL_H

#include "vhost_kernel.h"
#include "vhost_net.h"

/* A pair of queues: receiving and sending. */
struct vhost_net_pair {
	struct vhost_kernel kernel;
	int tap_fd;
};

struct vhost_net {
	struct vhost vhost; /* first */
	struct vhost_net_tap tap;
	struct vhost_net_pair pairs[VHOST_NET_PAIRS_MAX];
	struct vhost_part parts[VHOST_NET_PAIRS_MAX];
	unsigned npairs_used;                     /* by the driver */
	uint8_t own_mac[MAC_SIZE], mac[MAC_SIZE]; /* after a reset, and now */
	uint16_t host_mtu;
	bool link_up;
	bool passed_fds;
	struct loop_source control; /* notifications of the control queue; fd: -1 or its eventfd */
};

#define BIT(n) (UINT64_C(1) << (n))

/* vhost_net_control.c: serves what is in the control queue now. */
void vhost_net_control_serve(struct vhost_net *net, uint16_t queue_idx);

/* vhost_net.c: the driver takes these offloads, or uses so many pairs of queues. 0 or -errno. */
int vhost_net_set_offloads(struct vhost_net *net, uint64_t features);
int vhost_net_set_pairs(struct vhost_net *net, unsigned npairs);

#endif
