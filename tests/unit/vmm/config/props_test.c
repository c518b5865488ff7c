// SPDX-License-Identifier: Apache-2.0
// Values of every type, from text and from JSON; defaults; help; and the two tables of the product.
#include "config.h"
#include "fake_log.h"
#include "parse.h"
#include "props.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct thing {
	bool b;
	char *str, *id, *link;
	uint64_t size, count, u64, nodes, opt_size, opt_number;
	uint32_t u32;
	unsigned word;
	int slot;
};

#define AT(field) offsetof(struct thing, field)
static const char *const colours[] = { "red", "green", NULL };
static const struct prop thing_props[] = {
	{ .name = "b", .type = PROP_BOOL, .offset = AT(b), .def = "on", .help = "a switch" },
	{ .name = "colour",
	  .type = PROP_WORD,
	  .offset = AT(word),
	  .words = colours,
	  .def = "green",
	  .type_name = "Colour" },
	{ .name = "count", .type = PROP_COUNT, .offset = AT(count), .not_zero = true },
	{ .name = "fixed", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .why = "because" },
	{ .name = "id", .type = PROP_ID, .offset = AT(id), .hidden = true },
	{ .name = "later", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "", .not_yet = true },
	{ .name = "link", .type = PROP_LINK, .offset = AT(link) },
	{ .name = "nodes", .type = PROP_NODES, .offset = AT(nodes) },
	{ .name = "one-of", .type = PROP_UINT32, .offset = PROP_NOWHERE, .only = "1|3" },
	{ .name = "optnum", .type = PROP_OPT_NUMBER, .offset = AT(opt_number) },
	{ .name = "optsize", .type = PROP_OPT_SIZE, .offset = AT(opt_size) },
	{ .name = "size", .type = PROP_SIZE, .offset = AT(size), .def = "2M" },
	{ .name = "slot", .type = PROP_ADDR, .offset = AT(slot), .def = "-1" },
	{ .name = "str", .type = PROP_STR, .offset = AT(str), .def = "x" },
	{ .name = "u32", .type = PROP_UINT32, .offset = AT(u32) },
	{ .name = "u64", .type = PROP_UINT64, .offset = AT(u64) },
};
static const struct prop_class thing_class = {
	.name = "thing",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.props = thing_props,
	.nprops = COUNT(thing_props),
};

static int apply(const char *key, struct json_object *val, enum props_form form, struct thing *thing,
                 struct vpmem_error *err)
{
	struct json_object *obj = json_object_new_object();
	int rc;

	json_object_object_add(obj, key, val);
	*err = (struct vpmem_error) { "", "" };
	rc = props_apply(&thing_class, obj, form, thing, err);
	json_object_put(obj);
	return rc;
}

static int apply_text(const char *key, const char *text, struct thing *thing, struct vpmem_error *err)
{
	return apply(key, json_object_new_string(text), PROPS_TEXT, thing, err);
}

static int apply_json(const char *key, const char *json, struct thing *thing, struct vpmem_error *err)
{
	return apply(key, json_tokener_parse(json), PROPS_JSON, thing, err);
}

/* The field of a number or switch as one integer. */
static uint64_t number(const struct thing *thing, const char *key)
{
	const struct prop *prop = props_find(&thing_class, key);
	const char *field = (const char *)thing + prop->offset;

	switch (prop->type) {
	case PROP_BOOL:
		return *(const bool *)field;
	case PROP_WORD:
		return *(const unsigned *)field;
	case PROP_UINT32:
		return *(const uint32_t *)field;
	case PROP_ADDR:
		return (uint64_t)(int64_t) * (const int *)field;
	default:
		return *(const uint64_t *)field;
	}
}

static void defaults_come_from_the_table(void **state)
{
	struct thing thing = { 0 };

	(void)state;
	assert_int_equal(props_init(&thing_class, &thing), 0);
	assert_true(thing.b);
	assert_int_equal(thing.word, 1);
	assert_int_equal(thing.size, 2 << 20);
	assert_int_equal(thing.slot, -1);
	assert_string_equal(thing.str, "x");
	assert_null(thing.id);
	props_release(&thing_class, &thing);
	assert_null(thing.str);
}

