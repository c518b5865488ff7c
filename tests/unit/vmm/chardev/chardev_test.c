// SPDX-License-Identifier: Apache-2.0
// Tests of character devices: chardev.c and chardev_open.c.
#include "chardev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define FRONT_ROOM 16u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct fixture {
	char dir[64], path[96];
	struct loop loop;
	struct chardev *chr;
	unsigned nquits, nwritable, nconnected, ndisconnected;
	size_t room, nreceived;
	uint8_t received[4096];
	int saved_stdin, saved_stdout, in_fd, out_fd;
} f;

static size_t on_room(void *owner)
{
	(void)owner;
	return f.room;
}

static void on_receive(void *owner, const uint8_t *buf, size_t len)
{
	(void)owner;
	assert_true(len <= f.room);
	memcpy(&f.received[f.nreceived], buf, len);
	f.nreceived += len;
	f.room -= len;
}

static void on_writable(void *owner)
{
	(void)owner;
	f.nwritable++;
}

static void on_connection(void *owner, bool connected)
{
	(void)owner;
	f.nconnected += connected;
	f.ndisconnected += !connected;
}

static void on_quit(void *owner)
{
	(void)owner;
	f.nquits++;
}

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/x", f.dir);
	pthread_mutex_lock(&lock);
	f.room = FRONT_ROOM;
	return loop_init(&f.loop, &lock);
}

static int teardown(void **state)
{
	(void)state;
	chardev_close(f.chr);
	loop_fini(&f.loop);
	pthread_mutex_unlock(&lock);
	unlink(f.path);
	return rmdir(f.dir);
}

static int open_kind(enum chardev_kind kind, bool mux, struct vpmem_error *err)
{
	struct chardev_config cfg = {
		.kind = kind, .path = kind == CHARDEV_STDIO ? NULL : f.path, .mux = mux, .server = true
	};
	const struct chardev_front front = {
		.room = on_room,
		.receive = on_receive,
		.writable = on_writable,
		.connection = on_connection,
	};
	int rc = chardev_open(&cfg, &f.loop, on_quit, NULL, &f.chr, err);

	if (rc == 0)
		chardev_set_front(f.chr, &front);
	return rc;
}

// Puts pipes in the place of standard input and output while a test runs.
static void open_on_pipes(bool mux)
{
	int in[2], out[2];

	assert_int_equal(pipe(in) | pipe(out), 0);
	f.saved_stdin = dup(0);
	f.saved_stdout = dup(1);
	dup2(in[0], 0);
	dup2(out[1], 1);
	close(in[0]);
	close(out[1]);
	f.in_fd = in[1];
	f.out_fd = out[0];
	assert_int_equal(open_kind(CHARDEV_STDIO, mux, NULL), 0);
}

static void close_pipes(void)
{
	chardev_close(f.chr);
	f.chr = NULL;
	dup2(f.saved_stdin, 0);
	dup2(f.saved_stdout, 1);
	close(f.saved_stdin);
	close(f.saved_stdout);
	close(f.in_fd);
	close(f.out_fd);
}

static void turn(void)
{
	loop_wake(&f.loop);
	assert_int_equal(loop_once(&f.loop), 0);
}

static void type(const char *text)
{
	assert_int_equal(write(f.in_fd, text, strlen(text)), strlen(text));
}

static void input_waits_for_room(void **state)
{
	char text[101] = { 0 };

	(void)state;
	memset(text, 'a', 100);
	open_on_pipes(false);
	type(text);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(f.nreceived, FRONT_ROOM);
	while (f.nreceived < 100) {
		f.room = 7;
		chardev_accept(f.chr);
		turn();
	}
	assert_memory_equal(f.received, text, 100);
	close_pipes();
}

