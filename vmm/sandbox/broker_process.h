// SPDX-License-Identifier: Apache-2.0
/*
 * broker_process.h - the process that opens files for a sandboxed machine (broker.h).
 *
 * It is forked before anything of the machine is open, and has the rights of the user who started pmvm, so that it can open what
 * they can: but only what permit.h was given, and where the kernel has Landlock, only that by the kernel as well. Once the
 * start is over, the machine asks it to settle: to become the user of -run-with, and to limit itself to the system calls
 * of its operations. It ends when the machine has ended, however that happened.
 */
#ifndef PMVM_BROKER_PROCESS_H
#define PMVM_BROKER_PROCESS_H

#include "broker.h"
#include "privileges.h"
#include "seccomp_confine.h"

#include <stdbool.h>
#include <sys/types.h>

struct broker_process_options {
	const struct broker_op *const *ops; /* broker_settle_op among them */
	size_t nops;
	/* In the broker: calls permit_begin and permit_add. 0 or -errno. */
	int (*permit)(void *owner);
	void *owner;
	const char *root;        /* -run-with chroot=; NULL: none */
	enum seccomp_mode calls; /* what happens to a forbidden system call once it has settled */
};

struct broker_process {
	pid_t pid; /* 0: none */
	int fd;    /* of its socket; -1: none, or it was handed over */
};

/* Forks it. Calls are still served in this process. One thread only. */
int broker_process_start(const struct broker_process_options *opts, struct broker_process *out,
                         struct vpmem_error *err);

/* Waits until it is confined; from now on broker_call goes to it. */
int broker_process_connect(struct broker_process *broker, const struct broker_process_options *opts,
                           struct vpmem_error *err);

/* The start of the machine is over. `to` may be NULL: no other user. */
int broker_process_settle(const struct privileges *to, const char *root, struct vpmem_error *err);
extern const struct broker_op broker_settle_op;

/* What the broker permits: paths one after the other, each with its end; the last one is empty. */
struct broker_report {
	bool is_truncated; /* there are more */
	bool all_addresses;
	char paths[1992];
};
int broker_process_report(struct broker_report *out);
extern const struct broker_op broker_report_op;

/* Disconnects, and waits for its end. Legal for one that is all zeros but for its fd, which is -1. */
void broker_process_end(struct broker_process *broker);

#endif
