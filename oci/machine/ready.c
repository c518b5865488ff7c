// SPDX-License-Identifier: Apache-2.0
// The one message to the command that waits.
#include "ready.h"

#include "frame.h"

#include <json-c/json.h>
#include <unistd.h>
#include <vpmem.h>

static void report(int *ready_fd, struct json_object *message)
{
	(void)wire_send(*ready_fd, message, NULL);
	json_object_put(message);
	close(*ready_fd);
	*ready_fd = -1;
}

static void report_ok(int *ready_fd, struct json_object *ok)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, "ok", ok);
	report(ready_fd, message);
}

void ready_report(int *ready_fd, const struct vpmem_error *error)
{
	struct json_object *message;

	if (*ready_fd < 0)
		return;
	if (!error) {
		report_ok(ready_fd, json_object_new_object());
		return;
	}
	message = json_object_new_object();
	json_object_object_add(message, "error", json_object_new_string(error->text));
	if (error->hint[0])
		json_object_object_add(message, "hint", json_object_new_string(error->hint));
	report(ready_fd, message);
}

void ready_report_note(int *ready_fd, const char *note)
{
	struct json_object *ok;

	if (*ready_fd < 0)
		return;
	ok = json_object_new_object();
	json_object_object_add(ok, "note", json_object_new_string(note));
	report_ok(ready_fd, ok);
}
