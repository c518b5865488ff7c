// SPDX-License-Identifier: Apache-2.0
/* peer_rig.h - a fake host (fake_host.h) with the chardev "c0", a Unix socket, and back ends that connect to it. */
#ifndef PEER_RIG_H
#define PEER_RIG_H

#include "chardev.h"
#include "fake_host.h"

#define PEERS_MAX 4u

struct peer_rig {
	struct machine *m;
	char dir[64], path[96]; /* of the socket */
	int fds[PEERS_MAX];     /* the back ends' ends */
	unsigned n;
};
extern struct peer_rig peers;

/* A machine with RAM that can be shared, without devices and chardevs. For cmocka. */
int peer_rig_setup(void **state);
/* After the devices and what else uses the chardev are gone. */
int peer_rig_teardown(void **state);

/* "c0" as this configuration has it. */
void peer_rig_add_chardev(struct chardev_config cfg);
/* "c0" listens at the path. */
void peer_rig_listen(void);
/* A back end connects, and is seen. */
void peer_rig_connect(void);
/* Of the event loop. */
void peer_rig_turn(void);

#endif
