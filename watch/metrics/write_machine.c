// SPDX-License-Identifier: Apache-2.0
// The metrics of a machine as a whole, of its process and of its vCPUs.
#include "collector.h"

#include "json_at.h"

#include <stdio.h>
#include <string.h>

#define LABELS(...)                              \
	(const struct label[])                   \
	{                                        \
		MACHINE_LABEL(view), __VA_ARGS__ \
	}
#define NO_MORE   \
	{         \
		0 \
	}

static struct json_object *answer(const struct machine_view *view, const struct collector *c)
{
	return view->machine->now.answers[c->query];
}

static const struct process_stats *process(const struct machine_view *view)
{
	return &view->machine->now.process;
}

void write_up(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	exposition_uint(e, "", LABELS(NO_MORE), view->machine->now.is_up);
}

void write_duration(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	exposition_double(e, "", LABELS(NO_MORE), view->machine->now.took_s);
}

/* "pmvm 0.1.0": the package of query-version. */
void write_version(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	const char *package = json_at_str(view->machine->now.answers[QUERY_VERSION], "package");

	(void)c;
	if (package)
		exposition_uint(e, "",
		                LABELS({ "version", package + (strncmp(package, "pmvm ", 5) == 0 ? 5 : 0) }, NO_MORE),
		                1);
}

void write_machine_info(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	struct json_object *const *answers = view->machine->now.answers;

	(void)c;
	exposition_uint(e, "",
	                LABELS({ "name", json_at_str(answers[QUERY_NAME], "name") },
	                       { "uuid", json_at_str(answers[QUERY_UUID], "UUID") }, NO_MORE),
	                1);
}

void write_machine(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	uint64_t value;

	if (json_at_uint(answer(view, c), c->path, &value))
		exposition_uint(e, "", LABELS(NO_MORE), value);
}

void write_words(struct exposition *e, const struct collector *c, const char *machine, const char *device,
                 const char *state)
{
	for (const char *const *word = c->words; *word; word++) {
		const struct label labels[] = { { "machine", machine },
			                        { device ? "device" : c->family.name, device ? device : *word },
			                        { device ? c->family.name : NULL, *word },
			                        { 0 } };

		exposition_uint(e, "", labels, strcmp(state, *word) == 0);
	}
}

void write_state(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	const char *state = json_at_str(answer(view, c), c->path);

	if (state)
		write_words(e, c, view->machine->name, NULL, state);
}

// ---- the process

void write_cpu_time(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	if (process(view)->is_known)
		exposition_double(e, "", LABELS(NO_MORE), process(view)->cpu_s);
}

void write_resident(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	if (process(view)->is_known)
		exposition_uint(e, "", LABELS(NO_MORE), process(view)->resident_size);
}

// ---- vCPUs

void write_vcpus(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	exposition_uint(e, "", LABELS(NO_MORE), json_at_length(view->machine->now.answers[QUERY_CPUS], ""));
}

void write_vcpu(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	size_t n = json_at_length(answer(view, c), "");
	char index[16];
	uint64_t value;

	for (unsigned i = 0; i < n && i < VCPUS_MAX; i++) {
		snprintf(index, sizeof(index), "%u", i);
		if (json_at_uint(json_object_array_get_idx(answer(view, c), i), c->path, &value))
			exposition_uint(e, "", LABELS({ "vcpu", index }, NO_MORE), value);
	}
}

void write_vcpu_time(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	char index[16];

	(void)c;
	for (unsigned i = 0; i < process(view)->nvcpus && process(view)->is_known; i++) {
		snprintf(index, sizeof(index), "%u", i);
		exposition_double(e, "", LABELS({ "vcpu", index }, NO_MORE), process(view)->vcpu_s[i]);
	}
}

/* "/machine/unattached/device[3]": the vCPU 3. */
static bool vcpu_of(struct json_object *result, unsigned *index)
{
	const char *path = json_at_str(result, "qom-path"), *bracket = path ? strrchr(path, '[') : NULL;

	return bracket && sscanf(bracket, "[%u]", index) == 1 && *index < VCPUS_MAX;
}

/* Calls fn with each of KVM's counts of exits: "exits" for all, "io_exits" for a reason. */
static void write_counts(struct exposition *e, const struct machine_view *view, bool by_reason)
{
	static const char suffix[] = "_exits";
	struct json_object *results = view->machine->now.answers[QUERY_EXITS];
	char vcpu[16], reason[64];
	uint64_t value;
	unsigned index;

	for (size_t i = 0; i < json_at_length(results, ""); i++) {
		struct json_object *result = json_object_array_get_idx(results, i), *stats = json_at(result, "stats");

		if (!vcpu_of(result, &index))
			continue;
		snprintf(vcpu, sizeof(vcpu), "%u", index);
		for (size_t j = 0; j < json_at_length(stats, ""); j++) {
			struct json_object *stat = json_object_array_get_idx(stats, j);
			const char *name = json_at_str(stat, "name");
			size_t len = name ? strlen(name) : 0;
			bool is_reason = len > strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0;

			if (len == 0 || len >= sizeof(reason) || is_reason != by_reason ||
			    !json_at_uint(stat, "value", &value))
				continue;
			snprintf(reason, sizeof(reason), "%.*s", (int)(len - (is_reason ? strlen(suffix) : 0)), name);
			exposition_uint(e, "",
			                LABELS({ "vcpu", vcpu }, { by_reason ? "reason" : NULL, reason }, NO_MORE),
			                value);
		}
	}
}

void write_exits(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	write_counts(e, view, false);
}

void write_exits_by_reason(struct exposition *e, const struct collector *c, const struct machine_view *view)
{
	(void)c;
	write_counts(e, view, true);
}
