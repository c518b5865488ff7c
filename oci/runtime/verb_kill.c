// SPDX-License-Identifier: Apache-2.0
// kill: a signal for the program of a container.
#include "error.h"
#include "keeper_request.h"
#include "parse.h"
#include "state.h"
#include "verb.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SIGNAL_MAX 64u

static int realtime(const char *name)
{
	unsigned more = 0;

	if (strcmp(name, "RTMIN") == 0 || sscanf(name, "RTMIN+%u", &more) == 1)
		return more <= SIGNAL_MAX - 34 ? 34 + (int)more : -EINVAL;
	if (strcmp(name, "RTMAX") == 0 || sscanf(name, "RTMAX-%u", &more) == 1)
		return more <= SIGNAL_MAX - 34 ? (int)(SIGNAL_MAX - more) : -EINVAL;
	return -EINVAL;
}

// "9", "KILL", "SIGKILL", "sigkill", "RTMIN+3".
static int signal_from(const char *text, struct vpmem_error *err)
{
	char upper[24] = "";
	const char *name;
	uint64_t number;
	int found;

	if (uint_parse(text, &number) == 0 && number >= 1 && number <= SIGNAL_MAX)
		return (int)number;
	for (size_t i = 0; text[i] && i < sizeof(upper) - 1; i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	name = strncmp(upper, "SIG", 3) == 0 ? upper + 3 : upper;
	for (int i = 1; i < 32; i++)
		if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), name) == 0)
			return i;
	found = realtime(name);
	if (found > 0)
		return found;
	error_set(err, -EINVAL, "unknown signal '%.100s'", text);
	error_hint(err, "a number from 1 to %u, or a name such as TERM or SIGTERM", SIGNAL_MAX);
	return -EINVAL;
}

static int send_signal(const struct state *state, int signal, bool to_all, struct vpmem_error *err)
{
	struct json_object *more = json_object_new_object();
	int rc;

	json_object_object_add(more, "signal", json_object_new_int(signal));
	json_object_object_add(more, "all", json_object_new_boolean(to_all));
	rc = keeper_request(state, "kill", more, KEEPER_ANSWER_S, NULL, err);
	// A keeper that hangs, or that is not ready yet: the machine ends with it.
	if (rc < 0 && rc != -EREMOTEIO && signal == SIGKILL)
		rc = process_id_kill(&state->process, SIGKILL);
	return rc == -ESRCH ? error_set(err, rc, "container not running") : rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	struct state state = { 0 };
	bool to_all = false;
	const struct argument table[] = {
		ARGUMENT("all", 'a', FLAG, &to_all, "to all processes of the container"),
	};
	const struct verb_operands operands = { .table = table, .n = 1, .min = 1, .max = 2 };
	int first = verb_parse(&verb_kill, argc, argv, &operands, err), signal, rc;

	if (first < 0)
		return first;
	signal = signal_from(first + 1 < argc ? argv[first + 1] : "TERM", err);
	rc = signal < 0 ? signal : state_load(cmd->root, argv[first], &state, err);
	if (rc == 0 && state_status(&state) == STATUS_STOPPED)
		rc = error_set(err, -ESRCH, "container not running");
	if (rc == 0)
		rc = send_signal(&state, signal, to_all, err);
	state_fini(&state);
	return rc;
}

const struct verb verb_kill = {
	.name = "kill",
	.operands = "ID [SIGNAL]",
	.summary = "send a signal, TERM by default, to the program of a container",
	.run = run,
};
