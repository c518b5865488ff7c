// SPDX-License-Identifier: Apache-2.0
// Tests of the monitor's clients: monitor.c, session.c.
#include "monitor_fixture.h"

#include "monotonic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned nsessions(void)
{
	unsigned count = 0;

	for (const struct session *s = rig.monitor->sessions; s; s = s->next)
		count++;
	return count;
}

static void turns(unsigned count)
{
	while (count-- > 0)
		rig_turn();
}

static void many_clients_at_once(void **state)
{
	int fds[CHARDEV_MONITOR_PEERS_MAX];

	(void)state;
	fake_qmp.answer_len = 3;
	for (unsigned i = 0; i < CHARDEV_MONITOR_PEERS_MAX; i++) {
		fds[i] = rig_connect(rig.qmp_path);
		assert_string_equal(rig_read_until(fds[i], "\n"), "hello\r\n");
	}
	for (unsigned i = 0; i < CHARDEV_MONITOR_PEERS_MAX; i++) {
		char text[2] = { (char)('a' + i), '\0' }, want[] = { text[0], text[0], text[0], '\n', '\0' };

		rig_send(fds[i], text);
		assert_string_equal(rig_read_until(fds[i], "\n"), want);
	}
	// One more is turned away, and the others go on.
	rig_read_to_end(rig_connect(rig.qmp_path));
	assert_int_equal(nsessions(), CHARDEV_MONITOR_PEERS_MAX);
	// Another socket has places of its own.
	close(rig_connect(rig.hmp_path));
	for (unsigned i = 0; i < CHARDEV_MONITOR_PEERS_MAX; i++)
		close(fds[i]);
	turns(60);
	assert_int_equal(nsessions(), 0);
	assert_int_equal(fake_qmp.nclose, CHARDEV_MONITOR_PEERS_MAX);
	fds[0] = rig_connect(rig.qmp_path);
	rig_read_until(fds[0], "hello\r\n");
	close(fds[0]);
}

// Their places are free for one that connects after them, in whatever order the loop serves its descriptors.
static void places_are_free_when_clients_have_left(void **state)
{
	int fds[CHARDEV_MONITOR_PEERS_MAX];

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < CHARDEV_MONITOR_PEERS_MAX; i++) {
			fds[i] = rig_connect(rig.qmp_path);
			rig_read_until(fds[i], "hello\r\n");
		}
		for (unsigned i = 0; i < CHARDEV_MONITOR_PEERS_MAX; i++)
			close(fds[(i + round) % CHARDEV_MONITOR_PEERS_MAX]);
		fds[0] = rig_connect(rig.qmp_path);
		rig_read_until(fds[0], "hello\r\n");
		assert_int_equal(nsessions(), 1);
		close(fds[0]);
		turns(10);
	}
}

static void somebody_is_awaited_until_he_comes(void **state)
{
	int fd;

	(void)state;
	assert_true(chardev_list_is_awaited(&rig.machine.chardevs));
	fd = rig_connect(rig.qmp_path);
	turns(2);
	assert_true(chardev_list_is_awaited(&rig.machine.chardevs));
	close(fd);
	fd = rig_connect(rig.hmp_path);
	turns(2);
	assert_false(chardev_list_is_awaited(&rig.machine.chardevs));
	close(fd);
	turns(3);
	assert_false(chardev_list_is_awaited(&rig.machine.chardevs));
}

// A client that asks and does not read is not asked further; when it reads, it gets everything.
static void a_client_that_does_not_read_is_not_heard(void **state)
{
	static char question[65536];
	size_t nsent = 0, ngot = 0;
	int fd = rig_connect(rig.qmp_path);

	(void)state;
	rig_read_until(fd, "hello\r\n");
	fake_qmp.answer_len = 300000;
	memset(question, 'q', sizeof(question));
	for (unsigned i = 0; i < 1000; i++) {
		ssize_t n = write(fd, question, sizeof(question));

		nsent += n > 0 ? (size_t)n : 0;
		rig_turn();
	}
	assert_true(fake_qmp.ninput < 2000);
	assert_true(fake_qmp.ninput < nsent);
	assert_int_equal(nsessions(), 1);
	assert_true(chardev_pending(rig.monitor->sessions->chr) <= 300001);
	fake_qmp.answer_len = 0;
	for (unsigned i = 0; i < 100000 && fake_qmp.ninput < nsent; i++) {
		char buf[65536];
		ssize_t n = read(fd, buf, sizeof(buf));

		ngot += n > 0 ? (size_t)n : 0;
		rig_turn();
	}
	assert_int_equal(fake_qmp.ninput, nsent);
	assert_true(ngot > 300000);
	close(fd);
}

