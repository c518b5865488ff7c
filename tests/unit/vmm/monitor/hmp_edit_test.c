// SPDX-License-Identifier: Apache-2.0
// Tests of line editing: hmp_edit.c over libedit, and hmp_keys.c.
#include "hmp_edit_rig.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_prompt_and_an_echo(void **state)
{
	(void)state;
	assert_string_equal(f.shown, "(pmvm) ");
	type("info status\r");
	lines_are("info status\n");
	f.shown[f.nshown] = '\0';
	assert_non_null(strstr(f.shown, "info status\r\n(pmvm) "));
	assert_null(strstr(f.shown, "TERM"));
	assert_null(strstr(f.shown, "terminal"));
}

struct editing {
	const char *keys, *lines;
};

static const struct editing editings[] = {
	{ "abc\r", "abc\n" },
	{ "abc\n", "abc\n" },
	{ "abc\r\ndef\r\n", "abc\ndef\n" },
	{ "\r\r", "\n\n" },
	{ "abx\177c\r", "abc\n" },
	{ "abx\bc\r", "abc\n" },
	{ "\b\177a\r", "a\n" },
	{ "bc\001a\005d\r", "abcd\n" },
	{ "bc\033[Ha\033[Fd\r", "abcd\n" },
	{ "bc\033OHa\033OFd\r", "abcd\n" },
	{ "bc\033[1~a\033[4~d\r", "abcd\n" },
	{ "abc\001\013x\r", "x\n" },
	{ "abc\025x\r", "x\n" },
	{ "one two\027x\r", "one x\n" },
	{ "ac\033[Db\r", "abc\n" },
	{ "ac\002b\006d\r", "abcd\n" },
	{ "xab\033[D\033[D\033[D\004\r", "ab\n" },
	{ "xab\033[D\033[D\033[D\033[3~\r", "ab\n" },
	{ "one two\033bx\r", "one xtwo\n" },
	{ "one two\033[1;5Dx\r", "one xtwo\n" },
	{ "one\001\013\031\031\r", "oneone\n" },
	{ "ba\024\r", "ab\n" },
	{ "first\rsecond\r\033[A\r\033[A\033[A\r", "first\nsecond\nsecond\nfirst\n" },
	{ "first\r\033OAx\r", "first\nfirstx\n" },
	{ "first\r\020\016x\r", "first\nx\n" },
	{ "\033[A\033[B\033[Bx\r", "x\n" },
	{ "qu\t\r", "quit \n" },
	{ "dev\t\r", "device_\n" },
	{ "help d\ta\t\r", "help device_add \n" },
	{ "zz\t\r", "zz\n" },
	{ "\033[99~\033[?25h\033[200~a\033[201~\r", "a\n" },
	{ "\033ia\033\r", "ia\n" },
	{ "\022\023\026\021\032\034\035\036\037a\r", "a\n" },
	{ "\033xbind\r", "xbind\n" },
	{ "\03312x\r", "12x\n" },
	{ "gr\303\274n \342\202\254 \360\237\230\200\r", "gr\303\274n \342\202\254 \360\237\230\200\n" },
	{ "gr\303\274\177un\r", "grun\n" },
	{ "\303\251\303\251\001a\r", "a\303\251\303\251\n" },
	{ "a\377\300\200\355\240\200\364\220\200\200\302\205b\r", "ab\n" },
	{ "a\342\202b\r", "ab\n" },
};

static void keys_edit_the_line(void **state)
{
	for (size_t i = 0; i < sizeof(editings) / sizeof(editings[0]); i++) {
		for (unsigned slowly = 0; slowly < 2; slowly++) {
			rig_teardown(state);
			rig_setup(state);
			if (slowly)
				type_slowly(editings[i].keys);
			else
				type(editings[i].keys);
			if (strcmp(f.lines, editings[i].lines) != 0)
				fail_msg("%zu %s: '%s' is not '%s'", i, editings[i].keys, f.lines, editings[i].lines);
		}
	}
}

static void tab_lists_what_fits(void **state)
{
	(void)state;
	type("device_\t");
	assert_non_null(strstr(f.shown, "device_add\r\ndevice_del\r\n(pmvm) device_"));
	type("d\t\r");
	lines_are("device_del \n");
}

static void many_lines_at_once(void **state)
{
	char all[4096] = "";

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "info memory-devices %u\n", i);
	type(all);
	lines_are(all);
}

static void a_long_line_wraps(void **state)
{
	char line[HMP_LINE_MAX + 2] = "";

	(void)state;
	memset(line, 'x', HMP_LINE_MAX);
	for (size_t i = 0; i < 4000; i += 7)
		line[i] = ' ';
	strcpy(line + 4000, "\r");
	type(line);
	line[4000] = '\n';
	lines_are(line);
	// Up and edited at both ends.
	type("\033[A\001\004y\005z\r");
	line[0] = 'y';
	strcpy(line + 4000, "z\n");
	lines_are(line);
	// As long as a line may be.
	memset(line, 'x', HMP_LINE_MAX);
	strcpy(line + HMP_LINE_MAX, "\r");
	type(line);
	line[HMP_LINE_MAX] = '\n';
	lines_are(line);
	line[HMP_LINE_MAX] = 'x';
	type(line);
	type("\r");
	lines_are("TOO LONG\n");
}

static void a_line_that_is_too_long_is_dropped(void **state)
{
	static char line[20001];

	(void)state;
	memset(line, 'x', 20000);
	type(line);
	type("\025\001x\r");
	lines_are("TOO LONG\n");
	type("abc\r");
	lines_are("abc\n");
	line[4000] = '\0';
	type(line);
	for (unsigned i = 0; i < 100; i++)
		type("\025\031\031\031\001\005\002");
	type("\r");
	lines_are("TOO LONG\n");
	type("abc\r");
	lines_are("abc\n");
}

static void two_editors_do_not_share(void **state)
{
	struct hmp_edit *other = hmp_edit_create("(other) ", &rig_client, true);

	(void)state;
	hmp_edit_prompt(other);
	type("one");
	hmp_edit_feed(other, (const uint8_t *)"two\r", 4);
	type("\r\033[A\r");
	lines_are("two\none\none\n");
	hmp_edit_destroy(other);
}

// What malloc has given out, the chunks that it keeps at hand for each thread included: those are full after some rounds.
static size_t heap_after(unsigned nrounds)
{
	struct hmp_edit *edits[4] = { NULL };

	// Some at a time, and the oldest goes first: libedit's buffers come to lie elsewhere.
	for (unsigned i = 0; i < nrounds; i++) {
		struct hmp_edit **edit = &edits[i % 4];

		if (*edit)
			hmp_edit_destroy(*edit);
		*edit = hmp_edit_create("(pmvm) ", &rig_client, false);
		assert_non_null(*edit);
	}
	for (unsigned i = 0; i < 4; i++)
		hmp_edit_destroy(edits[i]);
	return mallinfo2().uordblks;
}

static void editors_leave_nothing_behind(void **state)
{
	(void)state;
	size_t before = heap_after(1000);
	size_t after = heap_after(1000);

	print_message("%zu bytes before, %zu after\n", before, after);
	assert_true(after < before + 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_prompt_and_an_echo, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(keys_edit_the_line, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(tab_lists_what_fits, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(many_lines_at_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_long_line_wraps, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_line_that_is_too_long_is_dropped, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(two_editors_do_not_share, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(garbage_does_no_harm, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(editors_leave_nothing_behind, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("hmp_edit", tests, NULL, NULL);
}
