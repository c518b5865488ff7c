// SPDX-License-Identifier: Apache-2.0
// Tests of line editing: what each key makes of a line (hmp_keys.c, hmp_edit.c, hmp_edit_line.c, hmp_edit_history.c).
#include "hmp_edit_rig.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct editing {
	const char *keys, *lines;
};

static const struct editing editings[] = {
	// Enter
	{ "abc\r", "abc\n" },
	{ "abc\n", "abc\n" },
	{ "abc\r\ndef\r\n", "abc\ndef\n" },
	{ "\r\r", "\n\n" },
	{ "abc\033[D\r", "abc\n" },
	// Backspace, Delete
	{ "abx\177c\r", "abc\n" },
	{ "abx\bc\r", "abc\n" },
	{ "\b\177a\r", "a\n" },
	{ "xab\033[D\033[D\033[D\004\r", "ab\n" },
	{ "xab\033[D\033[D\033[D\033[3~\r", "ab\n" },
	{ "ab\004\033[3~\r", "ab\n" },
	{ "abc\033[D\177\r", "ac\n" },
	// Home, End: Ctrl-a and Ctrl-e, xterm, application mode, VT220, rxvt
	{ "bc\001a\005d\r", "abcd\n" },
	{ "bc\033[Ha\033[Fd\r", "abcd\n" },
	{ "bc\033OHa\033OFd\r", "abcd\n" },
	{ "bc\033[1~a\033[4~d\r", "abcd\n" },
	{ "bc\033[7~a\033[8~d\r", "abcd\n" },
	// Left, Right
	{ "ac\033[Db\r", "abc\n" },
	{ "ac\033ODb\033OCd\r", "abcd\n" },
	{ "ac\002b\006d\r", "abcd\n" },
	{ "ac\033[Db\033[Cd\r", "abcd\n" },
	{ "b\002\002\002a\006\006\006c\r", "abc\n" },
	// by words
	{ "one two\033bx\r", "one xtwo\n" },
	{ "one two\033[1;5Dx\r", "one xtwo\n" },
	{ "one,two=three\033b\033b\033bx\033fy\033fz\033f\033f!\r", "xoney,twoz=three!\n" },
	{ "one two\001\033[1;5Cx\033[1;3Cy\r", "onex twoy\n" },
	// kill and yank
	{ "abc\001\013x\r", "x\n" },
	{ "abc\025x\r", "x\n" },
	{ "abcd\002\002\025x\r", "xcd\n" },
	{ "abcd\002\002\013x\r", "abx\n" },
	{ "one two\027x\r", "one x\n" },
	{ "a=b,c=d  \027x\r", "x\n" },
	{ "one two\001\033dx\r", "x two\n" },
	{ "one.two\033\177x\r", "one.x\n" },
	{ "one.two\033\bx\r", "one.x\n" },
	{ "one\001\013\031\031\r", "oneone\n" },
	{ "one\025two \031\r", "two one\n" },
	{ "\031x\r", "x\n" },
	{ "one\025\025\013\031\r", "one\n" },
	{ "one\025\005\013\031\r", "one\n" },
	// kills in a row make one text, in its order
	{ "one two three\027\027x\031\r", "one xtwo three\n" },
	{ "one two\001\033d\033d\031\031\r", "one twoone two\n" },
	{ "one two\033b\025\013\031\r", "one two\n" },
	{ "one\025two\025\031\r", "two\n" },
	{ "one\025\r\031\r", "\none\n" },
	// transpose
	{ "ba\024\r", "ab\n" },
	{ "bac\002\002\024\024\r", "acb\n" },
	{ "a\024\001\024b\r", "ba\n" },
	{ "\303\274\342\202\254\024x\r", "\342\202\254\303\274x\n" },
	// history
	{ "first\rsecond\r\033[A\r\033[A\033[A\r", "first\nsecond\nsecond\nfirst\n" },
	{ "first\r\033OAx\r", "first\nfirstx\n" },
	{ "first\r\020\016x\r", "first\nx\n" },
	{ "\033[A\033[B\033[Bx\r", "x\n" },
	{ "one\rtwo\r\033[A\033[A\033[A\033[Bx\r", "one\ntwo\ntwox\n" },
	// not what is blank, and not the same line twice in a row
	{ "one\r \r\r\033[A\r", "one\n \n\none\n" },
	{ "one\rtwo\rtwo\r\033[A\033[A\r", "one\ntwo\ntwo\none\n" },
	// the line that was begun comes back; one that was recalled and edited is not changed in the history
	{ "one\rdraft\033[A\033[Bx\r", "one\ndraftx\n" },
	{ "one\r\033[Ax\033[B\033[A\r", "one\none\n" },
	// Tab
	{ "qu\t\r", "quit \n" },
	{ "dev\t\r", "device_\n" },
	{ "help d\ta\t\r", "help device_add \n" },
	{ "zz\t\r", "zz\n" },
	{ "qu it\001\006\006\t\r", "quit  it\n" },
	// unknown keys and sequences, and Escape pressed by itself
	{ "\033[99~\033[?25h\033[200~a\033[201~\r", "a\n" },
	{ "\033ia\033\r", "ia\n" },
	{ "\003\007\013\016\022\023\026\021\032\034\035\036\037a\r", "a\n" },
	{ "\033xbind\r", "xbind\n" },
	{ "\03312x\r", "12x\n" },
	{ "a\033[[Ab\033[15~\033OPc\r", "abc\n" },
	{ "a\033[1;\rb\033O\rc\033[3\033[Dd\r", "a\nb\ndc\n" },
	{ "abc\033[12\025x\r", "x\n" },
	{ "ab\033\033[Dc\r", "acb\n" },
	// UTF-8, and what is none
	{ "gr\303\274n \342\202\254 \360\237\230\200\r", "gr\303\274n \342\202\254 \360\237\230\200\n" },
	{ "gr\303\274\177un\r", "grun\n" },
	{ "\303\251\303\251\001a\006b\004\r", "a\303\251b\n" },
	{ "e\314\201\002\004x\r", "ex\n" },
	{ "a\377\300\200\355\240\200\364\220\200\200\302\205b\r", "ab\n" },
	{ "a\342\202b\r", "ab\n" },
	{ "a\342\202\rb\303\033[Dc\r", "a\ncb\n" },
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

static void many_lines_at_once(void **state)
{
	char all[4096] = "";

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "info memory-devices %u\n", i);
	type(all);
	lines_are(all);
}

