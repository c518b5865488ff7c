// SPDX-License-Identifier: Apache-2.0
// key=value text as QEMU reads it, and JSON arguments.
#include "fake_log.h"
#include "keyval.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

struct keyval_case {
	const char *text;
	const char *json;    /* what it becomes */
	const char *warning; /* words that are warned about, or NULL */
	bool help;
};

static void check(const struct keyval_case *c, const struct keyval_syntax *syntax)
{
	bool help = !c->help;
	struct json_object *obj;

	fake_log_clear();
	obj = keyval_parse(c->text, syntax, &help);
	assert_non_null(obj);
	assert_string_equal(
		json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), c->json);
	assert_string_equal(fake_log_text, c->warning ? c->warning : "");
	assert_int_equal(help, c->help);
	json_object_put(obj);
}

#define SHORT_FORM(word, instead) \
	"warning: short-form boolean option '" word "' deprecated\nPlease use " instead " instead\n"

static void reads_what_qemu_reads(void **state)
{
	static const struct keyval_syntax syntax = { .implied_key = "type", .list_key = "host-nodes" };
	static const struct keyval_case cases[] = {
		{ "", "{}", NULL, false },
		{ "x", "{\"type\":\"x\"}", NULL, false },
		{ "x,id=m1", "{\"type\":\"x\",\"id\":\"m1\"}", NULL, false },
		{ "type=x,id=m1", "{\"type\":\"x\",\"id\":\"m1\"}", NULL, false },
		{ "id=m1", "{\"id\":\"m1\"}", NULL, false },
		{ "x,", "{\"type\":\"x\"}", NULL, false },
		{ ",", "{\"type\":\"\"}", NULL, false },
		{ "=", "{\"\":\"\"}", NULL, false },
		{ "=x", "{\"\":\"x\"}", NULL, false },
		{ "k=", "{\"k\":\"\"}", NULL, false },
		{ "k=a=b", "{\"k\":\"a=b\"}", NULL, false },
		{ "k=a,,b", "{\"k\":\"a,b\"}", NULL, false },
		{ "k=a,,,j=b", "{\"k\":\"a,\",\"j\":\"b\"}", NULL, false },
		{ "k=,,", "{\"k\":\",\"}", NULL, false },
		{ "k=,,,,", "{\"k\":\",,\"}", NULL, false },
		{ "a,,b", "{\"type\":\"a,b\"}", NULL, false },
		{ "a,,b,k=c", "{\"type\":\"a,b\",\"k\":\"c\"}", NULL, false },
		{ "k=a,k=b", "{\"k\":\"b\"}", NULL, false },    // the last one counts
		{ "id=a,id=b", "{\"id\":\"a\"}", NULL, false }, // but the first id
		{ "x,host-nodes=1", "{\"type\":\"x\",\"host-nodes\":[\"1\"]}", NULL, false },
		{ "x,host-nodes=1,host-nodes=2-3", "{\"type\":\"x\",\"host-nodes\":[\"1\",\"2-3\"]}", NULL, false },
		{ "x,share", "{\"type\":\"x\",\"share\":\"on\"}", SHORT_FORM("share", "share=on"), false },
		{ "x,noshare", "{\"type\":\"x\",\"share\":\"off\"}", SHORT_FORM("noshare", "share=off"), false },
		{ "x,share,merge", "{\"type\":\"x\",\"share\":\"on\",\"merge\":\"on\"}",
		  SHORT_FORM("share", "share=on") SHORT_FORM("merge", "merge=on"), false },
		{ "help", "{\"type\":\"help\"}", NULL, true },
		{ "?", "{\"type\":\"?\"}", NULL, true },
		{ "x,help", "{\"type\":\"x\"}", NULL, true },
		{ "x,?", "{\"type\":\"x\"}", NULL, true },
		{ "x,help=on", "{\"type\":\"x\",\"help\":\"on\"}", NULL, true },
		{ "x,id=help", "{\"type\":\"x\",\"id\":\"help\"}", NULL, false },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		check(&cases[i], &syntax);
}

static void without_implied_key_the_first_word_is_a_flag(void **state)
{
	static const struct keyval_syntax syntax = { .implied_key = NULL };
	static const struct keyval_case cases[] = {
		{ "share", "{\"share\":\"on\"}", SHORT_FORM("share", "share=on"), false },
		{ "k=v", "{\"k\":\"v\"}", NULL, false },
		{ "help", "{}", NULL, true },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		check(&cases[i], &syntax);
}

static void takes_one_json_object(void **state)
{
	struct vpmem_error err = { "", "" };
	struct json_object *obj, *val;

	(void)state;
	assert_int_equal(
		keyval_parse_json("{\"driver\":\"virtio-pmem-pci\",\"n\":18446744073709551615} \n", &obj, &err), 0);
	assert_true(json_object_object_get_ex(obj, "driver", &val));
	assert_string_equal(json_object_get_string(val), "virtio-pmem-pci");
	assert_true(json_object_object_get_ex(obj, "n", &val));
	assert_int_equal(json_object_get_uint64(val), UINT64_MAX);
	json_object_put(obj);
}

static void refuses_other_json(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{", "JSON parse error, premature EOI" },
		{ "{\"a\"", "JSON parse error, premature EOI" },
		{ "{\"a\":\"", "JSON parse error, premature EOI" },
		{ "{\"a\":1} x", "Expecting at most one JSON value" },
		{ "{\"a\":1}{\"a\":1}", "Expecting at most one JSON value" },
		{ "[1]", "JSON object expected" },
		{ "", "JSON parse error, premature EOI" },
	};
	static char deep[1100];
	struct vpmem_error err;
	struct json_object *obj;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_int_equal(keyval_parse_json(cases[i].text, &obj, &err), -EINVAL);
		assert_null(obj);
		assert_string_equal(err.text, cases[i].error);
	}
	assert_int_equal(keyval_parse_json("{a:1}", &obj, &err), -EINVAL);
	assert_memory_equal(err.text, "JSON parse error, ", strlen("JSON parse error, "));
	// QMP's dialect, and no other: json_parse_test.c.
	assert_int_equal(keyval_parse_json("{\"a\":1,\"a\":2}", &obj, &err), -EINVAL);
	assert_string_equal(err.text, "JSON parse error, duplicate key");
	assert_int_equal(keyval_parse_json("{\"a\":1 /* comment */}", &obj, NULL), -EINVAL);
	// Deeper than the parser allows: an error, not a full stack.
	memset(deep, '[', sizeof(deep) - 1);
	memcpy(deep, "{\"a\":", 5);
	assert_int_equal(keyval_parse_json(deep, &obj, &err), -EINVAL);
	assert_string_equal(err.text, "JSON nesting depth limit exceeded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_qemu_reads),
		cmocka_unit_test(without_implied_key_the_first_word_is_a_flag),
		cmocka_unit_test(takes_one_json_object),
		cmocka_unit_test(refuses_other_json),
	};

	return cmocka_run_group_tests_name("keyval", tests, NULL, NULL);
}
