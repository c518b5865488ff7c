// SPDX-License-Identifier: Apache-2.0
// pmvm-metrics: the metrics of machines over HTTP, in a file, or once on standard output.
#include "error.h"
#include "machines.h"
#include "metrics.h"
#include "metrics_http.h"
#include "monotonic.h"
#include "textfile.h"
#include "watch_options.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define PROGRAM "pmvm-metrics"
#define FRESH_MS 1000u /* a sample is used again for so long: clients cannot make machines answer all the time */

static const char help[] =
	"usage: " PROGRAM " [OPTION...]\n"
	"Metrics of pmvm machines for Prometheus. Without --listen and --textfile, prints them once.\n\n"
	"  --listen ADDRESS       serve GET /metrics on unix:PATH, HOST:PORT, [IPV6]:PORT or :PORT\n"
	"  --textfile PATH        write them to PATH, for the textfile collector of node-exporter\n"
	"  --interval SECONDS     write the file again and again; otherwise it is written once\n"
	"  --openmetrics          print OpenMetrics instead of Prometheus's older format\n" WATCH_HELP;

struct program {
	const char *listen, *textfile;
	unsigned interval_ms; /* 0: once */
	bool openmetrics;
	pthread_mutex_t lock; /* guards machines: the server's thread and main both sample */
	struct machines machines;
	uint64_t sampled_ms; /* 0: not yet */
};

/* Once for each time that a machine goes down: the metrics only have that it is. */
static void report_down(const struct machines *machines)
{
	for (unsigned i = 0; i < machines->n; i++) {
		const struct machine *m = machines->list[i];

		if (!m->now.is_up && (m->before.is_up || m->before.at_ns == 0))
			fprintf(stderr, PROGRAM ": machine %s: %s: %s\n", m->name, m->path, m->now.error);
	}
	if (machines->directory_error[0])
		fprintf(stderr, PROGRAM ": %s\n", machines->directory_error);
}

static void fill(void *owner, bool is_openmetrics, struct text *text)
{
	struct program *p = owner;
	struct exposition e = { .is_openmetrics = is_openmetrics };

	pthread_mutex_lock(&p->lock);
	if (p->sampled_ms == 0 || monotonic_ms() - p->sampled_ms >= FRESH_MS) {
		machines_sample(&p->machines);
		p->sampled_ms = monotonic_ms();
		report_down(&p->machines);
	}
	metrics_write(&e, &p->machines);
	pthread_mutex_unlock(&p->lock);
	*text = e.text;
}

static int write_textfile(struct program *p, struct vpmem_error *err)
{
	struct text text = { 0 };
	int rc;

	fill(p, false, &text);
	rc = text.failed ? error_set(err, -ENOMEM, "out of memory") :
	                   textfile_write(p->textfile, text.buf, text.len, err);
	text_free(&text);
	return rc;
}

static int print_once(struct program *p, struct vpmem_error *err)
{
	struct text text = { 0 };
	int rc = 0;

	fill(p, p->openmetrics, &text);
	if (text.failed)
		rc = error_set(err, -ENOMEM, "out of memory");
	else if (fwrite(text.buf, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		rc = error_set(err, -EIO, "cannot write to standard output");
	text_free(&text);
	return rc;
}

/* Until a signal that ends the program. A file that cannot be written may be writable the next time. */
static void stay(struct program *p, const sigset_t *ends)
{
	const struct timespec pause = { .tv_sec = p->interval_ms / 1000, .tv_nsec = p->interval_ms % 1000 * 1000000L };
	struct vpmem_error err;
	bool writes = p->textfile && p->interval_ms > 0;

	for (;;) {
		if (writes && write_textfile(p, &err) < 0)
			watch_complain(PROGRAM, &err);
		if ((writes ? sigtimedwait(ends, NULL, &pause) : sigwaitinfo(ends, NULL)) > 0)
			return;
	}
}

static int run(struct program *p, struct vpmem_error *err)
{
	struct metrics_http *http = NULL;
	sigset_t ends;
	int rc = 0;

	if (!p->listen && !p->textfile)
		return print_once(p, err);
	// Before the server's thread is there, so that it does not get them.
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	if (p->textfile && p->interval_ms == 0)
		rc = write_textfile(p, err);
	if (rc == 0 && p->listen)
		rc = metrics_http_start(p->listen, fill, p, &http, err);
	if (rc == 0 && (p->listen || p->interval_ms > 0))
		stay(p, &ends);
	metrics_http_stop(http);
	return rc;
}

static int parse(struct program *p, int argc, char **argv, struct vpmem_error *err)
{
	static const struct option options[] = { { "listen", required_argument, NULL, 'l' },
		                                 { "textfile", required_argument, NULL, 'f' },
		                                 { "interval", required_argument, NULL, 'i' },
		                                 { "openmetrics", no_argument, NULL, 'o' },
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
		if (letter == 'l')
			p->listen = optarg;
		else if (letter == 'f')
			p->textfile = optarg;
		else if (letter == 'o')
			p->openmetrics = true;
		else if (letter == 'i')
			rc = watch_seconds("interval", optarg, &p->interval_ms, err);
		else
			rc = watch_option(&p->machines, letter, optarg, err);
	}
	if (rc == 0 && optind < argc)
		return error_set(err, -EINVAL, "'%s' is no option; see " PROGRAM " --help", argv[optind]);
	if (rc == 0 && p->interval_ms > 0 && !p->textfile)
		return error_set(err, -EINVAL, "--interval is of --textfile");
	watch_defaults(&p->machines);
	return rc;
}

int main(int argc, char **argv)
{
	struct program p = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct vpmem_error err = { 0 };
	int rc = parse(&p, argc, argv, &err);

	if (rc == 0)
		rc = run(&p, &err);
	if (rc < 0)
		watch_complain(PROGRAM, &err);
	machines_free(&p.machines);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
