// SPDX-License-Identifier: Apache-2.0
// Frees a new process of what it inherits.
#include "fresh_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void fresh_process_signals(void)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t none;

	// Those of the C library and the two that cannot be changed refuse it.
	for (int number = 1; number < _NSIG; number++)
		sigaction(number, &by_default, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_others(void)
{
	// Linux before 5.9 does not have it.
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) == 0)
		return;
	for (int fd = STDERR_FILENO + 1; fd < (int)sysconf(_SC_OPEN_MAX); fd++)
		close(fd);
}

void fresh_process_descriptors(void)
{
	close_others();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", O_RDWR);
}
