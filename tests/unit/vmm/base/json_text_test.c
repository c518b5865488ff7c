// SPDX-License-Identifier: Apache-2.0
// Values as text: QEMU's spacing, its pretty form, and what is escaped.
#include "json_text.h"
#include "text.h"
#include "unit_test.h"

#include <json-c/json.h>
#include <string.h>

static void expect(struct json_object *val, bool pretty, const char *expected)
{
	struct text text = { 0 };

	json_text_add(&text, val, pretty);
	text_add(&text, "", 1);
	assert_false(text.failed);
	assert_string_equal(text.buf, expected);
	text_free(&text);
	json_object_put(val);
}

static void spacing_is_qemus(void **state)
{
	(void)state;
	expect(json_tokener_parse("{\"a\":1,\"b\":[1,2,{}],\"c\":[],\"d\":null,\"e\":true}"), false,
	       "{\"a\": 1, \"b\": [1, 2, {}], \"c\": [], \"d\": null, \"e\": true}");
	expect(NULL, false, "null");
}

static void pretty_is_indented_by_four(void **state)
{
	(void)state;
	expect(json_tokener_parse("{\"a\":{\"b\":[1,2]},\"c\":{},\"d\":[]}"), true,
	       "{\n"
	       "    \"a\": {\n"
	       "        \"b\": [\n"
	       "            1,\n"
	       "            2\n"
	       "        ]\n"
	       "    },\n"
	       "    \"c\": {},\n"
	       "    \"d\": []\n"
	       "}");
}

static void numbers_are_kept(void **state)
{
	(void)state;
	expect(json_object_new_uint64(UINT64_MAX), false, "18446744073709551615");
	expect(json_object_new_int64(INT64_MIN), false, "-9223372036854775808");
	expect(json_tokener_parse("[1.50]"), false, "[1.50]");
}

// A client's own value, its id, comes back indented: that must not make much out of little.
static void deep_values_are_not_indented_without_end(void **state)
{
	struct json_object *val = json_object_new_array(), *inner = val;
	struct text text = { 0 };

	(void)state;
	for (unsigned level = 0; level < 1000; level++) {
		struct json_object *next = json_object_new_array();

		json_object_array_add(inner, next);
		inner = next;
	}
	for (unsigned i = 0; i < 14000; i++)
		json_object_array_add(inner, json_object_new_int(1));
	json_text_add(&text, val, true);
	assert_false(text.failed);
	assert_in_range(text.len, 14000 * 2, 5 << 20);
	text_free(&text);
	json_object_put(val);
}

static void everything_but_printable_ascii_is_escaped(void **state)
{
	static const struct {
		const char *str, *expected;
	} cases[] = {
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001F\\u007F\"" },
		{ "\xc3\xa9", "\"\\u00E9\"" },
		{ "\xe2\x82\xac", "\"\\u20AC\"" },
		{ "\xf0\x9f\x98\x80", "\"\\uD83D\\uDE00\"" },
		// Not UTF-8: truncated, without a start, overlong, a surrogate, beyond the end, never valid.
		{ "\xc3", "\"\\uFFFD\"" },
		{ "\xc3(", "\"\\uFFFD(\"" },
		{ "\xa9x", "\"\\uFFFDx\"" },
		{ "\xc0\x80", "\"\\uFFFD\"" },
		{ "\xe0\x80\xaf", "\"\\uFFFD\"" },
		{ "\xed\xa0\x80", "\"\\uFFFD\"" },
		{ "\xf4\x90\x80\x80", "\"\\uFFFD\"" },
		{ "\xff\xfe", "\"\\uFFFD\\uFFFD\"" },
		{ "\xf0\x9f", "\"\\uFFFD\"" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		expect(json_object_new_string(cases[i].str), false, cases[i].expected);
	expect(json_object_new_string_len("a\0b", 3), false, "\"a\\u0000b\"");
}

static void keys_are_escaped_too(void **state)
{
	struct json_object *obj = json_object_new_object();

	(void)state;
	json_object_object_add(obj, "a\"\n", NULL);
	expect(obj, false, "{\"a\\\"\\n\": null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spacing_is_qemus),
		cmocka_unit_test(pretty_is_indented_by_four),
		cmocka_unit_test(numbers_are_kept),
		cmocka_unit_test(deep_values_are_not_indented_without_end),
		cmocka_unit_test(everything_but_printable_ascii_is_escaped),
		cmocka_unit_test(keys_are_escaped_too),
	};

	return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