static void escapes_are_taken_only_with_mux(void **state)
{
	(void)state;
	open_on_pipes(false);
	type("a\001xb");
	turn();
	assert_int_equal(f.nquits, 0);
	assert_int_equal(f.nreceived, 4);
	close_pipes();

	f.room = FRONT_ROOM;
	f.nreceived = 0;
	open_on_pipes(true);
	type("a\001");
	turn();
	type("x\001\001b");
	turn();
	assert_int_equal(f.nquits, 1);
	assert_int_equal(f.nreceived, 3);
	assert_memory_equal(f.received, "a\001b", 3);
	close_pipes();
}

// A guest that hangs, or does not listen yet, must not keep a person from leaving.
static void escapes_work_while_the_front_has_no_room(void **state)
{
	(void)state;
	f.room = 0;
	open_on_pipes(true);
	type("typed before\001x");
	turn();
	assert_int_equal(f.nquits, 1);
	assert_int_equal(f.nreceived, 0);
	f.room = FRONT_ROOM;
	chardev_accept(f.chr);
	assert_int_equal(f.nreceived, strlen("typed before"));
	close_pipes();
}

static void help_is_printed(void **state)
{
	char buf[512] = { 0 };

	(void)state;
	open_on_pipes(true);
	type("\001h");
	turn();
	assert_true(read(f.out_fd, buf, sizeof(buf) - 1) > 0);
	assert_non_null(strstr(buf, "C-a x"));
	assert_int_equal(f.nreceived, 0);
	close_pipes();
}

static void end_of_input_is_not_the_end(void **state)
{
	(void)state;
	open_on_pipes(false);
	close(f.in_fd);
	f.in_fd = -1;
	turn();
	turn();
	assert_int_equal(chardev_write(f.chr, (const uint8_t *)"x\n", 2), 2);
	assert_int_equal(f.nquits, 0);
	close_pipes();
}

// Nobody reads the pipe: at some point no more is taken; once it is read, all of it arrives in order.
static void full_output_loses_nothing(void **state)
{
	static uint8_t got[1 << 20];
	size_t nsent = 0, ngot = 0;
	bool was_full = false;

	(void)state;
	open_on_pipes(false);
	fcntl(f.out_fd, F_SETFL, O_NONBLOCK);
	while (ngot < 300000) {
		uint8_t byte = (uint8_t)(nsent * 7 >> 3);
		bool taken = nsent < 300000 && chardev_write(f.chr, &byte, 1) == 1;

		nsent += taken;
		if (!taken) {
			ssize_t n = read(f.out_fd, &got[ngot], 5000);

			was_full |= nsent < 300000;
			ngot += n > 0 ? (size_t)n : 0;
			turn();
		}
	}
	assert_true(was_full);
	assert_true(f.nwritable > 0);
	for (size_t i = 0; i < ngot; i++)
		assert_int_equal(got[i], (uint8_t)(i * 7 >> 3));
	close_pipes();
}

static void the_flags_of_standard_output_stay(void **state)
{
	(void)state;
	open_on_pipes(false);
	assert_int_equal(fcntl(1, F_GETFL) & O_NONBLOCK, 0);
	close_pipes();
}

