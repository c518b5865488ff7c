// SPDX-License-Identifier: Apache-2.0
/*
 * network.h - the addresses, routes and neighbours of a network namespace as JSON, for the agent (nics.h).
 */
#ifndef PMVM_OCI_NETWORK_H
#define PMVM_OCI_NETWORK_H

#include "links.h"

struct json_object;

/* The calling thread and sock are in the namespace. *network has no "unused"; the caller owns it. */
int network_read(struct nl_sock *sock, const struct link *links, size_t nlinks, struct json_object **network,
                 struct vpmem_error *err);

/* "52:54:00:12:34:56"; NULL: out of memory. The caller owns it. */
struct json_object *network_mac(const uint8_t mac[6]);

#endif
