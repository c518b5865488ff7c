// SPDX-License-Identifier: Apache-2.0
// A tap of a machine: made in the container's network namespace, connected with a link of it.
#include "tap.h"

#include "error.h"
#include "links.h"
#include "rtnl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_FILE "/dev/net/tun"
#define VHOST_FILE "/dev/vhost-net"

static int open_error(struct vpmem_error *err, int rc)
{
	// podman takes the system's words for a program that is missing in the image, and its status for 127.
	error_set(err, rc, "could not open " TUN_FILE ": %s",
	          rc == -ENOENT ? "the host does not have it" : strerror(-rc));
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		error_hint(err, "load the module: modprobe tun");
	return rc;
}

int tap_make(struct nic *nic, struct vpmem_error *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, .ifr_name = TAP_NAME "%d" };
	int fd = open(TUN_FILE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return open_error(err, -errno);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		int rc = -errno;

		close(fd);
		error_set(err, rc, "could not make a tap in the network namespace: %s", strerror(-rc));
		if (rc == -EPERM)
			error_hint(err, "it needs CAP_NET_ADMIN in the user namespace that owns the network namespace");
		return rc;
	}
	nic->tap_fd = fd;
	memcpy(nic->tap_name, ifr.ifr_name, IFNAMSIZ);
	nic->tap_name[IFNAMSIZ - 1] = '\0';
	/* Without it pmvm moves the frames itself. */
	nic->vhost_fd = open(VHOST_FILE, O_RDWR | O_CLOEXEC);
	return 0;
}

static struct rtnl_link *get_link(const struct nic *nic, struct nl_sock *sock, struct vpmem_error *err)
{
	struct rtnl_link *link;
	int rc = rtnl_link_get_kernel(sock, 0, nic->tap_name, &link);

	if (rc == 0)
		return link;
	rtnl_error(err, rc, "%s: could not find it in the network namespace", nic->tap_name);
	return NULL;
}

int tap_idx(const struct nic *nic, struct nl_sock *sock, struct vpmem_error *err)
{
	struct rtnl_link *link = get_link(nic, sock, err);
	int idx;

	if (!link)
		return -ENODEV;
	idx = rtnl_link_get_ifindex(link);
	rtnl_link_put(link);
	return idx;
}

/* Its router solicitations and multicast reports would reach the guest, as if they came from the network. */
static void disable_ipv6(const char *tap_name)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", tap_name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "1", 1);
	close(fd);
}

int tap_up(const struct nic *nic, struct nl_sock *sock, unsigned mtu, struct vpmem_error *err)
{
	struct rtnl_link *link = get_link(nic, sock, err), *change;
	int rc = -NLE_NOMEM;

	if (!link)
		return -ENODEV;
	disable_ipv6(nic->tap_name);
	change = rtnl_link_alloc();
	if (change) {
		rtnl_link_set_mtu(change, mtu);
		rtnl_link_set_flags(change, IFF_UP);
		rc = rtnl_link_change(sock, link, change, 0);
		rtnl_link_put(change);
	}
	rtnl_link_put(link);
	return rc ? rtnl_error(err, rc, "%s: could not bring it up with an MTU of %u", nic->tap_name, mtu) : 0;
}
