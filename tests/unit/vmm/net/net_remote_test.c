// SPDX-License-Identifier: Apache-2.0
// Datagrams to a path: a receiver that comes later, that is started again, that answers, that is not permitted. The clock
// stands unless a test moves it.
#include "net_remote.h"

#include "forked_broker.h"
#include "monotonic.h"
#include "net_dgram.h"
#include "file_id.h"
#include "permit.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const struct broker_op *const ops[] = { &file_id_unlink_op, &net_dgram_bind_op, &net_remote_connect_op };

static struct fixture {
	char dir[64], path[96], remote[96], forbidden[64];
	struct net_dgram *dgram;
	struct vpmem_error err;
	uint64_t now_ms;
	char got[16];
	struct sockaddr_un from;
} f;

uint64_t __wrap_monotonic_ms(void);
uint64_t __wrap_monotonic_ms(void)
{
	return f.now_ms;
}

static void make_dir(char dir[64])
{
	snprintf(dir, 64, "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
}

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	make_dir(f.dir);
	make_dir(f.forbidden);
	snprintf(f.path, sizeof(f.path), "%s/own", f.dir);
	snprintf(f.remote, sizeof(f.remote), "%s/remote", f.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(f.remote);
	assert_int_equal(rmdir(f.forbidden), 0);
	return rmdir(f.dir);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memcpy(addr.sun_path, path, strlen(path) + 1);
	return addr;
}

static int receiver(void)
{
	const struct sockaddr_un addr = address(f.remote);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	unlink(f.remote);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void open_dgram(void)
{
	const struct net_dgram_options opts = { .id = "n0", .local.path = f.path, .remote.path = f.remote };

	assert_int_equal(net_dgram_open(&opts, &f.dgram, &f.err), 0);
}

static void send_frame(const char *text)
{
	struct iovec iov = { .iov_base = (void *)text, .iov_len = strlen(text) + 1 };

	assert_int_equal(net_port_send(net_dgram_port(f.dgram), &iov, 1, iov.iov_len), 0);
}

/* What the receiver got; empty: nothing. */
static const char *take(int fd)
{
	socklen_t len = sizeof(f.from);

	memset(&f.from, 0, sizeof(f.from));
	return recvfrom(fd, f.got, sizeof(f.got), 0, (struct sockaddr *)&f.from, &len) > 0 ? f.got : "";
}

static void permit_dir(void)
{
	permit_add(f.dir);
}

/* What holds with a broker and without one. */
static void come_late_and_again(void)
{
	int fd;

	open_dgram();
	send_frame("nobody");
	fd = receiver();
	send_frame("too early");
	assert_string_equal(take(fd), "");
	f.now_ms += 1000;
	send_frame("late");
	assert_string_equal(take(fd), "late");
	close(fd);
	fd = receiver();
	f.now_ms += 1000;
	send_frame("again");
	assert_string_equal(take(fd), "again");
	close(fd);
	net_dgram_close(f.dgram);
}

static void test_a_receiver_comes_late_and_is_started_again(void **state)
{
	(void)state;
	come_late_and_again();
}

static void test_the_broker_connects_to_it(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), permit_dir);
	come_late_and_again();
	// To bind, to connect before the first frame, for each of the two receivers, and to unlink.
	assert_int_equal(forked_broker_stop(), 5);
}

static void test_the_broker_is_asked_once_a_second(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), permit_dir);
	open_dgram();
	for (unsigned i = 0; i < 4000; i++) {
		send_frame("nobody");
		f.now_ms++;
	}
	net_dgram_close(f.dgram);
	assert_int_equal(forked_broker_stop(), 2 + 4);
}

static void test_a_receiver_may_answer(void **state)
{
	int fd = receiver();
	const uint8_t *frame;
	size_t len;

	(void)state;
	open_dgram();
	send_frame("question");
	assert_string_equal(take(fd), "question");
	assert_string_equal(f.from.sun_path, f.path);
	assert_int_equal(sendto(fd, "answer", 7, 0, (const struct sockaddr *)&f.from, sizeof(f.from)), 7);
	frame = net_port_next(net_dgram_port(f.dgram), &len);
	assert_non_null(frame);
	assert_string_equal((const char *)frame, "answer");
	net_dgram_close(f.dgram);
	close(fd);
}

static void test_a_receiver_that_is_connected_to_us(void **state)
{
	int fd = receiver();
	struct sockaddr_un addr;

	(void)state;
	open_dgram();
	send_frame("before");
	assert_string_equal(take(fd), "before");
	addr = address(f.path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	f.now_ms += 1000;
	send_frame("after");
	assert_string_equal(take(fd), "after");
	net_dgram_close(f.dgram);
	close(fd);
}

static void test_a_receiver_that_is_not_permitted(void **state)
{
	char remote[96], text[256];
	const struct net_dgram_options opts = { .id = "n0", .local.path = f.path, .remote.path = remote };

	(void)state;
	snprintf(remote, sizeof(remote), "%s/remote", f.forbidden);
	forked_broker_start(ops, COUNT(ops), permit_dir);
	assert_int_equal(net_dgram_open(&opts, &f.dgram, &f.err), -EACCES);
	forked_broker_stop();
	snprintf(text, sizeof(text), "can't connect socket to unix=%s: Permission denied", remote);
	assert_string_equal(f.err.text, text);
	snprintf(text, sizeof(text), FORKED_BROKER_HINT("%s"), f.forbidden);
	assert_string_equal(f.err.hint, text);
	assert_int_equal(access(f.path, F_OK), -1);
}

static int connect_by_broker(int family, int type, const struct inet_addr *addr)
{
	int rc, fd = socket(family, type | SOCK_CLOEXEC, 0);
	struct broker_call call = { .in = addr, .in_fd = &fd };

	rc = broker_call(&net_remote_connect_op, &call);
	close(fd);
	return rc;
}

static void test_the_broker_connects_datagrams_to_paths_only(void **state)
{
	const struct sockaddr_un un = address(f.remote);
	struct inet_addr addr = { .len = sizeof(un) }, inet;
	int fd = receiver();

	(void)state;
	memcpy(&addr.addr, &un, sizeof(un));
	assert_int_equal(inet_parse("127.0.0.1", "9", &inet), 0);
	assert_int_equal(connect_by_broker(AF_UNIX, SOCK_DGRAM, &addr), 0);
	assert_int_equal(connect_by_broker(AF_UNIX, SOCK_STREAM, &addr), -EINVAL);
	assert_int_equal(connect_by_broker(AF_INET, SOCK_DGRAM, &addr), -EINVAL);
	assert_int_equal(connect_by_broker(AF_INET, SOCK_DGRAM, &inet), -EINVAL);
	assert_int_equal(broker_call(&net_remote_connect_op, &(struct broker_call) { .in = &addr }), -EINVAL);
	addr.len--;
	assert_int_equal(connect_by_broker(AF_UNIX, SOCK_DGRAM, &addr), -EINVAL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_receiver_comes_late_and_is_started_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_connects_to_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_is_asked_once_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_receiver_may_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_receiver_that_is_connected_to_us, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_receiver_that_is_not_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_connects_datagrams_to_paths_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
