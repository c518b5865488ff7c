// SPDX-License-Identifier: Apache-2.0
// A request of a verb to the keeper.
#include "keeper_request.h"

#include "control.h"
#include "error.h"

#include <errno.h>
#include <json-c/json.h>

int keeper_request(const struct state *state, const char *verb, struct json_object *more, unsigned timeout_s,
                   struct json_object **answer, struct vpmem_error *err)
{
	struct json_object *request = more ? more : json_object_new_object();
	int rc;

	json_object_object_add(request, "do", json_object_new_string(verb));
	rc = control_call(state->dir, request, (int)timeout_s * 1000, answer, err);
	json_object_put(request);
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPIPE || rc == -ECONNRESET)
		return error_set(err, -ESRCH, "container not running");
	return rc;
}
