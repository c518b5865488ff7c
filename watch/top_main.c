// SPDX-License-Identifier: Apache-2.0
// pmvm-top: a live view of machines, or once as text or JSON.
#include "error.h"
#include "machines.h"
#include "suggest.h"
#include "top_json.h"
#include "top_lines.h"
#include "top_screen.h"
#include "watch_options.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "pmvm-top"
#define INTERVAL_MS 2000u
#define ROWS 64u

static const char help[] = "usage: " PROGRAM " [OPTION...]\n"
			   "A live view of pmvm machines and their persistent memory.\n\n"
			   "  --once                 print it once, with the rates of one interval\n"
			   "  --json                 the same as JSON\n"
			   "  --interval SECONDS     between samples; by default 2\n"
			   "  --sort KEY             name, flushes, latency, errors, resident or cpu\n"
			   "  --reverse              the other way round\n"
			   "  --filter TEXT          only machines and devices with it in their names\n" WATCH_HELP;

struct program {
	struct machines machines;
	struct top_order order;
	unsigned interval_ms;
	bool once, json;
};

static unsigned width_of_output(void)
{
	const char *columns = getenv("COLUMNS");
	unsigned width = columns ? (unsigned)strtoul(columns, NULL, 10) : 0;
	struct winsize size;

	if (width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width < TOP_WIDTH_MIN)
		return TOP_WIDTH_MIN;
	return width < TOP_WIDTH_MAX ? width : TOP_WIDTH_MAX;
}

static void print_text(const struct top_view *view)
{
	unsigned width = width_of_output(), total, n;
	char line[TOP_WIDTH_MAX + 1];
	struct top_row rows[ROWS];

	top_title(width, line);
	printf("%s\n", line);
	for (unsigned first = 0; (n = top_rows(view, first, rows, ROWS, &total)) > 0; first += n) {
		for (unsigned i = 0; i < n; i++) {
			top_line(&rows[i], width, line);
			printf("%s\n", line);
		}
	}
}

static void print_json(const struct top_view *view)
{
	struct json_object *obj = top_json(view);

	printf("%s\n", json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY));
	json_object_put(obj);
}

static int print_once(struct program *p, struct vpmem_error *err)
{
	const struct timespec pause = { .tv_sec = p->interval_ms / 1000, .tv_nsec = p->interval_ms % 1000 * 1000000L };
	struct top_view *view;

	machines_sample(&p->machines);
	nanosleep(&pause, NULL);
	machines_sample(&p->machines);
	view = top_view_create(&p->machines);
	if (!view)
		return error_set(err, -ENOMEM, "out of memory");
	top_view_arrange(view, &p->order);
	if (p->json)
		print_json(view);
	else
		print_text(view);
	top_view_free(view);
	if (p->machines.directory_error[0])
		fprintf(stderr, PROGRAM ": %s\n", p->machines.directory_error);
	return fflush(stdout) == 0 ? 0 : error_set(err, -EIO, "cannot write to standard output");
}

static int parse_key(struct top_order *order, const char *arg, struct vpmem_error *err)
{
	struct suggest near = { .word = arg };

	for (unsigned key = 0; key < NTOP_KEYS; key++) {
		suggest_offer(&near, top_key_names[key]);
		order->key = (enum top_key)key;
		if (strcmp(top_key_names[key], arg) == 0)
			return 0;
	}
	error_set(err, -EINVAL, "--sort: '%.100s' is no key", arg);
	if (near.best)
		error_hint(err, "did you mean %s?", near.best);
	else
		error_hint(err, "name, flushes, latency, errors, resident or cpu");
	return -EINVAL;
}

static int parse_option(struct program *p, int letter, const char *arg, struct vpmem_error *err)
{
	switch (letter) {
	case 'o':
		p->once = true;
		return 0;
	case 'j':
		p->json = true;
		return 0;
	case 'r':
		p->order.is_reversed = true;
		return 0;
	case 'i':
		return watch_seconds("interval", arg, &p->interval_ms, err);
	case 's':
		return parse_key(&p->order, arg, err);
	case 'f':
		if (strlen(arg) >= sizeof(p->order.filter))
			return error_set(err, -EINVAL, "--filter: more than %zu bytes", sizeof(p->order.filter) - 1);
		snprintf(p->order.filter, sizeof(p->order.filter), "%s", arg);
		return 0;
	default:
		return watch_option(&p->machines, letter, arg, err);
	}
}

static int parse(struct program *p, int argc, char **argv, struct vpmem_error *err)
{
	static const struct option options[] = { { "once", no_argument, NULL, 'o' },
		                                 { "json", no_argument, NULL, 'j' },
		                                 { "interval", required_argument, NULL, 'i' },
		                                 { "sort", required_argument, NULL, 's' },
		                                 { "reverse", no_argument, NULL, 'r' },
		                                 { "filter", required_argument, NULL, 'f' },
		                                 WATCH_OPTIONS,
		                                 { 0 } };
	int rc = 0;

	for (int letter; rc == 0 && (letter = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		if (letter == '?')
			return error_set(err, -EINVAL, "see " PROGRAM " --help");
		if (letter == 'h' || letter == 'V') {
			printf("%s", letter == 'h' ? help : PROGRAM " " VPMEM_VERSION "\n");
			exit(EXIT_SUCCESS);
		}
		rc = parse_option(p, letter, optarg, err);
	}
	if (rc == 0 && optind < argc)
		return error_set(err, -EINVAL, "'%s' is no option; see " PROGRAM " --help", argv[optind]);
	watch_defaults(&p->machines);
	return rc;
}

int main(int argc, char **argv)
{
	struct program p = { .interval_ms = INTERVAL_MS };
	struct vpmem_error err = { 0 };
	int rc = parse(&p, argc, argv, &err);

	if (rc == 0)
		rc = p.once || p.json ? print_once(&p, &err) :
		                        top_screen_run(&p.machines, p.interval_ms, &p.order, &err);
	if (rc < 0)
		watch_complain(PROGRAM, &err);
	machines_free(&p.machines);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
