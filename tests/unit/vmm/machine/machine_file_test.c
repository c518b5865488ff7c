// SPDX-License-Identifier: Apache-2.0
// The files of memory backends, opened by another process. The directory of each test is DIR, with DIR/in permitted.
#include "forked_broker.h"
#include "machine.h"
#include "machine_file.h"
#include "permit.h"
#include "permit_removal.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (UINT64_C(2) << 20)

static const struct broker_op *const ops[] = { &machine_file_open_op, &machine_file_remove_op };
static struct machine machine;

static void permit(void)
{
	permit_add("in");
	permit_add_removal("in/early");
}

static int setup(void **state)
{
	char dir[] = "/tmp/machine-file-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	mkdir("in", 0700);
	mkdir("out", 0700);
	machine = (struct machine) { .lock = PTHREAD_MUTEX_INITIALIZER };
	forked_broker_start(ops, COUNT(ops), permit);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	forked_broker_stop();
	return system("rm -rf \"$PWD\"");
}

static int open_backing(const char *path, struct vpmem_backing **out, struct vpmem_error *err)
{
	struct vpmem_file_ops files = machine_file_ops;
	const struct vpmem_backing_options opts = {
		.id = "m", .path = path, .size = SIZE, .share = true, .files = &files
	};

	files.opaque = &machine;
	return vpmem_backing_open(&opts, out, err);
}

static void test_a_file_that_is_created_is_removed_unless_it_is_kept(void **state)
{
	struct vpmem_backing *backing;

	(void)state;
	assert_int_equal(open_backing("in/new", &backing, NULL), 0);
	*(volatile char *)vpmem_backing_hva(backing) = 'x';
	assert_int_equal(access("in/new", F_OK), 0);
	assert_int_equal(vpmem_backing_close(backing), 0);
	assert_int_equal(access("in/new", F_OK), -1);
	assert_int_equal(open_backing("in/new", &backing, NULL), 0);
	vpmem_backing_keep(backing);
	assert_int_equal(vpmem_backing_close(backing), 0);
	assert_int_equal(access("in/new", F_OK), 0);
}

static void test_a_path_that_is_not_permitted(void **state)
{
	struct vpmem_error err = { "", "" };
	struct vpmem_backing *backing;

	(void)state;
	assert_int_equal(open_backing("out/new", &backing, &err), -EACCES);
	assert_string_equal(err.text, "can't open backing store out/new for guest RAM: Permission denied");
	assert_string_equal(err.hint, FORKED_BROKER_HINT("out"));
	assert_int_equal(access("out/new", F_OK), -1);
}

static void test_a_file_that_another_backend_has(void **state)
{
	struct vpmem_error err = { "", "" };
	struct vpmem_backing *backing;
	struct memdev memdev = { .backing = NULL }, *list = &memdev;

	(void)state;
	assert_int_equal(open_backing("in/new", &memdev.backing, &err), 0);
	assert_int_equal(open_backing("in/new", &backing, &err), -EBUSY);
	// Without Landlock, the broker sees whose it is.
	machine.memdevs = &list;
	machine.nmemdevs = 1;
	assert_int_equal(open_backing("in/new", &backing, &err), -EBUSY);
	assert_string_equal(err.text, "backing store in/new is in use by another memory backend of this process");
	assert_non_null(strstr(err.hint, "give each its own file"));
	assert_int_equal(vpmem_backing_close(memdev.backing), 0);
}

static int remove_by_broker(const char *path)
{
	int rc, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct broker_call call = { .strings = { path }, .in_fd = &fd };

	rc = broker_call(&machine_file_remove_op, &call);
	close(fd);
	return rc;
}

static void test_no_other_file_is_removed(void **state)
{
	struct vpmem_backing *backing;

	(void)state;
	assert_int_equal(remove_by_broker("in/image"), -EPERM);
	assert_int_equal(access("in/image", F_OK), 0);
	// Only that it was opened by the broker is not enough.
	assert_int_equal(truncate("in/image", SIZE), 0);
	assert_int_equal(open_backing("in/image", &backing, NULL), 0);
	assert_int_equal(vpmem_backing_close(backing), 0);
	assert_int_equal(remove_by_broker("in/image"), -EPERM);
	assert_int_equal(remove_by_broker("out/image"), -EACCES);
	// This one the machine has created before there was a broker.
	assert_int_equal(remove_by_broker("in/early"), 0);
	assert_int_equal(access("in/early", F_OK), -1);
}

static void test_an_error_of_the_library_keeps_its_text(void **state)
{
	struct vpmem_error err = { "", "" };
	struct vpmem_backing *backing;

	(void)state;
	assert_int_equal(mkfifo("in/fifo", 0600), 0);
	assert_int_equal(open_backing("in/fifo", &backing, &err), -EINVAL);
	assert_string_equal(err.text, "can't open backing store in/fifo for guest RAM: it is a FIFO");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_file_that_is_created_is_removed_unless_it_is_kept, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(test_a_path_that_is_not_permitted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_another_backend_has, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_other_file_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_error_of_the_library_keeps_its_text, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
