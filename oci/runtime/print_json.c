// SPDX-License-Identifier: Apache-2.0
// The output of a verb that is JSON.
#include "print_json.h"

#include "error.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

int print_json(struct json_object *json, bool is_pretty, struct vpmem_error *err)
{
	const int form = is_pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;
	int rc = 0;

	if (puts(json_object_to_json_string_ext(json, form | JSON_C_TO_STRING_NOSLASHESCAPE)) < 0 ||
	    fflush(stdout) != 0)
		rc = error_set(err, -errno, "standard output: %s", strerror(errno));
	json_object_put(json);
	return rc;
}
