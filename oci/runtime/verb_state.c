// SPDX-License-Identifier: Apache-2.0
// state: the state of one container.
#include "print_json.h"
#include "state.h"
#include "verb.h"

#include <json-c/json.h>

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const struct verb_operands operands = { .min = 1, .max = 1 };
	struct state state = { 0 };
	int rc = verb_parse(&verb_state, argc, argv, &operands, err);

	if (rc < 0)
		return rc;
	rc = state_load(cmd->root, argv[rc], &state, err);
	if (rc == 0)
		rc = print_json(state_json(&state), true, err);
	state_fini(&state);
	return rc;
}

const struct verb verb_state = {
	.name = "state",
	.operands = "ID",
	.summary = "print the state of a container as JSON",
	.run = run,
};
