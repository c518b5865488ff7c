// SPDX-License-Identifier: Apache-2.0
// Tests of -daemonize: daemon.c, each in processes of its own.
#include "daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct tale {
	pid_t pid, sid, parent;
	bool null_fds, same_dir;
};

static bool is_null(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev;
}

// The daemon's life: it tells about itself when it is ready, and ends when the test closes its pipe.
static void live(int out_fd, int hold_fd, const char *dir)
{
	struct tale tale = { 0 };
	char now[4096], byte;

	alarm(20);
	if (daemon_start(NULL) < 0 || daemon_ready(NULL) < 0)
		_exit(3);
	tale = (struct tale) {
		.pid = getpid(),
		.sid = getsid(0),
		.parent = getppid(),
		.null_fds = is_null(0) && is_null(1) && is_null(2),
		.same_dir = getcwd(now, sizeof(now)) && !strcmp(now, dir),
	};
	if (write(out_fd, &tale, sizeof(tale)) != sizeof(tale))
		_exit(4);
	(void)!read(hold_fd, &byte, 1);
	_exit(0);
}

static bool has_come(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 20000) == 1;
}

static void the_command_ends_when_the_daemon_is_ready(void **state)
{
	int tale_fds[2], hold_fds[2], status;
	char dir[4096], byte;
	struct tale tale;
	pid_t command;

	(void)state;
	assert_non_null(getcwd(dir, sizeof(dir)));
	assert_int_equal(pipe(tale_fds) | pipe(hold_fds), 0);
	command = fork();
	if (command == 0) {
		close(tale_fds[0]);
		close(hold_fds[1]);
		live(tale_fds[1], hold_fds[0], dir);
	}
	close(tale_fds[1]);
	close(hold_fds[0]);
	assert_int_equal(waitpid(command, &status, 0), command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);

	// The command is gone, the daemon is there: in a session that is not ours, and that it does not lead.
	assert_true(has_come(tale_fds[0]));
	assert_int_equal(read(tale_fds[0], &tale, sizeof(tale)), sizeof(tale));
	assert_int_not_equal(tale.pid, command);
	assert_int_equal(kill(tale.pid, 0), 0);
	assert_int_not_equal(tale.sid, getsid(0));
	assert_int_not_equal(tale.sid, tale.pid);
	assert_true(tale.null_fds);
	assert_true(tale.same_dir);
	close(hold_fds[1]);
	assert_true(has_come(tale_fds[0]));
	assert_int_equal(read(tale_fds[0], &byte, 1), 0);
	close(tale_fds[0]);
}

static void a_daemon_that_fails_is_the_commands_failure(void **state)
{
	int status;
	pid_t command = fork();

	(void)state;
	if (command == 0) {
		alarm(20);
		_exit(daemon_start(NULL) < 0 ? 3 : 0);
	}
	assert_int_equal(waitpid(command, &status, 0), command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_ends_when_the_daemon_is_ready),
		cmocka_unit_test(a_daemon_that_fails_is_the_commands_failure),
	};

	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
