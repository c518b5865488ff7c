// SPDX-License-Identifier: Apache-2.0
/* net_port_test.c - frames on a stream and as datagrams, with the other side in the test: slow, in pieces, or hostile. */
#include "net_port.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static struct net_port port;
static int peer, own; /* the two ends */
static uint8_t frame[NET_FRAME_MAX];

static void connect_pair(int type)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	own = fds[0];
	peer = fds[1];
	net_port_set_fd(&port, own);
}

static void disconnect(void)
{
	net_port_set_fd(&port, -1);
	close(own);
	close(peer);
}

static int setup(enum net_port_kind kind)
{
	assert_int_equal(net_port_init(&port, kind), 0);
	port.lost_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 13 + i / 256);
	connect_pair(kind == NET_PORT_STREAM ? SOCK_STREAM : SOCK_DGRAM);
	return 0;
}

static int setup_stream(void **state)
{
	(void)state;
	return setup(NET_PORT_STREAM);
}

static int setup_datagram(void **state)
{
	(void)state;
	return setup(NET_PORT_DATAGRAM);
}

static int teardown(void **state)
{
	(void)state;
	disconnect();
	close(port.lost_efd);
	net_port_fini(&port);
	return 0;
}

static bool is_lost(void)
{
	eventfd_t count;

	return eventfd_read(port.lost_efd, &count) == 0;
}

static void peer_writes(const void *bytes, size_t len)
{
	assert_int_equal(write(peer, bytes, len), len);
}

static void peer_writes_length(uint32_t len)
{
	peer_writes((const uint8_t[]) { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len },
	            4);
}

static void expect_frame(size_t len)
{
	size_t got = 0;
	const uint8_t *bytes = net_port_next(&port, &got);

	assert_non_null(bytes);
	assert_int_equal(got, len);
	assert_memory_equal(bytes, frame, len);
	/* The same one until it is dropped. */
	assert_ptr_equal(net_port_next(&port, &got), bytes);
	net_port_drop(&port);
}

static void expect_none(void)
{
	size_t len;

	assert_null(net_port_next(&port, &len));
}

// ---- receiving

static void frames_come_in_any_pieces(void **state)
{
	(void)state;
	expect_none();
	peer_writes_length(60);
	peer_writes(frame, 60);
	peer_writes_length(100);
	peer_writes(frame, 40);
	expect_frame(60);
	expect_none();
	peer_writes(frame + 40, 60);
	expect_frame(100);
	/* Byte by byte. */
	for (unsigned i = 0; i < 4; i++) {
		expect_none();
		peer_writes((const uint8_t[]) { 0, 0, 0, 20 } + i, 1);
	}
	for (unsigned i = 0; i < 20; i++) {
		expect_none();
		peer_writes(frame + i, 1);
	}
	expect_frame(20);
	expect_none();
	assert_false(is_lost());
}

static void the_longest_frame(void **state)
{
	const int size = 1 << 20;

	(void)state;
	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (unsigned i = 0; i < 3; i++) {
		peer_writes_length(NET_FRAME_MAX);
		peer_writes(frame, NET_FRAME_MAX);
	}
	for (unsigned i = 0; i < 3; i++) {
		size_t len;

		/* A read does not have to bring all of it. */
		for (unsigned n = 0; n < 1000 && !net_port_next(&port, &len); n++)
			;
		expect_frame(NET_FRAME_MAX);
	}
	expect_none();
}

static void a_length_that_none_can_have_ends_the_connection(void **state)
{
	static const uint32_t lengths[] = { NET_FRAME_MAX + 1, 0x80000000u, UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		peer_writes_length(30);
		peer_writes(frame, 30);
		peer_writes_length(lengths[i]);
		peer_writes(frame, 1000);
		/* What came before is a frame. */
		expect_frame(30);
		expect_none();
		assert_true(is_lost());
		assert_int_equal(net_port_poll_fd(&port), -1);
		assert_non_null(net_port_why_lost(&port));
		disconnect();
		connect_pair(SOCK_STREAM);
	}
	/* Nothing of an earlier connection is in the next one. */
	peer_writes_length(50);
	peer_writes(frame, 50);
	expect_frame(50);
}

