// SPDX-License-Identifier: Apache-2.0
// Tests of line editing: what the terminal shows (hmp_edit_screen.c, hmp_edit_tab.c). The rig compares it with the line
// after each call of type.
#include "hmp_edit_rig.h"
#include "hmp_edit_utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_is_typed_is_echoed(void **state)
{
	(void)state;
	shown_is("(pmvm) ");
	type("in");
	shown_is("in");
	type("fo status\r");
	lines_are("info status\n");
	shown_is("fo status\r\n(pmvm) ");
	type("\r");
	shown_is("\r\n(pmvm) ");
}

// Few bytes for each key: no terminal is needed to understand them.
static void a_key_is_shown_by_what_it_changes(void **state)
{
	(void)state;
	type("abc\303\274");
	f.nshown = 0;
	type("\177");
	shown_is("\b \b");
	type("\033[D");
	shown_is("\b");
	type("\033[C");
	shown_is("c");
	type("\002\002x");
	shown_is("\b\bxbc\b\b");
	type("\004");
	shown_is("c \b\b");
	type("\005\r");
	shown_is("c\r\n(pmvm) ");
	lines_are("axc\n");
	type("abc\001");
	f.nshown = 0;
	type("\013");
	shown_is("   \b\b\b");
	type("\031");
	shown_is("abc");
	type("\033[A");
	shown_is("\b\bxc");
	type("\033[B");
	shown_is("\b\bbc");
}

static void tab_shows_what_it_completed(void **state)
{
	(void)state;
	type("qu\t\025");
	shown_is("(pmvm) quit \b\b\b\b\b     \b\b\b\b\b");
	type("help d\t");
	row_is("(pmvm) help device_|");
	f.nshown = 0;
	type("\t");
	shown_is("\r\ndevice_add\r\ndevice_del\r\n(pmvm) help device_");
	type("a\tzz");
	row_is("(pmvm) help device_add zz|");
	assert_int_equal(f.terminal.nbells, 0);
	type("\t");
	assert_int_equal(f.terminal.nbells, 1);
	row_is("(pmvm) help device_add zz|");
}

// Programs wait for the prompt as the last of the output.
static void a_bell_comes_before_the_end_of_the_line(void **state)
{
	(void)state;
	type("zz\t\t\r");
	shown_is("(pmvm) zz\a\r\n(pmvm) ");
}

static void tab_within_a_line_keeps_what_follows(void **state)
{
	(void)state;
	type("dev xyz\002\002\002\002\t");
	row_is("(pmvm) device_| xyz");
	f.nshown = 0;
	type("\t");
	shown_is(" xyz\r\ndevice_add\r\ndevice_del\r\n(pmvm) device_ xyz\b\b\b\b");
	type("d\t\r");
	lines_are("device_del  xyz\n");
}

static void a_screen_is_cleared_and_a_row_drawn_again(void **state)
{
	(void)state;
	type("one\rabc\002");
	f.nshown = 0;
	type("\014");
	shown_is("\033[H\033[2J(pmvm) abc\b");
	assert_int_equal(f.terminal.row, 0);
	type("\022");
	shown_is("\r\n(pmvm) abc\b");
	type("x\r");
	lines_are("one\nabxc\n");
}

// A guest's output, or a focus that comes back, may have damaged the row: a prompt starts afresh.
static void a_prompt_begins_a_line(void **state)
{
	(void)state;
	type("abc\002");
	terminal_write(&f.terminal, "\r\nguest\r\n", 9);
	hmp_edit_prompt(f.edit);
	type("x");
	row_is("(pmvm) x|");
	type("\r");
	lines_are("x\n");
}

// ---- lines that are wider than the terminal

