// SPDX-License-Identifier: Apache-2.0
// Builds JSON step by step, where each step can be out of memory.
#include "network_json.h"

#include <arpa/inet.h>
#include <json-c/json.h>
#include <netlink/addr.h>
#include <string.h>

int network_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && value && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -1;
}

int network_append(struct json_object *list, struct json_object *value)
{
	if (list && value && json_object_array_add(list, value) == 0)
		return 0;
	json_object_put(value);
	return -1;
}

struct json_object *network_whole(struct json_object *object, int rc)
{
	if (rc == 0)
		return object;
	json_object_put(object);
	return NULL;
}

struct json_object *network_addr(struct nl_addr *addr)
{
	uint8_t bytes[sizeof(struct in6_addr)] = { 0 }; /* the destination of a default route has none */
	char text[INET6_ADDRSTRLEN];

	if (nl_addr_get_len(addr) > sizeof(bytes))
		return NULL;
	memcpy(bytes, nl_addr_get_binary_addr(addr), nl_addr_get_len(addr));
	return inet_ntop(nl_addr_get_family(addr), bytes, text, sizeof(text)) ? json_object_new_string(text) : NULL;
}