static void takes_values(void **state)
{
	static const struct {
		const char *key, *value;
		bool json;
		uint64_t number;
	} cases[] = {
		{ "b", "on", false, 1 },
		{ "b", "yes", false, 1 },
		{ "b", "true", false, 1 },
		{ "b", "y", false, 1 },
		{ "b", "off", false, 0 },
		{ "b", "no", false, 0 },
		{ "b", "false", false, 0 },
		{ "b", "n", false, 0 },
		{ "b", "true", true, 1 },
		{ "b", "false", true, 0 },
		{ "size", "0", false, 0 },
		{ "size", "4096", false, 4096 },
		{ "size", "0x1000", false, 4096 },
		{ "size", "4b", false, 4 },
		{ "size", "4k", false, 4096 },
		{ "size", "4K", false, 4096 },
		{ "size", "3M", false, UINT64_C(3) << 20 },
		{ "size", "4G", false, UINT64_C(4) << 30 },
		{ "size", "4T", false, UINT64_C(4) << 40 },
		{ "size", "1P", false, UINT64_C(1) << 50 },
		{ "size", "15E", false, UINT64_C(15) << 60 },
		{ "size", "1.5G", false, UINT64_C(3) << 29 },
		{ "size", "0.25k", false, 256 },
		{ "size", "1.0000000000000001M", false, 1 << 20 },
		{ "size", "010", false, 10 },
		{ "size", "18446744073709551615", false, UINT64_MAX },
		{ "size", "18446744073709551615", true, UINT64_MAX },
		{ "size", "0", true, 0 },
		{ "optsize", "1G", false, UINT64_C(1) << 30 },
		{ "optnum", "7", false, 7 },
		{ "count", "7", false, 7 },
		{ "u64", "4294967296", false, UINT64_C(1) << 32 },
		{ "u64", "0x140000000", false, UINT64_C(0x140000000) },
		{ "u64", "5368709120", true, UINT64_C(0x140000000) },
		{ "u32", "4294967295", false, UINT32_MAX },
		{ "u32", "7", true, 7 },
		{ "colour", "red", false, 0 },
		{ "colour", "\"green\"", true, 1 },
		{ "nodes", "0", false, 1 },
		{ "nodes", "63", false, UINT64_C(1) << 63 },
		{ "nodes", "1-3", false, 0xe },
		{ "nodes", "0-63", false, UINT64_MAX },
		{ "nodes", "[0,2]", true, 5 },
		{ "nodes", "[]", true, 0 },
		{ "slot", "5", false, 5 },
		{ "slot", "05.0", false, 5 },
		{ "slot", "1f", false, 31 },
		{ "slot", "0x1F.0", false, 31 },
		{ "slot", "\"a\"", true, 10 },
		{ "slot", "40", true, 5 },
		{ "slot", "-1", true, UINT64_MAX },
	};
	struct vpmem_error err;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct thing thing = { 0 };
		int rc = cases[i].json ? apply_json(cases[i].key, cases[i].value, &thing, &err) :
		                         apply_text(cases[i].key, cases[i].value, &thing, &err);

		if (rc < 0)
			print_error("%s=%s: %s\n", cases[i].key, cases[i].value, err.text);
		assert_int_equal(rc, 0);
		assert_int_equal(number(&thing, cases[i].key), cases[i].number);
	}
}

