// SPDX-License-Identifier: Apache-2.0
// The live view on a terminal.
#include "top_screen.h"

#include "error.h"
#include "top_lines.h"
#include "top_sampler.h"

#include <curses.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

#define POLL_MS 100 /* until a new sample is noticed */
#define ROWS_MAX 512u
#define ESCAPE 27

static const char keys[] = "q quit  / filter  r reverse  sort: n name f flushes l latency e errors m resident c cpu";
static const char sort_letters[NTOP_KEYS + 1] = "nflemc";

struct screen {
	SCREEN *terminal;
	struct top_sampler sampler;
	struct top_view *view; /* NULL: no sample yet */
	struct top_order order;
	bool is_editing;               /* the filter */
	char old[TOP_FILTER_SIZE];     /* the filter before that */
	unsigned first, nrows, ntotal; /* of the rows: the first one on the screen, how many are, and all */
	bool has_colors;
};

static unsigned width_of_screen(void)
{
	return COLS < (int)TOP_WIDTH_MAX ? (unsigned)COLS : TOP_WIDTH_MAX;
}

/* Never in the last column of the last line, where a terminal may scroll. */
static void show(int y, int attributes, const char *line)
{
	attron(attributes);
	mvaddnstr(y, 0, line, y == LINES - 1 ? COLS - 1 : COLS);
	attroff(attributes);
}

static void draw_head(const struct screen *s)
{
	char line[TOP_WIDTH_MAX + 1], buf[TOP_WIDTH_MAX + 1];

	if (s->view)
		snprintf(line, sizeof(line), "pmvm-top  %u of %u machines up  sort: %s%s%s%s", s->view->nup, s->view->n,
		         top_key_names[s->order.key], s->order.is_reversed ? " (reversed)" : "",
		         *s->order.filter ? "  filter: " : "", s->order.filter);
	else
		snprintf(line, sizeof(line), "pmvm-top  asks the machines");
	show(0, A_BOLD, line);
	top_title(width_of_screen(), buf);
	show(1, A_REVERSE, buf);
}

static void draw_rows(struct screen *s)
{
	unsigned room = LINES > 3 ? (unsigned)LINES - 3 : 0;
	struct top_row rows[ROWS_MAX];
	char line[TOP_WIDTH_MAX + 1];

	if (room > ROWS_MAX)
		room = ROWS_MAX;
	s->nrows = s->ntotal = 0;
	if (!s->view)
		return;
	s->nrows = top_rows(s->view, s->first, rows, room, &s->ntotal);
	if (s->first > 0 && s->first + room > s->ntotal) {
		s->first = s->ntotal > room ? s->ntotal - room : 0;
		s->nrows = top_rows(s->view, s->first, rows, room, &s->ntotal);
	}
	for (unsigned i = 0; i < s->nrows; i++) {
		int attributes = rows[i].device ? A_NORMAL : A_BOLD;

		if (top_row_is_bad(&rows[i]))
			attributes = s->has_colors ? COLOR_PAIR(1) | A_BOLD : A_STANDOUT;
		top_line(&rows[i], width_of_screen(), line);
		show((int)i + 2, attributes, line);
	}
}

static void draw(struct screen *s)
{
	char line[TOP_FILTER_SIZE + 16];

	erase();
	draw_head(s);
	draw_rows(s);
	if (s->is_editing) {
		snprintf(line, sizeof(line), "filter: %s", s->order.filter);
		show(LINES - 1, A_BOLD, line);
	} else {
		show(LINES - 1, A_NORMAL, keys);
	}
	curs_set(s->is_editing);
	refresh();
}

static void arrange(struct screen *s)
{
	if (s->view)
		top_view_arrange(s->view, &s->order);
}

