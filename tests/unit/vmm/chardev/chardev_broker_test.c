// SPDX-License-Identifier: Apache-2.0
// Character devices that a broker opens: of each kind one that is permitted, and one that is not.
#include "chardev.h"
#include "chardev_pty.h"
#include "file_id.h"
#include "forked_broker.h"
#include "inet.h"
#include "listen.h"
#include "nonblock.h"
#include "outfile.h"
#include "permit.h"
#include "unit_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct broker_op *const ops[] = {
	&chardev_pty_op, &file_id_unlink_op, &inet_connect_op, &inet_listen_op, &listen_unix_op, &outfile_open_op,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct fixture {
	char dir[64], path[96];
	struct loop loop;
	struct chardev *chr;
	struct vpmem_error err;
	struct inet_addr addr; // that is permitted
} f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/x", f.dir);
	assert_int_equal(inet_parse("127.0.0.1", "0", &f.addr), 0);
	pthread_mutex_lock(&lock);
	return loop_init(&f.loop, &lock);
}

static int teardown(void **state)
{
	(void)state;
	loop_fini(&f.loop);
	pthread_mutex_unlock(&lock);
	unlink(f.path);
	// Nothing else was left behind.
	return rmdir(f.dir);
}

static void permit_it(void)
{
	permit_add(f.dir);
	permit_add_address((const struct sockaddr *)&f.addr.addr, f.addr.len);
}

static int open_it(struct chardev_config cfg)
{
	return chardev_open(&cfg, &f.loop, NULL, NULL, &f.chr, &f.err);
}

static struct chardev_config at_path(enum chardev_kind kind)
{
	return (struct chardev_config) { .kind = kind, .id = (char *)"c", .path = f.path };
}

static void start(void (*permit)(void))
{
	forked_broker_start(ops, COUNT(ops), permit);
}

// It failed, and why is said: the directory is the hint.
static void is_refused(struct chardev_config cfg, const char *text)
{
	char hint[256];

	start(NULL);
	assert_int_equal(open_it(cfg), -EACCES);
	assert_true(forked_broker_stop() > 0);
	assert_non_null(strstr(f.err.text, text));
	assert_non_null(strstr(f.err.text, "Permission denied"));
	snprintf(hint, sizeof(hint), FORKED_BROKER_HINT("%s"), f.dir);
	assert_string_equal(f.err.hint, hint);
	assert_int_not_equal(access(f.path, F_OK), 0);
}

static bool is_socket(void)
{
	struct stat st;

	return lstat(f.path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void test_a_file(void **state)
{
	const struct chardev_config cfg = at_path(CHARDEV_FILE);
	struct chardev_config log = { .kind = CHARDEV_NULL, .id = (char *)"c", .logfile = f.path };

	(void)state;
	start(permit_it);
	assert_int_equal(open_it(cfg), 0);
	assert_int_equal(access(f.path, F_OK), 0);
	// It was not kept, so it is removed: by the broker.
	chardev_close(f.chr);
	assert_int_not_equal(access(f.path, F_OK), 0);
	assert_int_equal(forked_broker_stop(), 2);
	is_refused(cfg, "Could not open '");
	is_refused(log, "Unable to open logfile ");
}

static void test_a_socket_that_listens(void **state)
{
	struct chardev_config cfg = at_path(CHARDEV_SOCKET);

	(void)state;
	cfg.server = true;
	start(permit_it);
	assert_int_equal(open_it(cfg), 0);
	assert_true(is_socket());
	chardev_close(f.chr);
	assert_false(is_socket());
	assert_int_equal(forked_broker_stop(), 2);
	is_refused(cfg, "Failed to bind socket to ");
}

static void test_a_socket_that_connects(void **state)
{
	struct chardev_config cfg = at_path(CHARDEV_SOCKET);
	struct file_id id;
	int fd, peer_fd;

	(void)state;
	assert_int_equal(listen_unix(f.path, 0700, 5, &fd, &id, NULL), 0);
	start(permit_it);
	assert_int_equal(open_it(cfg), 0);
	peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer_fd >= 0);
	chardev_close(f.chr);
	assert_int_equal(forked_broker_stop(), 1);
	close(peer_fd);
	close(fd);
	unlink(f.path);
	is_refused(cfg, "Failed to connect to '");
	// One that would connect later is refused at once: it would never be permitted.
	cfg.reconnect_ms = 1000;
	is_refused(cfg, "Failed to connect to '");
	assert_int_equal(f.loop.nsources, 0);
}

static void test_a_port_that_listens(void **state)
{
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET,
		                      .id = (char *)"c",
		                      .host = (char *)"127.0.0.1",
		                      .port = (char *)"0",
		                      .server = true };
	unsigned port = 0;
	char name[64];

	(void)state;
	start(permit_it);
	assert_int_equal(open_it(cfg), 0);
	// The kernel has chosen one.
	chardev_filename(f.chr, name, sizeof(name));
	assert_int_equal(sscanf(name, "disconnected:tcp:127.0.0.1:%u,server=on", &port), 1);
	assert_true(port > 0);
	chardev_close(f.chr);
	assert_int_equal(forked_broker_stop(), 1);
	start(NULL);
	assert_int_equal(open_it(cfg), -EACCES);
	assert_string_equal(f.err.text, "Failed to listen on tcp:127.0.0.1:0,server=on: Permission denied");
	assert_string_equal(f.err.hint, "the sandbox permits the addresses of the command line only: start with "
	                                "-sandbox on,net=on");
	assert_int_equal(forked_broker_stop(), 1);
}

