// SPDX-License-Identifier: Apache-2.0
/*
 * routes.h - the routes of a network namespace as JSON: those of the main table whose interfaces a machine gets.
 */
#ifndef PMVM_OCI_ROUTES_H
#define PMVM_OCI_ROUTES_H

#include "links.h"

struct json_object;
struct nl_cache;

/* NULL: out of memory. */
struct json_object *routes_json(struct nl_cache *routes, const struct link *links, size_t nlinks);

#endif
