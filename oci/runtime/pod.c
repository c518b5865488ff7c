// SPDX-License-Identifier: Apache-2.0
// Whose machine and whose pid namespace a container of a pod comes into.
#include "pod.h"

#include "bundle.h"
#include "error.h"
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct search {
	const char *sandbox_id;
	const char *path; /* /proc/PID/ns/pid, with the pid that the engine knows */
	char *found;      /* its id */
};

static int compare(void *owner, const struct state *state)
{
	struct search *search = owner;
	const bool is_of_pod = strcmp(state->sandbox ? state->sandbox : state->id, search->sandbox_id) == 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)state->process.pid);
	if (search->found || !is_of_pod || strcmp(path, search->path) != 0 || state_status(state) == STATUS_STOPPED)
		return 0;
	search->found = strdup(state->id);
	return search->found ? 0 : -ENOMEM;
}

static int find_pidns(const char *root, const struct bundle *bundle, char **pidns, struct vpmem_error *err)
{
	struct search search = { .sandbox_id = bundle->pod.sandbox_id, .path = bundle->pod.pidns_path };
	int rc = search.path ? state_each(root, compare, &search, err) : 0;

	if (rc < 0)
		return error_set(err, rc, "linux.namespaces: out of memory");
	*pidns = search.found;
	if (!search.path || search.found)
		return 0;
	error_set(err, -ENOTSUP,
	          "linux.namespaces: the pid namespace %s, which is not that of a container of pod %s: not supported",
	          search.path, bundle_pod_name(bundle));
	error_hint(err, "a container has a pid namespace of its own, or /proc/PID/ns/pid of one in its pod that runs");
	return -ENOTSUP;
}

int pod_find(const char *root, const struct bundle *bundle, char **pidns, struct vpmem_error *err)
{
	const char *id = bundle->pod.sandbox_id, *pod = bundle_pod_name(bundle);
	struct state sandbox = { 0 };
	int rc = state_load(root, id, &sandbox, NULL);

	*pidns = NULL;
	if (rc < 0) {
		error_set(err, -ENOTSUP, "pod %s: its sandbox '%.200s' has no machine: not supported", pod, id);
		error_hint(err, "the sandbox has to be created by pmvm-oci as well, with the same --root");
		rc = -ENOTSUP;
	} else if (state_status(&sandbox) != STATUS_CREATED && state_status(&sandbox) != STATUS_RUNNING) {
		rc = error_set(err, -EINVAL, "pod %s: its sandbox '%.200s' is %s", pod, id,
		               state_status_name(&sandbox));
	} else {
		rc = find_pidns(root, bundle, pidns, err);
	}
	state_fini(&sandbox);
	return rc;
}