static void a_line_is_written_at_its_end_and_a_rest_soon(void **state)
{
	char buf[16];

	(void)state;
	open_on_pipes(false);
	chardev_write(f.chr, (const uint8_t *)"line\n", 5);
	assert_int_equal(read(f.out_fd, buf, sizeof(buf)), 5);
	chardev_write(f.chr, (const uint8_t *)"$ ", 2);
	fcntl(f.out_fd, F_SETFL, O_NONBLOCK);
	while (read(f.out_fd, buf, sizeof(buf)) != 2)
		assert_int_equal(loop_once(&f.loop), 0);
	close_pipes();
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void a_new_file_goes_unless_kept(void **state)
{
	(void)state;
	assert_int_equal(open_kind(CHARDEV_FILE, false, NULL), 0);
	assert_true(exists(f.path));
	chardev_close(f.chr);
	assert_false(exists(f.path));
	assert_int_equal(open_kind(CHARDEV_FILE, false, NULL), 0);
	chardev_keep(f.chr);
	chardev_write(f.chr, (const uint8_t *)"text", 4);
	chardev_close(f.chr);
	f.chr = NULL;
	assert_true(exists(f.path));
}

static void an_old_file_is_emptied_only_when_kept(void **state)
{
	struct stat st;
	int fd = open(f.path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_int_equal(write(fd, "old", 3), 3);
	close(fd);
	assert_int_equal(open_kind(CHARDEV_FILE, false, NULL), 0);
	chardev_close(f.chr);
	stat(f.path, &st);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(open_kind(CHARDEV_FILE, false, NULL), 0);
	chardev_keep(f.chr);
	stat(f.path, &st);
	assert_int_equal(st.st_size, 0);
}

static int connect_peer(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, f.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void a_socket_serves_one_peer_after_another(void **state)
{
	char buf[8];
	int peer;

	(void)state;
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, NULL), 0);
	assert_false(chardev_connected(f.chr));
	// Without a peer output is dropped, and does not arrive later.
	assert_int_equal(chardev_write(f.chr, (const uint8_t *)"lost\n", 5), 5);
	for (unsigned i = 0; i < 2; i++) {
		peer = connect_peer();
		turn();
		turn();
		assert_true(chardev_connected(f.chr));
		chardev_write(f.chr, (const uint8_t *)"hi\n", 3);
		assert_int_equal(read(peer, buf, sizeof(buf)), 3);
		assert_int_equal(write(peer, "yo", 2), 2);
		f.nreceived = 0;
		f.room = FRONT_ROOM;
		chardev_accept(f.chr);
		turn();
		assert_int_equal(f.nreceived, 2);
		close(peer);
		turn();
		assert_false(chardev_connected(f.chr));
	}
	chardev_close(f.chr);
	f.chr = NULL;
	assert_false(exists(f.path));
}

// The peer stopped reading, then went away: a thread that waits for room continues.
static void a_peer_that_leaves_makes_room(void **state)
{
	static const uint8_t line[1000] = { '\n' };
	size_t taken;
	int peer;

	(void)state;
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, NULL), 0);
	peer = connect_peer();
	turn();
	do
		taken = chardev_write(f.chr, line, sizeof(line));
	while (taken == sizeof(line));
	f.nwritable = 0;
	close(peer);
	turn();
	assert_false(chardev_connected(f.chr));
	assert_int_equal(f.nwritable, 1);
}

static void a_left_over_socket_is_replaced_a_served_one_is_not(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct vpmem_error err;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strcpy(addr.sun_path, f.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	listen(fd, 1);
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, f.path));
	assert_true(exists(f.path));
	close(fd);
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, &err), 0);
}

static void a_file_in_the_way_of_a_socket_stays(void **state)
{
	struct vpmem_error err;

	(void)state;
	close(open(f.path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, &err), -EADDRINUSE);
	assert_true(exists(f.path));
}

// The guest prints all the time, and reads later.
static void what_a_peer_sent_arrives_after_it_has_left(void **state)
{
	int peer;

	(void)state;
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, NULL), 0);
	f.room = 0;
	for (unsigned i = 1; i <= 2; i++) {
		peer = connect_peer();
		assert_int_equal(write(peer, "reboot\n", 7), 7);
		close(peer);
		for (unsigned n = 0; n < 3; n++) {
			turn();
			chardev_write(f.chr, (const uint8_t *)"printed\n", 8);
		}
		assert_int_equal(f.ndisconnected, i);
	}
	f.room = sizeof(f.received);
	chardev_accept(f.chr);
	assert_int_equal(f.nreceived, 14);
	assert_memory_equal(f.received, "reboot\nreboot\n", 14);
}

