// SPDX-License-Identifier: Apache-2.0
// Tests of where the peers of a character device come from, and of the list of chardevs.
#include "chardev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 500u
#define STEP_US 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct fixture {
	char dir[64], path[96];
	struct loop loop;
	struct chardev_list list;
	struct chardev *chr;
	unsigned nconnected, ndisconnected;
	size_t nreceived;
	char received[4096];
	struct vpmem_error err;
} f;

static size_t on_room(void *owner)
{
	(void)owner;
	return sizeof(f.received) - 1 - f.nreceived;
}

static void on_receive(void *owner, const uint8_t *buf, size_t len)
{
	(void)owner;
	memcpy(f.received + f.nreceived, buf, len);
	f.nreceived += len;
}

static void on_writable(void *owner)
{
	(void)owner;
}

static void on_connection(void *owner, bool connected)
{
	(void)owner;
	f.nconnected += connected;
	f.ndisconnected += !connected;
}

static const struct chardev_front front = {
	.room = on_room,
	.receive = on_receive,
	.writable = on_writable,
	.connection = on_connection,
};

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/x", f.dir);
	pthread_mutex_lock(&lock);
	signal(SIGPIPE, SIG_IGN);
	return loop_init(&f.loop, &lock);
}

static int teardown(void **state)
{
	(void)state;
	chardev_list_close(&f.list);
	assert_int_equal(f.loop.nsources, 0);
	assert_int_equal(f.loop.ntimers, 0);
	loop_fini(&f.loop);
	pthread_mutex_unlock(&lock);
	unlink(f.path);
	return rmdir(f.dir);
}

static int add(const struct chardev_config *cfg)
{
	int rc = chardev_list_add(&f.list, cfg, &f.loop, NULL, NULL, &f.chr, &f.err);

	if (rc == 0)
		chardev_set_front(f.chr, &front);
	return rc;
}

static struct chardev_config client(const char *id)
{
	return (struct chardev_config) { .kind = CHARDEV_SOCKET, .id = (char *)id, .path = f.path };
}

static void turn(void)
{
	loop_wake(&f.loop);
	assert_int_equal(loop_once(&f.loop), 0);
	usleep(STEP_US);
}

