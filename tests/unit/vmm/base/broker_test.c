// SPDX-License-Identifier: Apache-2.0
// Calls to the broker: in this process, and in another one; what a machine that was taken over may send.
#include "broker.h"
#include "permit.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct sum_in {
	int a, b;
};
struct sum_out {
	int sum;
	pid_t pid;
};

static int sum(struct broker_call *call)
{
	const struct sum_in *in = call->in;
	struct sum_out *out = call->out;

	*out = (struct sum_out) { .sum = in->a + in->b, .pid = getpid() };
	return call->strings[1] ? -ENOTSUP : 0;
}

// A pipe. What its end in the other process says is the two strings.
static int make_pipe(struct broker_call *call)
{
	if (pipe(call->fds) < 0)
		return -errno;
	dprintf(call->fds[1], "%s,%s", call->strings[0], call->strings[1] ? call->strings[1] : "none");
	call->nfds = 2;
	return 0;
}

static int write_to(struct broker_call *call)
{
	return call->in_fd && write(*call->in_fd, "x", 1) == 1 ? 0 : -EBADF;
}

static int open_it(struct broker_call *call)
{
	if (!permit_path(call->strings[0]))
		return -EACCES;
	call->fds[0] = open(call->strings[0], O_RDONLY | O_CLOEXEC);
	call->nfds = call->fds[0] >= 0;
	return call->fds[0] < 0 ? -errno : 0;
}

static const struct broker_op sum_op = { "sum", sizeof(struct sum_in), sizeof(struct sum_out), sum };
static const struct broker_op pipe_op = { .name = "pipe", .serve = make_pipe };
static const struct broker_op write_op = { .name = "write", .serve = write_to };
static const struct broker_op open_op = { .name = "open", .serve = open_it };
static const struct broker_op *const ops[] = { &sum_op, &pipe_op, &write_op, &open_op };

struct rig {
	int fd; // the machine's end
	pid_t child;
};

static int start(struct rig *rig)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	rig->child = fork();
	if (rig->child == 0) {
		close(fds[0]);
		permit_begin();
		permit_add("/usr");
		while (broker_serve(fds[1], ops, COUNT(ops)) == 0)
			;
		_exit(0);
	}
	close(fds[1]);
	rig->fd = fds[0];
	return 0;
}

