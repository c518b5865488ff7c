// SPDX-License-Identifier: Apache-2.0
// Character devices that are added to a running machine, and removed.
#include "machine_chardev.h"

#include "fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit_test.h"

static struct machine *m;
static bool waited;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	waited |= timeout != 0;
	return __real_poll(fds, n, timeout);
}

static char dir[64], path[96];

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	snprintf(dir, sizeof(dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x", dir);
	return rc;
}

static int teardown(void **state)
{
	machine_chardevs_down(m);
	unlink(path);
	rmdir(dir);
	return fake_host_teardown(state);
}

static int add(struct chardev_config cfg, struct chardev **chr, struct vpmem_error *err)
{
	cfg.id = cfg.id ? cfg.id : (char *)"c";
	return machine_chardev_add(m, &cfg, chr, err);
}

static void a_file_is_kept(void **state)
{
	struct chardev *chr;
	struct stat st;

	(void)state;
	assert_int_equal(add((struct chardev_config) { .kind = CHARDEV_FILE, .path = path }, &chr, NULL), 0);
	chardev_write(chr, (const uint8_t *)"x\n", 2);
	assert_int_equal(machine_chardev_remove(m, "c", NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 2);
}

static void one_in_use_stays(void **state)
{
	struct vpmem_error err;
	struct chardev *chr;

	(void)state;
	assert_int_equal(add((struct chardev_config) { .kind = CHARDEV_NULL }, &chr, NULL), 0);
	assert_int_equal(chardev_claim(chr, CHARDEV_DEVICE, NULL), 0);
	assert_int_equal(machine_chardev_remove(m, "c", &err), -EBUSY);
	assert_string_equal(err.text, "Chardev 'c' is busy");
	chardev_release(chr, CHARDEV_DEVICE);
	assert_int_equal(machine_chardev_remove(m, "c", &err), 0);
	assert_int_equal(machine_chardev_remove(m, "c", &err), -ENOENT);
	assert_string_equal(err.text, "Chardev 'c' not found");
}

static void stdio_is_there_once(void **state)
{
	const struct chardev_config cfg = { .kind = CHARDEV_STDIO, .id = (char *)"first" };
	struct vpmem_error err;
	struct chardev *chr;

	(void)state;
	assert_int_equal(add(cfg, &chr, NULL), 0);
	assert_int_equal(add((struct chardev_config) { .kind = CHARDEV_STDIO }, &chr, &err), -EBUSY);
	assert_string_equal(err.text, "cannot use stdio by multiple character devices");
}

static void nobody_is_awaited_by_a_running_machine(void **state)
{
	struct chardev *chr;

	(void)state;
	assert_int_equal(
		add((struct chardev_config) { .kind = CHARDEV_SOCKET, .path = path, .server = true, .wait = true },
	            &chr, NULL),
		0);
	assert_false(chardev_list_is_awaited(&m->chardevs));
}

/* The output that it does not take is dropped. */
static void removal_does_not_wait_for_a_reader(void **state)
{
	static uint8_t bytes[4096];
	char number[16];
	struct chardev *chr;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	snprintf(number, sizeof(number), "%d", fds[1]);
	assert_int_equal(add((struct chardev_config) { .kind = CHARDEV_SOCKET, .fd = number }, &chr, NULL), 0);
	while (chardev_write(chr, bytes, sizeof(bytes)) == sizeof(bytes))
		;
	assert_true(chardev_pending(chr) > 0);
	waited = false;
	assert_int_equal(machine_chardev_remove(m, "c", NULL), 0);
	assert_false(waited);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(one_in_use_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(stdio_is_there_once, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_awaited_by_a_running_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(removal_does_not_wait_for_a_reader, setup, teardown),
	};

	return cmocka_run_group_tests_name("machine chardev", tests, NULL, NULL);
}
