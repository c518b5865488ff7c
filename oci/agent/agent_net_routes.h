// SPDX-License-Identifier: Apache-2.0
/*
 * agent_net_routes.h - the routes and neighbours of the guest's network.
 */
#ifndef PMVM_OCI_AGENT_NET_ROUTES_H
#define PMVM_OCI_AGENT_NET_ROUTES_H

#include <vpmem.h>

struct json_object;
struct nl_sock;

/* The lists "routes" and "neighbours" of the request; NULL is an empty one. The interfaces have their names and addresses. */
int agent_routes_add(struct nl_sock *sock, struct json_object *routes, struct vpmem_error *err);
int agent_neighbours_add(struct nl_sock *sock, struct json_object *neighbours, struct vpmem_error *err);

#endif