static int setup(void **state)
{
	static struct rig rig;

	*state = &rig;
	return start(&rig);
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	int status;

	broker_connect(-1, NULL, 0);
	close(rig->fd);
	// It ends with the machine, without a signal.
	assert_int_equal(waitpid(rig->child, &status, 0), rig->child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static void connect_rig(struct rig *rig)
{
	broker_connect(dup(rig->fd), ops, COUNT(ops));
}

static void call_all(bool is_broker)
{
	struct sum_out out;
	struct broker_call call = { .in = &(struct sum_in) { 40, 2 }, .out = &out };
	char text[32] = "";
	int fds[2];

	assert_int_equal(broker_call(&sum_op, &call), 0);
	assert_int_equal(out.sum, 42);
	assert_int_equal(out.pid != getpid(), is_broker);
	// Results of one that failed are there as well.
	call.strings[1] = "";
	assert_int_equal(broker_call(&sum_op, &call), -ENOTSUP);
	assert_int_equal(out.sum, 42);

	call = (struct broker_call) { .strings = { "one", NULL } };
	assert_int_equal(broker_call(&pipe_op, &call), 0);
	assert_int_equal(call.nfds, 2);
	assert_int_equal(read(call.fds[0], text, sizeof(text)), 8);
	assert_string_equal(text, "one,none");
	assert_int_equal(fcntl(call.fds[0], F_GETFD) & FD_CLOEXEC, is_broker ? FD_CLOEXEC : 0);
	close(call.fds[0]);
	close(call.fds[1]);

	assert_int_equal(pipe(fds), 0);
	call = (struct broker_call) { .in_fd = &fds[1] };
	assert_int_equal(broker_call(&write_op, &call), 0);
	assert_int_equal(read(fds[0], text, sizeof(text)), 1);
	call = (struct broker_call) { .in_fd = NULL };
	assert_int_equal(broker_call(&write_op, &call), -EBADF);
	close(fds[0]);
	close(fds[1]);
}

static void test_without_a_broker_this_process_serves(void **state)
{
	(void)state;
	call_all(false);
}

static void test_the_broker_serves(void **state)
{
	connect_rig(*state);
	call_all(true);
}

static void test_a_string_that_is_too_long(void **state)
{
	char *text = calloc(1, BROKER_STRING_SIZE + 1);
	struct broker_call call = { .strings = { text } };

	connect_rig(*state);
	memset(text, 'a', BROKER_STRING_SIZE);
	assert_int_equal(broker_call(&pipe_op, &call), -ENAMETOOLONG);
	text[BROKER_STRING_SIZE - 1] = '\0';
	assert_int_equal(broker_call(&open_op, &call), -EACCES);
	free(text);
}

static void test_only_permitted_paths(void **state)
{
	struct vpmem_error err = { "", "" };
	struct broker_call call = { .strings = { "/usr/bin/env" } };

	connect_rig(*state);
	assert_int_equal(broker_call(&open_op, &call), 0);
	assert_false(call.is_denied);
	close(call.fds[0]);
	call.strings[0] = "/usr/does-not-exist";
	assert_int_equal(broker_call(&open_op, &call), -ENOENT);
	assert_false(call.is_denied);
	call.strings[0] = "/usr/../etc/passwd";
	assert_int_equal(broker_call(&open_op, &call), -EACCES);
	assert_true(call.is_denied);
	broker_hint(&call, "/etc/passwd", &err);
	assert_string_equal(err.hint, "the sandbox permits files below the directories of the command line only: start "
	                              "with -sandbox on,dir=/etc");
	// What was denied before does not show in the next call.
	call.strings[0] = "/usr/does-not-exist";
	assert_int_equal(broker_call(&open_op, &call), -ENOENT);
	assert_false(call.is_denied);
}

static void test_a_broker_that_has_ended(void **state)
{
	struct rig *rig = *state;
	struct broker_call call = { .strings = { "one", NULL } };

	connect_rig(rig);
	kill(rig->child, SIGKILL);
	assert_int_equal(waitpid(rig->child, NULL, 0), rig->child);
	assert_int_equal(broker_call(&pipe_op, &call), -EPIPE);
	assert_int_equal(broker_call(&pipe_op, &call), -EPIPE);
	// For the teardown.
	close(rig->fd);
	start(rig);
}

// What the header says, and how many bytes follow it.
static const struct malformed {
	uint32_t header[4]; // operation, sizes of the strings
	size_t len;
	const char *bytes;
} malformed[] = {
	{ { 4 }, 0, "" },                         // no such operation
	{ { UINT32_MAX }, 0, "" },                // the same
	{ { 0 }, 7, "1234567" },                  // a struct that is too short
	{ { 0 }, 9, "123456789" },                // bytes behind it
	{ { 1, 2 }, 1, "" },                      // a string that is not there
	{ { 1, 1 }, 1, "a" },                     // a string without an end
	{ { 1, 3 }, 3, "a\0" },                   // one that ends twice
	{ { 1, UINT32_MAX, 2 }, 1, "" },          // the sum overflows
	{ { 1, BROKER_STRING_SIZE + 1 }, 1, "" }, // a string that is too long
	{ { 1, 1, 1 }, 1, "" },                   // the second is not there
};

static void test_malformed_requests_are_answered(void **state)
{
	struct rig *rig = *state;
	int32_t reply[64];

	for (size_t i = 0; i < COUNT(malformed); i++) {
		struct iovec iov[] = { { (void *)malformed[i].header, sizeof(malformed[i].header) },
			               { (void *)malformed[i].bytes, malformed[i].len } };

		assert_int_equal(sendmsg(rig->fd, &(struct msghdr) { .msg_iov = iov, .msg_iovlen = 2 }, 0),
		                 sizeof(malformed[i].header) + malformed[i].len);
		assert_int_equal(recv(rig->fd, reply, sizeof(reply), 0), 8);
		assert_int_equal(reply[0], -EBADMSG);
	}
	// A message of one byte, and one that is longer than any.
	assert_int_equal(send(rig->fd, "", 1, 0), 1);
	assert_int_equal(recv(rig->fd, reply, sizeof(reply), 0), 8);
	assert_int_equal(reply[0], -EBADMSG);
	{
		char *large = calloc(1, 65536);

		assert_int_equal(send(rig->fd, large, 65536, 0), 65536);
		assert_int_equal(recv(rig->fd, reply, sizeof(reply), 0), 8);
		assert_int_equal(reply[0], -EBADMSG);
		free(large);
	}
	connect_rig(rig);
	call_all(true);
}

static void test_descriptors_that_nobody_asked_for_are_closed(void **state)
{
	struct rig *rig = *state;
	int fds[2], hundred = 100;
	char byte;

	connect_rig(rig);
	assert_int_equal(pipe(fds), 0);
	while (hundred-- > 0) {
		struct sum_out out;
		struct broker_call call = { .in = &(struct sum_in) { 1, 1 }, .out = &out, .in_fd = &fds[1] };

		assert_int_equal(broker_call(&sum_op, &call), 0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_broker_this_process_serves),
		cmocka_unit_test_setup_teardown(test_the_broker_serves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_string_that_is_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_permitted_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_broker_that_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed_requests_are_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors_that_nobody_asked_for_are_closed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