static void events_that_nobody_reads_end_the_session(void **state)
{
	static char text[65536];
	const struct machine_event event = { .kind = MACHINE_EVENT_STOP, .path = text };
	int reader = rig_connect(rig.qmp_path), sleeper = rig_connect(rig.qmp_path);
	unsigned n = 0;

	(void)state;
	memset(text, 'e', sizeof(text) - 1);
	rig_read_until(reader, "hello\r\n");
	rig_read_until(sleeper, "hello\r\n");
	assert_int_equal(nsessions(), 2);
	while (nsessions() == 2 && n++ < 2000) {
		monitor_event(rig.monitor, &event);
		rig_read_until(reader, "e\r\n");
		rig_turn();
	}
	assert_int_equal(nsessions(), 1);
	assert_in_range(n, SESSION_OUT_MAX / sizeof(text), SESSION_OUT_MAX / sizeof(text) + 20);
	rig_read_to_end(sleeper);
	monitor_event(rig.monitor, &event);
	rig_read_until(reader, "e\r\n");
	close(reader);
	close(sleeper);
}

/* Nobody has to make the text of an event that nobody gets: the first client may never come. */
static void an_event_for_nobody_is_not_made(void **state)
{
	const struct machine_event event = { .kind = MACHINE_EVENT_STOP, .path = "p" };
	unsigned before = fake_qmp.ntexts;
	int client;

	(void)state;
	monitor_event(rig.monitor, &event);
	assert_int_equal(fake_qmp.ntexts, before);
	client = rig_connect(rig.qmp_path);
	rig_read_until(client, "hello\r\n");
	monitor_event(rig.monitor, &event);
	assert_int_equal(fake_qmp.ntexts, before + 1);
	rig_read_until(client, "p\r\n");
	close(client);
}

static void a_hang_up_comes_after_the_answer(void **state)
{
	size_t ngot = 0;
	int fd = rig_connect(rig.qmp_path);

	(void)state;
	rig_read_until(fd, "hello\r\n");
	fake_qmp.answer_len = 1000000;
	fake_qmp.hang_up = true;
	rig_send(fd, "x");
	for (unsigned i = 0; i < 100000; i++) {
		char buf[65536];
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n == 0)
			break;
		ngot += n > 0 ? (size_t)n : 0;
		if (n < 0)
			usleep(1000);
		// No more questions.
		if (ngot > 0)
			(void)!write(fd, "y", 1);
		rig_turn();
	}
	assert_int_equal(ngot, 1000001);
	assert_int_equal(fake_qmp.ninput, 1);
	turns(3);
	assert_int_equal(nsessions(), 0);
	close(fd);
}

// A client that is hung up on and does not read goes all the same, in a few seconds.
static void a_hang_up_does_not_wait_for_ever(void **state)
{
	int fd = rig_connect(rig.qmp_path);

	(void)state;
	rig_read_until(fd, "hello\r\n");
	fake_qmp.answer_len = 1000000;
	fake_qmp.hang_up = true;
	rig_send(fd, "x");
	turns(5);
	assert_int_equal(nsessions(), 1);
	rig.monitor->sessions->linger_ms = monotonic_ms();
	for (unsigned i = 0; i < 1000 && nsessions() > 0; i++) {
		usleep(1000);
		rig_turn();
	}
	assert_int_equal(nsessions(), 0);
	close(fd);
}

static void *read_all(void *arg)
{
	int fd = *(int *)arg;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	static size_t ngot;
	char buf[4096];
	ssize_t n;

	ngot = 0;
	while (poll(&poll_fd, 1, 300000) == 1 && (n = read(fd, buf, sizeof(buf))) > 0)
		ngot += (size_t)n;
	return &ngot;
}

// Also for a client behind one that does not read.
static void the_end_brings_what_is_buffered(void **state)
{
	int reader = rig_connect(rig.qmp_path), sleepers[2];
	pthread_t thread;
	void *ngot;

	(void)state;
	rig_read_until(reader, "hello\r\n");
	sleepers[0] = rig_connect(rig.qmp_path);
	sleepers[1] = rig_connect(rig.qmp_path);
	rig_read_until(sleepers[1], "hello\r\n");
	fake_qmp.answer_len = 1000000;
	rig_send(reader, "x");
	rig_send(sleepers[0], "x");
	rig_send(sleepers[1], "x");
	turns(5);
	assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
	monitor_destroy(rig.monitor);
	rig.monitor = NULL;
	assert_int_equal(pthread_join(thread, &ngot), 0);
	assert_int_equal(*(size_t *)ngot, 1000001);
	close(reader);
	close(sleepers[0]);
	close(sleepers[1]);
}

// As `printf command | nc -NU socket`, or a script that does not care: what was sent is carried out.
static void a_client_that_closes_at_once_is_served(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		int fd = rig_connect(rig.qmp_path);

		rig_send(fd, "x");
		close(fd);
		turns(6);
		assert_int_equal(fake_qmp.ninput, i);
		assert_int_equal(fake_qmp.nclose, i);
		assert_int_equal(nsessions(), 0);
	}
}

// Requests that wait behind answers that nobody reads any more: 4 KiB of them are carried out.
static void a_client_that_closes_with_requests_queued_is_served_up_to_a_limit(void **state)
{
	static char question[20000];
	size_t before;
	int fd = rig_connect(rig.qmp_path);

	(void)state;
	rig_read_until(fd, "hello\r\n");
	fake_qmp.answer_len = 300000;
	memset(question, 'q', sizeof(question));
	assert_int_equal(write(fd, question, sizeof(question)), sizeof(question));
	turns(20);
	before = fake_qmp.ninput;
	assert_true(before < sizeof(question) - 8192);
	close(fd);
	for (unsigned i = 0; i < 2000 && nsessions() > 0; i++)
		rig_turn();
	assert_int_equal(nsessions(), 0);
	assert_in_range(fake_qmp.ninput - before, 4096, 4096 + 512);
}

