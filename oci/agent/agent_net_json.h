// SPDX-License-Identifier: Apache-2.0
/*
 * agent_net_json.h - members of the request "network" as what netlink needs.
 */
#ifndef PMVM_OCI_AGENT_NET_JSON_H
#define PMVM_OCI_AGENT_NET_JSON_H

#include <vpmem.h>

#include <stdbool.h>
#include <stdint.h>

struct json_object;
struct nl_addr;

/* A member that is absent or has another type is NULL, the default, or false. */
struct json_object *net_list(struct json_object *object, const char *key);
const char *net_text(struct json_object *object, const char *key);
int64_t net_number(struct json_object *object, const char *key, int64_t missing);
bool net_flag(struct json_object *object, const char *key);

/*
 * Addresses of IPv4, IPv6 ("ADDRESS" or "ADDRESS/PREFIX") and Ethernet ("52:54:00:12:34:56"). 0: nl_addr_put frees *addr.
 * -EINVAL: the text names text; *addr is NULL.
 */
int net_addr(const char *text, struct nl_addr **addr, struct vpmem_error *err);
int net_hwaddr(const char *text, struct nl_addr **addr, struct vpmem_error *err);

#endif
