// SPDX-License-Identifier: Apache-2.0
/*
 * scope.h - a control group that systemd has made: a transient unit of the kind scope.
 *
 * Where systemd manages the control groups, a directory that somebody else makes is not its own: it sets limits anew when
 * it reads its configuration again. So systemd makes the group, with its limits as properties of the unit, and its
 * subtree is delegated to us.
 *
 * systemd is asked over the system bus or, where that has none, at the socket that systemctl uses. Each function makes one
 * connection and waits for the end of the job, with a bound. -ENOTCONN: there is no systemd, with the next step.
 * -ETIMEDOUT: no answer in time. -EREMOTEIO: it refused, with its text.
 */
#ifndef PMVM_OCI_SCOPE_H
#define PMVM_OCI_SCOPE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmem.h>

#define SCOPE_NO_LIMIT UINT64_MAX

/* A property of systemd.resource-control(5) by its name on the bus, such as MemoryMax. */
struct scope_limit {
	const char *name;
	const char *list; /* of a property that is a set of numbers: "0-3,8"; NULL: val counts */
	uint64_t val;     /* or SCOPE_NO_LIMIT */
};

struct scope {
	const char *slice, *unit; /* "machine.slice", "libpod-1.scope" */
	const char *description;
	pid_t pid; /* that is in it at first: a scope without a process ends */
	const struct scope_limit *limits;
	size_t nlimits;
};

/* 0, or -EINVAL: systemd has no unit of such a name. */
int scope_check_name(const char *name, struct vpmem_error *err);

/* A unit of this name that has failed in an earlier life is reset. -EEXIST: there is one, which has not failed. */
int scope_start(const struct scope *scope, struct vpmem_error *err);
/* Until the unit ends. */
int scope_limit(const char *unit, const struct scope_limit *limits, size_t nlimits, struct vpmem_error *err);
/* Nothing of the unit is left, whatever its state was. One that is not there is no error. */
int scope_stop(const char *unit, struct vpmem_error *err);

#endif