#define TURN_UNTIL(condition)                                          \
	do {                                                           \
		unsigned turns_ = 0;                                   \
		while (!(condition) && turns_++ < TURNS_MAX)           \
			turn();                                        \
		if (!(condition))                                      \
			fail_msg("%s does not come true", #condition); \
	} while (0)

static int listen_at_path(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void send_text(const char *text)
{
	assert_int_equal(chardev_write(f.chr, (const uint8_t *)text, strlen(text)), strlen(text));
}

static void expect(int fd, const char *text)
{
	char buf[256];
	size_t len = 0;

	for (unsigned i = 0; i < TURNS_MAX && len < strlen(text); i++) {
		ssize_t n = read(fd, buf + len, sizeof(buf) - 1 - len);

		len += n > 0 ? (size_t)n : 0;
		turn();
	}
	buf[len] = '\0';
	assert_string_equal(buf, text);
}

static const char *filename(void)
{
	static char buf[256];

	chardev_filename(f.chr, buf, sizeof(buf));
	return buf;
}

static void a_client_connects_at_once_or_fails(void **state)
{
	const struct chardev_config cfg = client("c");
	char want[256];
	int listener, fd;

	(void)state;
	assert_int_equal(add(&cfg), -ENOENT);
	snprintf(want, sizeof(want), "Failed to connect to '%s': No such file or directory", f.path);
	assert_string_equal(f.err.text, want);
	assert_null(f.list.first);

	listener = listen_at_path();
	assert_int_equal(add(&cfg), 0);
	assert_int_equal(f.nconnected, 1);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_int_equal(write(fd, "in", 2), 2);
	TURN_UNTIL(f.nreceived == 2);
	send_text("out\n");
	expect(fd, "out\n");
	snprintf(want, sizeof(want), "unix:%s", f.path);
	assert_string_equal(filename(), want);
	// It does not connect a second time.
	close(fd);
	TURN_UNTIL(f.ndisconnected == 1);
	snprintf(want, sizeof(want), "disconnected:unix:%s", f.path);
	assert_string_equal(filename(), want);
	send_text("dropped\n");
	for (unsigned i = 0; i < 10; i++)
		turn();
	assert_true(accept4(listener, NULL, NULL, SOCK_NONBLOCK) < 0);
	close(listener);
}

static void a_client_connects_again(void **state)
{
	struct chardev_config cfg = client("c");
	int listener, fd;

	(void)state;
	cfg.reconnect_ms = 20;
	// Nobody listens yet.
	assert_int_equal(add(&cfg), 0);
	assert_false(chardev_connected(f.chr));
	turn();
	listener = listen_at_path();
	for (unsigned i = 1; i <= 3; i++) {
		TURN_UNTIL(f.nconnected == i);
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		send_text("hello\n");
		expect(fd, "hello\n");
		close(fd);
		TURN_UNTIL(f.ndisconnected == i);
	}
	close(listener);
}

static void a_client_of_a_running_machine_does_not_wait(void **state)
{
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .id = (char *)"c", .port = (char *)"1", .async = true };

	(void)state;
	assert_int_equal(add(&cfg), 0);
	turn();
	assert_false(chardev_connected(f.chr));
}

static void tcp_listens_on_loopback(void **state)
{
	const struct chardev_config cfg = {
		.kind = CHARDEV_SOCKET, .id = (char *)"c", .port = (char *)"0", .server = true, .wait = true
	};
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct chardev_config second = { .kind = CHARDEV_SOCKET, .server = true };
	char port[16] = "";
	int fd;

	(void)state;
	assert_int_equal(add(&cfg), 0);
	assert_true(chardev_list_is_awaited(&f.list));
	assert_int_equal(sscanf(filename(), "disconnected:tcp:127.0.0.1:%15[0-9],server=on", port), 1);
	second.port = port;
	assert_int_equal(chardev_list_add(&f.list, &second, &f.loop, NULL, NULL, &f.chr, &f.err), -EADDRINUSE);
	assert_non_null(strstr(f.err.text, "Failed to listen on tcp:127.0.0.1:"));
	f.chr = chardev_find(&f.list, "c");

	addr.sin_port = htons((uint16_t)atoi(port));
	// Another address of this host is not served.
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ECONNREFUSED);
	close(fd);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)!connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	TURN_UNTIL(f.nconnected == 1);
	assert_false(chardev_list_is_awaited(&f.list));
	send_text("hello\n");
	expect(fd, "hello\n");
	assert_int_equal(write(fd, "in", 2), 2);
	TURN_UNTIL(f.nreceived == 2);
	close(fd);
	TURN_UNTIL(f.ndisconnected == 1);
	// Not again for the next one.
	assert_false(chardev_list_is_awaited(&f.list));
}

static void a_host_is_a_number(void **state)
{
	const struct chardev_config cfg = {
		.kind = CHARDEV_SOCKET, .host = (char *)"example.org", .port = (char *)"1", .server = true
	};

	(void)state;
	assert_int_equal(add(&cfg), -EINVAL);
	assert_string_equal(f.err.text, "address resolution failed for tcp:example.org:1,server=on: not a number");
}

static void a_socket_that_was_passed_listens(void **state)
{
	char number[16];
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .id = (char *)"c", .fd = number, .server = true };
	int listener = listen_at_path(), fd;

	(void)state;
	snprintf(number, sizeof(number), "%d", listener);
	cfg.server = false;
	assert_int_equal(add(&cfg), -EINVAL);
	cfg.server = true;
	assert_int_equal(add(&cfg), 0);
	fd = connect_to(f.path);
	TURN_UNTIL(f.nconnected == 1);
	send_text("hello\n");
	expect(fd, "hello\n");
	close(fd);
	chardev_list_close(&f.list);
	// It is closed; its path is not ours to remove.
	assert_int_equal(fcntl(listener, F_GETFD), -1);
	assert_int_equal(access(f.path, F_OK), 0);
}

