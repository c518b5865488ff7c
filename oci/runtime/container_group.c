// SPDX-License-Identifier: Apache-2.0
// The control group of a container that is created.
#include "container_group.h"

#include "cgroup.h"
#include "error.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *resources_of(const struct bundle *bundle)
{
	struct json_object *linux_of = json_object_object_get(bundle->config, "linux");

	return linux_of ? json_object_object_get(linux_of, "resources") : NULL;
}

// That of systemd may be another one in the end: systemd says so when it has made it.
int container_name_group(const struct command *cmd, const struct bundle *bundle, struct state *state,
                         struct vpmem_error *err)
{
	struct cgroup_unit unit;
	int rc;

	// Without root, the default is a group that may not be made, and the manager of the host makes no scope.
	if (cmd->has_no_cgroup || (cmd->is_rootless && (cmd->is_systemd || !bundle->cgroups_path)))
		return 0;
	rc = cgroup_path(bundle->cgroups_path, cmd->is_systemd, state->id, &state->cgroup, err);
	if (rc < 0 || !cmd->is_systemd)
		return rc;
	rc = cgroup_unit_of(bundle->cgroups_path, state->id, &unit, err);
	state->scope = rc == 0 ? strdup(unit.scope) : NULL;
	return rc == 0 && !state->scope ? error_set(err, -ENOMEM, "out of memory") : rc;
}

static int make_scope(const struct command *cmd, const struct bundle *bundle, struct state *state,
                      struct scope_group *scope, struct vpmem_error *err)
{
	struct scope_limit properties[CGROUP_LIMITS_MAX];
	struct cgroup_unit unit;
	size_t n = cgroup_properties(state->cgroup, resources_of(bundle), cmd->settings.memory_overhead, false,
	                             properties);
	int rc = cgroup_unit_of(bundle->cgroups_path, state->id, &unit, err);

	if (rc == 0)
		rc = scope_group_make(scope, &unit, state->id, properties, n, &state->cgroup, err);
	if (rc == 0)
		return state_save(state, err);
	// Nothing of it is there, or it is another one's: not for undo.
	if (rc == -ENOTCONN || rc == -EEXIST) {
		free(state->scope);
		free(state->cgroup);
		state->scope = state->cgroup = NULL;
	}
	return rc;
}

int container_make_group(const struct command *cmd, const struct bundle *bundle, struct state *state,
                         struct scope_group *scope, struct vpmem_error *err)
{
	struct json_object *resources = resources_of(bundle);
	int rc;

	if (state->scope)
		rc = make_scope(cmd, bundle, state, scope, err);
	else if (cmd->is_rootless && !cmd->has_no_cgroup)
		rc = cgroup_make_rootless(&state->cgroup, resources, err);
	else
		rc = cgroup_make(state->cgroup, err);
	return rc ? rc : cgroup_limit(state->cgroup, resources, cmd->settings.memory_overhead, false, err);
}