static void a_wide_line_scrolls(void **state)
{
	(void)state;
	rig_restart(30);
	type("0123456789012345678901");
	row_is("(pmvm) 0123456789012345678901|");
	type("A");
	row_is("(pmvm) <2345678901A|");
	type("BCDEFGH");
	row_is("(pmvm) <2345678901ABCDEFGH|");
	type("\001");
	row_is("(pmvm) |012345678901234567890>");
	for (unsigned i = 0; i < 19; i++)
		type("\006");
	row_is("(pmvm) <89012345678|901ABCDEF>");
	type("\005\177\177\177\177\177\177\177\177");
	row_is("(pmvm) 0123456789012345678901|");
}

static void enter_shows_all_of_a_wide_line(void **state)
{
	(void)state;
	rig_restart(30);
	type("0123456789012345678901234567890123456789\002\002");
	type("\r");
	assert_string_equal(terminal_row(&f.terminal, 0), "(pmvm) 01234567890123456789012");
	assert_string_equal(terminal_row(&f.terminal, 1), "34567890123456789");
	assert_int_equal(f.terminal.row, 2);
	row_is("(pmvm) |");
}

// Typed ahead, or sent by a program: there is no scrolling to see.
static void a_whole_line_is_echoed_as_it_is(void **state)
{
#define LINE "object_add memory-backend-file,id=mem1,share=on,mem-path=/var/lib/pmvm/image,size=4G"
	(void)state;
	type(LINE "\n");
	shown_is("(pmvm) " LINE "\r\n(pmvm) ");
#undef LINE
}

static void an_unknown_width_is_taken_as_80(void **state)
{
	static const unsigned odd[] = { 0, 1, 19, 1001, 65535 };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		rig_restart(80);
		f.columns = odd[i];
		type("\r");
		for (unsigned key = 0; key < 72; key++)
			type("x");
		assert_int_equal(f.terminal.column, 79);
		type("y");
		assert_int_equal(f.terminal.cells[f.terminal.row][7], '<');
	}
}

static void wide_characters_take_two_columns(void **state)
{
	(void)state;
	rig_restart(24);
	type("\345\255\227a\345\255\227\002");
	assert_string_equal(terminal_row(&f.terminal, 0), "(pmvm) \345\255\227a\345\255\227");
	assert_int_equal(f.terminal.column, 10);
	type("\177");
	assert_string_equal(terminal_row(&f.terminal, 0), "(pmvm) \345\255\227\345\255\227");
	for (unsigned i = 0; i < 12; i++)
		type("\343\201\202");
	for (unsigned i = 0; i < 15; i++)
		type("\002");
	for (unsigned i = 0; i < 15; i++)
		type("\006");
}

struct width {
	uint32_t ch;
	unsigned width;
};

static const struct width widths[] = {
	{ 'a', 1 },     { 0xa0, 1 },    { 0xe4, 1 },     { 0x3b1, 1 },   { 0x416, 1 },   { 0x5d0, 1 },   { 0x628, 1 },
	{ 0x2013, 1 },  { 0x20ac, 1 },  { 0x2192, 1 },   { 0x2500, 1 },  { 0xff61, 1 },  { 0xfffd, 1 },  { 0x1100, 2 },
	{ 0x3042, 2 },  { 0x4e2d, 2 },  { 0xac00, 2 },   { 0xff01, 2 },  { 0x1f600, 2 }, { 0x1f680, 2 }, { 0x20000, 2 },
	{ 0xad, 0 },    { 0x301, 0 },   { 0x5b0, 0 },    { 0x64b, 0 },   { 0x93e, 0 },   { 0x1160, 0 },  { 0x200b, 0 },
	{ 0x202e, 0 },  { 0x2028, 0 },  { 0x20dd, 0 },   { 0x3099, 0 },  { 0xfe0f, 0 },  { 0xfeff, 0 },  { 0xe000, 0 },
	{ 0x1f3fb, 0 }, { 0xe0001, 0 }, { 0x10ffff, 0 }, { 0x16fe4, 0 }, { 0x1d167, 0 }, { 0x2069, 0 },
};

static void a_character_has_its_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (utf8_width(widths[i].ch) != widths[i].width)
			fail_msg("U+%04X has %u columns", widths[i].ch, utf8_width(widths[i].ch));
}

