// SPDX-License-Identifier: Apache-2.0
// What is shown of machines: rates out of two samples.
#include "top_view.h"

#include "json_at.h"
#include "sync_histogram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that is shown is printable ASCII: it goes to a terminal, and its width is its length. */
static void copy_printable(char *out, size_t size, const char *text)
{
	size_t len = 0;

	for (; text && text[len] && len < size - 1; len++)
		out[len] = text[len] < ' ' || text[len] > '~' ? '?' : text[len];
	out[len] = '\0';
}

static uint64_t number(struct json_object *info, const char *path, uint64_t otherwise)
{
	(void)json_at_uint(info, path, &otherwise);
	return otherwise;
}

/* A counter that is less than before is that of a new device, which began at 0. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds <= 0 ? -1 : (double)(now >= before ? now - before : now) / seconds;
}

static struct json_object *find(const struct devices *devices, const char *name)
{
	for (size_t i = 0; i < devices->n; i++)
		if (strcmp(devices->list[i].name, name) == 0)
			return devices->list[i].info;
	return NULL;
}

static void fill_device(struct top_device *to, const struct device *device, struct json_object *before, double seconds)
{
	struct json_object *info = device->info;
	struct sync_histogram now, then = { 0 };

	copy_printable(to->name, sizeof(to->name), device->name);
	copy_printable(to->state, sizeof(to->state), json_at_str(info, "state"));
	to->size = number(info, "size", 0);
	to->resident = number(info, "resident", TOP_UNKNOWN);
	to->allocated = number(info, "allocated", TOP_UNKNOWN);
	to->flushes = number(info, "flushes.completed", 0);
	to->failed_flushes = number(info, "flushes.failed", 0);
	to->syncs = number(info, "syncs.count", 0);
	to->sync_errors = number(info, "syncs.errors", 0);
	to->flushes_per_s = to->syncs_per_s = to->p50_s = to->p99_s = -1;
	if (!before || seconds <= 0)
		return;
	to->flushes_per_s = rate(to->flushes, number(before, "flushes.completed", 0), seconds);
	to->syncs_per_s = rate(to->syncs, number(before, "syncs.count", 0), seconds);
	if (!sync_histogram_read(&now, info))
		return;
	(void)sync_histogram_read(&then, before);
	now = sync_histogram_since(&now, &then);
	to->p50_s = sync_histogram_quantile(&now, 0.5);
	to->p99_s = sync_histogram_quantile(&now, 0.99);
}

static void fill_devices(struct top_machine *to, const struct machine *m)
{
	struct devices now = devices_pmem(m->now.answers[QUERY_PMEM]);
	struct devices before = devices_pmem(m->before.answers[QUERY_PMEM]);

	to->devices = calloc(now.n + 1, sizeof(*to->devices));
	to->ndevices = to->devices ? now.n : 0;
	for (size_t i = 0; i < to->ndevices; i++)
		fill_device(&to->devices[i], &now.list[i], find(&before, now.list[i].name), to->interval_s);
	devices_free(&now);
	devices_free(&before);
}

static void fill_machine(struct top_machine *to, const struct machine *m)
{
	const struct sample *now = &m->now, *before = &m->before;

	copy_printable(to->name, sizeof(to->name), m->name);
	copy_printable(to->error, sizeof(to->error), now->error);
	to->is_up = now->is_up;
	to->interval_s = now->is_up && before->is_up ? (double)(now->at_ns - before->at_ns) / 1e9 : -1;
	to->cpu = -1;
	if (now->process.is_known && before->process.is_known && to->interval_s > 0 &&
	    now->process.cpu_s >= before->process.cpu_s)
		to->cpu = (now->process.cpu_s - before->process.cpu_s) / to->interval_s;
	copy_printable(to->state, sizeof(to->state), json_at_str(now->answers[QUERY_STATUS], "status"));
	to->memory = number(now->answers[QUERY_MEMORY], "base-memory", TOP_UNKNOWN);
	to->nvcpus = (unsigned)json_at_length(now->answers[QUERY_CPUS], "");
	fill_devices(to, m);
}

struct top_view *top_view_create(const struct machines *machines)
{
	struct top_view *view = calloc(1, sizeof(*view));

	if (view)
		view->machines = calloc(machines->n + 1, sizeof(*view->machines));
	if (!view || !view->machines) {
		free(view);
		return NULL;
	}
	view->n = machines->n;
	for (unsigned i = 0; i < view->n; i++) {
		fill_machine(&view->machines[i], machines->list[i]);
		view->nup += view->machines[i].is_up;
	}
	return view;
}

void top_view_free(struct top_view *view)
{
	for (unsigned i = 0; view && i < view->n; i++)
		free(view->machines[i].devices);
	if (view)
		free(view->machines);
	free(view);
}
