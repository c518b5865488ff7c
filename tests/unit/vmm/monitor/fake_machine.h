// SPDX-License-Identifier: Apache-2.0
/*
 * fake_machine.h - a machine without a VM: has the state that the monitor's commands read, and does what they ask
 * for at once, and writes down what that was.
 */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "machine.h"
#include "machine_net.h"
#include "machine_vhost_user.h"
#include "vhost_net.h"

struct fake_machine {
	struct machine m;
	struct machine_config opts;
	/* What the lists of m point to. */
	struct object *objects[OBJECTS_MAX], *netdevs[NETDEVS_MAX];
	struct device *devices[DEVICES_MAX];
	struct memdev *memdevs[MEMDEVS_MAX];
	struct pmem *pmems[PMEMS_MAX];
	struct vcpu vcpu[2];
	char calls[512]; /* "stop;request 1 5;...": what was asked for since it was last cleared */
	unsigned nopen;  /* backings that are open */
	int cont_error;  /* what machine_cont fails with; 0: nothing */
	struct vpmem_stats stats;
	struct vpmem_usage usage;
	int usage_error; /* -errno of vpmem_backing_usage; 0: it works */
	bool bar_mapped;
	bool bar_io; /* of devices added from now on */
	unsigned nbuses;
	bool has_balloon;    /* whose guest has half of its RAM, and a page */
	struct net_info net; /* of each device; without pairs it is no card */
	struct vhost_net_filter filter;
	struct vhost_user_info vhost_user; /* of each device; without a chardev it is none of these */
};

/* One at a time. RAM is 128 MiB, there are two vCPUs, and one bus with only the host bridge. */
struct fake_machine *fake_machine_create(void);
void fake_machine_destroy(struct fake_machine *fake);

#endif
