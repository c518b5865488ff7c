// SPDX-License-Identifier: Apache-2.0
// Values from a stream in pieces, the errors, and where reading goes on.
#include "json_stream.h"
#include "json_text.h"
#include "text.h"
#include "unit_test.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What came: values as text and errors, a line each.
struct received {
	struct text text;
	unsigned nvalues, nerrors;
};

static void receive(void *owner, struct json_object *val, const char *error)
{
	struct received *received = owner;

	if (error) {
		text_add(&received->text, error, strlen(error));
		received->nerrors++;
	} else {
		json_text_add(&received->text, val, false);
		received->nvalues++;
	}
	text_add(&received->text, "\n", 1);
}

static void feed_pieces(const void *buf, size_t len, size_t piece, struct received *received)
{
	struct json_stream *s = json_stream_create(receive, received);

	assert_non_null(s);
	for (size_t off = 0; off < len; off += piece)
		json_stream_feed(s, (const uint8_t *)buf + off, len - off < piece ? len - off : piece);
	json_stream_destroy(s);
	text_add(&received->text, "", 1);
}

static void expect_bytes(const void *buf, size_t len, const char *lines)
{
	for (size_t piece = 1; piece <= 3; piece++) {
		struct received received = { 0 };

		feed_pieces(buf, len, piece, &received);
		assert_string_equal(received.text.buf, lines);
		text_free(&received.text);
	}
}

static void expect(const char *text, const char *lines)
{
	expect_bytes(text, strlen(text), lines);
}

static void values_need_no_separator(void **state)
{
	(void)state;
	expect("{\"a\":1}", "{\"a\": 1}\n");
	expect("{}[]{}\n", "{}\n[]\n{}\n");
	expect("  {\"a\"\t:\r\n[1, 2,{\"b\": null}]} {\"c\": true}", "{\"a\": [1, 2, {\"b\": null}]}\n{\"c\": true}\n");
	expect("\"x\"\"y\"", "\"x\"\n\"y\"\n");
	expect("1 true null\n", "1\ntrue\nnull\n");
	expect("1{}2[", "1\n{}\n2\n");
	expect("18446744073709551615 -9223372036854775808 1.5e3\n",
	       "18446744073709551615\n-9223372036854775808\n1.5e3\n");
}

static void what_is_not_complete_is_dropped(void **state)
{
	(void)state;
	expect("{\"execute\": \"qu", "");
	expect("[[[", "");
	expect("12", "");
	expect("", "");
}

static void brackets_in_strings_do_not_count(void **state)
{
	(void)state;
	expect("{\"a\": \"}{][:\\\"}\"}", "{\"a\": \"}{][:\\\"}\"}\n");
}

static void single_quotes_are_quotes(void **state)
{
	(void)state;
	expect("{'execute':'stop'}", "{\"execute\": \"stop\"}\n");
	expect("['a\"b', 'it\\'s', \"it's\", \"it\\'s\"]", "[\"a\\\"b\", \"it's\", \"it's\", \"it's\"]\n");
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"a\"}", "missing : in object pair" },
		{ "{\"a\" 1}", "missing : in object pair" },
		{ "{1: 2}", "key is not a string in object" },
		{ "{\"a\": 1 \"b\": 2}", "expected separator in dict" },
		{ "[1 2]", "expected separator in list" },
		{ "[nul]", "invalid keyword" },
		{ "[True]", "stray 'T'" },
		{ "[NaN]", "stray 'N'" },
		{ "[nan]", "invalid keyword" },
		{ "[Infinity]", "stray 'I'" },
		{ "[/* no */]", "stray '/'" },
		{ "%p\n", "stray '%'" },
		{ "{\"a\": 1, \"a\": 2}", "duplicate key" },
		{ "[{\"b\": {\"a\": 1, \"a\": 1}}]", "duplicate key" },
		{ "[99999999999999999999999]", "invalid or too large number" },
		{ "[-9223372036854775809]", "invalid or too large number" },
		{ "[1.]", "invalid or too large number" },
		{ "[01]", "invalid or too large number" },
		{ "[1-2]", "invalid or too large number" },
		{ "18446744073709551616\n", "invalid or too large number" },
		{ "[\"\\x\"]", "invalid escape sequence in string" },
		{ "[\"\\u12g4\"]", "invalid escape sequence in string" },
		{ "[\"\\u0000\"]", "\\u0000 is not a valid Unicode character" },
		{ "[\"a\xc3(\"]", "invalid UTF-8 sequence in string" },
		{ "[\"\xff\"]", "stray '\xff'" },
		{ "}\n", "expecting value" },
		{ ",\n", "expecting value" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct received received = { 0 };
		const char *prefix = "JSON parse error, ";

		feed_pieces(cases[i].text, strlen(cases[i].text), 100, &received);
		assert_int_equal(received.nvalues, 0);
		assert_memory_equal(received.text.buf, prefix, strlen(prefix));
		received.text.buf[strcspn(received.text.buf, "\n")] = '\0';
		assert_string_equal(received.text.buf + strlen(prefix), cases[i].error);
		text_free(&received.text);
	}
	expect_bytes("[\0]", 3, "JSON parse error, stray ' '\nJSON parse error, expecting value\n");
}

