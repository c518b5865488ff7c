// SPDX-License-Identifier: Apache-2.0
/*
 * member.h - the process that stands for a further container of a pod: an engine takes it for the container.
 *
 * The machine is that of the pod's sandbox, whose keeper does what concerns the guest. This process has the container's
 * streams and its virtiofsd, and the locks of its layers. To the keeper it says, by one connection to its control socket, with
 * the member "container" (the id) in each request:
 *
 *   join    images (their number), pidns (optional: the id of the container whose pid namespace it joins)
 *                                   {"number": N, "pid": of the sandbox in the guest, "pidns": the same of that container or
 *                                   of the sandbox, "addresses": [...]}
 *   plug    share (bool), images: [{"file": TEXT, "readonly": BOOL}, ...]
 *                                   a descriptor for each image follows, and for virtiofsd's socket
 *   create  create                  the arguments for the agent; the streams come as for `exec`
 *   kill    signal                  to the container's init
 *   resize  rows, columns
 *   lost                            virtiofsd has ended
 *
 * The keeper says {"event": "exit", "status": S} and, once nothing of the container is in the guest, {"event": "gone"}. The
 * container ends with the connection.
 */
#ifndef PMVM_OCI_MEMBER_H
#define PMVM_OCI_MEMBER_H

#include "plan.h"

/* The plan's pod_dir is set. Otherwise as keeper_run. */
int member_run(const struct machine_plan *plan, int ready_fd);

#endif