// Also when it had sent more than is kept, to a guest that neither reads nor prints.
static void a_peer_that_left_makes_place_for_the_next(void **state)
{
	static char text[20000];
	int peer;

	(void)state;
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, NULL), 0);
	f.room = 0;
	memset(text, 't', sizeof(text));
	for (unsigned i = 1; i <= 3; i++) {
		peer = connect_peer();
		turn();
		assert_int_equal(write(peer, text, sizeof(text)), sizeof(text));
		turn();
		close(peer);
		for (unsigned n = 0; n < 3; n++)
			turn();
		assert_int_equal(f.ndisconnected, i);
	}
}

// `nc -NU socket </dev/null >log`: it sends no more, and reads what the guest prints.
static void a_half_closed_peer_still_reads(void **state)
{
	char buf[16];
	int peer;

	(void)state;
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, NULL), 0);
	peer = connect_peer();
	assert_int_equal(write(peer, "in", 2), 2);
	shutdown(peer, SHUT_WR);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_true(chardev_connected(f.chr));
	assert_int_equal(f.nreceived, 2);
	chardev_write(f.chr, (const uint8_t *)"out\n", 4);
	assert_int_equal(read(peer, buf, sizeof(buf)), 4);
	close(peer);
	turn();
	assert_false(chardev_connected(f.chr));
}

// What was queued beyond the limit of a guest keeps the guest out, and is not lost.
static void an_answer_is_queued_whole(void **state)
{
	static uint8_t answer[100000], got[sizeof(answer)];
	size_t ngot = 0;

	(void)state;
	open_on_pipes(false);
	fcntl(f.out_fd, F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(answer); i++)
		answer[i] = (uint8_t)(i * 7 >> 3);
	assert_int_equal(chardev_queue(f.chr, answer, sizeof(answer)), 0);
	assert_true(chardev_pending(f.chr) > CHARDEV_OUT_MAX);
	assert_int_equal(chardev_write(f.chr, answer, 1), 0);
	while (ngot < sizeof(answer)) {
		ssize_t n = read(f.out_fd, got + ngot, sizeof(got) - ngot);

		ngot += n > 0 ? (size_t)n : 0;
		turn();
	}
	assert_memory_equal(got, answer, sizeof(answer));
	assert_int_equal(f.nwritable, 1);
	close_pipes();
}

// Standard output is a socket (systemd, inetd): its flags are shared, as a terminal's.
static void a_socket_as_standard_output_is_not_changed_and_not_waited_for(void **state)
{
	static const uint8_t line[1000] = { [999] = '\n' };
	int fds[2], saved = dup(1);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	dup2(fds[0], 1);
	assert_int_equal(open_kind(CHARDEV_STDIO, false, NULL), 0);
	for (unsigned i = 0; i < 1000; i++)
		chardev_write(f.chr, line, sizeof(line));
	assert_true(chardev_pending(f.chr) > 0);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(fds[1]);
	chardev_close(f.chr);
	f.chr = NULL;
	dup2(saved, 1);
	close(saved);
	close(fds[0]);
}

static void the_front_learns_of_a_peer(void **state)
{
	int peer;

	(void)state;
	assert_int_equal(open_kind(CHARDEV_SOCKET, false, NULL), 0);
	for (unsigned i = 1; i <= 2; i++) {
		peer = connect_peer();
		turn();
		assert_int_equal(f.nconnected, i);
		assert_int_equal(f.ndisconnected, i - 1);
		close(peer);
		turn();
		assert_int_equal(f.ndisconnected, i);
	}
	// Also when it is noticed by a write, or is our wish.
	peer = connect_peer();
	turn();
	chardev_hang_up(f.chr);
	assert_int_equal(f.ndisconnected, 3);
	chardev_hang_up(f.chr);
	assert_int_equal(f.ndisconnected, 3);
	close(peer);
	peer = connect_peer();
	turn();
	close(peer);
	for (unsigned i = 0; i < 3; i++)
		chardev_write(f.chr, (const uint8_t *)"x\n", 2);
	assert_int_equal(f.ndisconnected, 4);
	assert_false(chardev_connected(f.chr));
}

