// SPDX-License-Identifier: Apache-2.0
// The routes and neighbours of the guest's network.
#include "agent_net_routes.h"

#include "agent_net_json.h"
#include "error.h"

#include <errno.h>
#include <json-c/json.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdlib.h>

static int interface_idx(struct json_object *object, struct vpmem_error *err)
{
	const char *name = net_text(object, "interface");
	unsigned idx = name ? if_nametoindex(name) : 0;

	if (idx == 0)
		return error_set(err, -ENODEV, "network: no interface '%.16s'", name ? name : "");
	return (int)idx;
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static int set_via(struct rtnl_route *route, struct rtnl_nexthop *hop, const char *text, struct vpmem_error *err)
{
	struct nl_addr *via;
	int rc = net_addr(text, &via, err);

	if (rc)
		return rc;
	if (nl_addr_get_family(via) == rtnl_route_get_family(route))
		rtnl_route_nh_set_gateway(hop, via);
	else
		rc = rtnl_route_nh_set_via(hop, via);
	nl_addr_put(via);
	return rc ? error_set(err, -EINVAL, "network: %s as the next hop: %s", text, nl_geterror(rc)) : 0;
}

static int add_nexthop(struct rtnl_route *route, struct json_object *object, struct vpmem_error *err)
{
	int idx = interface_idx(object, err), rc = 0;
	struct rtnl_nexthop *hop;

	if (idx < 0)
		return idx;
	hop = rtnl_route_nh_alloc();
	if (!hop)
		return error_set(err, -ENOMEM, "network: out of memory");
	rtnl_route_nh_set_ifindex(hop, idx);
	rtnl_route_nh_set_weight(hop, (uint8_t)net_number(object, "weight", 0));
	if (net_flag(object, "onlink"))
		rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
	if (net_text(object, "via"))
		rc = set_via(route, hop, net_text(object, "via"), err);
	if (rc == 0)
		rtnl_route_add_nexthop(route, hop);
	else
		rtnl_route_nh_free(hop);
	return rc;
}

static int set_metrics(struct rtnl_route *route, struct json_object *metrics)
{
	json_object_object_foreach(metrics, key, value)
	{
		int rc = rtnl_route_set_metric(route, atoi(key), (unsigned)json_object_get_int64(value));

		if (rc)
			return rc;
	}
	return 0;
}

static int set_source(struct rtnl_route *route, const char *text, struct vpmem_error *err)
{
	struct nl_addr *src;
	int rc = net_addr(text, &src, err);

	if (rc == 0 && rtnl_route_set_pref_src(route, src) < 0)
		rc = error_set(err, -EINVAL, "network: route from %s: another family than its destination", text);
	nl_addr_put(src);
	return rc;
}

static int set_route(struct rtnl_route *route, struct json_object *object, struct vpmem_error *err)
{
	struct json_object *nexthops = net_list(object, "nexthops"), *metrics;
	struct nl_addr *to;
	int rc = net_addr(net_text(object, "to"), &to, err);

	if (rc)
		return rc;
	rc = rtnl_route_set_dst(route, to); /* and the family */
	nl_addr_put(to);
	rtnl_route_set_table(route, RT_TABLE_MAIN);
	rtnl_route_set_scope(route, (uint8_t)net_number(object, "scope", RT_SCOPE_UNIVERSE));
	rtnl_route_set_protocol(route, (uint8_t)net_number(object, "protocol", RTPROT_STATIC));
	rtnl_route_set_priority(route, (uint32_t)net_number(object, "priority", 0));
	rtnl_route_set_tos(route, (uint8_t)net_number(object, "tos", 0));
	if (rc == 0)
		rc = rtnl_route_set_type(route, (uint8_t)net_number(object, "type", RTN_UNICAST));
	if (rc == 0 && json_object_object_get_ex(object, "metrics", &metrics) &&
	    json_object_is_type(metrics, json_type_object))
		rc = set_metrics(route, metrics);
	if (rc)
		return error_set(err, -EINVAL, "network: route to %s: %s", net_text(object, "to"), nl_geterror(rc));
	if (net_text(object, "src"))
		rc = set_source(route, net_text(object, "src"), err);
	for (size_t i = 0; rc == 0 && nexthops && i < json_object_array_length(nexthops); i++)
		rc = add_nexthop(route, json_object_array_get_idx(nexthops, i), err);
	return rc;
}

/* 0, 1: the kernel refused it, which another route may change; -errno. */
static int add_route(struct nl_sock *sock, struct json_object *object, struct vpmem_error *err)
{
	struct rtnl_route *route = rtnl_route_alloc();
	int rc;

	if (!route)
		return error_set(err, -ENOMEM, "network: out of memory");
	rc = set_route(route, object, err);
	if (rc == 0) {
		/* Those of the addresses are there already. */
		rc = rtnl_route_add(sock, route, NLM_F_CREATE | NLM_F_REPLACE);
		if (rc) {
			error_set(err, -EIO, "network: route to %s: %s", net_text(object, "to"), nl_geterror(rc));
			rc = 1;
		}
	}
	rtnl_route_put(route);
	return rc;
}

/* A gateway has to be reachable by a route that is there: what is refused is tried again while others are added. */
int agent_routes_add(struct nl_sock *sock, struct json_object *routes, struct vpmem_error *err)
{
	size_t nroutes = routes ? json_object_array_length(routes) : 0, nleft = nroutes, nbefore;
	bool *done = calloc(nroutes + 1, sizeof(*done));
	int rc = done ? 0 : error_set(err, -ENOMEM, "network: out of memory");

	do {
		nbefore = nleft;
		for (size_t i = 0; i < nroutes && rc >= 0; i++) {
			if (done[i])
				continue;
			rc = add_route(sock, json_object_array_get_idx(routes, i), err);
			done[i] = rc == 0;
			nleft -= done[i];
		}
	} while (rc >= 0 && nleft > 0 && nleft < nbefore);
	free(done);
	return rc < 0 ? rc : nleft > 0 ? -EIO : 0;
}

/* ---- neighbours --------------------------------------------------------------------------------------------------- */

static int add_neighbour(struct nl_sock *sock, struct json_object *object, struct vpmem_error *err)
{
	struct rtnl_neigh *neigh = rtnl_neigh_alloc();
	struct nl_addr *dst = NULL, *lladdr = NULL;
	int idx = interface_idx(object, err), rc = idx < 0 ? idx : 0;

	if (!neigh)
		rc = error_set(err, -ENOMEM, "network: out of memory");
	if (rc == 0)
		rc = net_addr(net_text(object, "address"), &dst, err);
	if (rc == 0)
		rc = net_hwaddr(net_text(object, "hwaddr"), &lladdr, err);
	if (rc == 0) {
		rtnl_neigh_set_ifindex(neigh, idx);
		rtnl_neigh_set_state(neigh, NUD_PERMANENT);
		rtnl_neigh_set_lladdr(neigh, lladdr);
		rtnl_neigh_set_dst(neigh, dst);
		rc = rtnl_neigh_add(sock, neigh, NLM_F_CREATE | NLM_F_REPLACE);
		if (rc)
			rc = error_set(err, -EIO, "network: neighbour %s: %s", net_text(object, "address"),
			               nl_geterror(rc));
	}
	nl_addr_put(dst);
	nl_addr_put(lladdr);
	rtnl_neigh_put(neigh);
	return rc;
}

int agent_neighbours_add(struct nl_sock *sock, struct json_object *neighbours, struct vpmem_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && neighbours && i < json_object_array_length(neighbours); i++)
		rc = add_neighbour(sock, json_object_array_get_idx(neighbours, i), err);
	return rc;
}
