// SPDX-License-Identifier: Apache-2.0
// libedit over no terminal: its input is a key at a time, its output goes to the client.
#include "hmp_edit_internal.h"

#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HISTORY_LINES 100
#define COLUMNS 80
/* More than a line can fill, also one that a yank has just made too long: libedit never scrolls. */
#define ROWS 160

struct libedit {
	EditLine *el;
	History *history;
	FILE *out;
	int pty_fd, tty_fd;
	locale_t utf8;
	wchar_t key;            /* what libedit reads next; KEY_NONE: nothing */
	unsigned short columns; /* of the pseudo-terminal */
	bool muted;             /* what libedit prints is not for the client */
	bool begun;             /* a line */
};

// libedit asks the locale how to write a character; only this thread's, and only for this long.
static locale_t enter(const struct libedit *lib)
{
	return lib->utf8 ? uselocale(lib->utf8) : (locale_t)0;
}

static void leave(locale_t before)
{
	if (before)
		uselocale(before);
}

// ---- libedit's input and output

// libedit leaves it to the terminal to make a carriage return of each line feed; there is none between.
static ssize_t on_write(void *cookie, const char *buf, size_t len)
{
	struct hmp_edit *edit = cookie;
	size_t start = 0;

	if (edit->libedit->muted)
		return (ssize_t)len;
	for (size_t i = 0; i < len; i++) {
		if (buf[i] != '\n')
			continue;
		hmp_edit_put(edit, buf + start, i - start);
		hmp_edit_put(edit, "\r\n", 2);
		start = i + 1;
	}
	hmp_edit_put(edit, buf + start, len - start);
	return (ssize_t)len;
}

static int on_getc(EditLine *el, wchar_t *out)
{
	struct hmp_edit *edit;

	el_get(el, EL_CLIENTDATA, &edit);
	if (edit->libedit->key == KEY_NONE)
		return 0;
	*out = edit->libedit->key;
	edit->libedit->key = KEY_NONE;
	return 1;
}

static char *on_prompt(EditLine *el)
{
	struct hmp_edit *edit;

	el_get(el, EL_CLIENTDATA, &edit);
	return (char *)edit->prompt;
}

static void bind_keys(EditLine *el)
{
	static const struct {
		const char *key, *command;
	} bindings[] = {
		{ "^A", "ed-move-to-beg" },
		{ "^B", "ed-prev-char" },
		{ "^D", "ed-delete-next-char" },
		{ "^E", "ed-move-to-end" },
		{ "^F", "ed-next-char" },
		{ "^H", "em-delete-prev-char" },
		{ "^I", "pmvm-complete" },
		{ "^K", "ed-kill-line" },
		{ "^L", "ed-clear-screen" },
		{ "^M", "ed-newline" },
		{ "^N", "ed-next-history" },
		{ "^P", "ed-prev-history" },
		{ "^R", "ed-redisplay" },
		{ "^T", "ed-transpose-chars" },
		{ "^U", "em-kill-line" },
		{ "^W", "ed-delete-prev-word" },
		{ "^Y", "em-yank" },
		{ "\\034", "ed-prev-word" },
		{ "\\035", "em-next-word" },
		{ "\\036", "em-delete-next-word" },
		{ "\\037", "ed-delete-prev-word" },
	};

	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++)
		el_set(el, EL_BIND, bindings[i].key, bindings[i].command, NULL);
	// Latin letters with accents are characters, whatever the locale of the program says about them.
	for (wchar_t ch = 0xa0; ch <= 0xff; ch++) {
		wchar_t key[2] = { ch, L'\0' };

		el_wset(el, EL_BIND, key, L"ed-insert", NULL);
	}
}

// A person's terminal has a size, which may change; of a socket's nothing is known.
static void set_size(struct hmp_edit *edit)
{
	struct libedit *lib = edit->libedit;
	struct winsize size = { .ws_row = ROWS, .ws_col = COLUMNS }, real;

	if (edit->is_stdio && ioctl(STDOUT_FILENO, TIOCGWINSZ, &real) == 0 && real.ws_col >= 20 && real.ws_col <= 1000)
		size.ws_col = real.ws_col;
	if (size.ws_col == lib->columns)
		return;
	lib->columns = size.ws_col;
	ioctl(lib->tty_fd, TIOCSWINSZ, &size);
	if (lib->el)
		el_resize(lib->el);
}

static int open_pty(struct hmp_edit *edit)
{
	struct libedit *lib = edit->libedit;
	char path[64];

	lib->pty_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (lib->pty_fd < 0 || grantpt(lib->pty_fd) < 0 || unlockpt(lib->pty_fd) < 0 ||
	    ptsname_r(lib->pty_fd, path, sizeof(path)) != 0)
		return -1;
	lib->tty_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (lib->tty_fd < 0)
		return -1;
	set_size(edit);
	return 0;
}

// libedit complains on its output about a type that it does not find: nobody shall see that.
static void set_terminal(struct hmp_edit *edit)
{
	const char *const types[] = {
		edit->is_stdio && isatty(STDOUT_FILENO) ? getenv("TERM") : NULL, "xterm", "vt100", "ansi", "dumb",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] && el_set(edit->libedit->el, EL_TERMINAL, types[i]) == 0)
			break;
}

static unsigned char on_tab(EditLine *el, wint_t ch);

