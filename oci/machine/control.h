// SPDX-License-Identifier: Apache-2.0
/*
 * control.h - what the verbs of pmvm-oci ask the keeper of a machine, by the socket `control` in its state directory.
 *
 * A request is {"do": VERB, ...}, the answer {"ok": {...}} or {"error": TEXT}:
 *
 *   state                           {"status": "created" | "running" | "paused" | "stopped", "pid": of the guest}
 *   start
 *   kill     signal, all (optional) SIGKILL ends the machine if its guest does not answer
 *   pause, resume
 *   ps                              {"pids": [...]}, as the guest numbers them
 *   update   resources              of the OCI configuration
 *   stats                           what the agent reports, and "pmem", what pmvm counts of each layer and volume:
 *                                   [{"file", "readonly", "size", "resident", "flushes", "failed"}, ...]
 *
 * `exec` is that of session.h. A request with "container", an id, is about that further container of a pod; member.h has
 * what such a container's own process says.
 */
#ifndef PMVM_OCI_CONTROL_H
#define PMVM_OCI_CONTROL_H

#include <vpmem.h>

struct json_object;

#define CONTROL_SOCKET "control"

/* The keeper's socket, which listens. The descriptor, or -errno. */
int control_listen(const char *state_dir, struct vpmem_error *err);

/* A connection to the keeper. The descriptor, or -errno: -ENOENT, -ECONNREFUSED: it does not run. */
int control_connect(const char *state_dir, struct vpmem_error *err);

/*
 * Asks, and waits for the answer for timeout_ms (-1: without end). 0: *answer is the object of "ok", which the caller
 * owns (answer may be NULL). -EREMOTEIO: the keeper refused, and *err has its text. -ETIMEDOUT. -EPIPE: it has ended
 * meanwhile. Others as control_connect.
 */
int control_call(const char *state_dir, struct json_object *request, int timeout_ms, struct json_object **answer,
                 struct vpmem_error *err);

/* What an answer says: 0 and *ok, which the caller owns (ok may be NULL), or -errno as above. */
int control_result(struct json_object *message, struct json_object **ok, struct vpmem_error *err);

#endif
