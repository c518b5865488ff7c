// SPDX-License-Identifier: Apache-2.0
// The interfaces of a network namespace that a machine gets.
#include "links.h"

#include "error.h"
#include "rtnl.h"

#include <errno.h>
#include <net/if_arp.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/route/link.h>
#include <stdlib.h>
#include <string.h>

/* It becomes a text of JSON, and an argument in messages. */
static bool is_plain(const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return *name != '\0';
}

/* VLAN, macvlan and the like of the same namespace: their frames pass through the lower interface, which is redirected. */
static bool is_upon_another(struct rtnl_link *link)
{
	const char *type = rtnl_link_get_type(link);
	int32_t netnsid;

	return rtnl_link_get_link(link) > 0 && rtnl_link_get_link(link) != rtnl_link_get_ifindex(link) &&
	       rtnl_link_get_link_netnsid(link, &netnsid) < 0 && !(type && strcmp(type, "veth") == 0);
}

static bool is_left_out(struct rtnl_link *link)
{
	const char *type = rtnl_link_get_type(link);
	unsigned flags = rtnl_link_get_flags(link);

	if (flags & IFF_LOOPBACK || rtnl_link_get_master(link) > 0)
		return true;
	if (type && strcmp(type, "tun") == 0 && strncmp(rtnl_link_get_name(link), TAP_NAME, strlen(TAP_NAME)) == 0)
		return true;
	return rtnl_link_get_arptype(link) != ARPHRD_ETHER && !(flags & IFF_UP);
}

static int check(struct rtnl_link *link, struct vpmem_error *err)
{
	const char *name = rtnl_link_get_name(link), *type = rtnl_link_get_type(link);
	struct nl_addr *addr = rtnl_link_get_addr(link);

	if (!name || strlen(name) >= IFNAMSIZ || !is_plain(name))
		return error_set(err, -EOPNOTSUPP,
		                 "interface %d of the network namespace: its name is not printable ASCII",
		                 rtnl_link_get_ifindex(link));
	if (rtnl_link_get_arptype(link) != ARPHRD_ETHER || !addr || nl_addr_get_len(addr) != 6) {
		error_set(err, -EOPNOTSUPP,
		          "interface %s (%s): a machine cannot be joined to it, it has no Ethernet frames", name,
		          type ? type : "no type");
		error_hint(err, "attach the container to a bridge, macvlan or another network with Ethernet frames");
		return -EOPNOTSUPP;
	}
	if (is_upon_another(link)) {
		error_set(err, -EOPNOTSUPP, "interface %s (%s): not supported upon another interface of the namespace",
		          name, type ? type : "no type");
		error_hint(err, "make it inside the container, or move the lower interface out of the namespace");
		return -EOPNOTSUPP;
	}
	return 0;
}

static void fill(struct link *out, struct rtnl_link *link)
{
	*out = (struct link) { .idx = rtnl_link_get_ifindex(link),
		               .mtu = rtnl_link_get_mtu(link),
		               .is_up = rtnl_link_get_flags(link) & IFF_UP };
	strcpy(out->name, rtnl_link_get_name(link));
	memcpy(out->hwaddr, nl_addr_get_binary_addr(rtnl_link_get_addr(link)), sizeof(out->hwaddr));
}

static int by_idx(const void *a, const void *b)
{
	return ((const struct link *)a)->idx - ((const struct link *)b)->idx;
}

int links_read(struct nl_sock *sock, struct link links[NICS_MAX], size_t *nlinks, struct vpmem_error *err)
{
	struct nl_cache *cache;
	int rc = rtnl_link_alloc_cache(sock, AF_UNSPEC, &cache);

	*nlinks = 0;
	if (rc)
		return rtnl_error(err, rc, "could not read the interfaces of the network namespace");
	for (struct nl_object *object = nl_cache_get_first(cache); object && rc == 0;
	     object = nl_cache_get_next(object)) {
		struct rtnl_link *link = (struct rtnl_link *)object;

		if (is_left_out(link))
			continue;
		rc = check(link, err);
		if (rc == 0 && *nlinks == NICS_MAX)
			rc = error_set(err, -EOPNOTSUPP,
			               "the network namespace has more than %u interfaces: not supported", NICS_MAX);
		if (rc == 0)
			fill(&links[(*nlinks)++], link);
	}
	nl_cache_free(cache);
	qsort(links, *nlinks, sizeof(links[0]), by_idx);
	return rc;
}

const char *link_name(const struct link *links, size_t nlinks, int link_idx)
{
	for (size_t i = 0; i < nlinks; i++)
		if (links[i].idx == link_idx)
			return links[i].name;
	return NULL;
}