static void a_connection_that_was_passed_serves(void **state)
{
	char number[16];
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .id = (char *)"c", .fd = number };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	snprintf(number, sizeof(number), "%d", fds[1]);
	assert_int_equal(add(&cfg), 0);
	assert_int_equal(f.nconnected, 1);
	send_text("hello\n");
	expect(fds[0], "hello\n");
	close(fds[0]);
	TURN_UNTIL(f.ndisconnected == 1);
}

static void what_is_no_socket_is_refused(void **state)
{
	char number[16];
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .fd = number };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(number, sizeof(number), "%d", fds[0]);
	assert_int_equal(add(&cfg), -ENOTSOCK);
	assert_non_null(strstr(f.err.text, "is not a socket"));
	close(fds[0]);
	close(fds[1]);
}

static void a_pty_has_peers_that_come_and_go(void **state)
{
	const struct chardev_config cfg = { .kind = CHARDEV_PTY, .id = (char *)"c" };
	const char *path;
	int fd;

	(void)state;
	assert_int_equal(add(&cfg), 0);
	path = chardev_pty(f.chr);
	assert_non_null(path);
	assert_int_equal(strncmp(filename(), "pty:/dev/pts/", 13), 0);
	// Nobody reads: it is dropped.
	for (unsigned i = 0; i < 100; i++)
		send_text("0123456789012345678901234567890123456789012345678901234567890123456789\n");
	for (unsigned i = 1; i <= 2; i++) {
		fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
		assert_true(fd >= 0);
		TURN_UNTIL(f.nconnected == i);
		send_text("hello\n");
		expect(fd, "hello\n");
		assert_int_equal(write(fd, "\001x\n", 3), 3);
		TURN_UNTIL(f.nreceived == 3 * i);
		close(fd);
		TURN_UNTIL(f.ndisconnected == i);
	}
	assert_memory_equal(f.received, "\001x\n\001x\n", 6);
}

static void a_ring_keeps_the_last_bytes(void **state)
{
	const struct chardev_config cfg = { .kind = CHARDEV_RINGBUF, .id = (char *)"c", .size = 8 };
	uint8_t buf[16];

	(void)state;
	assert_int_equal(add(&cfg), 0);
	assert_int_equal(f.nconnected, 1);
	assert_int_equal(chardev_ring_read(f.chr, buf, sizeof(buf)), 0);
	send_text("abcdef");
	assert_int_equal(chardev_ring_read(f.chr, buf, 2), 2);
	assert_memory_equal(buf, "ab", 2);
	send_text("0123456789");
	assert_int_equal(chardev_ring_read(f.chr, buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "23456789", 8);
	assert_int_equal(chardev_ring_read(f.chr, buf, sizeof(buf)), 0);
	assert_string_equal(filename(), "ringbuf");
}

static void a_chardev_has_one_user(void **state)
{
	const struct chardev_config cfg = { .kind = CHARDEV_NULL, .id = (char *)"c" },
				    unnamed = { .kind = CHARDEV_NULL };
	struct chardev *chr;

	(void)state;
	assert_int_equal(add(&unnamed), 0);
	assert_int_equal(add(&cfg), 0);
	chr = f.chr;
	assert_int_equal(add(&cfg), -EEXIST);
	assert_ptr_equal(chardev_find(&f.list, "c"), chr);
	assert_ptr_equal(chardev_next(&f.list, NULL), chr);
	assert_null(chardev_next(&f.list, chr));
	assert_null(chardev_find(&f.list, "d"));
	assert_int_equal(chardev_claim(chr, CHARDEV_DEVICE, &f.err), 0);
	assert_int_equal(chardev_claim(chr, CHARDEV_DEVICE, &f.err), -EBUSY);
	assert_string_equal(f.err.text, "chardev 'c' is already in use");
	assert_int_equal(chardev_claim(chr, CHARDEV_MONITOR, &f.err), -EBUSY);
	chardev_release(chr, CHARDEV_DEVICE);
	assert_false(chardev_is_busy(chr));
	assert_int_equal(chardev_claim(chr, CHARDEV_MONITOR, &f.err), 0);
}

static void an_appended_file_keeps_its_content(void **state)
{
	struct chardev_config cfg = { .kind = CHARDEV_FILE, .id = (char *)"c", .path = f.path, .append = true };
	char buf[32] = "";
	int fd = open(f.path, O_WRONLY | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, "old\n", 4), 4);
	close(fd);
	assert_int_equal(add(&cfg), 0);
	chardev_list_keep(&f.list);
	send_text("new\n");
	chardev_list_close(&f.list);
	fd = open(f.path, O_RDONLY);
	assert_int_equal(read(fd, buf, sizeof(buf)), 8);
	assert_string_equal(buf, "old\nnew\n");
	close(fd);
	cfg.path = f.dir;
	assert_int_equal(add(&cfg), -EISDIR);
	assert_non_null(strstr(f.err.text, "Could not open '"));
}

