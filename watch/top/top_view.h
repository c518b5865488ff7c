// SPDX-License-Identifier: Apache-2.0
/*
 * top_view.h - what is shown of machines: the difference of their last two samples, sorted and filtered.
 *
 * A view is a copy: it stays as it is while the machines are sampled again.
 */
#ifndef PMVM_TOP_VIEW_H
#define PMVM_TOP_VIEW_H

#include "devices.h"
#include "machines.h"

#include <stdbool.h>
#include <stdint.h>

#define TOP_STATE_SIZE 16u
#define TOP_FILTER_SIZE 64u

/* Negative rates and times, and sizes of TOP_UNKNOWN, are unknown: there is no sample before, or nobody says. */
#define TOP_UNKNOWN UINT64_MAX

struct top_device {
	char name[DEVICE_NAME_SIZE];
	char state[TOP_STATE_SIZE];
	uint64_t size, resident, allocated; /* bytes */
	uint64_t flushes, failed_flushes, syncs, sync_errors;
	double flushes_per_s, syncs_per_s;
	double p50_s, p99_s; /* of the syncs between the samples; negative: there were none */
	bool is_hidden;      /* by the filter */
};

struct top_machine {
	char name[MACHINE_NAME_SIZE];
	bool is_up;
	char error[128]; /* why it is down */
	char state[TOP_STATE_SIZE];
	double interval_s; /* between the samples */
	double cpu;        /* processors that the process has used on average: 1 is one of them */
	uint64_t memory;   /* RAM of the machine; bytes */
	unsigned nvcpus;
	struct top_device *devices;
	size_t ndevices;
	bool is_hidden;
};

enum top_key { TOP_NAME, TOP_FLUSHES, TOP_LATENCY, TOP_ERRORS, TOP_RESIDENT, TOP_CPU, NTOP_KEYS };
extern const char *const top_key_names[NTOP_KEYS + 1]; /* ends with NULL */

/* How it is shown. */
struct top_order {
	enum top_key key; /* names rise, numbers fall */
	bool is_reversed;
	char filter[TOP_FILTER_SIZE]; /* part of a name of a machine or device; empty: all */
};

struct top_view {
	struct top_machine *machines;
	unsigned n, nup;
};

/* A copy of the last samples, in the order of names. NULL: out of memory. */
struct top_view *top_view_create(const struct machines *machines);
void top_view_free(struct top_view *view);

/* Sorts, and hides what the filter does not name. A device that it names shows its machine also. */
void top_view_arrange(struct top_view *view, const struct top_order *order);

#endif
