// SPDX-License-Identifier: Apache-2.0
/*
 * collector.h - the table of metrics: each line is a family, and where its values are in the answers of a machine.
 */
#ifndef PMVM_COLLECTOR_H
#define PMVM_COLLECTOR_H

#include "devices.h"
#include "exposition.h"
#include "machines.h"

/* A machine with what its answers are for the metrics. */
struct machine_view {
	const struct machine *machine;
	struct devices pmem, net, vhost_user, threads;
};

struct collector {
	struct family family;
	/* Writes the samples of one machine. */
	void (*write)(struct exposition *e, const struct collector *c, const struct machine_view *view);
	bool of_down; /* written of a machine that is down also */
	enum query query;
	const char *path;         /* of the value in the answer, or in the object of a device (json_at.h) */
	double scale;             /* the value is multiplied by this; 0: it is a whole number that stays */
	const char *const *words; /* of a stateset; ends with NULL */
};

extern const struct collector collectors[];
extern const unsigned ncollectors;

/* What lines of the table name. */
typedef void collector_write(struct exposition *e, const struct collector *c, const struct machine_view *view);
collector_write write_up, write_duration, write_version, write_machine, write_machine_info, write_state, write_vcpus,
	write_vcpu, write_vcpu_time, write_cpu_time, write_resident, write_exits, write_exits_by_reason;
collector_write write_pmem, write_pmem_zero, write_pmem_state, write_pmem_info, write_pmem_syncs;
collector_write write_net_link, write_net_info, write_vhost_user_connected, write_vhost_user_state, write_sandbox_flag,
	write_sandbox_namespaces, write_sandbox_threads;

/* The first label of every sample. */
#define MACHINE_LABEL(view)                      \
	{                                        \
		"machine", (view)->machine->name \
	}

/* A sample for each word: 1 for the one that is so. A state beyond the words is none of them. */
void write_words(struct exposition *e, const struct collector *c, const char *machine, const char *device,
                 const char *state);

#endif
