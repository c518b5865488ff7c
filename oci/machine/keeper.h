// SPDX-License-Identifier: Apache-2.0
/*
 * keeper.h - the process that lives as long as a machine, and is what an engine takes for the container.
 *
 * It starts pmvm, and virtiofsd where the container has shares, speaks to the agent in the guest, moves the bytes of the
 * standard streams, serves the verbs (control.h), and ends with the container's exit status. Both programs end with it,
 * even if it is killed.
 */
#ifndef PMVM_OCI_KEEPER_H
#define PMVM_OCI_KEEPER_H

#include "plan.h"

/* The container's exit status is not known: the machine died, or was never there. */
enum { KEEPER_FAILED = 255 };

/*
 * Runs the machine until it has ended, and returns the exit status for this process: that of the container, 128 + N after
 * signal N, or KEEPER_FAILED. To be called in a process of its own, which has one thread, is in the container's cgroup,
 * and has the container's standard streams as its descriptors 0 to 2.
 *
 * Once the container is created, or cannot be, one frame (frame.h) is sent to ready_fd, a stream socket, which is taken:
 * {"ok": {}} or {"error": TEXT}; the error may come with a "hint".
 */
int keeper_run(const struct machine_plan *plan, int ready_fd);

#endif
