// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fault_test.c - a backing whose file the host cannot provide: accesses that must not be SIGBUS, and a file
 * that was truncated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void accesses_go_where_the_guests_go(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char got[8];

	assert_int_equal(vpmem_backing_store(b, 4 * MIB - 8, "12345678", 8), 0);
	assert_memory_equal((char *)vpmem_backing_hva(b) + 4 * MIB - 8, "12345678", 8);
	assert_int_equal(vpmem_backing_load(b, 4 * MIB - 8, got, 8), 0);
	assert_memory_equal(got, "12345678", 8);
	assert_int_equal(file_byte(d->file, 4 * MIB - 1), '8');
	vpmem_backing_close(b);
}

static void a_private_copy_takes_stores_and_the_file_does_not(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;

	file_make(d->file, 4 * MIB, 'a');
	opts.share = false;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_store(b, 0, "x", 1), 0);
	assert_int_equal(*(char *)vpmem_backing_hva(b), 'x');
	assert_int_equal(file_byte(d->file, 0), 'a');
	vpmem_backing_close(b);
}

static void read_only_memory_takes_no_store(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b;
	char got;

	file_make(d->file, 4 * MIB, 'a');
	opts.readonly = true;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_store(b, 0, "x", 1), -EROFS);
	assert_int_equal(vpmem_backing_load(b, 0, &got, 1), 0);
	assert_int_equal(got, 'a');
	vpmem_backing_close(b);
}

static void the_end_is_checked(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char buf[2] = "";

	assert_int_equal(vpmem_backing_store(b, 4 * MIB - 1, buf, 2), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, 4 * MIB - 1, buf, 2), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, UINT64_MAX, buf, 2), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, 0, buf, UINT64_MAX), -ERANGE);
	assert_int_equal(vpmem_backing_load(b, 4 * MIB - 2, buf, 2), 0);
	vpmem_backing_close(b);
}

/* Each of these accesses by a plain load or store would be the end of the process. */
static void a_truncated_file_is_noticed_and_does_not_kill(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	char byte = 'x', two_pages[8192];

	assert_false(vpmem_backing_is_truncated(b));
	assert_int_equal(truncate(d->file, 2 * MIB), 0);
	assert_true(vpmem_backing_is_truncated(b));
	assert_int_equal(vpmem_backing_store(b, 3 * MIB, &byte, 1), -EFAULT);
	assert_int_equal(vpmem_backing_load(b, 3 * MIB, &byte, 1), -EFAULT);
	assert_int_equal(vpmem_backing_store(b, MIB, &byte, 1), 0);
	/* one page is there, the other is not */
	assert_int_equal(vpmem_backing_load(b, 2 * MIB - 4096, two_pages, sizeof(two_pages)), -EFAULT);
	assert_int_equal(truncate(d->file, 8 * MIB), 0);
	assert_false(vpmem_backing_is_truncated(b));
	assert_int_equal(vpmem_backing_store(b, 3 * MIB, &byte, 1), 0);
	vpmem_backing_close(b);
}

/* A sandbox may refuse the calls even for the process itself. */
static void where_process_vm_calls_are_refused_accesses_go_the_same_way(void **state)
{
	static const int errors[] = { ENOSYS, EPERM };
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	static char data[3 * 4096], got[sizeof(data)];

	file_make(d->file, 4 * MIB, 'a');
	memset(data, 'x', sizeof(data));
	for (unsigned i = 0; i < 4; i++) {
		struct vpmem_backing *b;

		faults.process_vm_error = errors[i % 2];
		opts.share = i < 2;
		b = must_open(&opts);
		assert_int_equal(vpmem_backing_load(b, 0, got, 8), 0);
		assert_int_equal(got[0], i == 0 ? 'a' : 'x');
		assert_int_equal(vpmem_backing_store(b, 0, data, sizeof(data)), 0);
		assert_int_equal(vpmem_backing_load(b, 0, got, sizeof(got)), 0);
		assert_memory_equal(got, data, sizeof(data));
		assert_memory_equal(vpmem_backing_hva(b), data, sizeof(data));
		/* with share=off, the private copy */
		assert_int_equal(vpmem_backing_store(b, 8192, "p", 1), 0);
		assert_int_equal(file_byte(d->file, 8192), i < 2 ? 'p' : 'x');
		if (i < 2)
			assert_int_equal(vpmem_backing_store(b, 8192, "x", 1), 0);
		assert_int_equal(truncate(d->file, 2 * MIB), 0);
		assert_int_equal(vpmem_backing_store(b, 3 * MIB, "x", 1), -EFAULT);
		assert_int_equal(vpmem_backing_load(b, 3 * MIB, got, 1), -EFAULT);
		assert_int_equal(truncate(d->file, 4 * MIB), 0);
		vpmem_backing_close(b);
	}
}

/* The pipe needs two descriptors. */
static void without_descriptors_the_pipe_is_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	struct rlimit before, none;
	char byte = 'x';

	faults.process_vm_error = EPERM;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(vpmem_backing_store(b, 0, &byte, 1), -EMFILE);
	assert_int_equal(vpmem_backing_load(b, 0, &byte, 1), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(vpmem_backing_load(b, 0, &byte, 1), 0);
	assert_int_equal(byte, 0);
	vpmem_backing_close(b);
}

/* With one that was made before, none is needed; and what one access left in it is not read by the next. */
static void a_pipe_made_before_serves_all(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	struct rlimit before, none;
	char got[8] = "";

	faults.process_vm_error = EPERM;
	assert_int_equal(vpmem_open_pipe(), 0);
	assert_int_equal(vpmem_open_pipe(), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(vpmem_backing_store(b, 8, "abcdefgh", 8), 0);
	assert_int_equal(truncate(opts.path, 0), 0);
	assert_int_equal(vpmem_backing_store(b, 8, "12345678", 8), -EFAULT);
	assert_int_equal(vpmem_backing_load(b, 8, got, 8), -EFAULT);
	assert_int_equal(truncate(opts.path, 4 * MIB), 0);
	assert_int_equal(vpmem_backing_store(b, 8, "ABCDEFGH", 8), 0);
	assert_memory_equal((char *)vpmem_backing_hva(b) + 8, "ABCDEFGH", 8);
	assert_int_equal(vpmem_backing_load(b, 8, got, 8), 0);
	assert_memory_equal(got, "ABCDEFGH", 8);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	vpmem_backing_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accesses_go_where_the_guests_go, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_private_copy_takes_stores_and_the_file_does_not, dir_setup,
		                                dir_teardown),
		cmocka_unit_test_setup_teardown(read_only_memory_takes_no_store, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(the_end_is_checked, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(where_process_vm_calls_are_refused_accesses_go_the_same_way, dir_setup,
		                                dir_teardown),
		cmocka_unit_test_setup_teardown(without_descriptors_the_pipe_is_refused, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_pipe_made_before_serves_all, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_truncated_file_is_noticed_and_does_not_kill, dir_setup, dir_teardown),
	};

	return cmocka_run_group_tests_name("backing_fault", tests, NULL, NULL);
}
