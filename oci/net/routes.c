// SPDX-License-Identifier: Apache-2.0
// The routes of a network namespace as JSON.
#include "routes.h"

#include "network_json.h"

#include <json-c/json.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>

static struct json_object *nexthop_json(struct rtnl_nexthop *hop, const char *ifname)
{
	struct json_object *object = json_object_new_object();
	struct nl_addr *via = rtnl_route_nh_get_gateway(hop);
	int rc = network_put(object, "interface", json_object_new_string(ifname));

	if (!via)
		via = rtnl_route_nh_get_via(hop); /* of another family than the destination */
	if (via)
		rc |= network_put(object, "via", network_addr(via));
	if (rtnl_route_nh_get_weight(hop))
		rc |= network_put(object, "weight", json_object_new_int(rtnl_route_nh_get_weight(hop)));
	if (rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK)
		rc |= network_put(object, "onlink", json_object_new_boolean(true));
	return network_whole(object, rc);
}

/* mtu, advmss, window...: by the numbers of linux/rtnetlink.h */
static struct json_object *metrics_json(struct rtnl_route *route)
{
	struct json_object *object = json_object_new_object();
	int rc = 0;

	for (int i = RTAX_LOCK + 1; i <= RTAX_MAX; i++) {
		uint32_t value;
		char key[8];

		if (i == RTAX_CC_ALGO || rtnl_route_get_metric(route, i, &value) < 0)
			continue;
		snprintf(key, sizeof(key), "%d", i);
		rc |= network_put(object, key, json_object_new_int64(value));
	}
	return network_whole(object, rc);
}

static struct json_object *destination(struct nl_addr *dst)
{
	struct json_object *addr = network_addr(dst), *text;
	char buf[64];

	if (!addr)
		return NULL;
	snprintf(buf, sizeof(buf), "%s/%u", json_object_get_string(addr), nl_addr_get_prefixlen(dst));
	text = json_object_new_string(buf);
	json_object_put(addr);
	return text;
}

static struct json_object *route_json(struct rtnl_route *route, struct json_object *nexthops)
{
	struct json_object *object = json_object_new_object();
	struct nl_addr *src = rtnl_route_get_pref_src(route);
	int rc = network_put(object, "nexthops", nexthops);

	rc |= network_put(object, "to", destination(rtnl_route_get_dst(route)));
	rc |= network_put(object, "type", json_object_new_int(rtnl_route_get_type(route)));
	rc |= network_put(object, "scope", json_object_new_int(rtnl_route_get_scope(route)));
	rc |= network_put(object, "protocol", json_object_new_int(rtnl_route_get_protocol(route)));
	rc |= network_put(object, "priority", json_object_new_int64(rtnl_route_get_priority(route)));
	rc |= network_put(object, "tos", json_object_new_int(rtnl_route_get_tos(route)));
	rc |= network_put(object, "metrics", metrics_json(route));
	if (src)
		rc |= network_put(object, "src", network_addr(src));
	return network_whole(object, rc);
}

/* 1: each of its interfaces is one of ours, *nexthops is the caller's; 0: not; negative: out of memory. */
static int nexthops_json(struct rtnl_route *route, const struct link *links, size_t nlinks,
                         struct json_object **nexthops)
{
	struct json_object *list = json_object_new_array();
	int rc = list ? 0 : -1;

	for (int i = 0; i < rtnl_route_get_nnexthops(route) && rc == 0; i++) {
		struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, i);
		const char *ifname = link_name(links, nlinks, rtnl_route_nh_get_ifindex(hop));

		if (!ifname) {
			json_object_put(list);
			return 0;
		}
		rc = network_append(list, nexthop_json(hop, ifname));
	}
	*nexthops = network_whole(list, rc);
	return rc == 0 ? 1 : rc;
}

static bool is_plain_route(struct rtnl_route *route)
{
	uint8_t type = rtnl_route_get_type(route), family = rtnl_route_get_family(route);

	return rtnl_route_get_table(route) == RT_TABLE_MAIN && (family == AF_INET || family == AF_INET6) &&
	       (type == RTN_UNICAST || type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT) &&
	       rtnl_route_get_dst(route) && !rtnl_route_get_src(route) && !(rtnl_route_get_flags(route) & RTM_F_CLONED);
}

struct json_object *routes_json(struct nl_cache *routes, const struct link *links, size_t nlinks)
{
	struct json_object *list = json_object_new_array();
	int rc = list ? 0 : -1;

	for (struct nl_object *object = nl_cache_get_first(routes); object && rc == 0;
	     object = nl_cache_get_next(object)) {
		struct rtnl_route *route = (struct rtnl_route *)object;
		struct json_object *nexthops = NULL;

		if (!is_plain_route(route))
			continue;
		rc = nexthops_json(route, links, nlinks, &nexthops);
		if (rc > 0)
			rc = network_append(list, route_json(route, nexthops));
	}
	return network_whole(list, rc);
}
