// SPDX-License-Identifier: Apache-2.0
/*
 * keeper_request.h - a request of a verb to the keeper of a container.
 */
#ifndef PMVM_OCI_KEEPER_REQUEST_H
#define PMVM_OCI_KEEPER_REQUEST_H

#include "state.h"

struct json_object;

#define KEEPER_ANSWER_S 60u /* for what a guest answers at once, unless its host is busy */

/*
 * Sends {"do": verb} with the members of `more`, which is taken (NULL: none). *answer (may be NULL) is the caller's. Errors are
 * those of control_call; -ESRCH: the container does not run any more, in the words that engines know.
 */
int keeper_request(const struct state *state, const char *verb, struct json_object *more, unsigned timeout_s,
                   struct json_object **answer, struct vpmem_error *err);

#endif