static size_t read_to_end_slowly(int fd)
{
	size_t ngot = 0;

	for (unsigned i = 0; i < 100000; i++) {
		char buf[8192];
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n == 0)
			return ngot;
		ngot += n > 0 ? (size_t)n : 0;
		if (n < 0)
			usleep(100);
		rig_turn();
	}
	fail_msg("the peer is still there");
	return 0;
}

static void a_half_closed_client_gets_all_answers(void **state)
{
	static char question[3000];
	int fd = rig_connect(rig.qmp_path);
	size_t ngot;

	(void)state;
	rig_read_until(fd, "hello\r\n");
	fake_qmp.answer_len = 300000;
	memset(question, 'q', sizeof(question));
	assert_int_equal(write(fd, question, sizeof(question)), sizeof(question));
	shutdown(fd, SHUT_WR);
	turns(20);
	ngot = read_to_end_slowly(fd);
	assert_int_equal(fake_qmp.ninput, sizeof(question));
	// An answer for each piece of the input, whatever the pieces were.
	assert_true(ngot >= 300001);
	assert_int_equal(ngot % 300001, 0);
	turns(5);
	assert_int_equal(nsessions(), 0);
	close(fd);
}

// It goes when it has read nothing for a while.
static void a_half_closed_client_that_does_not_read_goes(void **state)
{
	int fd = rig_connect(rig.qmp_path);

	(void)state;
	rig_read_until(fd, "hello\r\n");
	fake_qmp.answer_len = 1000000;
	rig_send(fd, "x");
	shutdown(fd, SHUT_WR);
	turns(5);
	assert_int_equal(nsessions(), 1);
	rig.monitor->sessions->linger_ms = monotonic_ms();
	for (unsigned i = 0; i < 1000 && nsessions() > 0; i++) {
		usleep(1000);
		rig_turn();
	}
	assert_int_equal(nsessions(), 0);
	close(fd);
}

static void a_socket_is_for_its_owner_only(void **state)
{
	struct stat st;
	mode_t before;

	(void)state;
	monitor_destroy(rig.monitor);
	rig.monitor = NULL;
	rig.opts.nmonitors = 0;
	before = umask(0);
	rig_add_monitor(MONITOR_QMP,
	                &(struct chardev_config) { .kind = CHARDEV_SOCKET, .path = rig.qmp_path, .server = true });
	umask(before);
	assert_int_equal(monitor_create(&rig.machine, &rig.monitor, NULL), 0);
	assert_int_equal(lstat(rig.qmp_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_served_socket_is_refused(void **state)
{
	const struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .path = rig.qmp_path, .server = true };
	struct vpmem_error err = { "", "" };
	struct chardev *other = NULL;

	(void)state;
	assert_int_equal(chardev_list_add(&rig.machine.chardevs, &cfg, &rig.machine.loop, NULL, NULL, &other, &err),
	                 -EADDRINUSE);
	assert_non_null(strstr(err.text, "Failed to bind socket to"));
	assert_null(other);
	// It did not take the first one's sockets with it.
	close(rig_connect(rig.qmp_path));
	turns(3);
}

static void stdio_stays_when_its_input_ends(void **state)
{
	const struct machine_event event = { .path = "/event" };
	struct monitor *mon = NULL;

	(void)state;
	monitor_destroy(rig.monitor);
	rig.monitor = NULL;
	rig.opts.nmonitors = 0;
	rig_take_stdio();
	rig_add_monitor(MONITOR_QMP, &(struct chardev_config) { .kind = CHARDEV_STDIO });
	assert_int_equal(monitor_create(&rig.machine, &mon, NULL), 0);
	rig_read_until(rig.out_fd, "hello\r\n");
	close(rig.in_fd);
	rig.in_fd = -1;
	turns(3);
	monitor_event(mon, &event);
	rig_read_until(rig.out_fd, "/event\r\n");
	monitor_destroy(mon);
	rig_give_stdio();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_clients_at_once, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(places_are_free_when_clients_have_left, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(somebody_is_awaited_until_he_comes, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_client_that_does_not_read_is_not_heard, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(events_that_nobody_reads_end_the_session, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(an_event_for_nobody_is_not_made, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_hang_up_comes_after_the_answer, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_hang_up_does_not_wait_for_ever, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(the_end_brings_what_is_buffered, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_client_that_closes_at_once_is_served, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_client_that_closes_with_requests_queued_is_served_up_to_a_limit,
		                                rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_half_closed_client_gets_all_answers, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_half_closed_client_that_does_not_read_goes, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_socket_is_for_its_owner_only, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_served_socket_is_refused, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(stdio_stays_when_its_input_ends, rig_up, rig_down),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