static void an_adopted_socket_is_a_chardev(void **state)
{
	const struct chardev_front front = {
		.room = on_room,
		.receive = on_receive,
		.writable = on_writable,
		.connection = on_connection,
	};
	char buf[16];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(chardev_adopt(fds[0], "client", &f.loop, &f.chr), 0);
	chardev_set_front(f.chr, &front);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	turn();
	assert_int_equal(f.nreceived, 3);
	chardev_write(f.chr, (const uint8_t *)"def", 3);
	assert_int_equal(chardev_pending(f.chr), 3);
	assert_true(chardev_drain(f.chr, 0));
	assert_int_equal(chardev_pending(f.chr), 0);
	assert_int_equal(read(fds[1], buf, sizeof(buf)), 3);
	while (chardev_write(f.chr, f.received, sizeof(f.received)) > 0)
		;
	assert_false(chardev_drain(f.chr, 10));
	chardev_hang_up(f.chr);
	assert_int_equal(f.ndisconnected, 1);
	close(fds[1]);
}

static size_t room_for_all(void *owner)
{
	(void)owner;
	return sizeof(f.received);
}

static void count_received(void *owner, const uint8_t *buf, size_t len)
{
	(void)owner;
	(void)buf;
	f.nreceived += len;
}

static void on_input_ended(void *owner)
{
	(void)owner;
	f.ndisconnected++;
}

// It may have sent as much as its socket holds. 4 KiB of that count, and others have their turns in between.
static void a_client_that_left_is_served_in_bounded_turns_up_to_a_limit(void **state)
{
	const struct chardev_front front = { .room = room_for_all,
		                             .receive = count_received,
		                             .input_ended = on_input_ended };
	size_t nsent = 0, before;
	char block[512];
	int fds[2];

	(void)state;
	memset(block, 'x', sizeof(block));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(chardev_adopt(fds[0], "client", &f.loop, &f.chr), 0);
	chardev_set_front(f.chr, &front);
	for (ssize_t n; (n = write(fds[1], block, sizeof(block))) > 0;)
		nsent += (size_t)n;
	assert_true(nsent > 16384);
	close(fds[1]);
	do {
		before = f.nreceived;
		turn();
		assert_true(f.nreceived - before <= 1024);
	} while (f.nreceived > before);
	assert_in_range(f.nreceived, 4096, 4096 + 256);
	assert_int_equal(f.ndisconnected, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_client_that_left_is_served_in_bounded_turns_up_to_a_limit, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(input_waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(escapes_are_taken_only_with_mux, setup, teardown),
		cmocka_unit_test_setup_teardown(escapes_work_while_the_front_has_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(help_is_printed, setup, teardown),
		cmocka_unit_test_setup_teardown(end_of_input_is_not_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(full_output_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(the_flags_of_standard_output_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(a_line_is_written_at_its_end_and_a_rest_soon, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_file_goes_unless_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(an_old_file_is_emptied_only_when_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_serves_one_peer_after_another, setup, teardown),
		cmocka_unit_test_setup_teardown(a_peer_that_leaves_makes_room, setup, teardown),
		cmocka_unit_test_setup_teardown(a_left_over_socket_is_replaced_a_served_one_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_peer_sent_arrives_after_it_has_left, setup, teardown),
		cmocka_unit_test_setup_teardown(a_peer_that_left_makes_place_for_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(a_half_closed_peer_still_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_is_queued_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_as_standard_output_is_not_changed_and_not_waited_for, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(the_front_learns_of_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(an_adopted_socket_is_a_chardev, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_in_the_way_of_a_socket_stays, setup, teardown),
	};

	alarm(300);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("chardev", tests, NULL, NULL);
}
