// SPDX-License-Identifier: Apache-2.0
// One JSON value as a whole text: the dialect is QMP's, and nothing may follow.
#include "json_parse.h"
#include "json_stream.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static void takes_one_value(void **state)
{
	static const struct {
		const char *text, *val;
	} cases[] = {
		{ " {\"a\": [1, 2]}\n", "{\"a\":[1,2]}" },
		{ "{'a': 'it\\'s'}", "{\"a\":\"it's\"}" },
		{ "{\"n\":18446744073709551615}", "{\"n\":18446744073709551615}" },
		{ "17", "17" },
		{ "\"x\"", "\"x\"" },
		{ "true", "true" },
		{ "null", NULL },
	};
	struct json_object *val;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(json_parse(cases[i].text, &val, NULL), 0);
		if (cases[i].val)
			assert_string_equal(json_object_to_json_string_ext(val, JSON_C_TO_STRING_PLAIN), cases[i].val);
		else
			assert_null(val);
		json_object_put(val);
	}
}

static void refuses_everything_else(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "JSON parse error, premature EOI" },
		{ "  ", "JSON parse error, premature EOI" },
		{ "{", "JSON parse error, premature EOI" },
		{ "{\"a\"", "JSON parse error, premature EOI" },
		{ "{\"a\":\"", "JSON parse error, premature EOI" },
		{ "{\"a\":\"\\", "JSON parse error, premature EOI" },
		{ "{} x", "Expecting at most one JSON value" },
		{ "{} {", "Expecting at most one JSON value" },
		{ "{}{}", "Expecting at most one JSON value" },
		{ "{} %", "Expecting at most one JSON value" },
		{ "1 2", "Expecting at most one JSON value" },
		{ "{} /* comment */", "Expecting at most one JSON value" },
		{ "tru", "JSON parse error, invalid keyword" },
		{ "{/* comment */}", "JSON parse error, stray '/'" },
		{ "{a: 1}", "JSON parse error, key is not a string in object" },
		{ "{\"a\": 1,}", "JSON parse error, expecting value" },
		{ "{\"a\": 1, 'a': 2}", "JSON parse error, duplicate key" },
		{ "{\"a\": NaN}", "JSON parse error, stray 'N'" },
		{ "{\"a\": 18446744073709551616}", "JSON parse error, invalid or too large number" },
		{ "{\"a\": \"\\u0000\"}", "JSON parse error, \\u0000 is not a valid Unicode character" },
		{ "{\"a\": \"\xc3(\"}", "JSON parse error, invalid UTF-8 sequence in string" },
	};
	struct json_object *val;
	struct vpmem_error err;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(json_parse(cases[i].text, &val, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		assert_null(val);
	}
}

static void depth_has_a_limit(void **state)
{
	static char deep[2 * JSON_STREAM_DEPTH_MAX + 3];
	struct json_object *val;
	struct vpmem_error err;

	(void)state;
	memset(deep, '[', JSON_STREAM_DEPTH_MAX + 1);
	memset(deep + JSON_STREAM_DEPTH_MAX + 1, ']', JSON_STREAM_DEPTH_MAX + 1);
	assert_int_equal(json_parse(deep, &val, &err), -EINVAL);
	assert_string_equal(err.text, "JSON nesting depth limit exceeded");
	assert_null(val);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_one_value),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(depth_has_a_limit),
	};

	return cmocka_run_group_tests_name("json_parse", tests, NULL, NULL);
}
