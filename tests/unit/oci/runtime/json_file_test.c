// SPDX-License-Identifier: Apache-2.0
// Files that are one JSON value: what was written can be read again.
#include "json_file.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[32], path[64];
static struct vpmem_error err;

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/pmvm-json-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void assert_is_written(struct json_object *json)
{
	struct json_object *again = NULL;

	if (json_file_write(path, json, false, &err) < 0 || json_file_read(path, &again, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(json_object_equal(json, again));
	json_object_put(again);
	json_object_put(json);
}

static struct json_object *string_of(size_t len)
{
	char *text = malloc(len + 1);
	struct json_object *json;

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	json = json_object_new_string(text);
	free(text);
	return json;
}

// With lines and blanks it would be too long.
static void what_just_fits_is_written(void **state)
{
	struct json_object *list = json_object_new_array();

	(void)state;
	json_object_array_add(list, string_of(JSON_FILE_MAX - 40000));
	for (unsigned i = 0; i < 10000; i++)
		json_object_array_add(list, json_object_new_int(1));
	assert_is_written(list);
}

static void what_could_not_be_read_is_not_written(void **state)
{
	struct json_object *small = json_object_new_object(), *large = string_of(JSON_FILE_MAX), *again;

	(void)state;
	assert_is_written(json_object_get(small));
	assert_int_equal(json_file_write(path, large, false, &err), -EFBIG);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(json_file_read(path, &again, &err), 0);
	assert_true(json_object_equal(small, again));
	json_object_put(again);
	json_object_put(large);
	json_object_put(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_just_fits_is_written, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_could_not_be_read_is_not_written, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
