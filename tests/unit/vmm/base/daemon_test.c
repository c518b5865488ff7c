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

#define HANG_MAX_S 300 /* on a machine that is busy with other things */

struct report {
	pid_t pid, sid, parent;
	mode_t mask;
	bool null_fds, same_dir;
};

static bool is_null(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev;
}

// The daemon: it reports on itself when it is ready, and ends when the test closes its pipe.
static void live(int out_fd, int hold_fd, const char *dir)
{
	struct report report = { 0 };
	char now[4096], byte;

	alarm(HANG_MAX_S);
	if (daemon_start(NULL) < 0 || daemon_ready(NULL) < 0)
		_exit(3);
	report = (struct report) {
		.pid = getpid(),
		.sid = getsid(0),
		.parent = getppid(),
		.mask = umask(0),
		.null_fds = is_null(0) && is_null(1) && is_null(2),
		.same_dir = getcwd(now, sizeof(now)) && !strcmp(now, dir),
	};
	if (write(out_fd, &report, sizeof(report)) != sizeof(report))
		_exit(4);
	(void)!read(hold_fd, &byte, 1);
	_exit(0);
}

static bool has_come(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, HANG_MAX_S * 1000) == 1;
}

static void the_command_ends_when_the_daemon_is_ready(void **state)
{
	int report_fds[2], hold_fds[2], status;
	char dir[4096], byte;
	struct report report;
	pid_t command;

	(void)state;
	assert_non_null(getcwd(dir, sizeof(dir)));
	assert_int_equal(pipe(report_fds) | pipe(hold_fds), 0);
	command = fork();
	if (command == 0) {
		close(report_fds[0]);
		close(hold_fds[1]);
		umask(0);
		live(report_fds[1], hold_fds[0], dir);
	}
	close(report_fds[1]);
	close(hold_fds[0]);
	assert_int_equal(waitpid(command, &status, 0), command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);

	// The command is gone, the daemon is there: in a session that is not ours, and that it does not lead.
	assert_true(has_come(report_fds[0]));
	assert_int_equal(read(report_fds[0], &report, sizeof(report)), sizeof(report));
	assert_int_not_equal(report.pid, command);
	assert_int_equal(kill(report.pid, 0), 0);
	assert_int_not_equal(report.sid, getsid(0));
	assert_int_not_equal(report.sid, report.pid);
	assert_true(report.null_fds);
	assert_true(report.same_dir);
	assert_int_equal(report.mask, 027);
	close(hold_fds[1]);
	assert_true(has_come(report_fds[0]));
	assert_int_equal(read(report_fds[0], &byte, 1), 0);
	close(report_fds[0]);
}

static void a_daemon_that_fails_is_the_commands_failure(void **state)
{
	int status;
	pid_t command = fork();

	(void)state;
	if (command == 0) {
		alarm(HANG_MAX_S);
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