static int on_accept(void *owner, int fd)
{
	*(int *)owner = fd;
	return fd < 0 ? -EINVAL : 0;
}

/* A user that wants the descriptors takes the peer that has come before it, and those that come later. */
static void an_acceptor_takes_every_peer(void **state)
{
	struct chardev_config cfg = client("c");
	int listener = listen_at_path(), taken = -1, fd;

	(void)state;
	cfg.reconnect_ms = 20;
	assert_int_equal(chardev_list_add(&f.list, &cfg, &f.loop, NULL, NULL, &f.chr, &f.err), 0);
	assert_true(chardev_connected(f.chr));
	chardev_set_acceptor(f.chr, on_accept, &taken);
	assert_false(chardev_connected(f.chr));
	for (unsigned i = 0; i < 2; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		TURN_UNTIL(taken >= 0);
		assert_int_equal(write(taken, "hello", 5), 5);
		expect(fd, "hello");
		close(taken);
		close(fd);
		taken = -1;
		chardev_peer_left(f.chr);
		TURN_UNTIL(taken >= 0);
	}
	close(taken);
	chardev_set_acceptor(f.chr, NULL, NULL);
	close(listener);
}

static void a_log_gets_all_output(void **state)
{
	struct chardev_config cfg = { .kind = CHARDEV_NULL, .id = (char *)"c", .logfile = f.path };
	char buf[32] = "";
	int fd;

	(void)state;
	// The start fails: nothing is left.
	assert_int_equal(add(&cfg), 0);
	chardev_list_close(&f.list);
	assert_int_equal(access(f.path, F_OK), -1);

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(add(&cfg), 0);
		chardev_list_keep(&f.list);
		send_text("one\n");
		assert_int_equal(chardev_queue(f.chr, (const uint8_t *)"two\n", 4), 0);
		chardev_list_close(&f.list);
		cfg.logappend = true;
	}
	fd = open(f.path, O_RDONLY);
	assert_int_equal(read(fd, buf, sizeof(buf)), 16);
	assert_string_equal(buf, "one\ntwo\none\ntwo\n");
	close(fd);
}

static void a_full_log_ends_and_holds_up_nobody(void **state)
{
	const struct chardev_config cfg = {
		.kind = CHARDEV_RINGBUF, .id = (char *)"c", .size = 64, .logfile = (char *)"/dev/full"
	};
	uint8_t buf[16];

	(void)state;
	assert_int_equal(add(&cfg), 0);
	send_text("one\n");
	send_text("two\n");
	assert_int_equal(chardev_ring_read(f.chr, buf, sizeof(buf)), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_client_connects_at_once_or_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_connects_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_of_a_running_machine_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_listens_on_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_is_a_number, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_that_was_passed_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connection_that_was_passed_serves, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_socket_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pty_has_peers_that_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ring_keeps_the_last_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_chardev_has_one_user, setup, teardown),
		cmocka_unit_test_setup_teardown(an_appended_file_keeps_its_content, setup, teardown),
		cmocka_unit_test_setup_teardown(an_acceptor_takes_every_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_log_gets_all_output, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_log_ends_and_holds_up_nobody, setup, teardown),
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
