// SPDX-License-Identifier: Apache-2.0
// Which signals end the program, and which must not.
#include "signals.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending_signals[] = { SIGTERM, SIGINT, SIGHUP };
#define NENDING (sizeof(ending_signals) / sizeof(ending_signals[0]))

static bool is_remembered, is_ignored[NENDING];

static bool is_ignored_now(int signo)
{
	struct sigaction action;

	// SIGTERM is how an operator ends us.
	return signo != SIGTERM && sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void signals_remember_ignored(void)
{
	for (size_t i = 0; i < NENDING; i++)
		is_ignored[i] = is_ignored_now(ending_signals[i]);
	is_remembered = true;
}

bool signals_is_ignored(int signo)
{
	for (size_t i = 0; i < NENDING; i++)
		if (ending_signals[i] == signo)
			return is_remembered ? is_ignored[i] : is_ignored_now(signo);
	return false;
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

bool signals_end_pending(int signal_fd)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (!signals_is_ignored((int)info.ssi_signo))
			return true;
	return false;
}
