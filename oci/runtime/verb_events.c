// SPDX-License-Identifier: Apache-2.0
// events: what a container uses, once or again and again.
#include "cgroup.h"
#include "error.h"
#include "keeper_request.h"
#include "print_json.h"
#include "state.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// "5s", "500ms", "1m", or seconds.
static int interval_from(const char *text, struct timespec *interval, struct vpmem_error *err)
{
	char *end;
	double val = strtod(text, &end);
	double unit = strcmp(end, "ms") == 0 ? 0.001 : strcmp(end, "m") == 0 ? 60 : 1;

	if (end == text || !(val > 0 && val < 1e6) || (*end && strcmp(end, "s") != 0 && unit >= 1 && unit < 60))
		return error_set(err, -EINVAL, "--interval %s: not a duration such as 5s", text);
	val *= unit;
	interval->tv_sec = (time_t)val;
	interval->tv_nsec = (long)((val - (double)interval->tv_sec) * 1e9);
	return 0;
}

// What the processes of the machine use on the host.
static struct json_object *host_stats(const struct state *state)
{
	static const char *const files[] = { "memory.current", "memory.peak", "memory.swap.current", "pids.current" };
	struct json_object *host = json_object_new_object();
	uint64_t val;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (cgroup_read(state->cgroup, files[i], &val))
			json_object_object_add(host, files[i], json_object_new_uint64(val));
	return host;
}

static int print_stats(const struct state *state, struct vpmem_error *err)
{
	struct json_object *event, *data, *pmem;
	int rc = keeper_request(state, "stats", NULL, KEEPER_ANSWER_S, &data, err);

	if (rc < 0)
		return rc;
	event = json_object_new_object();
	// pmvm has counted it, not the guest.
	pmem = json_object_is_type(data, json_type_object) ? json_object_object_get(data, "pmem") : NULL;
	if (json_object_get(pmem))
		json_object_object_del(data, "pmem");
	json_object_object_add(event, "type", json_object_new_string("stats"));
	json_object_object_add(event, "id", json_object_new_string(state->id));
	json_object_object_add(event, "data", data);
	json_object_object_add(event, "host", host_stats(state));
	if (pmem)
		json_object_object_add(event, "pmem", pmem);
	return print_json(event, false, err);
}

static int events(struct command *cmd, const char *id, bool once, const struct timespec *interval,
                  struct vpmem_error *err)
{
	int rc = 0;

	for (bool is_first = true; rc == 0 && (is_first || !once); is_first = false) {
		struct state state = { 0 };
		bool is_over;

		if (!is_first)
			nanosleep(interval, NULL);
		rc = state_load(cmd->root, id, &state, err);
		is_over = !is_first && (rc == -ENOENT || (rc == 0 && state_status(&state) == STATUS_STOPPED));
		if (!is_over && rc == 0)
			rc = print_stats(&state, err);
		state_fini(&state);
		if (is_over)
			return 0;
	}
	return rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const char *interval_text = "5s";
	struct timespec interval;
	bool once = false;
	const struct argument table[] = {
		ARGUMENT("interval", 0, TEXT, &interval_text, "between two samples (5s)"),
		ARGUMENT("stats", 0, FLAG, &once, "one sample"),
	};
	const struct verb_operands operands = { .table = table, .n = 2, .min = 1, .max = 1 };
	int first = verb_parse(&verb_events, argc, argv, &operands, err), rc;

	if (first < 0)
		return first;
	rc = interval_from(interval_text, &interval, err);
	return rc < 0 ? rc : events(cmd, argv[first], once, &interval, err);
}

const struct verb verb_events = {
	.name = "events",
	.operands = "ID",
	.summary = "print what a container uses as JSON",
	.run = run,
};
