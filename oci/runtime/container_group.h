// SPDX-License-Identifier: Apache-2.0
/*
 * container_group.h - the control group of a container that is created: made here, by systemd, or not at all.
 */
#ifndef PMVM_OCI_CONTAINER_GROUP_H
#define PMVM_OCI_CONTAINER_GROUP_H

#include "bundle.h"
#include "scope_group.h"
#include "state.h"
#include "verb.h"

/* Sets the group and the scope of the state, as far as they are known before they are made. */
int container_name_group(const struct command *cmd, const struct bundle *bundle, struct state *state,
                         struct vpmem_error *err);
/* Makes it, with its limits. The state then has what there is. *scope holds a scope: scope_group_release. */
int container_make_group(const struct command *cmd, const struct bundle *bundle, struct state *state,
                         struct scope_group *scope, struct vpmem_error *err);

#endif
