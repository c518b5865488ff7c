// SPDX-License-Identifier: Apache-2.0
// Tests of hmp_edit.c without libedit: built without it, or there is no pseudo-terminal to give it.
#include "hmp_edit_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

// With no descriptor left, libedit gets no terminal.
static int setup(void **state)
{
	struct rlimit before, none;
	int rc;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
	rc = rig_setup(state);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	return rc;
}

static void what_is_typed_is_shown(void **state)
{
	(void)state;
	shown_is("(pmvm) ");
	type("info status\r");
	lines_are("info status\n");
	shown_is("info status\r\n(pmvm) ");
}

static void a_line_is_taken_back_from_its_end(void **state)
{
	(void)state;
	type_slowly("gr\303\274\177\177r\342\202\254\r");
	lines_are("gr\342\202\254\n");
	shown_is("(pmvm) gr\303\274\b \b\b \br\342\202\254\r\n(pmvm) ");
	type("\177\177ab\025c\r\r");
	lines_are("c\n\n");
	shown_is("ab\b \b\b \bc\r\n(pmvm) \r\n(pmvm) ");
}

// There is no cursor to move, and no history.
static void other_keys_do_nothing(void **state)
{
	(void)state;
	type("first\rab\033[D\033[A\001\004\013\024\031c\r");
	lines_are("first\nabc\n");
	shown_is("(pmvm) first\r\n(pmvm) abc\r\n(pmvm) ");
}

static void tab_completes(void **state)
{
	(void)state;
	type("qu\t\r");
	lines_are("quit \n");
	shown_is("(pmvm) quit \r\n(pmvm) ");
	type("help d\t");
	shown_is("help device_");
	type("\t");
	shown_is("\r\ndevice_add\r\ndevice_del\r\n(pmvm) help device_");
	type("a\tzz\t\r");
	lines_are("help device_add zz\n");
}

static void a_line_that_is_too_long_is_dropped(void **state)
{
	char line[HMP_LINE_MAX + 3] = "";

	(void)state;
	memset(line, 'x', HMP_LINE_MAX);
	type(line);
	type("\r");
	line[HMP_LINE_MAX] = '\n';
	lines_are(line);
	strcpy(line + HMP_LINE_MAX, "x\177");
	type(line);
	type("\025\t\r");
	lines_are("TOO LONG\n");
	type("abc\r");
	lines_are("abc\n");
}

// A completion that leaves no room ends the line as any other text does.
static void a_completion_may_be_too_long(void **state)
{
	char line[HMP_LINE_MAX + 1] = "";

	(void)state;
	memset(line, 'x', HMP_LINE_MAX);
	strcpy(line + HMP_LINE_MAX - 4, " qu");
	type(line);
	type("\t\r");
	lines_are("TOO LONG\n");
}

// More than an editor keeps.
static void offer_many(void *owner, const char *text, struct hmp_edit *edit)
{
	(void)owner;
	(void)text;
	for (unsigned i = 0; i < 1000; i++) {
		char word[16];

		snprintf(word, sizeof(word), "word%03u", i);
		hmp_edit_offer(edit, 0, word, " ");
	}
}

static void many_offers_are_cut(void **state)
{
	struct hmp_edit_client client = rig_client;
	struct hmp_edit *edit;

	(void)state;
	client.complete = offer_many;
	edit = hmp_edit_create("(many) ", &client, false);
	assert_non_null(edit);
	hmp_edit_prompt(edit);
	hmp_edit_feed(edit, (const uint8_t *)"\t\t\r", 3);
	lines_are("word\n");
	f.shown[f.nshown] = '\0';
	assert_non_null(strstr(f.shown, "word254\r\nword255\r\n"));
	assert_null(strstr(f.shown, "word256"));
	hmp_edit_destroy(edit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_typed_is_shown, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_line_is_taken_back_from_its_end, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(other_keys_do_nothing, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(tab_completes, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_line_that_is_too_long_is_dropped, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_completion_may_be_too_long, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(garbage_does_no_harm, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(many_offers_are_cut, setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("hmp_edit_plain", tests, NULL, NULL);
}
