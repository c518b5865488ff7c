// SPDX-License-Identifier: Apache-2.0
// The two formats of metrics: names, escaping, numbers.
#include "exposition.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>

static const struct family counter = {
	.name = "a_seconds", .type = METRIC_COUNTER, .unit = "seconds", .help = "Help."
};
static const struct family empty = { .name = "b", .type = METRIC_GAUGE, .help = "Help." };
static const struct family info = { .name = "c", .type = METRIC_INFO, .help = "Help." };
static const struct family states = { .name = "d", .type = METRIC_STATESET, .help = "Help." };

static void expect(bool is_openmetrics, const char *text)
{
	struct exposition e = { .is_openmetrics = is_openmetrics };

	exposition_family(&e, &counter);
	exposition_double(&e, "", (const struct label[]) { { "x", "1" }, { "y", NULL }, { 0 } }, 0.25);
	exposition_double(&e, "", NULL, 2);
	exposition_family(&e, &empty);
	exposition_family(&e, &info);
	exposition_uint(&e, "", NULL, 1);
	exposition_family(&e, &states);
	exposition_uint(&e, "", (const struct label[]) { { "d", "on" }, { 0 } }, UINT64_MAX);
	exposition_end(&e);
	assert_string_equal(text_str(&e.text), text);
	text_free(&e.text);
}

static void both_formats(void **state)
{
	(void)state;
	expect(true, "# HELP a_seconds Help.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n"
	             "a_seconds_total{x=\"1\",y=\"\"} 0.25\na_seconds_total 2\n"
	             "# HELP c Help.\n# TYPE c info\nc_info 1\n"
	             "# HELP d Help.\n# TYPE d stateset\nd{d=\"on\"} 18446744073709551615\n# EOF\n");
	expect(false, "# HELP a_seconds_total Help.\n# TYPE a_seconds_total counter\n"
	              "a_seconds_total{x=\"1\",y=\"\"} 0.25\na_seconds_total 2\n"
	              "# HELP c_info Help.\n# TYPE c_info gauge\nc_info 1\n"
	              "# HELP d Help.\n# TYPE d gauge\nd{d=\"on\"} 18446744073709551615\n");
}

static void expect_label(const char *value, const char *escaped)
{
	struct exposition e = { 0 };
	char line[2 * LABEL_VALUE_MAX + 64];
	const char *last;

	exposition_family(&e, &empty);
	exposition_uint(&e, "", (const struct label[]) { { "x", value }, { 0 } }, 1);
	snprintf(line, sizeof(line), "\nb{x=\"%s\"} 1\n", escaped);
	last = strstr(text_str(&e.text), "\nb{");
	assert_string_equal(last, line);
	text_free(&e.text);
}

static void labels_are_escaped(void **state)
{
	char longer[LABEL_VALUE_MAX + 10], limit[LABEL_VALUE_MAX + 1];

	(void)state;
	expect_label("a\"b\\c\nd", "a\\\"b\\\\c\\nd");
	expect_label("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
	// Not UTF-8: a lone byte, a short form, a surrogate, too large, and one that the end truncates.
	expect_label("\xff", "?");
	expect_label("\xc0\x80", "??");
	expect_label("\xed\xa0\x80", "???");
	expect_label("\xf4\x90\x80\x80", "????");
	expect_label("x\xe2\x82", "x??");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memset(limit, 'x', sizeof(limit) - 1);
	limit[sizeof(limit) - 1] = '\0';
	expect_label(longer, limit);
	// A character that does not fit as a whole is left out.
	memcpy(longer + LABEL_VALUE_MAX - 1, "\xc3\xa4", 2);
	limit[LABEL_VALUE_MAX - 1] = '\0';
	expect_label(longer, limit);
}

static void expect_number(double value, const char *text)
{
	char buf[32];

	exposition_number(buf, sizeof(buf), value);
	assert_string_equal(buf, text);
}

static void numbers_are_short_and_exact(void **state)
{
	(void)state;
	expect_number(0, "0");
	expect_number(1.024e-6, "1.024e-06");
	expect_number(0.1, "0.1");
	expect_number(1.073741824, "1.073741824");
	expect_number(1.0 / 3, "0.3333333333333333");
	expect_number(1e300, "1e+300");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_formats),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(numbers_are_short_and_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
