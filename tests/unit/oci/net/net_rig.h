// SPDX-License-Identifier: Apache-2.0
/*
 * net_rig.h - two network namespaces with a cable between them.
 *
 *     outside: the test's own      container
 *     out 10.1.1.1/24  ----------  eth0 10.1.1.2/24, 52:54:00:00:00:02, a default route via 10.1.1.1
 *
 * Both are of the test, so nothing of the machine's network is touched. Without root, or a kernel that has veth, there is no
 * rig, and the tests skip.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_MAC "52:54:00:00:00:02"

struct net_rig {
	int container_fd;
	char path[32]; /* of the container's namespace */
	int packet_fd; /* all frames that come to "out" */
};

/* False: it says why not. */
bool net_rig_possible(void);
/* Enters a new namespace. Makes one for a container, with eth0 (see above), or without anything but lo. */
void net_rig_begin(struct net_rig *rig, bool has_eth0);
void net_rig_end(struct net_rig *rig);

/* The calling thread enters a namespace; the descriptor is for leave_netns, which closes it. */
int enter_netns(int netns_fd);
void leave_netns(int old_fd);

/* A cable from an interface "far" outside, which is down, to one in the container's namespace, also down. */
void add_link(const struct net_rig *rig, const char *far, const char *name, const char *mac);

/* A shell command in the container's namespace, or outside, that succeeds; and one that may fail: its exit status. */
void in_container(const struct net_rig *rig, const char *command);
int try_in_container(const struct net_rig *rig, const char *command);
void outside(const char *command);

/* A frame of Ethernet with the type of experiments and one byte of payload. */
#define FRAME_LEN 60u
void make_frame(uint8_t frame[FRAME_LEN], uint8_t payload);
/* Who has 10.1.1.2? */
void make_arp_request(uint8_t frame[FRAME_LEN]);

void send_outside(const struct net_rig *rig, const uint8_t *frame, size_t len);
/* The next frame of ours that comes to "out": the payload of make_frame, or 256 + its operation for ARP. Waits 10 s at most. */
int receive_outside(const struct net_rig *rig);

/* The same on the descriptor of a tap, whose frames have a virtio_net_hdr of 10 bytes. */
void send_tap(int tap_fd, const uint8_t *frame, size_t len);
int receive_tap(int tap_fd);

#endif
