// SPDX-License-Identifier: Apache-2.0
/*
 * launch.h - a process of ours that outlives the command: the keeper of a machine, or the session of an exec.
 *
 * An engine waits for it, so it holds nothing of the command but its standard streams, and is in a session of its own.
 */
#ifndef PMVM_OCI_LAUNCH_H
#define PMVM_OCI_LAUNCH_H

#include <sys/types.h>
#include <vpmem.h>

struct launch_options {
	const char *cgroup; /* that it enters; NULL: none */
	int lock_fd;        /* that it does not keep; -1: none */
	/* In the new process. Its result is the exit status. It reports to ready_fd, which it takes. */
	int (*run)(void *owner, int ready_fd);
	void *owner;
};

/* *ready_fd is where its report comes; *pid the process. */
int launch(const struct launch_options *opts, pid_t *pid, int *ready_fd, struct vpmem_error *err);

/*
 * Waits for the report, and closes ready_fd. 0, -ETIMEDOUT, or -EREMOTEIO with the text that it reported; `what` names it
 * where it ended without any. A note of the report is a message of --debug.
 */
int launch_wait(int ready_fd, const char *what, unsigned timeout_s, struct vpmem_error *err);

#endif
