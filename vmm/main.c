// SPDX-License-Identifier: Apache-2.0
// pmvm: the life of a virtual machine.
#include "daemon.h"
#include "error.h"
#include "log.h"
#include "machine.h"
#include "monitor.h"
#include "options.h"
#include "term.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const struct vpmem_error *err)
{
	log_error("%s", err->text);
	if (err->hint[0])
		log_info("hint: %s", err->hint);
	return EXIT_FAILURE;
}

// A standard descriptor that is closed would become the number of some file of ours.
static void open_standard_fds(void)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO }, { .fd = STDOUT_FILENO }, { .fd = STDERR_FILENO } };

	(void)!poll(fds, 3, 0);
	for (unsigned i = 0; i < 3; i++)
		if (fds[i].revents & POLLNVAL)
			(void)!open("/dev/null", O_RDWR);
}

// `pmvm top`: the program pmvm-top beside this one. Returns only if that cannot be run.
static int run_top(char **argv)
{
	struct vpmem_error err = { "", "" };
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("pmvm-top"));
	char *end = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;

	if (end) {
		strcpy(end + 1, "pmvm-top");
		execv(path, argv);
	}
	error_set(&err, -errno, "top: cannot run %s: %s", end ? path : "pmvm-top", strerror(errno));
	error_hint(&err, "it is in the package pmvm-watch, and is built where libncurses-dev is installed");
	return fail(&err);
}

static struct machine machine;

int main(int argc, char **argv)
{
	struct vpmem_error err = { "", "" };
	struct machine_config opts;
	int run_error = 0, close_error;

	// One heap for all threads: they allocate seldom, and each further one is memory of its own.
	mallopt(M_ARENA_MAX, 1);
	open_standard_fds();
	if (argc > 1 && strcmp(argv[1], "top") == 0)
		return run_top(argv + 1);
	switch (options_parse(argc, argv, &opts, &err)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_ERROR:
		return fail(&err);
	case OPTIONS_RUN:
		break;
	}
	log_set_timestamps(opts.timestamps);
	if ((opts.daemonize && daemon_start(&err) < 0) || machine_build(&opts, &monitor_observer, &machine, &err) < 0) {
		machine_config_free(&opts);
		return fail(&err);
	}
	if (opts.daemonize) {
		run_error = daemon_ready(&err);
		if (run_error < 0)
			fail(&err);
	}

	if (run_error == 0)
		run_error = machine_run(&machine);
	close_error = machine_destroy(&machine);

	term_restore();
	machine_config_free(&opts);
	return run_error || close_error ? EXIT_FAILURE : EXIT_SUCCESS;
}