static void refuses_values(void **state)
{
	static const struct {
		const char *key, *value;
		bool json;
		const char *error;
	} cases[] = {
		{ "b", "maybe", false, "Parameter 'b' expects 'on' or 'off'" },
		{ "b", "", false, "Parameter 'b' expects 'on' or 'off'" },
		{ "b", "1", false, "Parameter 'b' expects 'on' or 'off'" },
		{ "b", "\"on\"", true, "Invalid parameter type for 'b', expected: boolean" },
		{ "b", "1", true, "Invalid parameter type for 'b', expected: boolean" },
		{ "b", "null", true, "Invalid parameter type for 'b', expected: boolean" },
		{ "size", "", false, "Parameter 'size' expects a size value" },
		{ "size", "-1", false, "Parameter 'size' expects a size value" },
		{ "size", " 1", false, "Parameter 'size' expects a size value" },
		{ "size", "+1", false, "Parameter 'size' expects a size value" },
		{ "size", "64X", false, "Parameter 'size' expects a size value" },
		{ "size", "64MB", false, "Parameter 'size' expects a size value" },
		{ "size", "1.", false, "Parameter 'size' expects a size value" },
		{ "size", "1.G", false, "Parameter 'size' expects a size value" },
		{ "size", ".5G", false, "Parameter 'size' expects a size value" },
		{ "size", "1.5", false, "Parameter 'size' expects a size value" },
		{ "size", "1.5b", false, "Parameter 'size' expects a size value" },
		{ "size", "1.5.5G", false, "Parameter 'size' expects a size value" },
		{ "size", "1e3", false, "Parameter 'size' expects a size value" },
		{ "size", "0x", false, "Parameter 'size' expects a size value" },
		{ "size", "0x10M", false, "Parameter 'size' expects a size value" },
		{ "size", "16E", false, "Parameter 'size' expects a size value" },
		{ "size", "18446744073709551616", false, "Parameter 'size' expects a size value" },
		{ "size", "\"4G\"", true, "Parameter 'size' expects uint64" },
		{ "size", "1.5", true, "Parameter 'size' expects uint64" },
		{ "size", "-5", true, "Parameter 'size' expects uint64" },
		{ "size", "true", true, "Parameter 'size' expects uint64" },
		{ "size", "null", true, "Parameter 'size' expects uint64" },
		{ "optsize", "64x", false, "Parameter 'optsize' expects a non-negative number below 2^64" },
		{ "optsize", "99999999999999999999", false,
		  "Value '99999999999999999999' is out of range for parameter 'optsize'" },
		{ "optnum", "x", false, "Parameter 'optnum' expects a number" },
		{ "count", "x", false, "Parameter 'count' expects a uint64 value" },
		{ "count", "0", false, "property 'count' of thing doesn't take value '0'" },
		{ "count", "0", true, "property 'count' of thing doesn't take value '0'" },
		{ "u64", "4G", false, "Parameter 'u64' expects integer" },
		{ "u64", "", false, "Parameter 'u64' expects integer" },
		{ "u64", "-1", false, "Parameter 'u64' expects integer" },
		{ "u64", "0x10000000000000000", false, "Parameter 'u64' expects integer" },
		{ "u64", "\"0x1000\"", true, "Parameter 'u64' expects uint64" },
		{ "u64", "true", true, "Parameter 'u64' expects uint64" },
		{ "u32", "x", false, "Parameter 'u32' expects integer" },
		{ "u32", "4294967296", false, "Parameter 'u32' expects uint32_t" },
		{ "u32", "4294967296", true, "Parameter 'u32' expects uint32_t" },
		{ "colour", "blue", false, "Parameter 'colour' does not accept value 'blue'" },
		{ "colour", "\"blue\"", true, "Parameter 'colour' does not accept value 'blue'" },
		{ "colour", "1", true, "Invalid parameter type for 'colour', expected: string" },
		{ "str", "7", true, "Invalid parameter type for 'str', expected: string" },
		{ "str", "\"a\\u0000b\"", true, "Parameter 'str' expects a string without NUL" },
		{ "link", "5", true, "Invalid parameter type for 'link', expected: string" },
		{ "id", "1a", false, "Parameter 'id' expects an identifier" },
		{ "id", "", false, "Parameter 'id' expects an identifier" },
		{ "id", "a%b", false, "Parameter 'id' expects an identifier" },
		{ "id", "\"-a\"", true, "Parameter 'id' expects an identifier" },
		{ "nodes", "x", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "0-", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "3-1", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "-1", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "0-1-2", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "0,1", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "1111111111111111111111111", false, "Parameter 'nodes' expects a uint64 value or range" },
		{ "nodes", "128", false, "Invalid nodes value: 128" },
		{ "nodes", "0-300", false, "Invalid nodes value: 64" },
		{ "nodes", "[64]", true, "Invalid nodes value: 64" },
		{ "nodes", "0", true, "Invalid parameter type for 'nodes', expected: array" },
		{ "nodes", "[0,\"1\"]", true, "Parameter 'nodes[1]' expects uint64" },
		{ "nodes", "[null]", true, "Parameter 'nodes[0]' expects uint64" },
		{ "slot", "", false, "Property 'thing.slot' doesn't take value ''" },
		{ "slot", "xx", false, "Property 'thing.slot' doesn't take value 'xx'" },
		{ "slot", "20", false, "Property 'thing.slot' doesn't take value '20'" },
		{ "slot", "5.8", false, "Property 'thing.slot' doesn't take value '5.8'" },
		{ "slot", "5.", false, "Property 'thing.slot' doesn't take value '5.'" },
		{ "slot", "5x", false, "Property 'thing.slot' doesn't take value '5x'" },
		{ "slot", "-1", false, "Property 'thing.slot' doesn't take value '-1'" },
		{ "slot", "100000000000000005", false,
		  "Property 'thing.slot' doesn't take value '100000000000000005'" },
		{ "slot", "5.1", false, "PCI: single function device can't be populated in function 5.1" },
		{ "slot", "5", true, "PCI: single function device can't be populated in function 0.5" },
		{ "slot", "41", true, "PCI: single function device can't be populated in function 5.1" },
		{ "slot", "-2", true, "Parameter 'slot' expects a value between -1 and 255" },
		{ "slot", "256", true, "Parameter 'slot' expects a value between -1 and 255" },
		{ "slot", "true", true, "Invalid parameter type for 'slot', expected int or str" },
		{ "slot", "null", true, "Invalid parameter type for 'slot', expected int or str" },
		{ "fixed", "on", false, "'fixed=on' is not supported" },
		{ "fixed", "true", true, "'fixed=on' is not supported" },
		{ "later", "x", false, "'later=x' is not supported yet" },
		{ "one-of", "2", false, "'one-of=2' is not supported" },
		{ "bogus", "1", false, "Property 'thing.bogus' not found" },
		{ "bogus", "1", true, "Property 'thing.bogus' not found" },
	};
	struct vpmem_error err;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct thing thing = { 0 };
		int rc = cases[i].json ? apply_json(cases[i].key, cases[i].value, &thing, &err) :
		                         apply_text(cases[i].key, cases[i].value, &thing, &err);

		if (rc == 0)
			print_error("%s=%s was taken\n", cases[i].key, cases[i].value);
		assert_true(rc < 0);
		assert_string_equal(err.text, cases[i].error);
		props_release(&thing_class, &thing);
	}
}

