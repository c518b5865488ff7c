// SPDX-License-Identifier: Apache-2.0
#include "hmp_edit_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct hmp_edit_rig f;

static void on_write(void *owner, const char *buf, size_t len)
{
	const char *fault = terminal_write(&f.terminal, buf, len);

	(void)owner;
	if (fault)
		fail_msg("%s in the output '%.*s'", fault, (int)len, buf);
	if (f.nshown + len < sizeof(f.shown)) {
		memcpy(f.shown + f.nshown, buf, len);
		f.nshown += len;
		f.shown[f.nshown] = '\0';
	}
}

static void on_line(void *owner, const char *line)
{
	(void)owner;
	f.nlines += (size_t)snprintf(f.lines + f.nlines, sizeof(f.lines) - f.nlines, "%s\n", line ? line : "TOO LONG");
	assert_true(f.nlines < sizeof(f.lines));
}

static void on_complete(void *owner, const char *text, struct hmp_edit *edit)
{
	const char *last = strrchr(text, ' ');
	size_t off = last ? (size_t)(last + 1 - text) : 0;

	(void)owner;
	hmp_edit_offer(edit, off, "device_add", " ");
	hmp_edit_offer(edit, off, "device_del", " ");
	hmp_edit_offer(edit, off, "quit", " ");
}

static unsigned on_columns(void *owner)
{
	(void)owner;
	return f.columns;
}

const struct hmp_edit_client rig_client = {
	.write = on_write,
	.line = on_line,
	.complete = on_complete,
	.columns = on_columns,
};

static void start(unsigned columns)
{
	memset(&f, 0, sizeof(f));
	terminal_init(&f.terminal, columns);
	f.edit = hmp_edit_create("(pmvm) ", &rig_client);
	assert_non_null(f.edit);
}

int rig_setup(void **state)
{
	(void)state;
	start(80);
	hmp_edit_prompt(f.edit);
	return 0;
}

int rig_teardown(void **state)
{
	(void)state;
	hmp_edit_destroy(f.edit);
	return 0;
}

void rig_restart(unsigned columns)
{
	hmp_edit_destroy(f.edit);
	start(columns);
	f.columns = columns;
	hmp_edit_prompt(f.edit);
}

void type_bytes(const void *bytes, size_t len)
{
	const char *fault;

	hmp_edit_feed(f.edit, bytes, len);
	fault = terminal_compare(&f.terminal, f.edit);
	if (fault)
		fail_msg("%s: after '%.*s' the row is '%s', column %u; the line is '%s', cursor %zu", fault, (int)len,
		         (const char *)bytes, terminal_row(&f.terminal, f.terminal.row), f.terminal.column,
		         f.edit->line.text, f.edit->line.cursor);
}

void type(const char *text)
{
	type_bytes(text, strlen(text));
}

void type_slowly(const char *text)
{
	for (; *text; text++)
		type_bytes(text, 1);
}

void lines_are(const char *want)
{
	assert_string_equal(f.lines, want);
	f.nlines = 0;
	f.lines[0] = '\0';
}

void shown_is(const char *want)
{
	assert_string_equal(f.shown, want);
	f.nshown = 0;
	f.shown[0] = '\0';
}

void row_is(const char *want)
{
	const char *mark = strchr(want, '|');
	char text[TERMINAL_COLUMNS_MAX * 4 + 1];

	assert_non_null(mark);
	snprintf(text, sizeof(text), "%.*s%s", (int)(mark - want), want, mark + 1);
	for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--)
		text[len - 1] = '\0';
	assert_string_equal(terminal_row(&f.terminal, f.terminal.row), text);
	// For text of one column each.
	assert_int_equal(f.terminal.column, mark - want);
}
