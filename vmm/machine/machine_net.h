// SPDX-License-Identifier: Apache-2.0
/* machine_net.h - virtio-net-pci: the network cards of the machine. */
#ifndef PMVM_MACHINE_NET_H
#define PMVM_MACHINE_NET_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct machine;
struct object;
struct vhost_net_filter;

struct net_info {
	const char *netdev; /* id; NULL: it was deleted */
	uint8_t mac[6];     /* now: the driver may have set another */
	bool link_is_up;
	unsigned npairs;
};

/* The netdev that a card has was deleted, or has ended: the card has no link from now on. */
void machine_net_peer_gone(struct machine *m, const struct object *netdev);
/* One that has ended goes on. */
void machine_net_peer_back(struct machine *m, const struct object *netdev);

/* false: the device is no card. */
bool machine_net_info(const struct device *dev, struct net_info *info);
/* Of one that is a card: which packets the guest wants. The next change is reported by an event. */
const struct vhost_net_filter *machine_net_filter(const struct device *dev);

#endif
