// SPDX-License-Identifier: Apache-2.0
/*
 * machines.h - the machines that are watched, and samples of them.
 *
 * A machine is the socket of a QMP monitor, with a name. It is given by name and path, or found in a directory, which is
 * read again for each sample:
 *
 *   DIR/NAME.qmp    the machine NAME
 *   DIR/NAME/qmp    the same, for services with a directory of their own each
 *
 * A sample asks all machines at the same time. One that has not answered everything before the time-out is down in this
 * sample; what it did answer is dropped. A socket that nobody listens on is a machine that is down: it ended without
 * removing its socket.
 */
#ifndef PMVM_MACHINES_H
#define PMVM_MACHINES_H

#include "process_stats.h"

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

#define MACHINES_MAX 512u
#define MACHINE_NAME_SIZE 128u
#define DIRECTORY_DEFAULT "/run/pmvm"
#define TIMEOUT_MS_DEFAULT 3000u

struct json_object;

/* What is asked; the names of the commands are in machines.c. */
enum query {
	QUERY_STATUS,
	QUERY_VERSION,
	QUERY_NAME,
	QUERY_UUID,
	QUERY_CPUS,
	QUERY_EXITS,
	QUERY_MEMORY,
	QUERY_BALLOON,
	QUERY_PMEM,
	QUERY_NET,
	QUERY_VHOST_USER,
	QUERY_SANDBOX,
	NQUERIES
};

struct sample {
	bool is_up;      /* it answered query-status, and every other query with a value or an error */
	uint64_t at_ns;  /* of monotonic_ns: when the last answer arrived */
	double took_s;   /* from the beginning to the last answer, or to the failure */
	char error[128]; /* why it is down */
	struct json_object *answers[NQUERIES]; /* NULL: an error; all NULL unless it is up */
	struct process_stats process;
};

struct machine {
	char name[MACHINE_NAME_SIZE];
	char *path;
	bool is_given;             /* not from the directory: it stays */
	bool is_found;             /* while the directory is read */
	struct sample now, before; /* two samples in a row, for rates */
};

struct machines {
	const char *directory; /* borrowed; NULL: none */
	unsigned timeout_ms;
	char directory_error[128]; /* why the directory cannot be read; empty: it can, or is not there */
	unsigned n;
	struct machine **list; /* sorted by name */
};

/* Printable ASCII without spaces: it is shown on terminals. */
bool machine_name_wellformed(const char *name);

/* Adds a machine by "NAME=PATH". -EINVAL: it is not of this form, or the name is taken. -ENOSPC: too many. */
int machines_add(struct machines *machines, const char *name_and_path, struct vpmem_error *err);

/* Reads the directory, and samples all machines. Returns after timeout_ms at most, plus the time to read /proc. */
void machines_sample(struct machines *machines);

void machines_free(struct machines *machines);

#endif
