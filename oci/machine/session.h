// SPDX-License-Identifier: Apache-2.0
/*
 * session.h - the process that stands for one `exec`: it has its streams, and ends with its exit status.
 */
#ifndef PMVM_OCI_SESSION_H
#define PMVM_OCI_SESSION_H

#include <stdbool.h>

struct json_object;

struct session_plan {
	const char *state_dir;       /* of the keeper */
	const char *container;       /* id of a further container of its machine; NULL: the first one */
	struct json_object *process; /* of the OCI configuration, checked; borrowed */
	const char *cgroup;          /* its control group, below that of the container; NULL: the same */
	bool terminal;
	const char *console_socket; /* NULL: none */
};

/*
 * Runs a process in the container until it has ended, and returns the exit status for this process: its own, 128 + N
 * after signal N, or KEEPER_FAILED (keeper.h). To be called in a process of its own that has one thread, and the streams as
 * its descriptors 0 to 2. SIGTERM and the like are passed on; if this process is killed, so is that in the guest.
 *
 * Writes to ready_fd, which is taken, as keeper_run does.
 */
int session_run(const struct session_plan *plan, int ready_fd);

#endif
