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
	(void)owner;
	if (f.nshown + len < sizeof(f.shown)) {
		memcpy(f.shown + f.nshown, buf, len);
		f.nshown += len;
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

const struct hmp_edit_client rig_client = { .write = on_write, .line = on_line, .complete = on_complete };

int rig_setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	// What libedit has to say about it is not for the client.
	setenv("TERM", "no-such-terminal", 1);
	f.edit = hmp_edit_create("(pmvm) ", &rig_client, false);
	assert_non_null(f.edit);
	hmp_edit_prompt(f.edit);
	return 0;
}

int rig_teardown(void **state)
{
	(void)state;
	hmp_edit_destroy(f.edit);
	return 0;
}

void type(const char *text)
{
	hmp_edit_feed(f.edit, (const uint8_t *)text, strlen(text));
}

void type_slowly(const char *text)
{
	for (; *text; text++)
		hmp_edit_feed(f.edit, (const uint8_t *)text, 1);
}

void lines_are(const char *want)
{
	assert_string_equal(f.lines, want);
	f.nlines = 0;
	f.lines[0] = '\0';
}

void shown_is(const char *want)
{
	f.shown[f.nshown] = '\0';
	assert_string_equal(f.shown, want);
	f.nshown = 0;
}

void garbage_does_no_harm(void **state)
{
	static const char likely[] = "\t\t\r\033[AB\031\025\001\005\b\177\024\027\004 device_add\303\274";
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t byte = (uint8_t)(rand_r(&seed) >> 7);

		if (rand_r(&seed) & 64)
			byte = (uint8_t)likely[(unsigned)rand_r(&seed) % (sizeof(likely) - 1)];
		hmp_edit_feed(f.edit, &byte, 1);
		f.nlines = f.nshown = 0;
	}
	type("\r\r");
	f.nlines = 0;
	type("abc\r");
	lines_are("abc\n");
}