static int open_libedit(struct hmp_edit *edit)
{
	const cookie_io_functions_t functions = { .write = on_write };
	struct libedit *lib = edit->libedit;
	HistEvent event;

	if (open_pty(edit) < 0)
		return -1;
	lib->out = fopencookie(edit, "w", functions);
	lib->history = history_init();
	if (!lib->out || !lib->history)
		return -1;
	lib->el = el_init_fd("pmvm", lib->out, lib->out, lib->out, lib->tty_fd, lib->tty_fd, lib->tty_fd);
	if (!lib->el)
		return -1;
	history(lib->history, &event, H_SETSIZE, HISTORY_LINES);
	history(lib->history, &event, H_SETUNIQUE, 1);
	el_set(lib->el, EL_CLIENTDATA, edit);
	set_terminal(edit);
	el_set(lib->el, EL_SIGNAL, 0);
	el_set(lib->el, EL_EDITOR, "emacs");
	el_set(lib->el, EL_HIST, history, lib->history);
	el_set(lib->el, EL_PROMPT, on_prompt);
	el_wset(lib->el, EL_GETCFN, on_getc);
	// Not el_set, which loses the copies that it makes of the two.
	el_wset(lib->el, EL_ADDFN, L"pmvm-complete", L"complete the word before the cursor", on_tab);
	bind_keys(lib->el);
	fflush(lib->out);
	return 0;
}

static void close_libedit(struct libedit *lib)
{
	lib->muted = true;
	if (lib->el) {
		// libtinfo keeps a string for each buffer that tgetent was given, and loses it when that buffer goes; in the same
		// buffer, a type that needs no such string has it freed.
		el_set(lib->el, EL_TERMINAL, "none");
		el_end(lib->el);
	}
	if (lib->history)
		history_end(lib->history);
	if (lib->out)
		fclose(lib->out);
	if (lib->tty_fd >= 0)
		close(lib->tty_fd);
	if (lib->pty_fd >= 0)
		close(lib->pty_fd);
}

// ---- lines

// Makes [from, to) edit->line. Returns false if it does not fit.
static bool take_text(struct hmp_edit *edit, const wchar_t *from, const wchar_t *to)
{
	edit->len = 0;
	edit->line[0] = '\0';
	for (; from < to; from++)
		if (!hmp_edit_append(edit, *from))
			return false;
	return true;
}

static bool insert_offer(struct hmp_edit *edit, const char *text)
{
	return el_insertstr(edit->libedit->el, text) == 0;
}

static void list_offer(struct hmp_edit *edit, const char *word)
{
	fprintf(edit->libedit->out, "\n%s", word);
}

static unsigned char on_tab(EditLine *el, wint_t ch)
{
	struct hmp_edit *edit;
	const LineInfoW *info;

	(void)ch;
	el_get(el, EL_CLIENTDATA, &edit);
	info = el_wline(el);
	if (!take_text(edit, info->buffer, info->cursor))
		return CC_ERROR;
	switch (hmp_edit_complete(edit, insert_offer, list_offer)) {
	case HMP_TAB_INSERTED:
		return CC_REFRESH;
	case HMP_TAB_LISTED:
		fputc('\n', edit->libedit->out);
		// What is on the screen is not what libedit thinks: it draws the line anew.
		el_set(el, EL_REFRESH);
		return CC_NORM;
	case HMP_TAB_NOTHING:
		break;
	}
	return CC_ERROR;
}

// libedit prepares a line when its mode changes, and shows the prompt.
static void libedit_begin(struct hmp_edit *edit)
{
	struct libedit *lib = edit->libedit;
	locale_t before = enter(lib);

	if (lib->begun)
		el_set(lib->el, EL_UNBUFFERED, 0);
	set_size(edit);
	el_set(lib->el, EL_UNBUFFERED, 1);
	lib->begun = true;
	leave(before);
}

static void end_line(struct hmp_edit *edit)
{
	struct libedit *lib = edit->libedit;
	const LineInfoW *info = el_wline(lib->el);
	const wchar_t *end = info->lastchar;
	HistEvent event;
	bool fits;

	while (end > info->buffer && end[-1] == L'\n')
		end--;
	fits = take_text(edit, info->buffer, end) && !edit->too_long;
	el_set(lib->el, EL_UNBUFFERED, 0);
	lib->begun = false;
	fflush(lib->out);
	if (fits && edit->line[strspn(edit->line, " \t")])
		history(lib->history, &event, H_ENTER, edit->line);
	hmp_edit_end_line(edit, fits);
}

static void libedit_key(struct hmp_edit *edit, wchar_t key)
{
	struct libedit *lib = edit->libedit;
	const LineInfoW *info = el_wline(lib->el);
	locale_t before;
	int len;

	if (info->lastchar - info->buffer > HMP_LINE_MAX)
		edit->too_long = true;
	if (edit->too_long && key != KEY_ENTER)
		return;
	before = enter(lib);
	lib->key = key;
	el_wgets(lib->el, &len);
	if (key == KEY_ENTER)
		end_line(edit);
	leave(before);
}

static void libedit_flush(struct hmp_edit *edit)
{
	fflush(edit->libedit->out);
}

static void libedit_close(struct hmp_edit *edit)
{
	struct libedit *lib = edit->libedit;
	locale_t before = enter(lib);

	close_libedit(lib);
	leave(before);
	if (lib->utf8)
		freelocale(lib->utf8);
	free(lib);
	edit->libedit = NULL;
}

static const struct hmp_editor libedit_editor = {
	.begin = libedit_begin,
	.key = libedit_key,
	.flush = libedit_flush,
	.close = libedit_close,
};

const struct hmp_editor *hmp_edit_libedit_open(struct hmp_edit *edit)
{
	struct libedit *lib = calloc(1, sizeof(*lib));
	locale_t before;
	int rc;

	if (!lib)
		return NULL;
	edit->libedit = lib;
	lib->pty_fd = lib->tty_fd = -1;
	lib->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	lib->muted = true;
	before = enter(lib);
	rc = open_libedit(edit);
	leave(before);
	lib->muted = false;
	if (rc == 0)
		return &libedit_editor;
	libedit_close(edit);
	return NULL;
}
