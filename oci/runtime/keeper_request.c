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
	char dir[STATE_DIR_SIZE];
	int rc;

	json_object_object_add(request, "do", json_object_new_string(verb));
	if (state->sandbox)
		json_object_object_add(request, "container", json_object_new_string(state->id));
	state_control_dir(state, dir);
	rc = control_call(dir, request, (int)timeout_s * 1000, answer, err);
	json_object_put(request);
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPIPE || rc == -ECONNRESET)
		return error_set(err, -ESRCH, "container not running");
	return rc;
}
