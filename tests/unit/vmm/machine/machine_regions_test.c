// SPDX-License-Identifier: Apache-2.0
// The memory table: RAM and the pmem windows, and a call for each change.
#include "machine_regions.h"

#include "fake_host.h"

#include <stdlib.h>

#include "unit_test.h"

#define WINDOW (UINT64_C(8) << 30) /* of fake_host */
#define SIZE (2 * VPMEM_GRANULE)

static struct machine *m;
static struct gmem_region table[REGIONS_MAX];
static _Alignas(16) uint8_t ram[64];
static unsigned nchanges;

static void on_changed(void *owner)
{
	assert_ptr_equal(owner, m);
	nchanges++;
}

static struct regions_listener listener = { .changed = on_changed };

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	if (rc < 0 || gmem_add(&m->gmem, 0, sizeof(ram), ram) < 0)
		return -1;
	fake_host_memdev("mem1");
	fake_host_memdev("mem2");
	nchanges = 0;
	listener.owner = m;
	machine_regions_listen(m, &listener);
	return 0;
}

static void remove_device(struct pmem *pmem)
{
	machine_detach_device(&pmem->dev);
	machine_remove_device(&pmem->dev, false);
	machine_free_device(&pmem->dev);
}

static void ram_is_first_and_each_window_follows(void **state)
{
	struct pmem *nv1;

	(void)state;
	assert_int_equal(machine_regions(m, table), 1);
	assert_ptr_equal(table[0].hva, ram);
	nv1 = fake_host_pmem("nv1", "mem1");
	assert_int_equal(nchanges, 1);
	fake_host_pmem("nv2", "mem2");
	assert_int_equal(nchanges, 2);
	assert_int_equal(machine_regions(m, table), 3);
	assert_int_equal(table[1].gpa, WINDOW);
	assert_int_equal(table[1].size, SIZE);
	assert_ptr_equal(table[1].hva, nv1->memdev->backing->bytes);
	assert_int_equal(table[2].gpa, WINDOW + SIZE);
	remove_device(nv1);
	assert_int_equal(nchanges, 3);
	assert_int_equal(machine_regions(m, table), 2);
	assert_int_equal(table[1].gpa, WINDOW + SIZE);
}

/* The call comes when the guest has let go, not when the last sync has ended. */
static void a_window_that_was_ejected_is_out_at_once(void **state)
{
	struct pmem *nv1 = fake_host_pmem("nv1", "mem1");

	(void)state;
	nchanges = 0;
	machine_detach_device(&nv1->dev);
	assert_int_equal(nchanges, 1);
	assert_int_equal(machine_regions(m, table), 1);
	machine_remove_device(&nv1->dev, false);
	machine_free_device(&nv1->dev);
	assert_int_equal(nchanges, 1);
}

static void a_window_that_is_a_bar_follows_the_guest(void **state)
{
	struct pmem_config *cfg = fake_host_config("nv1", "mem1");
	struct device_config *dev = &cfg->dev;
	struct virtio_pmem_options *opts;

	(void)state;
	cfg->shmem = true;
	assert_int_equal(machine_add_device(m, &dev, NULL), 0);
	assert_int_equal(machine_regions(m, table), 1);
	nchanges = 0;
	opts = &m->pmems[0]->dev.vp->cfg;
	opts->device.gpa = 5 * WINDOW;
	opts->window_moved(opts->device.callbacks.opaque);
	assert_int_equal(nchanges, 1);
	assert_int_equal(machine_regions(m, table), 2);
	assert_int_equal(table[1].gpa, 5 * WINDOW);
}

static void who_does_not_listen_is_not_called(void **state)
{
	struct regions_listener other = { .changed = on_changed, .owner = m };

	(void)state;
	machine_regions_listen(m, &other);
	machine_regions_unlisten(m, &listener);
	fake_host_pmem("nv1", "mem1");
	assert_int_equal(nchanges, 1);
	machine_regions_unlisten(m, &other);
	machine_regions_unlisten(m, &other);
	fake_host_pmem("nv2", "mem2");
	assert_int_equal(nchanges, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ram_is_first_and_each_window_follows),
		TEST(a_window_that_was_ejected_is_out_at_once),
		TEST(a_window_that_is_a_bar_follows_the_guest),
		TEST(who_does_not_listen_is_not_called),
	};

	return cmocka_run_group_tests_name("machine_regions", tests, NULL, NULL);
}
