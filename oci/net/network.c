// SPDX-License-Identifier: Apache-2.0
// The interfaces, addresses and neighbours of a network namespace as JSON, for the agent.
#include "network.h"

#include "error.h"
#include "network_json.h"
#include "routes.h"
#include "rtnl.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <netlink/cache.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ITEMS_MAX 1000     /* addresses, routes and neighbours each: a frame to the agent has at most 1 MiB */
#define FOREVER UINT32_MAX /* a lifetime */

/* ---- addresses ---------------------------------------------------------------------------------------------- */

static int put_lifetime(struct json_object *object, const char *key, uint32_t seconds)
{
	return seconds == FOREVER ? 0 : network_put(object, key, json_object_new_int64(seconds));
}

static struct json_object *address_json(struct rtnl_addr *addr)
{
	struct json_object *object = json_object_new_object();
	const char *label = rtnl_addr_get_label(addr);
	struct nl_addr *peer = rtnl_addr_get_peer(addr), *broadcast = rtnl_addr_get_broadcast(addr);
	int rc = network_put(object, "address", network_addr(rtnl_addr_get_local(addr)));

	rc |= network_put(object, "prefix", json_object_new_int(rtnl_addr_get_prefixlen(addr)));
	rc |= network_put(object, "scope", json_object_new_int(rtnl_addr_get_scope(addr)));
	if (peer)
		rc |= network_put(object, "peer", network_addr(peer));
	if (broadcast)
		rc |= network_put(object, "broadcast", network_addr(broadcast));
	if (label)
		rc |= network_put(object, "label", json_object_new_string(label));
	if (rtnl_addr_get_flags(addr) & IFA_F_NOPREFIXROUTE)
		rc |= network_put(object, "noprefixroute", json_object_new_boolean(true));
	if (!(rtnl_addr_get_flags(addr) & IFA_F_PERMANENT)) {
		rc |= put_lifetime(object, "valid", rtnl_addr_get_valid_lifetime(addr));
		rc |= put_lifetime(object, "preferred", rtnl_addr_get_preferred_lifetime(addr));
	}
	return network_whole(object, rc);
}

static struct json_object *addresses_json(struct nl_cache *cache, int link_idx)
{
	struct json_object *list = json_object_new_array();
	int rc = 0;

	for (struct nl_object *object = nl_cache_get_first(cache); object; object = nl_cache_get_next(object)) {
		struct rtnl_addr *addr = (struct rtnl_addr *)object;

		if (rtnl_addr_get_ifindex(addr) != link_idx || !rtnl_addr_get_local(addr) ||
		    rtnl_addr_get_flags(addr) & IFA_F_DADFAILED)
			continue;
		rc |= network_append(list, address_json(addr));
	}
	return network_whole(list, rc);
}

/* ---- interfaces --------------------------------------------------------------------------------------------------- */