static void test_a_connection_with_a_port(void **state)
{
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .id = (char *)"c", .host = (char *)"127.0.0.1" };
	char port_text[16];
	unsigned port;
	bool is_denied;
	int fd;

	(void)state;
	assert_int_equal(inet_listen(&f.addr, 1, &fd, &port, &is_denied), 0);
	snprintf(port_text, sizeof(port_text), "%u", port);
	cfg.port = port_text;
	assert_int_equal(inet_parse("127.0.0.1", port_text, &f.addr), 0);
	start(permit_it);
	assert_int_equal(open_it(cfg), 0);
	chardev_close(f.chr);
	assert_int_equal(forked_broker_stop(), 1);
	close(fd);
	start(NULL);
	assert_int_equal(open_it(cfg), -EACCES);
	assert_non_null(strstr(f.err.hint, "-sandbox on,net=on"));
	forked_broker_stop();
}

// A terminal has no path of the caller's.
static void test_a_pty(void **state)
{
	int fd, rc;
	char *path;

	(void)state;
	start(NULL);
	rc = chardev_pty_open(&fd, &path);
	assert_int_equal(forked_broker_stop(), 1);
	assert_int_equal(rc, 0);
	assert_int_equal(strncmp(path, "/dev/pts/", 9), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	free(path);
	close(fd);
}

// What a machine that was taken over may ask for.
static void test_nonsense_is_refused(void **state)
{
	struct {
		mode_t mode;
		int backlog;
	} listen_in = { .mode = 04700, .backlog = 1 };
	struct {
		struct inet_addr addr;
		int backlog;
	} in = { .addr = f.addr, .backlog = 1 << 20 };
	struct file_id id;
	unsigned out;
	struct broker_call call = { .in = &listen_in, .out = &id, .strings = { f.path } };

	(void)state;
	start(permit_it);
	assert_int_equal(broker_call(&listen_unix_op, &call), -EINVAL);
	listen_in.mode = 0700;
	listen_in.backlog = -1;
	assert_int_equal(broker_call(&listen_unix_op, &call), -EINVAL);
	call.strings[0] = NULL;
	assert_int_equal(broker_call(&listen_unix_op, &call), -EINVAL);

	call = (struct broker_call) { .in = &in, .out = &out };
	assert_int_equal(broker_call(&inet_listen_op, &call), -EINVAL);
	in.backlog = 1;
	in.addr.len = sizeof(in.addr.addr) + 1;
	assert_int_equal(broker_call(&inet_listen_op, &call), -EINVAL);
	in.addr = (struct inet_addr) { .addr.ss_family = AF_NETLINK, .len = 12 };
	assert_int_equal(broker_call(&inet_listen_op, &call), -EINVAL);
	// A path without an end.
	memset(&in.addr, 'x', sizeof(in.addr));
	in.addr.addr.ss_family = AF_UNIX;
	in.addr.len = 110;
	call = (struct broker_call) { .in = &in.addr, .out = &out };
	assert_int_equal(broker_call(&inet_connect_op, &call), -EINVAL);
	assert_int_equal(forked_broker_stop(), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_socket_that_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_socket_that_connects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_port_that_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_connection_with_a_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
