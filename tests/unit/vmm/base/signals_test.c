// SPDX-License-Identifier: Apache-2.0
// Which signals end the program. Each test runs in a process of its own, which a wrong signal would end.
#include "signals.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

// The exit status of the function in a child process, or minus the signal that ended it.
static int run(int (*child)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(300);
		_exit(child());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int set_up(void)
{
	sigset_t ending;

	signals_set_up(&ending);
	return signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int end_by_each(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	int fd;

	for (unsigned i = 0; i < COUNT(numbers); i++)
		signal(numbers[i], SIG_DFL);
	fd = set_up();
	if (signals_end_pending(fd))
		return 1;
	for (unsigned i = 0; i < COUNT(numbers); i++)
		if (signals_is_ignored(numbers[i]) || raise(numbers[i]) != 0 || !signals_end_pending(fd))
			return 2;
	return signals_end_pending(fd);
}

static void term_int_and_hup_wait_to_be_read(void **state)
{
	(void)state;
	assert_int_equal(run(end_by_each), 0);
}

static int ignore_and_raise(void)
{
	int fd;

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	fd = set_up();
	raise(SIGINT);
	raise(SIGHUP);
	if (signals_end_pending(fd) || !signals_is_ignored(SIGINT) || !signals_is_ignored(SIGHUP))
		return 1;
	// They do not come in the way of one that counts.
	raise(SIGINT);
	raise(SIGTERM);
	if (!signals_end_pending(fd) || signals_is_ignored(SIGTERM))
		return 2;
	return signals_end_pending(fd);
}

static void what_the_parent_process_ignores_stays_ignored(void **state)
{
	(void)state;
	assert_int_equal(run(ignore_and_raise), 0);
}

static int block_and_raise(void)
{
	sigset_t ending, usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	signals_set_up(&ending);
	raise(SIGUSR1);
	return 1;
}

static void what_the_parent_process_blocked_is_not(void **state)
{
	(void)state;
	assert_int_equal(run(block_and_raise), -SIGUSR1);
}

static int write_beyond_the_limit(void)
{
	const struct rlimit limit = { .rlim_cur = 0, .rlim_max = 0 };
	FILE *file = tmpfile();
	sigset_t ending;

	signals_set_up(&ending);
	if (!file || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	return write(fileno(file), "x", 1) == -1 && errno == EFBIG ? 0 : 2;
}

static int write_to_a_closed_pipe(void)
{
	sigset_t ending;
	int fds[2];

	signals_set_up(&ending);
	if (pipe(fds) < 0)
		return 1;
	close(fds[0]);
	return write(fds[1], "x", 1) == -1 && errno == EPIPE ? 0 : 2;
}

static void a_write_that_fails_returns(void **state)
{
	(void)state;
	assert_int_equal(run(write_beyond_the_limit), 0);
	assert_int_equal(run(write_to_a_closed_pipe), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(term_int_and_hup_wait_to_be_read),
		cmocka_unit_test(what_the_parent_process_ignores_stays_ignored),
		cmocka_unit_test(what_the_parent_process_blocked_is_not),
		cmocka_unit_test(a_write_that_fails_returns),
	};

	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