/* Without a byte, a length of 0 could keep the worker for ever. */
static void a_flood_of_empty_frames_is_read_in_turns(void **state)
{
	static const uint8_t zeros[4096];
	unsigned nturns = 0;

	(void)state;
	while (write(peer, zeros, sizeof(zeros)) > 0)
		nturns++;
	expect_none();
	/* One turn did not read all of it. */
	assert_int_equal(recv(own, (uint8_t[1]) { 0 }, 1, MSG_PEEK), 1);
	for (unsigned i = 0; i < nturns; i++)
		expect_none();
	assert_int_equal(recv(own, (uint8_t[1]) { 0 }, 1, MSG_PEEK), -1);
	assert_false(is_lost());
}

static void a_peer_that_hangs_up_in_the_middle(void **state)
{
	(void)state;
	peer_writes_length(30);
	peer_writes(frame, 30);
	peer_writes_length(60);
	peer_writes(frame, 10);
	shutdown(peer, SHUT_RDWR);
	expect_frame(30);
	expect_none();
	expect_none();
	assert_true(is_lost());
	assert_null(net_port_why_lost(&port));
	/* What the guest sends is lost. */
	assert_int_equal(net_port_send(&port, &(struct iovec) { .iov_base = frame, .iov_len = 60 }, 1, 60), 0);
	assert_true(net_port_flush(&port));
	assert_false(is_lost());
}

static void a_hang_up_is_noticed_without_reading(void **state)
{
	(void)state;
	net_port_hung_up(&port, own);
	assert_false(is_lost());
	shutdown(peer, SHUT_RDWR);
	net_port_hung_up(&port, own + 1000);
	assert_false(is_lost());
	net_port_hung_up(&port, own);
	assert_true(is_lost());
	assert_int_equal(net_port_poll_fd(&port), -1);
}

// ---- sending

static int send_frame(size_t len)
{
	const struct iovec iov[] = { { .iov_base = frame, .iov_len = 10 },
		                     { .iov_base = frame + 10, .iov_len = len - 10 } };

	return net_port_send(&port, iov, 2, len);
}

static void read_all(uint8_t *out, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(peer, out + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else
			(void)net_port_flush(&port);
	}
}

static void frames_go_with_their_length(void **state)
{
	uint8_t got[104];

	(void)state;
	assert_int_equal(send_frame(100), 0);
	read_all(got, sizeof(got));
	assert_memory_equal(got, ((const uint8_t[]) { 0, 0, 0, 100 }), 4);
	assert_memory_equal(got + 4, frame, 100);
}

