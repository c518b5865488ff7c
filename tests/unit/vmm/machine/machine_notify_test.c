// SPDX-License-Identifier: Apache-2.0
// What a service manager gets from the machine, over a socket of the test's.
#include "machine_notify.h"

#include "fake_host.h"
#include "monotonic.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURNS_MAX 1000u

static struct machine *m;
static struct vpmem_error err;
static int manager_fd;

static void up(const char *watchdog_usec)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);
	char name[sizeof(addr)];

	manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager_fd, (struct sockaddr *)&addr, sizeof(addr.sun_family)), 0);
	assert_int_equal(getsockname(manager_fd, (struct sockaddr *)&addr, &len), 0);
	snprintf(name, sizeof(name), "@%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
	         addr.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	if (watchdog_usec)
		setenv("WATCHDOG_USEC", watchdog_usec, 1);
	assert_int_equal(machine_notify_up(m, &err), 0);
}

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	if (rc < 0)
		return rc;
	m->kvm.vm_fd = -1;
	return 0;
}

static int teardown(void **state)
{
	machine_notify_down(m);
	close(manager_fd);
	return fake_host_teardown(state);
}

// NULL: nothing.
static void gets(const char *lines)
{
	char buf[128];
	ssize_t n = recv(manager_fd, buf, sizeof(buf) - 1, 0);

	if (!lines) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, lines);
}

static void it_is_ready_when_the_guest_runs(void **state)
{
	(void)state;
	up(NULL);
	m->run_state = RUN_STATE_PRELAUNCH;
	machine_notify_state(m);
	gets("STATUS=prelaunch");
	assert_int_equal(machine_cont(m, &err), 0);
	machine_notify_state(m);
	gets("READY=1\nSTATUS=running");
}

static void with_S_it_is_ready_before(void **state)
{
	(void)state;
	up(NULL);
	fake_host->opts.stopped = true;
	m->run_state = RUN_STATE_PRELAUNCH;
	machine_notify_state(m);
	gets("READY=1\nSTATUS=prelaunch");
}

static void each_run_state_is_reported_once(void **state)
{
	(void)state;
	up(NULL);
	machine_notify_state(m);
	gets("READY=1\nSTATUS=running");
	machine_notify_state(m);
	gets(NULL);
	machine_stop(m);
	machine_notify_state(m);
	gets("STATUS=paused");
	assert_int_equal(machine_cont(m, &err), 0);
	machine_notify_state(m);
	gets("STATUS=running");
	machine_notify_end(m);
	gets("STOPPING=1\nSTATUS=ending, last sync of the files");
}

static void a_report_that_was_not_taken_is_made_again(void **state)
{
	unsigned n = 0;

	(void)state;
	up(NULL);
	while (notify_send(&m->notify.manager, "filler") == 0)
		n++;
	machine_notify_state(m);
	while (n-- > 0)
		gets("filler");
	gets(NULL);
	machine_notify_state(m);
	gets("READY=1\nSTATUS=running");
}

static unsigned count(const char *lines)
{
	unsigned n = 0;
	char buf[128];
	ssize_t len;

	while ((len = recv(manager_fd, buf, sizeof(buf), 0)) > 0)
		n += (size_t)len == strlen(lines) && memcmp(buf, lines, strlen(lines)) == 0;
	return n;
}

static void the_main_loop_feeds_the_watchdog(void **state)
{
	unsigned n = 0;

	(void)state;
	up("20000");
	for (unsigned turns = 0; turns < TURNS_MAX && n < 3; turns++) {
		assert_int_equal(loop_once(&m->loop), 0);
		n += count("WATCHDOG=1");
	}
	assert_true(n >= 3);
}

// systemd kills a service that is silent for the whole time; sd_watchdog_enabled(3) advises half of it.
static void the_watchdog_is_fed_twice_in_its_time(void **state)
{
	uint64_t before = monotonic_ms();

	(void)state;
	up("2000000000");
	assert_in_range(m->notify.watchdog.deadline_ms, before + 1000000, monotonic_ms() + 1000000);
}

static void the_main_loop_reports(void **state)
{
	(void)state;
	up(NULL);
	m->requested = REQUEST_QUIT;
	m->requested_cause = CAUSE_HOST_SIGNAL;
	pthread_mutex_unlock(&m->lock);
	assert_int_equal(machine_run(m), 0);
	pthread_mutex_lock(&m->lock);
	gets("STOPPING=1\nSTATUS=ending, last sync of the files");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_ready_when_the_guest_runs),
		TEST(with_S_it_is_ready_before),
		TEST(each_run_state_is_reported_once),
		TEST(a_report_that_was_not_taken_is_made_again),
		TEST(the_main_loop_feeds_the_watchdog),
		TEST(the_watchdog_is_fed_twice_in_its_time),
		TEST(the_main_loop_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
