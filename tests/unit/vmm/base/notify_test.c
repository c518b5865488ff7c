// SPDX-License-Identifier: Apache-2.0
// Reports to a service manager, which is a socket of the test's.
#include "notify.h"

#include "fake_log.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
	char dir[32], path[64];
	int fd; // the manager's
	struct notify notify;
} rig;

// Binds the manager's socket; one without a path gets an abstract name, which the function returns.
static const char *listen_at(const char *path)
{
	static char name[sizeof(struct sockaddr_un) + 1];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr.sun_family);

	if (path) {
		snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
		len = sizeof(addr);
	}
	rig.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(rig.fd, (struct sockaddr *)&addr, len), 0);
	if (path)
		return path;
	len = sizeof(addr);
	assert_int_equal(getsockname(rig.fd, (struct sockaddr *)&addr, &len), 0);
	snprintf(name, sizeof(name), "@%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
	         addr.sun_path + 1);
	return name;
}

static int setup(void **state)
{
	(void)state;
	snprintf(rig.dir, sizeof(rig.dir), "/tmp/notify-test-XXXXXX");
	if (!mkdtemp(rig.dir))
		return -1;
	snprintf(rig.path, sizeof(rig.path), "%s/socket", rig.dir);
	rig.fd = -1;
	fake_log_clear();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	notify_close(&rig.notify);
	if (rig.fd >= 0)
		close(rig.fd);
	unlink(rig.path);
	return rmdir(rig.dir);
}

static void open_with(const char *name, const char *usec, const char *pid)
{
	setenv("NOTIFY_SOCKET", name, 1);
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	notify_open(&rig.notify);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void arrives(const char *text)
{
	char buf[256];
	ssize_t n = recv(rig.fd, buf, sizeof(buf) - 1, 0);

	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static void without_a_manager_nothing_is_sent(void **state)
{
	(void)state;
	notify_open(&rig.notify);
	assert_int_equal(rig.notify.fd, -1);
	assert_int_equal(notify_send(&rig.notify, "READY=1"), 0);
	assert_string_equal(fake_log_text, "");
}

static void a_socket_with_a_path_gets_the_lines(void **state)
{
	(void)state;
	open_with(listen_at(rig.path), NULL, NULL);
	assert_int_equal(notify_send(&rig.notify, "READY=1\nSTATUS=running"), 0);
	assert_int_equal(notify_send(&rig.notify, "STOPPING=1"), 0);
	arrives("READY=1\nSTATUS=running");
	arrives("STOPPING=1");
	assert_int_equal(rig.notify.watchdog_usec, 0);
}

static void an_abstract_socket_gets_the_lines(void **state)
{
	(void)state;
	open_with(listen_at(NULL), NULL, NULL);
	assert_int_equal(notify_send(&rig.notify, "READY=1"), 0);
	arrives("READY=1");
}

static void the_watchdog_is_that_of_this_process(void **state)
{
	char own[16], other[16];

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	snprintf(other, sizeof(other), "%d", (int)getpid() + 1);
	listen_at(rig.path);
	const struct {
		const char *usec, *pid;
		uint64_t want;
	} cases[] = { { "2000000", own, 2000000 }, { "2000000", NULL, 2000000 }, { "2000000", other, 0 },
		      { "2000000", "x", 0 },       { "often", own, 0 },          { NULL, own, 0 } };

	for (unsigned i = 0; i < COUNT(cases); i++) {
		open_with(rig.path, cases[i].usec, cases[i].pid);
		assert_int_equal(rig.notify.watchdog_usec, cases[i].want);
		notify_close(&rig.notify);
	}
}

static void a_socket_that_cannot_be_reached_is_a_warning(void **state)
{
	char long_name[256] = "/";

	(void)state;
	memset(long_name + 1, 'a', sizeof(long_name) - 2);
	const struct {
		const char *name, *error;
	} cases[] = { { rig.path, "No such file or directory" },
		      { "vsock:2:1234", "Address family not supported by protocol" },
		      { long_name, "File name too long" } };

	for (unsigned i = 0; i < COUNT(cases); i++) {
		char line[512];

		fake_log_clear();
		open_with(cases[i].name, "2000000", NULL);
		snprintf(line, sizeof(line), "cannot report to the service manager: NOTIFY_SOCKET=%s: %s",
		         cases[i].name, cases[i].error);
		assert_non_null(strstr(fake_log_text, line));
		assert_int_equal(rig.notify.fd, -1);
		assert_int_equal(rig.notify.watchdog_usec, 0);
	}
}

// The kernel holds a number of datagrams for a manager that does not read.
static void a_manager_with_a_backlog_is_not_waited_for(void **state)
{
	unsigned nsent = 0;

	(void)state;
	open_with(listen_at(rig.path), NULL, NULL);
	while (nsent < 100000 && notify_send(&rig.notify, "WATCHDOG=1") == 0)
		nsent++;
	assert_in_range(nsent, 1, 99999);
	assert_int_equal(notify_send(&rig.notify, "STATUS=paused"), -EAGAIN);
	while (nsent-- > 0)
		arrives("WATCHDOG=1");
	assert_int_equal(notify_send(&rig.notify, "STATUS=paused"), 0);
	arrives("STATUS=paused");
	assert_string_equal(fake_log_text, "");
}

static void a_manager_that_has_gone_is_a_warning_once(void **state)
{
	(void)state;
	open_with(listen_at(rig.path), NULL, NULL);
	close(rig.fd);
	rig.fd = -1;
	assert_int_equal(notify_send(&rig.notify, "WATCHDOG=1"), 0);
	assert_non_null(strstr(fake_log_text, "cannot report to the service manager any more: Connection refused"));
	assert_int_equal(rig.notify.fd, -1);
	fake_log_clear();
	assert_int_equal(notify_send(&rig.notify, "WATCHDOG=1"), 0);
	assert_string_equal(fake_log_text, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_manager_nothing_is_sent),
		TEST(a_socket_with_a_path_gets_the_lines),
		TEST(an_abstract_socket_gets_the_lines),
		TEST(the_watchdog_is_that_of_this_process),
		TEST(a_socket_that_cannot_be_reached_is_a_warning),
		TEST(a_manager_with_a_backlog_is_not_waited_for),
		TEST(a_manager_that_has_gone_is_a_warning_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