/* However little it takes at a time, no frame is broken, none comes twice, and none begins before another has ended. */
static void a_slow_reader_gets_whole_frames(void **state)
{
	const int size = 4096;
	static uint8_t got[4 + 50000];
	unsigned nsent = 0, nrefused = 0;

	(void)state;
	setsockopt(own, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (unsigned i = 0; i < 100; i++) {
		if (net_port_flush(&port) && send_frame(50000) == 0)
			nsent++;
		else
			nrefused++;
	}
	assert_true(nsent > 0 && nrefused > 0);
	assert_int_equal(send_frame(60), -EAGAIN);
	for (unsigned i = 0; i < nsent; i++) {
		read_all(got, sizeof(got));
		assert_memory_equal(got, ((const uint8_t[]) { 0, 0, 50000 >> 8, 50000 & 255 }), 4);
		assert_memory_equal(got + 4, frame, 50000);
	}
	assert_true(net_port_flush(&port));
	assert_int_equal(read(peer, got, 1), -1);
	assert_int_equal(send_frame(60), 0);
	read_all(got, 64);
}

/* The rest of a frame is not for the next connection. */
static void a_new_connection_begins_with_a_frame(void **state)
{
	const int size = 4096;
	uint8_t got[34];

	(void)state;
	setsockopt(own, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	while (net_port_flush(&port) && send_frame(50000) == 0)
		;
	disconnect();
	connect_pair(SOCK_STREAM);
	assert_true(net_port_flush(&port));
	assert_int_equal(send_frame(30), 0);
	read_all(got, sizeof(got));
	assert_memory_equal(got, ((const uint8_t[]) { 0, 0, 0, 30 }), 4);
	assert_int_equal(read(peer, got, 1), -1);
}

static void a_reader_that_is_gone(void **state)
{
	(void)state;
	shutdown(peer, SHUT_RDWR);
	assert_int_equal(send_frame(60), 0);
	assert_true(is_lost());
	assert_string_equal(net_port_why_lost(&port), strerror(EPIPE));
}

// ---- datagrams

static void each_datagram_is_a_frame(void **state)
{
	static uint8_t got[200];
	const int size = 1 << 20;

	(void)state;
	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	peer_writes(frame, 60);
	peer_writes(frame, 0);
	peer_writes(frame, 1500);
	expect_frame(60);
	expect_none();
	expect_frame(1500);
	expect_none();
	assert_int_equal(send_frame(100), 0);
	assert_int_equal(read(peer, got, sizeof(got)), 100);
	assert_memory_equal(got, frame, 100);
}

static void datagrams_that_do_not_fit_are_lost(void **state)
{
	static uint8_t large[NET_FRAME_MAX + 1000];
	const int size = 1 << 20;
	uint8_t got[100];

	(void)state;
	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	peer_writes(large, sizeof(large));
	expect_none();
	peer_writes(frame, 60);
	expect_frame(60);
	/* Nobody reads: what has no room is lost, and the guest goes on. */
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(send_frame(1000), 0);
	while (read(peer, got, sizeof(got)) > 0)
		;
	assert_int_equal(send_frame(60), 0);
	assert_int_equal(read(peer, got, sizeof(got)), 60);
	assert_false(is_lost());
}

// ---- who uses it

static void a_worker_is_woken_by_a_new_connection(void **state)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eventfd_t count;

	(void)state;
	assert_false(net_port_has_worker(&port));
	net_port_set_wake_efd(&port, efd);
	assert_true(net_port_has_worker(&port));
	disconnect();
	assert_int_equal(eventfd_read(efd, &count), 0);
	connect_pair(SOCK_STREAM);
	assert_int_equal(eventfd_read(efd, &count), 0);
	assert_int_equal(net_port_poll_fd(&port), own);
	net_port_set_wake_efd(&port, -1);
	close(efd);
}

int main(void)
{
#define STREAM(name) cmocka_unit_test_setup_teardown(name, setup_stream, teardown)
#define DATAGRAM(name) cmocka_unit_test_setup_teardown(name, setup_datagram, teardown)
	const struct CMUnitTest tests[] = {
		STREAM(frames_come_in_any_pieces),
		STREAM(the_longest_frame),
		STREAM(a_length_that_none_can_have_ends_the_connection),
		STREAM(a_flood_of_empty_frames_is_read_in_turns),
		STREAM(a_peer_that_hangs_up_in_the_middle),
		STREAM(a_hang_up_is_noticed_without_reading),
		STREAM(frames_go_with_their_length),
		STREAM(a_slow_reader_gets_whole_frames),
		STREAM(a_new_connection_begins_with_a_frame),
		STREAM(a_reader_that_is_gone),
		DATAGRAM(each_datagram_is_a_frame),
		DATAGRAM(datagrams_that_do_not_fit_are_lost),
		STREAM(a_worker_is_woken_by_a_new_connection),
	};

	return cmocka_run_group_tests_name("net_port", tests, NULL, NULL);
}
