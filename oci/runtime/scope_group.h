// SPDX-License-Identifier: Apache-2.0
/*
 * scope_group.h - a control group that systemd makes, for a machine that is started later.
 *
 * A scope without a process ends, so a process of ours holds it until the keeper of the machine is in it.
 */
#ifndef PMVM_OCI_SCOPE_GROUP_H
#define PMVM_OCI_SCOPE_GROUP_H

#include "cgroup.h"

#include <sys/types.h>

struct scope_group {
	pid_t holder; /* 0: none */
};

/*
 * Makes the scope, with the properties, and sets *path (malloc'ed, may be NULL: no version 2) to the directory that systemd
 * has chosen. -ENOTCONN: there is no systemd. -EEXIST: there is such a unit.
 */
int scope_group_make(struct scope_group *group, const struct cgroup_unit *unit, const char *id,
                     const struct scope_limit *properties, size_t nproperties, char **path, struct vpmem_error *err);
/* Ends the process that holds it. Legal in any case. */
void scope_group_release(struct scope_group *group);

#endif
