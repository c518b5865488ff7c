// SPDX-License-Identifier: Apache-2.0
// Raw mode of the terminal on standard input, and its way back however the program ends.
#include "term.h"

#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved, raw;
static volatile sig_atomic_t is_raw;
static pid_t own_group; // a sandbox refuses the question

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGQUIT, SIGALRM };

// A job in the background must leave the terminal to the shell; `fg` sends SIGCONT. A terminal that does not
// control this session knows no jobs.
static bool in_foreground(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);

	return foreground < 0 || foreground == own_group;
}

void term_restore(void)
{
	int saved_errno = errno;

	if (is_raw) {
		is_raw = 0;
		if (in_foreground())
			tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	}
	errno = saved_errno;
}

// A fault like the first. The signal is blocked in its handler, so the kernel ends the process by it.
static void fault_again(int signo, const void *addr)
{
	switch (signo) {
	case SIGSEGV:
		__asm__ volatile("hlt");
		break;
	case SIGBUS:
		(void)*(const volatile char *)addr;
		break;
	case SIGILL:
		__asm__ volatile("ud2");
		break;
	case SIGFPE:
		__asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
		break;
	case SIGTRAP:
		__asm__ volatile("int3");
		break;
	}
}

static void on_fatal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	term_restore();
	// Of this thread's own making. A sandbox may refuse it to send signals.
	if (info->si_code > 0)
		fault_again(signo, info->si_addr);
	// SA_RESETHAND gave the signal its default action back: it ends the process on return from here. The main thread has
	// the number of the process; raise asks the kernel for both, which a sandbox refuses.
	(void)syscall(SYS_tgkill, thread_process_id(), thread_process_id(), signo);
}

static void on_continue(int signo)
{
	int saved_errno = errno;

	(void)signo;
	if (is_raw && in_foreground())
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	errno = saved_errno;
}

int term_raw(bool signals)
{
	struct sigaction fatal = { .sa_sigaction = on_fatal, .sa_flags = (int)(SA_RESETHAND | SA_SIGINFO) };
	struct sigaction resume = { .sa_handler = on_continue, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (!isatty(STDIN_FILENO))
		return 0;
	own_group = getpgrp();
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	raw = saved;
	raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	// Output processing stays on, so that our own messages begin at the left.
	raw.c_oflag |= OPOST;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
	if (!signals)
		raw.c_lflag &= ~(tcflag_t)ISIG;
	raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;

	for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++) {
		struct sigaction old;

		// A signal that the parent process ignores ends nothing.
		if (sigaction(fatal_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(fatal_signals[i], &fatal, NULL);
	}
	sigaction(SIGCONT, &resume, NULL);
	// A background job that sets the terminal would be stopped.
	sigaction(SIGTTOU, &ignore, NULL);

	is_raw = 1;
	if (in_foreground() && tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
		is_raw = 0;
		return -errno;
	}
	return 0;
}
