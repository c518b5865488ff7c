// SPDX-License-Identifier: Apache-2.0
// Which signals end the program, and which must not.
#include "signals.h"

#include <stddef.h>

static const int ending_signals[] = { SIGTERM, SIGINT, SIGHUP };
#define NENDING (sizeof(ending_signals) / sizeof(ending_signals[0]))

bool signals_is_ignored(int signo)
{
	struct sigaction action;

	// SIGTERM is how an operator ends us.
	return signo != SIGTERM && sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void signals_set_up(sigset_t *ending)
{
	sigset_t blocked;

	sigemptyset(ending);
	// A blocked signal is queued for the signalfd even if it is ignored: whether it is matters when one has come.
	for (size_t i = 0; i < NENDING; i++)
		sigaddset(ending, ending_signals[i]);
	// Nothing else stays blocked: a signal that the parent process had blocked would keep vCPUs in the guest (vcpu.c).
	blocked = *ending;
	// These two stay pending in their thread, once at most, for ever. A child process that runs another program would
	// have to unblock them before exec; there is none.
	sigaddset(&blocked, SIGPIPE);
	sigaddset(&blocked, SIGXFSZ);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}

bool signals_end_pending(void)
{
	sigset_t pending;

	if (sigpending(&pending) < 0)
		return false;
	for (size_t i = 0; i < NENDING; i++)
		if (sigismember(&pending, ending_signals[i]) == 1 && !signals_is_ignored(ending_signals[i]))
			return true;
	return false;
}
