// SPDX-License-Identifier: Apache-2.0
// pause and resume: the vCPUs of the machine stop and go on, or the guest freezes a container of a pod.
#include "error.h"
#include "keeper_request.h"
#include "state.h"
#include "verb.h"

#include <errno.h>

static int request(const struct verb *verb, struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const struct verb_operands operands = { .min = 1, .max = 1 };
	enum status wanted = verb == &verb_pause ? STATUS_RUNNING : STATUS_PAUSED;
	struct state state = { 0 };
	int rc = verb_parse(verb, argc, argv, &operands, err);

	if (rc < 0)
		return rc;
	rc = state_load(cmd->root, argv[rc], &state, err);
	if (rc == 0 && state_status(&state) != wanted)
		rc = error_set(err, -EINVAL, "cannot %s container '%s': it is %s, not %s", verb->name, state.id,
		               state_status_name(&state), status_names[wanted]);
	if (rc == 0)
		rc = keeper_request(&state, verb->name, NULL, KEEPER_ANSWER_S, NULL, err);
	// The keeper of the pod is another process than the one that notes its status.
	if (rc == 0 && state.sandbox) {
		state.status = wanted == STATUS_RUNNING ? STATUS_PAUSED : STATUS_RUNNING;
		rc = state_save(&state, err);
	}
	state_fini(&state);
	return rc;
}

static int run_pause(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	return request(&verb_pause, cmd, argc, argv, err);
}

static int run_resume(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	return request(&verb_resume, cmd, argc, argv, err);
}

const struct verb verb_pause = {
	.name = "pause",
	.operands = "ID",
	.summary = "stop a running container: its vCPUs, or its processes in a pod",
	.run = run_pause,
};

const struct verb verb_resume = {
	.name = "resume",
	.operands = "ID",
	.summary = "let a paused container go on",
	.run = run_resume,
};
