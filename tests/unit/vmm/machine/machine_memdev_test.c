// SPDX-License-Identifier: Apache-2.0
// Memory backends come and go, and the machine lock is free while a file is opened, closed or measured.
#include "machine_memdev.h"

#include "fake_host.h"
#include "machine_find.h"
#include "machine_pmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

static struct machine *m;

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	return rc;
}

static int add(const char *id, struct vpmem_error *err)
{
	struct object_config *cfg = fake_host_object(id);
	int rc = machine_object_add(m, &cfg, err);

	// On failure it stays the caller's.
	assert_int_equal(cfg == NULL, rc == 0);
	object_config_free(cfg);
	return rc;
}

static void a_backend_is_opened_without_the_lock_and_kept(void **state)
{
	struct memdev *memdev;

	(void)state;
	assert_int_equal(add("mem1", NULL), 0);
	assert_true(fake_host->open_unlocked);
	memdev = machine_find_memdev(m, "mem1");
	assert_non_null(memdev);
	assert_true(memdev->backing->kept);
	assert_null(machine_find_memdev(m, "mem2"));
}

/* What the command line asks for is only kept when the whole start succeeds. */
static void a_backend_of_the_start_is_not_kept_yet(void **state)
{
	(void)state;
	assert_false(fake_host_memdev("mem1")->backing->kept);
}

static void an_id_is_taken_once(void **state)
{
	struct vpmem_error err;

	(void)state;
	assert_int_equal(add("mem1", NULL), 0);
	assert_int_equal(add("mem1", &err), -EEXIST);
	assert_string_equal(err.text, "attempt to add duplicate property 'mem1' to object (type 'container')");
	assert_int_equal(fake_host->nopen, 1);
}

static void a_file_that_does_not_open_leaves_nothing(void **state)
{
	struct vpmem_error err;

	(void)state;
	fake_host->open_error = -EMFILE;
	assert_int_equal(add("mem1", &err), -EMFILE);
	assert_non_null(strstr(err.hint, "ulimit"));
	assert_int_equal(m->nmemdevs, 0);
}

static void there_is_a_largest_number(void **state)
{
	struct vpmem_error err;
	char id[16];

	(void)state;
	for (unsigned i = 0; i < MEMDEVS_MAX; i++) {
		snprintf(id, sizeof(id), "mem%u", i);
		assert_int_equal(add(id, &err), 0);
	}
	assert_int_equal(add("one-more", &err), -ENOSPC);
	assert_int_equal(machine_object_del(m, "mem7", &err), 0);
	assert_int_equal(add("one-more", &err), 0);
}

static void a_backend_is_closed_without_the_lock(void **state)
{
	(void)state;
	assert_int_equal(add("mem1", NULL), 0);
	assert_int_equal(add("mem2", NULL), 0);
	assert_int_equal(machine_object_del(m, "mem1", NULL), 0);
	assert_true(fake_host->close_unlocked);
	assert_int_equal(fake_host->nopen, 1);
	assert_null(machine_find_memdev(m, "mem1"));
	assert_non_null(machine_find_memdev(m, "mem2"));
	assert_int_equal(machine_object_del(m, "mem1", NULL), -ENOENT);
}

static void a_backend_in_use_stays(void **state)
{
	struct vpmem_error err;

	(void)state;
	fake_host_memdev("mem1");
	fake_host_pmem("nv1", "mem1");
	assert_int_equal(machine_object_del(m, "mem1", &err), -EBUSY);
	assert_string_equal(err.text, "object 'mem1' is in use, can not be deleted");
	assert_non_null(strstr(err.hint, "device_del"));
}

/* object_del right behind the eject: the thread that ends the device needs the lock, and gets it. */
static void a_backend_whose_device_is_leaving_is_waited_for(void **state)
{
	struct pmem *pmem;

	(void)state;
	fake_host_memdev("mem1");
	pmem = fake_host_pmem("nv1", "mem1");
	io_write(&m->pio, 0xae08, 4, UINT32_C(1) << pmem->dev.slot);
	assert_int_equal(m->nreapers, 1);
	assert_int_equal(machine_object_del(m, "mem1", NULL), 0);
	assert_int_equal(m->nreapers, 0);
}

static void an_error_of_the_last_sync_is_returned_and_the_object_is_gone(void **state)
{
	struct vpmem_error err;

	(void)state;
	assert_int_equal(add("mem1", NULL), 0);
	fake_host->close_error = -EIO;
	assert_int_equal(machine_object_del(m, "mem1", &err), -EIO);
	assert_non_null(strstr(err.text, "mem1: the last sync failed"));
	assert_int_equal(m->close_error, -EIO);
	assert_int_equal(m->nmemdevs, 0);
}

/* The kernel reports a lost write once: a last sync that succeeds says nothing of it. */
static void an_error_of_a_device_that_left_is_returned(void **state)
{
	struct vpmem_error err;

	(void)state;
	assert_int_equal(add("mem1", NULL), 0);
	m->memdevs[0]->sync_error = -ENOSPC;
	assert_int_equal(machine_object_del(m, "mem1", &err), -ENOSPC);
	assert_non_null(strstr(err.text, "mem1: a sync failed"));
}

static void the_end_closes_all_and_keeps_the_error(void **state)
{
	(void)state;
	assert_int_equal(add("mem1", NULL), 0);
	assert_int_equal(add("mem2", NULL), 0);
	fake_host->close_error = -EIO;
	machine_drop_objects(m);
	assert_int_equal(fake_host->nopen, 0);
	assert_int_equal(m->close_error, -EIO);
}

static void usage_is_measured_without_the_lock(void **state)
{
	struct vpmem_usage usage;

	(void)state;
	fake_host_memdev("mem1");
	assert_int_equal(machine_memdev_usage(m, m->memdevs[0], &usage), 0);
	assert_int_equal(usage.allocated_size, 2 * VPMEM_GRANULE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_backend_is_opened_without_the_lock_and_kept),
		TEST(a_backend_of_the_start_is_not_kept_yet),
		TEST(an_id_is_taken_once),
		TEST(a_file_that_does_not_open_leaves_nothing),
		TEST(there_is_a_largest_number),
		TEST(a_backend_is_closed_without_the_lock),
		TEST(a_backend_in_use_stays),
		TEST(a_backend_whose_device_is_leaving_is_waited_for),
		TEST(an_error_of_the_last_sync_is_returned_and_the_object_is_gone),
		TEST(an_error_of_a_device_that_left_is_returned),
		TEST(the_end_closes_all_and_keeps_the_error),
		TEST(usage_is_measured_without_the_lock),
	};

	return cmocka_run_group_tests_name("machine_memdev", tests, NULL, NULL);
}