// A mark that combines would go onto another character than the line says.
static void a_character_without_a_column_has_a_stand_in(void **state)
{
	(void)state;
	type("e\314\201\342\200\256x");
	assert_string_equal(terminal_row(&f.terminal, 0), "(pmvm) e\357\277\275\357\277\275x");
	type("\r");
	lines_are("e\314\201\342\200\256x\n");
}

// ---- random keys

static const char *const likely[] = {
	"a",
	"b",
	" ",
	",",
	"=",
	"x",
	"\303\274",
	"\342\202\254",
	"\345\255\227",
	"\360\237\230\200",
	"e\314\201",
	"\t",
	"dev\t",
	"\r",
	"\033[A",
	"\033[B",
	"\033[C",
	"\033[D",
	"\033[H",
	"\033[F",
	"\033OH",
	"\033[3~",
	"\001",
	"\002",
	"\005",
	"\006",
	"\004",
	"\b",
	"\177",
	"\013",
	"\025",
	"\027",
	"\031",
	"\024",
	"\020",
	"\016",
	"\014",
	"\022",
	"\033b",
	"\033f",
	"\033d",
	"\033\177",
	"\033",
	"\303",
	"words and words, to fill a row",
	"\033[1;5D",
	"\033[1;5C",
};

static unsigned pick(unsigned *seed, size_t count)
{
	return (unsigned)((unsigned)rand_r(seed) >> 4) % (unsigned)count;
}

static size_t random_keys(char *buf, unsigned *seed)
{
	size_t len = 0;

	for (unsigned n = pick(seed, 4) + 1; n > 0; n--) {
		if (pick(seed, 8) == 0) {
			buf[len++] = (char)pick(seed, 256);
		} else {
			const char *key = likely[pick(seed, sizeof(likely) / sizeof(likely[0]))];

			memcpy(buf + len, key, strlen(key));
			len += strlen(key);
		}
	}
	return len;
}

// The terminal shows the line, whatever is typed, in terminals of any width, and wherever the bytes are split.
static void the_screen_is_the_line(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		rig_restart(HMP_COLUMNS_MIN + pick(&seed, 100));
		for (unsigned i = 0; i < 400; i++) {
			char keys[256];
			size_t len = random_keys(keys, &seed), split = pick(&seed, len + 1);

			type_bytes(keys, split);
			type_bytes(keys + split, len - split);
			f.nlines = f.nshown = 0;
		}
		type("\r\r");
		f.nlines = 0;
		type("abc\r");
		lines_are("abc\n");
	}
}

// The same near the longest line.
static void the_screen_is_the_longest_line(void **state)
{
	char text[HMP_LINE_MAX];
	unsigned seed = 2;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		rig_restart(HMP_COLUMNS_MIN + pick(&seed, 100));
		memset(text, 'x', sizeof(text));
		for (unsigned i = 0; i < 200; i++) {
			char keys[256];

			if (f.edit->line.len < HMP_LINE_MAX / 2)
				type_bytes(text, HMP_LINE_MAX - 50);
			type_bytes(keys, random_keys(keys, &seed));
			f.nlines = f.nshown = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_typed_is_echoed, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_key_is_shown_by_what_it_changes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(tab_shows_what_it_completed, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_bell_comes_before_the_end_of_the_line, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(tab_within_a_line_keeps_what_follows, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_screen_is_cleared_and_a_row_drawn_again, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_prompt_begins_a_line, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_wide_line_scrolls, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(enter_shows_all_of_a_wide_line, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_whole_line_is_echoed_as_it_is, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(an_unknown_width_is_taken_as_80, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(wide_characters_take_two_columns, rig_setup, rig_teardown),
		cmocka_unit_test(a_character_has_its_columns),
		cmocka_unit_test_setup_teardown(a_character_without_a_column_has_a_stand_in, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_screen_is_the_line, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_screen_is_the_longest_line, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("hmp_edit_screen", tests, NULL, NULL);
}
