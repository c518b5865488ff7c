// SPDX-License-Identifier: Apache-2.0
// The order of machines and their devices, and which are shown.
#include "top_view.h"

#include <stdlib.h>
#include <string.h>

const char *const top_key_names[NTOP_KEYS + 1] = {
	[TOP_NAME] = "name",         [TOP_FLUSHES] = "flushes", [TOP_LATENCY] = "latency", [TOP_ERRORS] = "errors",
	[TOP_RESIDENT] = "resident", [TOP_CPU] = "cpu",         [NTOP_KEYS] = NULL,
};

static double known(uint64_t value)
{
	return value == TOP_UNKNOWN ? 0 : (double)value;
}

static double device_value(const struct top_device *d, enum top_key key)
{
	switch (key) {
	case TOP_FLUSHES:
		return d->flushes_per_s;
	case TOP_LATENCY:
		return d->p99_s;
	case TOP_ERRORS:
		return (double)d->sync_errors;
	case TOP_RESIDENT:
		return known(d->resident);
	default:
		return 0;
	}
}

/* Of its devices the largest latency, of the others the sum. */
static double machine_value(const struct top_machine *m, enum top_key key)
{
	double total = 0;

	if (key == TOP_CPU)
		return m->cpu;
	for (size_t i = 0; i < m->ndevices; i++) {
		double value = device_value(&m->devices[i], key);

		if (key != TOP_LATENCY)
			total += value > 0 ? value : 0;
		else if (value > total)
			total = value;
	}
	return total;
}

static int compare(double a, double b, const char *a_name, const char *b_name, const struct top_order *order)
{
	int by_value = (a < b) - (a > b);

	if (by_value == 0)
		by_value = strcmp(a_name, b_name);
	return order->is_reversed ? -by_value : by_value;
}

static int compare_machines(const void *a, const void *b, void *order)
{
	const struct top_machine *x = a, *y = b;
	const struct top_order *o = order;

	return compare(machine_value(x, o->key), machine_value(y, o->key), x->name, y->name, o);
}

static int compare_devices(const void *a, const void *b, void *order)
{
	const struct top_device *x = a, *y = b;
	const struct top_order *o = order;

	return compare(device_value(x, o->key), device_value(y, o->key), x->name, y->name, o);
}

static void hide(struct top_machine *m, const char *filter)
{
	bool all = strstr(m->name, filter) != NULL;

	m->is_hidden = !all;
	for (size_t i = 0; i < m->ndevices; i++) {
		m->devices[i].is_hidden = !all && !strstr(m->devices[i].name, filter);
		if (!m->devices[i].is_hidden)
			m->is_hidden = false;
	}
}

void top_view_arrange(struct top_view *view, const struct top_order *order)
{
	struct top_order copy = *order;

	qsort_r(view->machines, view->n, sizeof(*view->machines), compare_machines, &copy);
	for (unsigned i = 0; i < view->n; i++) {
		struct top_machine *m = &view->machines[i];

		if (m->ndevices > 0)
			qsort_r(m->devices, m->ndevices, sizeof(*m->devices), compare_devices, &copy);
		hide(m, order->filter);
	}
}
