// SPDX-License-Identifier: Apache-2.0
// A pipe is opened once more by the broker, with no more access than the caller has.
#include "forked_broker.h"
#include "nonblock.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct broker_op *const ops[] = { &nonblock_reopen_op };

static int reopen(int fd, int access)
{
	struct broker_call call = { .in = &access, .in_fd = fd < 0 ? NULL : &fd };
	int rc = broker_call(&nonblock_reopen_op, &call);

	if (rc == 0)
		close(call.fds[0]);
	return rc;
}

static void test_the_broker_opens_a_pipe_once_more(void **state)
{
	struct nonblock nb;
	char byte = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	forked_broker_start(ops, COUNT(ops), NULL);
	nonblock_open_by_broker(&nb, fds[0], O_RDONLY);
	assert_true(nb.owns && nb.fd != fds[0]);
	// A description of its own: the other one still blocks.
	assert_true(fcntl(nb.fd, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(nonblock_read(&nb, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(nonblock_read(&nb, &byte, 1), 1);
	nonblock_close(&nb);
	assert_int_equal(forked_broker_stop(), 1);
	close(fds[0]);
	close(fds[1]);
}

static void test_the_broker_gives_no_more_access(void **state)
{
	int fds[2], file, link;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	link = open("/dev/null", O_PATH | O_CLOEXEC);
	forked_broker_start(ops, COUNT(ops), NULL);
	assert_int_equal(reopen(fds[0], O_RDONLY), 0);
	assert_int_equal(reopen(fds[0], O_WRONLY), -EINVAL);
	assert_int_equal(reopen(fds[1], O_RDONLY), -EINVAL);
	assert_int_equal(reopen(fds[1], O_WRONLY | O_CREAT), -EINVAL);
	assert_int_equal(reopen(fds[1], O_RDWR), -EINVAL);
	assert_int_equal(reopen(file, O_RDONLY), -EINVAL);
	assert_int_equal(reopen(link, O_RDONLY), -EINVAL);
	assert_int_equal(reopen(-1, O_RDONLY), -EINVAL);
	forked_broker_stop();
	close(fds[0]);
	close(fds[1]);
	close(file);
	close(link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_broker_opens_a_pipe_once_more),
		cmocka_unit_test(test_the_broker_gives_no_more_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
