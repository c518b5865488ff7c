// SPDX-License-Identifier: Apache-2.0
/*
 * agent_request.h - the requests of the host: one table of verbs.
 */
#ifndef PMVM_OCI_AGENT_REQUEST_H
#define PMVM_OCI_AGENT_REQUEST_H

#include <stdint.h>
#include <vpmem.h>

struct agent;
struct json_object;

/* Borrows the message. -EBADMSG: it is no request that could be answered. */
int request_serve(struct agent *agent, struct json_object *message, struct vpmem_error *err);

/* rc 0: takes result, NULL is {}. Else the error, and result is dropped. */
void request_answer(struct agent *agent, int64_t id, int rc, struct json_object *result, const struct vpmem_error *err);

#endif
