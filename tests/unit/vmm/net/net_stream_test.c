// SPDX-License-Identifier: Apache-2.0
/* net_stream_test.c - peers of a network back end on a stream socket come, go, and come again. */
#include "net_stream.h"

#include "fake_log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 500u

static pthread_mutex_t lock;
static struct loop loop;
static struct net_stream *stream;
static struct vpmem_error err;
static char path[64];
static unsigned nconnected, ndisconnected;

static void on_connected(void *owner, bool connected)
{
	(void)owner;
	nconnected += connected;
	ndisconnected += !connected;
}

static int setup(void **state)
{
	(void)state;
	fake_log_clear();
	pthread_mutex_init(&lock, NULL);
	pthread_mutex_lock(&lock);
	assert_int_equal(loop_init(&loop, &lock), 0);
	nconnected = ndisconnected = 0;
	stream = NULL;
	snprintf(path, sizeof(path), "/tmp/net_stream_test-%d", getpid());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_stream_close(stream);
	assert_int_equal(loop.nsources, 0);
	assert_int_equal(loop.ntimers, 0);
	loop_fini(&loop);
	pthread_mutex_unlock(&lock);
	unlink(path);
	return 0;
}

static int open_stream(bool server, uint32_t reconnect_ms, char *fd)
{
	const struct chardev_config address = { .kind = CHARDEV_SOCKET,
		                                .path = fd ? NULL : path,
		                                .fd = fd,
		                                .server = server,
		                                .reconnect_ms = reconnect_ms };
	const struct net_stream_options opts = { .id = "n0", .address = &address, .connected = on_connected };

	return net_stream_open(&opts, &loop, &stream, &err);
}

static int socket_at(bool listens)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, path);
	if (listens) {
		assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(listen(fd, 4), 0);
	} else {
		assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	return fd;
}

static void turns_until(const unsigned *count, unsigned expected)
{
	for (unsigned i = 0; i < TURNS_MAX && *count < expected; i++) {
		loop_wake(&loop);
		loop_once(&loop);
		usleep(5000);
	}
	assert_int_equal(*count, expected);
}

static void a_server_takes_one_after_the_other(void **state)
{
	int first, second;

	(void)state;
	assert_int_equal(open_stream(true, 0, NULL), 0);
	first = socket_at(false);
	turns_until(&nconnected, 1);
	second = socket_at(false);
	loop_wake(&loop);
	loop_once(&loop);
	assert_int_equal(nconnected, 1);
	/* No card has the port: the main thread notices by itself. */
	close(first);
	turns_until(&ndisconnected, 1);
	turns_until(&nconnected, 2);
	assert_true(net_port_poll_fd(net_stream_port(stream)) >= 0);
	close(second);
	turns_until(&ndisconnected, 2);
	assert_int_equal(net_port_poll_fd(net_stream_port(stream)), -1);
}

static void a_client_tries_until_somebody_listens(void **state)
{
	int server, peer;

	(void)state;
	assert_int_equal(open_stream(false, 0, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		loop_wake(&loop);
		loop_once(&loop);
	}
	assert_int_equal(nconnected, 0);
	server = socket_at(true);
	turns_until(&nconnected, 1);
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	/* Not again without reconnect=. */
	close(peer);
	turns_until(&ndisconnected, 1);
	for (unsigned i = 0; i < 5; i++) {
		loop_wake(&loop);
		loop_once(&loop);
	}
	assert_int_equal(accept(server, NULL, NULL), -1);
	close(server);
}

static void a_client_connects_again(void **state)
{
	int server = socket_at(true), peer;

	(void)state;
	assert_int_equal(open_stream(false, 1, NULL), 0);
	turns_until(&nconnected, 1);
	peer = accept(server, NULL, NULL);
	close(peer);
	turns_until(&ndisconnected, 1);
	turns_until(&nconnected, 2);
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	close(peer);
	close(server);
}

/* The worker sees the end; the main thread closes, and says why. */
static void a_card_reports_the_end(void **state)
{
	int wake_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), peer;
	struct net_port *port;
	size_t len;

	(void)state;
	assert_int_equal(open_stream(true, 0, NULL), 0);
	port = net_stream_port(stream);
	net_port_set_wake_efd(port, wake_efd);
	peer = socket_at(false);
	turns_until(&nconnected, 1);
	assert_int_equal(write(peer, "\xff\xff\xff\xff", 4), 4);
	assert_null(net_port_next(port, &len));
	turns_until(&ndisconnected, 1);
	assert_non_null(strstr(fake_log_text, "netdev n0: unix:/tmp/net_stream_test-"));
	assert_non_null(strstr(fake_log_text, "a frame is longer than any can be"));
	close(peer);
	net_port_set_wake_efd(port, -1);
	close(wake_efd);
}

static void a_descriptor_that_was_passed(void **state)
{
	char text[16];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	snprintf(text, sizeof(text), "%d", fds[0]);
	assert_int_equal(open_stream(false, 0, text), 0);
	assert_int_equal(nconnected, 1);
	assert_int_equal(net_port_poll_fd(net_stream_port(stream)), fds[0]);
	close(fds[1]);
	turns_until(&ndisconnected, 1);
}

static void what_is_no_socket_is_refused(void **state)
{
	char text[] = "0"; /* standard input */

	(void)state;
	assert_true(open_stream(false, 0, text) < 0);
	assert_non_null(strstr(err.text, "is not a socket"));
}

static void a_netdev_that_was_deleted_lets_go(void **state)
{
	uint8_t byte;
	int peer;

	(void)state;
	assert_int_equal(open_stream(true, 0, NULL), 0);
	peer = socket_at(false);
	turns_until(&nconnected, 1);
	net_stream_end(stream);
	assert_int_equal(read(peer, &byte, 1), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(net_port_poll_fd(net_stream_port(stream)), -1);
	close(peer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_server_takes_one_after_the_other),
		TEST(a_client_tries_until_somebody_listens),
		TEST(a_client_connects_again),
		TEST(a_card_reports_the_end),
		TEST(a_descriptor_that_was_passed),
		TEST(what_is_no_socket_is_refused),
		TEST(a_netdev_that_was_deleted_lets_go),
	};

	return cmocka_run_group_tests_name("net_stream", tests, NULL, NULL);
}
