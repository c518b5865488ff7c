// SPDX-License-Identifier: Apache-2.0
// A text that is one JSON value: a stream with one value in it.
#include "json_parse.h"

#include "json_stream.h"
#include "error.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

struct only {
	struct json_object *val;
	bool is_there;
	int rc;
	struct vpmem_error *err;
};

static void on_value(void *owner, struct json_object *val, const char *error)
{
	struct only *only = owner;

	if (only->rc < 0)
		return;
	if (only->is_there)
		only->rc = error_set(only->err, -EINVAL, "Expecting at most one JSON value");
	else if (error)
		only->rc = error_set(only->err, -EINVAL, "%s", error);
	else
		only->val = json_object_get(val);
	only->is_there = true;
}

int json_parse(const char *text, struct json_object **out, struct vpmem_error *err)
{
	struct only only = { .err = err };
	struct json_stream *s = json_stream_create(on_value, &only);

	*out = NULL;
	if (!s)
		return error_set(err, -ENOMEM, "out of memory");
	json_stream_feed(s, (const uint8_t *)text, strlen(text));
	json_stream_end(s);
	json_stream_destroy(s);
	if (!only.is_there)
		only.rc = error_set(err, -EINVAL, "JSON parse error, premature EOI");
	if (only.rc < 0)
		json_object_put(only.val);
	else
		*out = only.val;
	return only.rc;
}
