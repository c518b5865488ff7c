// SPDX-License-Identifier: Apache-2.0
/*
 * agent_cgroup.h - the cgroup of a container, as its files show it.
 */
#ifndef PMVM_OCI_AGENT_CGROUP_H
#define PMVM_OCI_AGENT_CGROUP_H

#include <stdint.h>

/* Of a container by its number; below /sys/fs/cgroup. */
#define CGROUP_FORMAT "/container-%u"

struct json_object;

/* How many of its processes were killed because memory was short. 0 as well where there is no cgroup. */
uint64_t cgroup_oom_kills(unsigned container);
/* The answer to "stats", which the caller owns. */
struct json_object *cgroup_stats(unsigned container);
/* Adds the lines "name number" of a text as members. */
void cgroup_add_lines(struct json_object *to, char *text);

#endif
