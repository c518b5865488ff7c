// SPDX-License-Identifier: Apache-2.0
// The guest's network: it becomes what the container's network namespace is on the host.
#include "agent_net.h"

#include "agent_net_json.h"
#include "agent_net_routes.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/if_addr.h>
#include <net/if_arp.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int no_memory(struct vpmem_error *err)
{
	return error_set(err, -ENOMEM, "network: out of memory");
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* ---- NICs --------------------------------------------------------------------------------------------------------- */

/* *link is the caller's. */
static int find_nic(struct nl_sock *sock, const char *mac, struct rtnl_link **link, struct vpmem_error *err)
{
	struct nl_cache *cache;
	struct nl_addr *addr;
	int rc = net_hwaddr(mac, &addr, err);

	*link = NULL;
	if (rc)
		return rc;
	rc = rtnl_link_alloc_cache(sock, AF_UNSPEC, &cache);
	if (rc) {
		nl_addr_put(addr);
		return error_set(err, -EIO, "network: could not read the interfaces: %s", nl_geterror(rc));
	}
	for (struct nl_object *object = nl_cache_get_first(cache); object && !*link;
	     object = nl_cache_get_next(object)) {
		struct rtnl_link *candidate = (struct rtnl_link *)object;
		struct nl_addr *own = rtnl_link_get_addr(candidate);

		if (rtnl_link_get_arptype(candidate) == ARPHRD_ETHER && own &&
		    nl_addr_get_len(own) == nl_addr_get_len(addr) &&
		    memcmp(nl_addr_get_binary_addr(own), nl_addr_get_binary_addr(addr), nl_addr_get_len(addr)) == 0) {
			nl_object_get(object);
			*link = candidate;
		}
	}
	nl_cache_free(cache);
	nl_addr_put(addr);
	return *link ? 0 : error_set(err, -ENODEV, "network: the machine has no NIC %s", mac);
}

/* Takes change, which has what shall differ. */
static int change_link(struct nl_sock *sock, int idx, struct rtnl_link *change, const char *what, const char *name,
                       struct vpmem_error *err)
{
	struct rtnl_link *link = rtnl_link_alloc();
	int rc = -NLE_NOMEM;

	if (link && change) {
		rtnl_link_set_ifindex(link, idx);
		rc = rtnl_link_change(sock, link, change, 0);
	}
	rtnl_link_put(link);
	rtnl_link_put(change);
	return rc ? error_set(err, -EIO, "network: %s of %s: %s", what, name, nl_geterror(rc)) : 0;
}

/* The names that they have may be those that others get. */
static int rename_away(struct nl_sock *sock, struct json_object *interface, size_t i, int *idx, struct vpmem_error *err)
{
	struct rtnl_link *link, *change;
	char name[IFNAMSIZ];
	int rc = find_nic(sock, net_text(interface, "mac"), &link, err);

	if (rc)
		return rc;
	*idx = rtnl_link_get_ifindex(link);
	rtnl_link_put(link);
	snprintf(name, sizeof(name), "pmvm-nic%zu", i);
	change = rtnl_link_alloc();
	if (change)
		rtnl_link_set_name(change, name);
	return change_link(sock, *idx, change, "the first name", name, err);
}

static int set_nic(struct nl_sock *sock, int idx, struct json_object *interface, struct vpmem_error *err)
{
	const char *name = net_text(interface, "name");
	struct rtnl_link *change;
	struct nl_addr *hwaddr;
	int rc = net_hwaddr(net_text(interface, "hwaddr"), &hwaddr, err);

	if (rc)
		return rc;
	if (!name || strlen(name) >= IFNAMSIZ) {
		nl_addr_put(hwaddr);
		return error_set(err, -EINVAL, "network: an interface without a name, or with one that is too long");
	}
	change = rtnl_link_alloc();
	if (change) {
		rtnl_link_set_name(change, name);
		rtnl_link_set_addr(change, hwaddr);
		rtnl_link_set_mtu(change, (unsigned)net_number(interface, "mtu", 1500));
	}
	nl_addr_put(hwaddr);
	return change_link(sock, idx, change, "name, hardware address and MTU", name, err);
}

static int bring_up(struct nl_sock *sock, int idx, const char *name, struct vpmem_error *err)
{
	struct rtnl_link *change = rtnl_link_alloc();

	if (change)
		rtnl_link_set_flags(change, IFF_UP);
	return change_link(sock, idx, change, "the start", name, err);
}

/* A kernel without IPv6 has no such file. */
static void set_sysctls(struct json_object *interface, const char *name)
{
	struct json_object *sysctls;
	char path[128];

	if (!json_object_object_get_ex(interface, "sysctl", &sysctls) ||
	    !json_object_is_type(sysctls, json_type_object))
		return;
	json_object_object_foreach(sysctls, key, value)
	{
		if (strchr(key, '/'))
			continue;
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, key);
		(void)write_file(path, json_object_get_string(value));
	}
}

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

static int set_part(struct rtnl_addr *addr, int (*set)(struct rtnl_addr *, struct nl_addr *), const char *text,
                    int prefix, struct vpmem_error *err)
{
	struct nl_addr *part;
	int rc;

	if (!text)
		return 0;
	rc = net_addr(text, &part, err);
	if (rc)
		return rc;
	if (prefix >= 0)
		nl_addr_set_prefixlen(part, prefix);
	rc = set(addr, part);
	nl_addr_put(part);
	return rc ? error_set(err, -EINVAL, "network: address %s: %s", text, nl_geterror(rc)) : 0;
}

