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
	struct vhost_net_owner owner;
	struct vhost_net_filter filter;
	bool filter_reported;       /* a change was, and nobody has asked since */
	bool one_backend;           /* parts[0] has the queues of all pairs */
	struct loop_source control; /* notifications of the control queue; fd: -1 or its eventfd */
};

#define BIT(n) (UINT64_C(1) << (n))

/* vhost_net_control.c: serves what is in the control queue now. */
void vhost_net_control_serve(struct vhost_net *net, uint16_t queue_idx);

/* vhost_net_filter.c: false for what the specification does not have. Of bytes, the first VHOST_NET_TABLE_MAX are there. */
#define VHOST_NET_TABLE_MAX (2 * 4u + VHOST_NET_MACS_MAX * MAC_SIZE)
void vhost_net_filter_reset(struct vhost_net *net);
void vhost_net_filter_changed(struct vhost_net *net);
bool vhost_net_filter_set_mode(struct vhost_net *net, uint8_t mode, bool on);
bool vhost_net_filter_set_table(struct vhost_net *net, const uint8_t *bytes, uint32_t len);

/* vhost_net_features.c: what a back end may have a say in; the rest of what is offered is this device's own. */
uint64_t vhost_net_shared_features(const struct vhost_net *net);
/* What is offered with a back end of these features. net->one_backend, the tap and host_mtu are set. */
uint64_t vhost_net_device_features(const struct vhost_net *net, const struct vhost_net_options *cfg, uint64_t backend);

/* vhost_net.c: the driver takes these offloads, or uses so many pairs of queues. 0 or -errno. */
int vhost_net_set_offloads(struct vhost_net *net, uint64_t features);
int vhost_net_set_pairs(struct vhost_net *net, unsigned npairs);

#endif