/* After each of these, a value on the next line is read; these are what QEMU's own test of QMP sends. */
static void reading_goes_on_after_a_mistake(void **state)
{
	static const char *const mistakes[] = {
		"{]\n",      "{\xff", "{\x01",     "{'bad \xff", "{'execute': 'nonexistent', 'id':'\n", "%p", "nul\n",
		"{\"a\" 1}", "[1,]",  "\"\\u0000", "'abc\n",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(mistakes); i++) {
		struct received received = { 0 };
		char text[128];

		snprintf(text, sizeof(text), "%s{\"execute\": 1}\n", mistakes[i]);
		feed_pieces(text, strlen(text), 1, &received);
		assert_int_equal(received.nvalues, 1);
		assert_true(received.nerrors > 0);
		assert_non_null(strstr(received.text.buf, "\n{\"execute\": 1}\n"));
		text_free(&received.text);
	}
	// The end of the line that is the mistake is already the way back.
	expect("'abc\n7\n", "JSON parse error, stray '\n'\n7\n");
}

static void nesting_has_a_limit(void **state)
{
	static char deep[2 * JSON_STREAM_DEPTH_MAX + 4];
	struct received received = { 0 };

	(void)state;
	memset(deep, '[', JSON_STREAM_DEPTH_MAX);
	memset(deep + JSON_STREAM_DEPTH_MAX, ']', JSON_STREAM_DEPTH_MAX);
	feed_pieces(deep, 2 * JSON_STREAM_DEPTH_MAX, 1000, &received);
	assert_int_equal(received.nvalues, 1);
	assert_int_equal(received.nerrors, 0);
	text_free(&received.text);

	received = (struct received) { 0 };
	memset(deep, '[', JSON_STREAM_DEPTH_MAX + 1);
	memset(deep + JSON_STREAM_DEPTH_MAX + 1, ']', JSON_STREAM_DEPTH_MAX + 1);
	memcpy(deep + 2 * JSON_STREAM_DEPTH_MAX + 2, "\n7", 2);
	feed_pieces(deep, sizeof(deep), 1000, &received);
	assert_string_equal(received.text.buf, "JSON nesting depth limit exceeded\n");
	text_free(&received.text);
}

static void ten_megabytes_are_one_error(void **state)
{
	const size_t len = 10 << 20;
	char *flood = malloc(len + 4);
	static const struct {
		const char *start, *error;
		char fill;
	} cases[] = {
		{ "[", "JSON nesting depth limit exceeded\n[]\n", '[' },
		{ "[\"", "JSON token size limit exceeded\n[]\n", 'x' },
		{ "[\"", "JSON token size limit exceeded\n[]\n", '\\' },
		{ "[", "JSON token size limit exceeded\n[]\n", ' ' },
		{ "", "JSON token size limit exceeded\n[]\n", '9' },
		{ "[", "JSON token count limit exceeded\n[]\n", ',' },
	};

	(void)state;
	assert_non_null(flood);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct received received = { 0 };

		memset(flood, cases[i].fill, len);
		memcpy(flood, cases[i].start, strlen(cases[i].start));
		memcpy(flood + len, "\n[]\n", 4);
		feed_pieces(flood, len + 4, 4096, &received);
		assert_string_equal(received.text.buf, cases[i].error);
		text_free(&received.text);
	}
	free(flood);
}

static void a_value_may_be_just_as_long_as_the_limit(void **state)
{
	char *text = malloc(JSON_STREAM_SIZE_MAX + 1);
	struct received received = { 0 };

	(void)state;
	assert_non_null(text);
	memset(text, 'x', JSON_STREAM_SIZE_MAX);
	text[0] = '"';
	text[JSON_STREAM_SIZE_MAX - 2] = '"';
	feed_pieces(text, JSON_STREAM_SIZE_MAX - 1, 65536, &received);
	assert_int_equal(received.nvalues, 1);
	assert_int_equal(received.nerrors, 0);
	text_free(&received.text);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_need_no_separator),
		cmocka_unit_test(what_is_not_complete_is_dropped),
		cmocka_unit_test(brackets_in_strings_do_not_count),
		cmocka_unit_test(single_quotes_are_quotes),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(reading_goes_on_after_a_mistake),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(ten_megabytes_are_one_error),
		cmocka_unit_test(a_value_may_be_just_as_long_as_the_limit),
	};

	return cmocka_run_group_tests_name("json_stream", tests, NULL, NULL);
}