/* QMP's device_add: QEMU makes text of each value. */
static void scalars_count_as_text(void **state)
{
	static const struct {
		const char *key, *json, *error; // NULL: it is taken
	} cases[] = {
		{ "b", "false", NULL },
		{ "b", "\"off\"", NULL },
		{ "b", "1", "Parameter 'b' expects 'on' or 'off'" },
		{ "u64", "7", NULL },
		{ "u64", "\"0x7\"", NULL },
		{ "u64", "-1", "Parameter 'u64' expects integer" },
		{ "u64", "1.5", "Invalid parameter type for 'u64', expected: string" },
		{ "u64", "null", "Invalid parameter type for 'u64', expected: string" },
		{ "u64", "[7]", "Invalid parameter type for 'u64', expected: string" },
		{ "u64", "{}", "Invalid parameter type for 'u64', expected: string" },
		{ "fixed", "false", NULL },
		{ "str", "\"a\\u0000b\"", "Parameter 'str' expects a string without NUL" },
		// It names the object.
		{ "id", "\"a\"", NULL },
		{ "id", "7", "Invalid parameter type for 'id', expected: string" },
		{ "bogus", "[]", "Property 'thing.bogus' not found" },
	};
	struct vpmem_error err;

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct thing thing = { 0 };
		int rc = apply(cases[i].key, json_tokener_parse(cases[i].json), PROPS_SCALAR, &thing, &err);

		if ((rc == 0) != !cases[i].error)
			print_error("%s=%s: %s\n", cases[i].key, cases[i].json, err.text);
		assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		assert_int_equal(rc, cases[i].error ? -EINVAL : 0);
		props_release(&thing_class, &thing);
	}
}

static void fixed_values_are_taken_and_stored_nowhere(void **state)
{
	struct thing thing = { 0 }, before = { 0 };
	struct vpmem_error err;

	(void)state;
	assert_int_equal(apply_text("fixed", "off", &thing, &err), 0);
	assert_int_equal(apply_text("fixed", "no", &thing, &err), 0); // another word for the same value
	assert_int_equal(apply_text("later", "", &thing, &err), 0);
	assert_int_equal(apply_text("one-of", "1", &thing, &err), 0);
	assert_int_equal(apply_text("one-of", "0x3", &thing, &err), 0);
	assert_memory_equal(&thing, &before, sizeof(thing));
	assert_true(apply_text("fixed", "on", &thing, &err) < 0);
	assert_string_equal(err.hint, "because");
}

