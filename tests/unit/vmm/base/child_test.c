// SPDX-License-Identifier: Apache-2.0
// The end of a child process, also of one that this process may not kill.
#include "child.h"
#include "unit_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool may_kill;

int __real_pidfd_send_signal(int fd, int signo, siginfo_t *info, unsigned flags);
int __wrap_pidfd_send_signal(int fd, int signo, siginfo_t *info, unsigned flags);
int __wrap_pidfd_send_signal(int fd, int signo, siginfo_t *info, unsigned flags)
{
	if (may_kill)
		return __real_pidfd_send_signal(fd, signo, info, flags);
	errno = EPERM;
	return -1;
}

static pid_t start(struct child *child, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(
		child_start(child, &(struct child_options) { .name = "child", .argv = argv, .socket_fd = fds[1] }), 0);
	close(fds[0]);
	close(fds[1]);
	return child->pid;
}

static void test_one_that_hears_nothing_is_killed(void **state)
{
	struct child child = { 0 };
	pid_t pid;

	(void)state;
	may_kill = true;
	pid = start(&child, "trap '' TERM; echo; while :; do sleep 0.1; done");
	// It ignores the signal once it has printed.
	while (child_read(&child) == -EAGAIN)
		usleep(1000);
	child_end(&child);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

static void test_one_that_may_not_be_killed_is_left(void **state)
{
	struct child child = { 0 };
	pid_t pid;

	(void)state;
	may_kill = false;
	pid = start(&child, "exec sleep 1000");
	child_end(&child);
	assert_int_equal(child.pid, 0);
	assert_int_equal(child.pid_fd, -1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_one_that_ends_by_itself_is_waited_for(void **state)
{
	struct child child = { 0 };
	siginfo_t info;
	pid_t pid;

	(void)state;
	may_kill = false;
	pid = start(&child, "exit 3");
	// Without this, it might not have begun when the time for its end is over.
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	child_end(&child);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	// A second time, and one that was never started.
	child_end(&child);
	child_end(&(struct child) { 0 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_hears_nothing_is_killed),
		cmocka_unit_test(test_one_that_may_not_be_killed_is_left),
		cmocka_unit_test(test_one_that_ends_by_itself_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
