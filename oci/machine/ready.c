// SPDX-License-Identifier: Apache-2.0
// The one message to the command that waits.
#include "ready.h"

#include "frame.h"

#include <json-c/json.h>
#include <unistd.h>
#include <vpmem.h>

void ready_report(int *ready_fd, const struct vpmem_error *error)
{
	struct json_object *message;

	if (*ready_fd < 0)
		return;
	message = json_object_new_object();
	if (error)
		json_object_object_add(message, "error", json_object_new_string(error->text));
	else
		json_object_object_add(message, "ok", json_object_new_object());
	if (error && error->hint[0])
		json_object_object_add(message, "hint", json_object_new_string(error->hint));
	(void)wire_send(*ready_fd, message, NULL);
	json_object_put(message);
	close(*ready_fd);
	*ready_fd = -1;
}