static void the_last_string_stays(void **state)
{
	struct thing thing = { 0 };
	struct vpmem_error err;

	(void)state;
	assert_int_equal(apply_text("str", "one", &thing, &err), 0);
	assert_int_equal(apply_text("str", "two", &thing, &err), 0);
	assert_string_equal(thing.str, "two");
	props_release(&thing_class, &thing);
}

static void unknown_names_get_the_nearest(void **state)
{
	struct thing thing = { 0 };
	struct vpmem_error err;

	(void)state;
	assert_true(apply_text("clour", "red", &thing, &err) < 0);
	assert_string_equal(err.hint, "did you mean colour?");
	assert_true(apply_text("x-pcie-flr-init", "on", &thing, &err) < 0);
	assert_non_null(strstr(err.hint, "x- properties"));
}

static void ids_are_qemus(void **state)
{
	static const char *const good[] = { "a", "nv1", "A.b-c_9" }, *const bad[] = { "",    "1",   "_a",
		                                                                      "a b", "a/b", "\xc3\xa4" };

	(void)state;
	for (unsigned i = 0; i < COUNT(good); i++)
		assert_true(id_wellformed(good[i]));
	for (unsigned i = 0; i < COUNT(bad); i++)
		assert_false(id_wellformed(bad[i]));
}

static void help_has_qemus_format(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	props_help(&thing_class, out);
	fclose(out);
	assert_non_null(strstr(text, "thing options:\n"
	                             "  b=<bool>               - a switch (default: true)\n"
	                             "  colour=<Colour>        -  (default: \"green\")\n"
	                             "  count=<int>\n"));
	assert_non_null(strstr(text, "  slot=<int32>           -  (default: -1)\n"));
	assert_null(strstr(text, "  id="));
	free(text);
}

/* "name=" orders "prealloc-threads" before "prealloc", as QEMU's help does. */
static int compare_names(const char *a, const char *b)
{
	char x[64], y[64];

	snprintf(x, sizeof(x), "%s=", a);
	snprintf(y, sizeof(y), "%s=", b);
	return strcmp(x, y);
}

static void the_tables_are_in_order(void **state)
{
	const struct prop_class *const classes[] = { &memory_backend_file_class, &memory_backend_memfd_class,
		                                     &memory_backend_ram_class, &virtio_pmem_pci_class };
	const struct prop *prop;

	(void)state;
	for (unsigned c = 0; c < COUNT(classes); c++) {
		for (unsigned i = 0; (prop = props_at(classes[c], i)); i++) {
			union prop_value val;

			if (i > 0)
				assert_true(compare_names(props_at(classes[c], i - 1)->name, prop->name) < 0);
			// A default is a value that the property takes; "-1" stands for "any slot".
			if (prop->def && prop->type != PROP_ADDR) {
				assert_int_equal(prop_from_text(classes[c], prop, prop->def, &val, NULL), 0);
				if (prop_is_string(prop))
					free(val.s);
			}
			if (prop->def && prop->only)
				assert_non_null(strstr(prop->only, prop->def));
			// A property that is fixed says why.
			if (prop->only)
				assert_true(prop->why != NULL);
		}
	}
}

static void the_librarys_defaults_are_the_tables(void **state)
{
	static const struct vpmem_backing_options want = VPMEM_BACKING_OPTIONS_INIT;
	struct memdev_config cfg = { 0 };

	(void)state;
	assert_int_equal(props_init(&memory_backend_file_class, &cfg), 0);
	assert_memory_equal(&cfg.backing, &want, sizeof(want));
	props_release(&memory_backend_file_class, &cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_come_from_the_table),
		cmocka_unit_test(takes_values),
		cmocka_unit_test(refuses_values),
		cmocka_unit_test(scalars_count_as_text),
		cmocka_unit_test(fixed_values_are_taken_and_stored_nowhere),
		cmocka_unit_test(the_last_string_stays),
		cmocka_unit_test(unknown_names_get_the_nearest),
		cmocka_unit_test(ids_are_qemus),
		cmocka_unit_test(help_has_qemus_format),
		cmocka_unit_test(the_tables_are_in_order),
		cmocka_unit_test(the_librarys_defaults_are_the_tables),
	};

	return cmocka_run_group_tests_name("props", tests, NULL, NULL);
}
