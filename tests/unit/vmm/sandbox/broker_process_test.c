// SPDX-License-Identifier: Apache-2.0
// The broker process: what it can reach, how it settles, and when it ends.
#include "broker_process.h"
#include "confined.h"
#include "permit.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int serve_open(struct broker_call *call)
{
	if (!permit_path(call->strings[0]))
		return -EACCES;
	call->fds[0] = open(call->strings[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	call->nfds = call->fds[0] >= 0;
	return call->fds[0] < 0 ? -errno : 0;
}

// An operation with a fault: it does not ask permit.h.
static int serve_open_any(struct broker_call *call)
{
	call->fds[0] = open(call->strings[0], O_RDONLY | O_CLOEXEC);
	call->nfds = call->fds[0] >= 0;
	return call->fds[0] < 0 ? -errno : 0;
}

static int serve_who(struct broker_call *call)
{
	*(uid_t *)call->out = geteuid();
	return 0;
}

// No operation needs it.
static int serve_group(struct broker_call *call)
{
	*(pid_t *)call->out = getpgrp();
	return 0;
}

static const struct broker_op group_op = { .name = "group", .out_size = sizeof(pid_t), .serve = serve_group };
static const struct broker_op open_op = { .name = "open", .serve = serve_open };
static const struct broker_op open_any_op = { .name = "open any", .serve = serve_open_any };
static const struct broker_op who_op = { .name = "who", .out_size = sizeof(uid_t), .serve = serve_who };
static const struct broker_op *const ops[] = { &open_op,  &open_any_op,      &who_op,
	                                       &group_op, &broker_settle_op, &broker_report_op };

static int permit_in(void *owner)
{
	permit_begin();
	return permit_add(owner);
}

static int refuse(void *owner)
{
	(void)owner;
	return -ENOMEM;
}

static struct broker_process_options options(void)
{
	return (struct broker_process_options) {
		.ops = ops, .nops = COUNT(ops), .permit = permit_in, .owner = (void *)"in"
	};
}

static int try_open(const struct broker_op *op, const char *path)
{
	struct broker_call call = { .strings = { path } };
	int rc = broker_call(op, &call);

	if (rc == 0)
		close(call.fds[0]);
	return rc;
}

static struct broker_process broker;

static int setup(void **state)
{
	char dir[] = "/tmp/broker-XXXXXX";
	const struct broker_process_options opts = options();

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	mkdir("in", 0755);
	close(open("out", O_CREAT | O_WRONLY, 0600));
	chmod(dir, 0755);
	assert_int_equal(broker_process_start(&opts, &broker, NULL), 0);
	// Until it is connected, this process serves.
	assert_int_equal(try_open(&open_any_op, "out"), 0);
	return broker_process_connect(&broker, &opts, NULL);
}

static int teardown(void **state)
{
	(void)state;
	broker_process_end(&broker);
	return system("rm -rf \"$PWD\"");
}

static void test_it_opens_what_is_permitted(void **state)
{
	(void)state;
	assert_int_equal(try_open(&open_op, "in/new"), 0);
	assert_int_equal(access("in/new", F_OK), 0);
	assert_int_equal(try_open(&open_op, "out"), -EACCES);
}

static void test_the_kernel_limits_it_as_well(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
		skip();
	assert_int_equal(try_open(&open_any_op, "in"), 0);
	assert_int_equal(try_open(&open_any_op, "out"), -EACCES);
	assert_int_equal(try_open(&open_any_op, "/etc/passwd"), -EACCES);
}

static void test_its_report(void **state)
{
	struct broker_report report;
	size_t len;

	(void)state;
	assert_int_equal(broker_process_report(&report), 0);
	assert_false(report.is_truncated);
	assert_false(report.all_addresses);
	len = strlen(report.paths);
	assert_string_equal(report.paths + len - strlen("/in"), "/in");
	assert_string_equal(report.paths + len + 1, "");
}

static void test_it_settles_once(void **state)
{
	const struct privileges other = { .user = "other", .uid = 12345, .gid = 12345 };
	struct vpmem_error err = { "", "" };
	uid_t uid = 0;
	struct broker_call call = { .out = &uid };

	(void)state;
	assert_int_equal(broker_process_settle(geteuid() == 0 ? &other : NULL, NULL, &err), 0);
	assert_int_equal(broker_call(&who_op, &call), 0);
	assert_int_equal(uid, geteuid() == 0 ? 12345 : geteuid());
	assert_int_equal(broker_process_settle(&other, NULL, &err), -EPERM);
	assert_string_equal(err.text, "the sandbox's broker cannot settle: Operation not permitted");
}

static void test_a_user_that_it_cannot_become(void **state)
{
	struct privileges other = { .user = "other", .uid = 12345, .gid = 12345, .ngroups = PRIVILEGES_GROUPS_MAX + 1 };
	struct vpmem_error err = { "", "" };

	(void)state;
	assert_int_equal(broker_process_settle(&other, NULL, &err), -EINVAL);
}

static int get_group(void)
{
	pid_t group = 0;
	struct broker_call call = { .out = &group };
	int rc = broker_call(&group_op, &call);

	if (rc == 0)
		assert_int_equal(group, getpgrp());
	return rc;
}

// Ends the broker of this test, and starts one that filters its calls.
static void filter_calls(enum seccomp_mode mode)
{
	struct broker_process_options opts = options();
	struct vpmem_error err = { "", "" };

	broker_process_end(&broker);
	opts.calls = mode;
	assert_int_equal(broker_process_start(&opts, &broker, &err), 0);
	assert_int_equal(broker_process_connect(&broker, &opts, &err), 0);
	// The start may need more.
	assert_int_equal(get_group(), 0);
	assert_int_equal(broker_process_settle(NULL, NULL, &err), 0);
	assert_int_equal(try_open(&open_op, "in/new"), 0);
}

static void test_a_call_that_no_operation_needs_ends_it(void **state)
{
	(void)state;
	if (seccomp_missing())
		skip();
	filter_calls(SECCOMP_KILL);
	assert_int_equal(get_group(), -EPIPE);
}

static void test_with_log_that_call_is_made(void **state)
{
	(void)state;
	if (seccomp_missing())
		skip();
	filter_calls(SECCOMP_LOG);
	assert_int_equal(get_group(), 0);
}

static void test_a_signal_to_the_group_does_not_end_it(void **state)
{
	(void)state;
	kill(broker.pid, SIGINT);
	kill(broker.pid, SIGTERM);
	kill(broker.pid, SIGHUP);
	assert_int_equal(try_open(&open_op, "in/new"), 0);
}

static void test_a_broker_that_cannot_be_confined(void **state)
{
	struct broker_process_options opts = options();
	struct broker_process failing;
	struct vpmem_error err = { "", "" };

	(void)state;
	opts.permit = refuse;
	assert_int_equal(broker_process_start(&opts, &failing, &err), 0);
	assert_int_equal(broker_process_connect(&failing, &opts, &err), -ENOMEM);
	assert_string_equal(err.text, "cannot enter the sandbox: the broker process: Cannot allocate memory");
	broker_process_end(&failing);
}

// A machine that ends without a word.
static int be_killed(void *arg)
{
	const struct broker_process_options opts = options();
	struct broker_process own;

	broker_process_start(&opts, &own, NULL);
	broker_process_connect(&own, &opts, NULL);
	dprintf(*(int *)arg, "%d", (int)own.pid);
	return raise(SIGKILL);
}

static void test_it_ends_with_the_machine(void **state)
{
	char text[16] = "";
	struct pollfd ended;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(run_confined(be_killed, &fds[1]), -SIGKILL);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	close(fds[1]);
	ended = (struct pollfd) { .fd = (int)syscall(SYS_pidfd_open, atoi(text), 0), .events = POLLIN };
	// -1: it has ended already.
	if (ended.fd >= 0)
		assert_int_equal(poll(&ended, 1, 300000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_opens_what_is_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_kernel_limits_it_as_well, setup, teardown),
		cmocka_unit_test_setup_teardown(test_its_report, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_settles_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_user_that_it_cannot_become, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_call_that_no_operation_needs_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_with_log_that_call_is_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_signal_to_the_group_does_not_end_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_broker_that_cannot_be_confined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_ends_with_the_machine, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