struct json_object *network_mac(const uint8_t mac[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return json_object_new_string(text);
}

/* What engines set before create, as netavark does: whether the guest's IPv6 configures itself. */
static int put_sysctl(struct json_object *object, const char *ifname, const char *name)
{
	char path[100], value[16];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* no IPv6 */
	len = read(fd, value, sizeof(value) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	value[len] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return network_put(object, name, json_object_new_string(value));
}

static struct json_object *sysctl_json(const char *ifname)
{
	static const char *const names[] = { "accept_dad", "accept_ra", "autoconf", "disable_ipv6" };
	struct json_object *object = json_object_new_object();
	int rc = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		rc |= put_sysctl(object, ifname, names[i]);
	return network_whole(object, rc);
}

static struct json_object *link_json(const struct link *link, struct nl_cache *addresses)
{
	struct json_object *object = json_object_new_object();
	int rc = network_put(object, "name", json_object_new_string(link->name));

	rc |= network_put(object, "mac", network_mac(link->guest_mac));
	rc |= network_put(object, "hwaddr", network_mac(link->hwaddr));
	rc |= network_put(object, "mtu", json_object_new_int64(link->mtu));
	rc |= network_put(object, "up", json_object_new_boolean(link->is_up));
	rc |= network_put(object, "sysctl", sysctl_json(link->name));
	rc |= network_put(object, "addresses", addresses_json(addresses, link->idx));
	return network_whole(object, rc);
}

static struct json_object *interfaces_json(struct nl_cache *addresses, const struct link *links, size_t nlinks)
{
	struct json_object *list = json_object_new_array();
	int rc = 0;

	for (size_t i = 0; i < nlinks; i++)
		rc |= network_append(list, link_json(&links[i], addresses));
	return network_whole(list, rc);
}

/* ---- neighbours: those that somebody entered ------------------------------------------------------------------------ */

static struct json_object *neighbour_json(struct rtnl_neigh *neigh, const char *ifname)
{
	struct json_object *object = json_object_new_object();
	int rc = network_put(object, "address", network_addr(rtnl_neigh_get_dst(neigh)));

	rc |= network_put(object, "hwaddr", network_mac(nl_addr_get_binary_addr(rtnl_neigh_get_lladdr(neigh))));
	rc |= network_put(object, "interface", json_object_new_string(ifname));
	return network_whole(object, rc);
}

static struct json_object *neighbours_json(struct nl_cache *cache, const struct link *links, size_t nlinks)
{
	struct json_object *list = json_object_new_array();
	int rc = 0;

	for (struct nl_object *object = nl_cache_get_first(cache); object; object = nl_cache_get_next(object)) {
		struct rtnl_neigh *neigh = (struct rtnl_neigh *)object;
		const char *ifname = link_name(links, nlinks, rtnl_neigh_get_ifindex(neigh));
		struct nl_addr *dst = rtnl_neigh_get_dst(neigh), *lladdr = rtnl_neigh_get_lladdr(neigh);

		if (ifname && rtnl_neigh_get_state(neigh) == NUD_PERMANENT && dst && lladdr &&
		    nl_addr_get_len(lladdr) == 6)
			rc |= network_append(list, neighbour_json(neigh, ifname));
	}
	return network_whole(list, rc);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static int check_size(const char *what, struct nl_cache *cache, struct vpmem_error *err)
{
	if (nl_cache_nitems(cache) <= ITEMS_MAX)
		return 0;
	return error_set(err, -E2BIG, "the network namespace has %d %s: not supported, the limit is %d",
	                 nl_cache_nitems(cache), what, ITEMS_MAX);
}

static int read_list(struct nl_sock *sock, int (*alloc)(struct nl_sock *, struct nl_cache **), const char *what,
                     struct nl_cache **cache, struct vpmem_error *err)
{
	int rc = alloc(sock, cache);

	if (rc)
		return rtnl_error(err, rc, "could not read the %s of the network namespace", what);
	rc = check_size(what, *cache, err);
	if (rc) {
		nl_cache_free(*cache);
		*cache = NULL;
	}
	return rc;
}

static int alloc_routes(struct nl_sock *sock, struct nl_cache **cache)
{
	return rtnl_route_alloc_cache(sock, AF_UNSPEC, 0, cache);
}

int network_read(struct nl_sock *sock, const struct link *links, size_t nlinks, struct json_object **network,
                 struct vpmem_error *err)
{
	struct nl_cache *addresses = NULL, *routes = NULL, *neighbours = NULL;
	struct json_object *object = NULL;
	int rc = read_list(sock, rtnl_addr_alloc_cache, "addresses", &addresses, err);

	if (rc == 0)
		rc = read_list(sock, alloc_routes, "routes", &routes, err);
	if (rc == 0)
		rc = read_list(sock, rtnl_neigh_alloc_cache, "neighbours", &neighbours, err);
	if (rc == 0) {
		object = json_object_new_object();
		rc = network_put(object, "interfaces", interfaces_json(addresses, links, nlinks));
		rc |= network_put(object, "routes", routes_json(routes, links, nlinks));
		rc |= network_put(object, "neighbours", neighbours_json(neighbours, links, nlinks));
		object = network_whole(object, rc);
		rc = object ? 0 : error_set(err, -ENOMEM, "network: out of memory");
	}
	nl_cache_free(addresses);
	nl_cache_free(routes);
	nl_cache_free(neighbours);
	*network = object;
	return rc;
}