static void the_history_is_bounded(void **state)
{
	char line[32];

	(void)state;
	for (unsigned i = 0; i < 3 * HMP_HISTORY_MAX; i++) {
		snprintf(line, sizeof(line), "line %u\r", i);
		type(line);
		f.nlines = 0;
	}
	for (unsigned i = 0; i < 3 * HMP_HISTORY_MAX; i++)
		type("\033[A");
	type("\r");
	snprintf(line, sizeof(line), "line %u\n", 2 * HMP_HISTORY_MAX);
	lines_are(line);
	assert_int_equal(f.edit->history.nlines, HMP_HISTORY_MAX);
}

static void a_long_line_is_edited(void **state)
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
	assert_int_equal(f.terminal.nbells, 0);
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
	assert_int_equal(f.terminal.nbells, 1);
	type("\025");
	assert_int_equal(f.terminal.nbells, 2);
	type("\001x\t\r");
	lines_are("TOO LONG\n");
	type("abc\r");
	lines_are("abc\n");
	// It is not in the history.
	type("\033[A\033[A\r");
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

static void many_offers_are_abridged(void **state)
{
	struct hmp_edit_client client = rig_client;
	struct hmp_edit *edit;

	(void)state;
	client.complete = offer_many;
	edit = hmp_edit_create("(many) ", &client);
	assert_non_null(edit);
	hmp_edit_prompt(edit);
	hmp_edit_feed(edit, (const uint8_t *)"\t\t\r", 3);
	lines_are("word\n");
	assert_non_null(strstr(f.shown, "word254\r\nword255\r\n"));
	assert_null(strstr(f.shown, "word256"));
	hmp_edit_destroy(edit);
}

static void offer_control_characters(void *owner, const char *text, struct hmp_edit *edit)
{
	(void)owner;
	(void)text;
	hmp_edit_offer(edit, 0, "a\033[2J", " ");
	hmp_edit_offer(edit, 0, "a\r", " ");
	hmp_edit_offer(edit, 0, "a\233", " ");
	hmp_edit_offer(edit, 0, "ab", " ");
}

static void only_printable_words_are_offered(void **state)
{
	struct hmp_edit_client client = rig_client;
	struct hmp_edit *edit;

	(void)state;
	client.complete = offer_control_characters;
	edit = hmp_edit_create("(pmvm) ", &client);
	assert_non_null(edit);
	hmp_edit_feed(edit, (const uint8_t *)"a\t\r", 3);
	lines_are("ab \n");
	hmp_edit_destroy(edit);
}

static void two_editors_do_not_share(void **state)
{
	struct hmp_edit *other = hmp_edit_create("(other) ", &rig_client);

	(void)state;
	type("one");
	hmp_edit_prompt(other);
	hmp_edit_feed(other, (const uint8_t *)"two\r", 4);
	hmp_edit_feed(f.edit, (const uint8_t *)"\r\033[A\033[A\r", 8);
	hmp_edit_feed(other, (const uint8_t *)"\033[A\033[A\r", 7);
	lines_are("two\none\none\ntwo\n");
	hmp_edit_destroy(other);
}

// What malloc has given out, the chunks that it keeps at hand for each thread included: those are full after some rounds.
static size_t heap_after(unsigned nrounds)
{
	struct hmp_edit *edits[4] = { NULL };

	// Some at a time, and the oldest goes first.
	for (unsigned i = 0; i < nrounds; i++) {
		struct hmp_edit **edit = &edits[i % 4];

		if (*edit)
			hmp_edit_destroy(*edit);
		*edit = hmp_edit_create("(pmvm) ", &rig_client);
		assert_non_null(*edit);
		hmp_edit_feed(*edit, (const uint8_t *)"one\rtwo\025x\033[Adev\t\t", 17);
		f.nlines = f.nshown = 0;
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
		cmocka_unit_test_setup_teardown(keys_edit_the_line, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(many_lines_at_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_history_is_bounded, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_long_line_is_edited, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_line_that_is_too_long_is_dropped, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_completion_may_be_too_long, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(many_offers_are_abridged, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(only_printable_words_are_offered, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(two_editors_do_not_share, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(editors_leave_nothing_behind, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("hmp_edit", tests, NULL, NULL);
}
