// SPDX-License-Identifier: Apache-2.0
// Two network namespaces with a cable between them.
#include "net_rig.h"

#include "unit_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER_LEN 10u /* struct virtio_net_hdr, until somebody sets another size */
#define TYPE 0x88b5    /* for experiments */
#define WAIT_MS 60000

bool net_rig_possible(void)
{
	const char *why = NULL;

	if (geteuid() != 0)
		why = "it needs root";
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		why = "there is no /dev/net/tun";
	else if (unshare(CLONE_NEWNET) < 0)
		why = "no network namespace can be made";
	else if (
		system("ip link set lo up && ip link add name probe type veth peer name probe2 && ip link del probe") !=
		0)
		why = "the kernel has no veth, or there is no ip(8)";
	else if (system("ip link add name probe type veth peer name probe2 && tc qdisc add dev probe ingress && "
	                "ip link del probe") != 0)
		why = "the kernel has no ingress qdisc, or there is no tc(8)";
	if (why)
		print_message("SKIPPED: %s\n", why);
	return !why;
}

/* ---- the namespaces ------------------------------------------------------------------------------------------------ */

int enter_netns(int netns_fd)
{
	int old_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(old_fd >= 0);
	assert_int_equal(setns(netns_fd, CLONE_NEWNET), 0);
	return old_fd;
}

void leave_netns(int old_fd)
{
	assert_int_equal(setns(old_fd, CLONE_NEWNET), 0);
	close(old_fd);
}

void outside(const char *command)
{
	assert_int_equal(system(command), 0);
}

int try_in_container(const struct net_rig *rig, const char *command)
{
	int old_fd = enter_netns(rig->container_fd), status;

	status = system(command);
	leave_netns(old_fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

void in_container(const struct net_rig *rig, const char *command)
{
	assert_int_equal(try_in_container(rig, command), 0);
}

/* A thread is in the namespace for a moment; the descriptor keeps it. */
static int make_netns(void)
{
	int old_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	assert_true(old_fd >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	leave_netns(old_fd);
	return fd;
}

static int open_packet(void)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
		                    .sll_protocol = htons(ETH_P_ALL),
		                    .sll_ifindex = (int)if_nametoindex("out") };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void add_link(const struct net_rig *rig, const char *far, const char *name, const char *mac)
{
	char command[200];

	snprintf(command, sizeof(command), "ip link add name %s type veth peer name %s address %s netns /proc/%d/fd/%d",
	         far, name, mac, getpid(), rig->container_fd);
	outside(command);
}

void net_rig_begin(struct net_rig *rig, bool has_eth0)
{
	/* A new one outside: the kernel removes the cables of the last one at its leisure. */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	rig->container_fd = make_netns();
	rig->packet_fd = -1;
	snprintf(rig->path, sizeof(rig->path), "/proc/self/fd/%d", rig->container_fd);
	if (!has_eth0)
		return;
	add_link(rig, "out", "eth0", LINK_MAC);
	outside("ip link set out up && ip addr add 10.1.1.1/24 dev out");
	in_container(rig,
	             "ip link set lo up && ip link set eth0 mtu 1400 up && ip addr add 10.1.1.2/24 brd + dev eth0 && "
	             "ip route add default via 10.1.1.1");
	// The first of the two that was set up takes frames, and drops them, until the kernel has noticed its carrier.
	outside("timeout 60 sh -c 'until ip link show dev out | grep -q \"state UP\"; do sleep 0.05; done'");
	outside("ip link set out up"); // returns when that is done
	rig->packet_fd = open_packet();
}

void net_rig_end(struct net_rig *rig)
{
	if (rig->packet_fd >= 0)
		close(rig->packet_fd);
	close(rig->container_fd);
}

/* ---- frames -------------------------------------------------------------------------------------------------------- */

static void set_header(uint8_t frame[FRAME_LEN], uint16_t type)
{
	static const uint8_t from[6] = { 0x02, 0, 0, 0, 0, 0x77 };

	memset(frame, 0, FRAME_LEN);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, from, sizeof(from));
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

void make_frame(uint8_t frame[FRAME_LEN], uint8_t payload)
{
	set_header(frame, TYPE);
	frame[14] = payload;
}

void make_arp_request(uint8_t frame[FRAME_LEN])
{
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0, ARPOP_REQUEST };
	static const uint8_t from[] = { 10, 1, 1, 1 }, to[] = { 10, 1, 1, 2 };

	set_header(frame, ETHERTYPE_ARP);
	memcpy(frame + 14, head, sizeof(head));
	memcpy(frame + 22, frame + 6, 6);
	memcpy(frame + 28, from, sizeof(from));
	memcpy(frame + 38, to, sizeof(to));
}

/* -1: not one of ours, as IPv6 has its own to say. */
static int what_is(const uint8_t *frame, size_t len)
{
	unsigned type = len < FRAME_LEN - 18 ? 0 : (unsigned)(frame[12] << 8 | frame[13]);

	if (type == TYPE)
		return frame[14];
	return type == ETHERTYPE_ARP ? 256 + frame[21] : -1;
}

static int receive(int fd, size_t header_len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint8_t buf[2048];
	int what = -1;

	while (what < 0) {
		struct sockaddr_ll from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t len;

		if (poll(&poll_fd, 1, WAIT_MS) != 1)
			fail_msg("no frame came");
		len = header_len ? read(fd, buf, sizeof(buf)) :
		                   recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);
		assert_true(len >= (ssize_t)header_len);
		if (from.sll_pkttype != PACKET_OUTGOING)
			what = what_is(buf + header_len, (size_t)len - header_len);
	}
	return what;
}

void send_outside(const struct net_rig *rig, const uint8_t *frame, size_t len)
{
	assert_int_equal(send(rig->packet_fd, frame, len, 0), len);
}

int receive_outside(const struct net_rig *rig)
{
	return receive(rig->packet_fd, 0);
}

void send_tap(int tap_fd, const uint8_t *frame, size_t len)
{
	uint8_t buf[HEADER_LEN + FRAME_LEN] = { 0 };

	memcpy(buf + HEADER_LEN, frame, len);
	assert_int_equal(write(tap_fd, buf, HEADER_LEN + len), HEADER_LEN + len);
}

int receive_tap(int tap_fd)
{
	return receive(tap_fd, HEADER_LEN);
}
