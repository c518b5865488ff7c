// SPDX-License-Identifier: Apache-2.0
// libedit over no terminal: its input is a key at a time, its output goes to the client.
#include "hmp_edit_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HISTORY_LINES 100
#define COLUMNS 80
/* More than a line can fill, also one that a yank has just made too long: libedit never scrolls. */
#define ROWS 160

void hmp_edit_put(struct hmp_edit *edit, const char *buf, size_t len)
{
	if (!edit->muted && len > 0)
		edit->client.write(edit->client.owner, buf, len);
}

// libedit leaves it to the terminal to make a carriage return of each line feed; there is none between.
static ssize_t on_write(void *cookie, const char *buf, size_t len)
{
	struct hmp_edit *edit = cookie;
	size_t start = 0;

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
	if (edit->key == KEY_NONE)
		return 0;
	*out = edit->key;
	edit->key = KEY_NONE;
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
	static const struct { const char *key, *command; } bindings[] = {
		{ "^A", "ed-move-to-beg" }, { "^B", "ed-prev-char" }, { "^D", "ed-delete-next-char" },
		{ "^E", "ed-move-to-end" }, { "^F", "ed-next-char" }, { "^H", "em-delete-prev-char" },
		{ "^I", "pmvm-complete" }, { "^K", "ed-kill-line" }, { "^L", "ed-clear-screen" },
		{ "^M", "ed-newline" }, { "^N", "ed-next-history" }, { "^P", "ed-prev-history" },
		{ "^R", "ed-redisplay" }, { "^T", "ed-transpose-chars" }, { "^U", "em-kill-line" },
		{ "^W", "ed-delete-prev-word" }, { "^Y", "em-yank" }, { "\\034", "ed-prev-word" },
		{ "\\035", "em-next-word" }, { "\\036", "em-delete-next-word" },
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
void hmp_edit_set_size(struct hmp_edit *edit)
{
	struct winsize size = { .ws_row = ROWS, .ws_col = COLUMNS }, real;

	if (edit->is_stdio && ioctl(STDOUT_FILENO, TIOCGWINSZ, &real) == 0 && real.ws_col >= 20 && real.ws_col <= 1000)
		size.ws_col = real.ws_col;
	if (size.ws_col == edit->columns)
		return;
	edit->columns = size.ws_col;
	ioctl(edit->tty_fd, TIOCSWINSZ, &size);
	if (edit->el)
		el_resize(edit->el);
}

static int open_pty(struct hmp_edit *edit)
{
	char path[64];

	edit->pty_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (edit->pty_fd < 0 || grantpt(edit->pty_fd) < 0 || unlockpt(edit->pty_fd) < 0 ||
	    ptsname_r(edit->pty_fd, path, sizeof(path)) != 0)
		return -1;
	edit->tty_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (edit->tty_fd < 0)
		return -1;
	hmp_edit_set_size(edit);
	return 0;
}

// libedit complains on its output about a type that it does not find: nobody shall see that.
static void set_terminal(struct hmp_edit *edit)
{
	const char *const types[] = {
		edit->is_stdio && isatty(STDOUT_FILENO) ? getenv("TERM") : NULL, "xterm", "vt100", "ansi", "dumb",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] && el_set(edit->el, EL_TERMINAL, types[i]) == 0)
			break;
}

int hmp_edit_open(struct hmp_edit *edit)
{
	const cookie_io_functions_t functions = { .write = on_write };
	HistEvent event;

	if (open_pty(edit) < 0)
		return -1;
	edit->out = fopencookie(edit, "w", functions);
	edit->history = history_init();
	if (!edit->out || !edit->history)
		return -1;
	edit->el = el_init_fd("pmvm", edit->out, edit->out, edit->out, edit->tty_fd, edit->tty_fd, edit->tty_fd);
	if (!edit->el)
		return -1;
	history(edit->history, &event, H_SETSIZE, HISTORY_LINES);
	history(edit->history, &event, H_SETUNIQUE, 1);
	el_set(edit->el, EL_CLIENTDATA, edit);
	set_terminal(edit);
	el_set(edit->el, EL_SIGNAL, 0);
	el_set(edit->el, EL_EDITOR, "emacs");
	el_set(edit->el, EL_HIST, history, edit->history);
	el_set(edit->el, EL_PROMPT, on_prompt);
	el_wset(edit->el, EL_GETCFN, on_getc);
	// Not el_set, which loses the copies that it makes of the two.
	el_wset(edit->el, EL_ADDFN, L"pmvm-complete", L"complete the word before the cursor", hmp_edit_on_tab);
	bind_keys(edit->el);
	return 0;
}

void hmp_edit_close(struct hmp_edit *edit)
{
	edit->muted = true;
	if (edit->el) {
		// libtinfo keeps a string for each buffer that tgetent was given, and loses it when that buffer goes; in the same
		// buffer, a type that needs no such string has it freed.
		el_set(edit->el, EL_TERMINAL, "none");
		el_end(edit->el);
	}
	if (edit->history)
		history_end(edit->history);
	if (edit->out)
		fclose(edit->out);
	if (edit->tty_fd >= 0)
		close(edit->tty_fd);
	if (edit->pty_fd >= 0)
		close(edit->pty_fd);
	edit->el = NULL;
	edit->history = NULL;
	edit->out = NULL;
	edit->tty_fd = edit->pty_fd = -1;
}

