// SPDX-License-Identifier: Apache-2.0
/*
 * network_json.h - builds JSON step by step, where each step can be out of memory.
 *
 * A value is NULL when its making failed; a step with such a value fails, and so on to the top. Steps are added up:
 *
 *     int rc = network_put(object, "a", ...);
 *     rc |= network_put(object, "b", ...);
 *     return network_whole(object, rc);
 */
#ifndef PMVM_OCI_NETWORK_JSON_H
#define PMVM_OCI_NETWORK_JSON_H

struct json_object;
struct nl_addr;

/* Take value. 0, or a negative number. */
int network_put(struct json_object *object, const char *key, struct json_object *value);
int network_append(struct json_object *list, struct json_object *value);

/* The object itself, or NULL if a step failed: it is freed then. */
struct json_object *network_whole(struct json_object *object, int rc);

/* "10.88.0.2", "fe80::1": an address of IPv4 or IPv6, without its prefix. NULL: another family, or no memory. */
struct json_object *network_addr(struct nl_addr *addr);

#endif