static int set_address(struct rtnl_addr *addr, struct json_object *object, struct vpmem_error *err)
{
	const char *text = net_text(object, "address");
	int64_t valid = net_number(object, "valid", UINT32_MAX),
		preferred = net_number(object, "preferred", UINT32_MAX);
	int prefix = (int)net_number(object, "prefix", -1), rc;

	if (!text || prefix < 0)
		return error_set(err, -EINVAL, "network: an address without its prefix");
	rc = set_part(addr, rtnl_addr_set_local, text, prefix, err);
	if (rc == 0)
		rc = set_part(addr, rtnl_addr_set_peer, net_text(object, "peer"), prefix, err);
	if (rc == 0)
		rc = set_part(addr, rtnl_addr_set_broadcast, net_text(object, "broadcast"), -1, err);
	if (rc == 0 && net_text(object, "label") && rtnl_addr_set_label(addr, net_text(object, "label")) < 0)
		rc = error_set(err, -EINVAL, "network: label '%.32s' is too long", net_text(object, "label"));
	rtnl_addr_set_prefixlen(addr, prefix);
	rtnl_addr_set_scope(addr, (int)net_number(object, "scope", 0));
	/* The host has found that nobody else has it. */
	rtnl_addr_set_flags(addr, IFA_F_NODAD | (net_flag(object, "noprefixroute") ? IFA_F_NOPREFIXROUTE : 0));
	if (valid != UINT32_MAX || preferred != UINT32_MAX) {
		rtnl_addr_set_valid_lifetime(addr, (uint32_t)valid);
		rtnl_addr_set_preferred_lifetime(addr, (uint32_t)preferred);
	}
	return rc;
}

static int add_address(struct nl_sock *sock, int idx, struct json_object *object, struct vpmem_error *err)
{
	struct rtnl_addr *addr = rtnl_addr_alloc();
	int rc;

	if (!addr)
		return no_memory(err);
	rtnl_addr_set_ifindex(addr, idx);
	rc = set_address(addr, object, err);
	if (rc == 0) {
		/* The kernel may have made the link-local one already. */
		rc = rtnl_addr_add(sock, addr, NLM_F_REPLACE);
		if (rc)
			rc = error_set(err, -EIO, "network: address %s: %s", net_text(object, "address"),
			               nl_geterror(rc));
	}
	rtnl_addr_put(addr);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

static int configure_nic(struct nl_sock *sock, int idx, struct json_object *interface, struct vpmem_error *err)
{
	struct json_object *addresses = net_list(interface, "addresses");
	int rc = set_nic(sock, idx, interface, err);

	if (rc)
		return rc;
	set_sysctls(interface, net_text(interface, "name"));
	/* Routes, and IPv6 addresses that last, need an interface that is up. */
	if (net_flag(interface, "up"))
		rc = bring_up(sock, idx, net_text(interface, "name"), err);
	for (size_t i = 0; rc == 0 && addresses && i < json_object_array_length(addresses); i++)
		rc = add_address(sock, idx, json_object_array_get_idx(addresses, i), err);
	return rc;
}

static int configure_nics(struct nl_sock *sock, struct json_object *interfaces, struct vpmem_error *err)
{
	size_t n = interfaces ? json_object_array_length(interfaces) : 0;
	int idx[32], rc = 0;

	if (n > sizeof(idx) / sizeof(idx[0]))
		return error_set(err, -E2BIG, "network: %zu interfaces are too many", n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = rename_away(sock, json_object_array_get_idx(interfaces, i), i, &idx[i], err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = configure_nic(sock, idx[i], json_object_array_get_idx(interfaces, i), err);
	return rc;
}

/* The container shall not see a NIC that its network namespace does not have: its PCI device is removed. */
static int remove_nics(struct nl_sock *sock, struct json_object *unused, struct vpmem_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && unused && i < json_object_array_length(unused); i++) {
		struct rtnl_link *link;
		char path[64];

		rc = find_nic(sock, json_object_get_string(json_object_array_get_idx(unused, i)), &link, err);
		if (rc)
			break;
		snprintf(path, sizeof(path), "/sys/class/net/%s/device/../remove", rtnl_link_get_name(link));
		rc = write_file(path, "1");
		if (rc)
			error_set(err, rc, "network: could not remove %s: %s", rtnl_link_get_name(link), strerror(-rc));
		rtnl_link_put(link);
	}
	return rc;
}

int agent_net_configure(struct json_object *network, struct vpmem_error *err)
{
	struct nl_sock *sock = nl_socket_alloc();
	int rc = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	rc = rc ? error_set(err, -EIO, "network: no netlink: %s", nl_geterror(rc)) : 0;
	if (rc == 0)
		rc = bring_up(sock, (int)if_nametoindex("lo"), "lo", err);
	if (rc == 0 && network)
		rc = remove_nics(sock, net_list(network, "unused"), err);
	if (rc == 0 && network)
		rc = configure_nics(sock, net_list(network, "interfaces"), err);
	if (rc == 0 && network)
		rc = agent_routes_add(sock, net_list(network, "routes"), err);
	if (rc == 0 && network)
		rc = agent_neighbours_add(sock, net_list(network, "neighbours"), err);
	nl_socket_free(sock);
	return rc;
}
