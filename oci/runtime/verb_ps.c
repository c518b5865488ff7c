// SPDX-License-Identifier: Apache-2.0
// ps: the processes of a container, as the guest numbers them.
#include "error.h"
#include "keeper_request.h"
#include "print_json.h"
#include "state.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static int print_pids(struct json_object *answer, bool is_json, struct vpmem_error *err)
{
	struct json_object *pids = json_object_object_get(answer, "pids");

	if (!json_object_is_type(pids, json_type_array))
		return error_set(err, -EPROTO, "the guest did not answer with a list of processes");
	if (is_json)
		return print_json(json_object_get(pids), false, err);
	puts("PID");
	for (size_t i = 0; i < json_object_array_length(pids); i++)
		printf("%d\n", json_object_get_int(json_object_array_get_idx(pids, i)));
	return 0;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const char *format = "table";
	struct json_object *answer = NULL;
	struct state state = { 0 };
	const struct argument table[] = {
		ARGUMENT("format", 'f', TEXT, &format, "table or json"),
	};
	// runc passes what follows the id to ps(1) of the host, which knows nothing of a guest's processes.
	const struct verb_operands operands = { .table = table, .n = 1, .min = 1, .max = 64, .stop_early = true };
	int rc = verb_parse(&verb_ps, argc, argv, &operands, err);
	bool is_json;

	if (rc < 0)
		return rc;
	is_json = strcmp(format, "json") == 0;
	if (!is_json && strcmp(format, "table") != 0)
		return error_set(err, -EINVAL, "--format %s: neither table nor json", format);
	rc = state_load(cmd->root, argv[rc], &state, err);
	if (rc == 0)
		rc = keeper_request(&state, "ps", NULL, KEEPER_ANSWER_S, &answer, err);
	if (rc == 0)
		rc = print_pids(answer, is_json, err);
	json_object_put(answer);
	state_fini(&state);
	return rc;
}

const struct verb verb_ps = {
	.name = "ps",
	.operands = "ID",
	.summary = "list the processes of a container, as its guest numbers them",
	.run = run,
};
