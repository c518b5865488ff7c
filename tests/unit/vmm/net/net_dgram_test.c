// SPDX-License-Identifier: Apache-2.0
// A network back end on a socket of datagrams: its own address, here and by the broker.
#include "net_dgram.h"

#include "file_id.h"
#include "forked_broker.h"
#include "inet.h"
#include "permit.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct broker_op *const ops[] = { &file_id_unlink_op, &net_dgram_bind_op, &net_remote_connect_op };

static struct fixture {
	char dir[64], path[96], remote[96];
	struct net_dgram *dgram;
	struct vpmem_error err;
} f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/own", f.dir);
	snprintf(f.remote, sizeof(f.remote), "%s/remote", f.dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(f.path);
	return rmdir(f.dir);
}

static mode_t kind_of_path(void)
{
	struct stat st;

	return lstat(f.path, &st) == 0 ? st.st_mode & S_IFMT : 0;
}

static int open_at_path(void)
{
	const struct net_dgram_options opts = { .id = "n0", .local.path = f.path, .remote.path = f.remote };

	return net_dgram_open(&opts, &f.dgram, &f.err);
}

static int open_at_host(const char *local, const char *remote)
{
	const struct net_dgram_options opts = { .id = "n0",
		                                .local = { .host = local, .port = "0" },
		                                .remote = { .host = remote, .port = "9" } };

	return net_dgram_open(&opts, &f.dgram, &f.err);
}

static void permit_dir(void)
{
	permit_add(f.dir);
}

static void leave_stale_socket(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(addr.sun_path, f.path, strlen(f.path) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static void take_path(void)
{
	leave_stale_socket();
	assert_int_equal(open_at_path(), 0);
	assert_int_equal(kind_of_path(), S_IFSOCK);
	net_dgram_close(f.dgram);
	assert_int_equal(kind_of_path(), 0);
}

static void test_a_stale_socket_is_replaced_and_the_own_one_removed(void **state)
{
	(void)state;
	take_path();
}

static void test_the_broker_does_so(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), permit_dir);
	take_path();
	assert_int_equal(forked_broker_stop(), 3);
}

static void test_no_other_file_is_replaced(void **state)
{
	char text[256];

	(void)state;
	close(open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(open_at_path(), -EADDRINUSE);
	snprintf(text, sizeof(text), "can't bind unix=%s to socket: Address already in use", f.path);
	assert_string_equal(f.err.text, text);
	assert_int_equal(kind_of_path(), S_IFREG);
}

static void test_a_path_that_is_not_permitted(void **state)
{
	char text[256];

	(void)state;
	leave_stale_socket();
	forked_broker_start(ops, COUNT(ops), NULL);
	assert_int_equal(open_at_path(), -EACCES);
	assert_true(forked_broker_stop() > 0);
	snprintf(text, sizeof(text), "can't bind unix=%s to socket: Permission denied", f.path);
	assert_string_equal(f.err.text, text);
	snprintf(text, sizeof(text), FORKED_BROKER_HINT("%s"), f.dir);
	assert_string_equal(f.err.hint, text);
	assert_int_equal(kind_of_path(), S_IFSOCK);
}

static void test_an_address_that_is_not_permitted(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), NULL);
	assert_int_equal(open_at_host("127.0.0.1", "127.0.0.1"), -EACCES);
	assert_string_equal(f.err.text, "can't bind ip=127.0.0.1 to socket: Permission denied");
	assert_non_null(strstr(f.err.hint, "-sandbox on,net=on"));
	assert_int_equal(forked_broker_stop(), 1);
}

static void test_both_addresses_are_of_one_type(void **state)
{
	(void)state;
	assert_int_equal(open_at_host("127.0.0.1", "127.0.0.1"), 0);
	net_dgram_close(f.dgram);
	assert_int_equal(open_at_host("127.0.0.1", "::1"), -EINVAL);
	assert_string_equal(f.err.text, "local and remote address must be of the same type");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_stale_socket_is_replaced_and_the_own_one_removed, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(test_the_broker_does_so, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_other_file_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_path_that_is_not_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_address_that_is_not_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_addresses_are_of_one_type, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