static void edit(struct screen *s, int key)
{
	size_t len = strlen(s->order.filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		s->is_editing = false;
	} else if (key == ESCAPE) {
		s->is_editing = false;
		memcpy(s->order.filter, s->old, sizeof(s->old));
	} else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && len > 0) {
		s->order.filter[len - 1] = '\0';
	} else if (key >= ' ' && key <= '~' && len < sizeof(s->order.filter) - 1) {
		s->order.filter[len] = (char)key;
		s->order.filter[len + 1] = '\0';
	}
	arrange(s);
}

static void scroll_by(struct screen *s, int rows)
{
	if (rows < 0 && s->first < (unsigned)-rows)
		s->first = 0;
	else if (rows < 0 || s->first + s->nrows < s->ntotal)
		s->first += (unsigned)rows;
}

/* False: the user quits. */
static bool command(struct screen *s, int key)
{
	const char *letter = key > 0 && key < 128 ? strchr(sort_letters, key) : NULL;

	if (key == 'q' || key == 'Q')
		return false;
	if (letter && *letter)
		s->order.key = (enum top_key)(letter - sort_letters);
	else if (key == 'r')
		s->order.is_reversed = !s->order.is_reversed;
	else if (key == ' ')
		top_sampler_hurry(&s->sampler);
	else if (key == KEY_UP || key == 'k')
		scroll_by(s, -1);
	else if (key == KEY_DOWN || key == 'j')
		scroll_by(s, 1);
	else if (key == KEY_PPAGE)
		scroll_by(s, -(int)s->nrows);
	else if (key == KEY_NPAGE)
		scroll_by(s, (int)s->nrows);
	else if (key == KEY_HOME)
		s->first = 0;
	if (key == '/') {
		s->is_editing = true;
		memcpy(s->old, s->order.filter, sizeof(s->old));
	}
	arrange(s);
	return true;
}

/* A terminal that is gone reads as ERR at once: then nobody is there to quit. */
static bool has_terminal(void)
{
	return isatty(STDIN_FILENO);
}

static void loop(struct screen *s)
{
	for (bool goes_on = true; goes_on;) {
		struct top_view *view = top_sampler_take(&s->sampler);
		int key;

		if (view) {
			top_view_free(s->view);
			s->view = view;
			arrange(s);
		}
		draw(s);
		key = getch();
		if (key == ERR)
			goes_on = has_terminal();
		else if (key == KEY_RESIZE)
			clearok(stdscr, TRUE);
		else if (s->is_editing)
			edit(s, key);
		else
			goes_on = command(s, key);
	}
}

static int open_terminal(struct screen *s, struct vpmem_error *err)
{
	const char *term = getenv("TERM");
	int rc;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		error_set(err, -ENOTTY, "standard input and output are no terminal");
		error_hint(err, "--once prints the view one time");
		return -ENOTTY;
	}
	// initscr would end the program by itself, and newterm leaves memory behind where it fails.
	if (setupterm(NULL, STDOUT_FILENO, &rc) == OK) {
		del_curterm(cur_term);
		s->terminal = newterm(NULL, stdout, stdin);
	}
	if (!s->terminal) {
		error_set(err, -ENOTTY, "unknown kind of terminal: TERM is '%s'", term ? term : "");
		error_hint(err, "--once prints the view one time");
		return -ENOTTY;
	}
	set_escdelay(25);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	timeout(POLL_MS);
	s->has_colors = has_colors() && start_color() == OK && use_default_colors() == OK &&
	                init_pair(1, COLOR_RED, -1) == OK;
	return 0;
}

int top_screen_run(struct machines *machines, unsigned interval_ms, const struct top_order *order,
                   struct vpmem_error *err)
{
	struct screen s = { .order = *order };
	int rc = open_terminal(&s, err);

	if (rc < 0)
		return rc;
	rc = top_sampler_start(&s.sampler, machines, interval_ms);
	if (rc == 0) {
		loop(&s);
		endwin();
		top_sampler_stop(&s.sampler);
	} else {
		endwin();
		error_set(err, rc, "cannot start a thread: %s", strerror(-rc));
	}
	delscreen(s.terminal);
	top_view_free(s.view);
	return rc;
}
