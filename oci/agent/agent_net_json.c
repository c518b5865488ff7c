// SPDX-License-Identifier: Apache-2.0
// Members of the request "network" as what netlink needs.
#include "agent_net_json.h"

#include "error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <netlink/addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *member(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value;

	if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, type))
		return NULL;
	return value;
}

struct json_object *net_list(struct json_object *object, const char *key)
{
	return member(object, key, json_type_array);
}

const char *net_text(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_string);

	return value ? json_object_get_string(value) : NULL;
}

int64_t net_number(struct json_object *object, const char *key, int64_t missing)
{
	struct json_object *value = member(object, key, json_type_int);

	return value ? json_object_get_int64(value) : missing;
}

bool net_flag(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_boolean);

	return value && json_object_get_boolean(value);
}

static int bad_addr(const char *text, const char *what, struct vpmem_error *err)
{
	return error_set(err, -EINVAL, "network: '%.64s' is no %s", text ? text : "", what);
}

static int finish(struct nl_addr *addr, int prefix, struct nl_addr **out, struct vpmem_error *err)
{
	if (!addr)
		return error_set(err, -ENOMEM, "network: out of memory");
	if (prefix >= 0)
		nl_addr_set_prefixlen(addr, prefix);
	*out = addr;
	return 0;
}

/* The digits behind "/"; -1: there is no "/"; -2: no number up to max. */
static int parse_prefix(const char *slash, long max)
{
	char *end;
	long value;

	if (!slash)
		return -1;
	value = strtol(slash + 1, &end, 10);
	return slash[1] < '0' || slash[1] > '9' || *end || value > max ? -2 : (int)value;
}

int net_addr(const char *text, struct nl_addr **addr, struct vpmem_error *err)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	size_t len = slash ? (size_t)(slash - text) : strlen(text ? text : "");
	uint8_t bytes[sizeof(struct in6_addr)];
	char host[INET6_ADDRSTRLEN];
	int family, prefix;

	*addr = NULL;
	if (!text || len >= sizeof(host))
		return bad_addr(text, "address", err);
	memcpy(host, text, len);
	host[len] = '\0';
	family = strchr(host, ':') ? AF_INET6 : AF_INET;
	prefix = parse_prefix(slash, family == AF_INET6 ? 128 : 32);
	if (prefix == -2 || inet_pton(family, host, bytes) != 1)
		return bad_addr(text, "address", err);
	return finish(nl_addr_build(family, bytes, family == AF_INET6 ? 16 : 4), prefix, addr, err);
}

int net_hwaddr(const char *text, struct nl_addr **addr, struct vpmem_error *err)
{
	uint8_t bytes[6];
	int end = 0;

	*addr = NULL;
	if (!text ||
	    sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
	           &bytes[5], &end) != 6 ||
	    text[end])
		return bad_addr(text, "hardware address", err);
	return finish(nl_addr_build(AF_LLC, bytes, sizeof(bytes)), -1, addr, err);
}
