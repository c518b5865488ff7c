// SPDX-License-Identifier: Apache-2.0
// The signals that the process of a container passes on to the container.
#include "passed_signals.h"

#include "error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

int passed_signals_watch(struct loop *loop, struct loop_source *source, struct vpmem_error *err)
{
	static const int passed[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		signal(passed[i], SIG_DFL);
		sigaddset(&set, passed[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, &set, NULL);
	source->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	source->events = POLLIN;
	if (source->fd < 0 || loop_add(loop, source) < 0)
		return error_set(err, -ENOMEM, "cannot watch for signals");
	return 0;
}
