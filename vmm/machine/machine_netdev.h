// SPDX-License-Identifier: Apache-2.0
/*
 * machine_netdev.h - the network back ends of the machine: what a -netdev or a netdev_add made.
 *
 * A netdev is an object (machine_object.h) with a table of kinds and ids of its own. One card has it at a time. A netdev
 * that is deleted while a card has it leaves at once for everybody else; the card has no link from then on, and the
 * back end ends with the card.
 */
#ifndef PMVM_MACHINE_NETDEV_H
#define PMVM_MACHINE_NETDEV_H

#include "machine_object.h"

#define NETDEVS_MAX 256u

struct net_port;
struct tap;
struct vhost_user_net;

/* What a card needs of its netdev. The first member of each kind's struct. */
struct netdev {
	struct object obj;
	unsigned npairs;
	struct net_port *ports
		[NET_QUEUES_MAX]; /* one for each pair, for threads of this process; NULL: somebody else has them: */
	struct vhost_user_net *vhost_user; /* another process; NULL: the kernel's vhost */
	bool has_ended;                    /* by itself: a card has no link, for now or for good */
	/* It was deleted while a card has it: nobody else is to see it any more. NULL: it ends with the card. */
	void (*end)(struct netdev *netdev);
};

/* -netdev tap */
struct netdev_tap {
	struct netdev netdev;
	const struct tap_config *cfg; /* in obj.cfg */
	struct tap *tap;
};

/* NULL: there is none. */
struct object *machine_find_netdev(struct machine *m, const char *id);

/* Those of the command line. */
int machine_add_netdevs(struct machine *m, struct vpmem_error *err);
/* At the end, when no card has one any more. */
void machine_drop_netdevs(struct machine *m);

/* A card takes the netdev, or lets go of it. A netdev that was deleted meanwhile ends with the second. */
void machine_netdev_use(struct object *netdev);
void machine_netdev_release(struct object *netdev);

extern const struct object_kind netdev_dgram_kind, netdev_stream_kind, netdev_tap_kind, netdev_user_kind,
	netdev_vhost_user_kind;

#endif
