// SPDX-License-Identifier: Apache-2.0
// Where a pmem device is placed and mapped, what is refused, and what a failure leaves behind.
#include "machine_pmem.h"

#include "fake_host.h"
#include "machine_find.h"
#include "vm_limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

#define WINDOW (UINT64_C(8) << 30) /* of fake_host */
#define SIZE (2 * VPMEM_GRANULE)

static struct machine *m;
static struct vpmem_error err;

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	if (rc < 0)
		return rc;
	fake_host_memdev("mem1");
	fake_host_memdev("mem2");
	fake_host_memdev("mem3");
	return 0;
}

static int add(struct pmem_config *pmem)
{
	struct device_config *cfg = &pmem->dev;
	int rc = machine_add_device(m, &cfg, &err);

	// On failure it stays the caller's.
	assert_int_equal(cfg == NULL, rc == 0);
	device_config_free(cfg);
	return rc;
}

static int add_at(const char *memdev, gpa_t memaddr)
{
	struct pmem_config *cfg = fake_host_config(NULL, memdev);

	cfg->memaddr = memaddr;
	return add(cfg);
}

static void a_device_is_mapped_at_the_start_of_the_window(void **state)
{
	struct pmem *pmem = fake_host_pmem("nv1", "mem1");

	(void)state;
	assert_int_equal(virtio_pmem_gpa(pmem->dev.vp), WINDOW);
	assert_int_equal(fake_host->slots[0].gpa, WINDOW);
	assert_int_equal(fake_host->slots[0].size, SIZE);
	assert_ptr_equal(fake_host->slots[0].hva, pmem->memdev->backing->bytes);
	assert_false(fake_host->slots[0].readonly);
	assert_true(pmem->memdev->obj.in_use);
	assert_string_equal(pmem->dev.path, "/machine/peripheral/nv1");
}

static void read_only_memory_is_mapped_read_only(void **state)
{
	(void)state;
	m->memdevs[0]->backing->rom = true;
	fake_host_pmem("nv1", "mem1");
	assert_true(fake_host->slots[0].readonly);
}

static void devices_fill_the_window_from_its_start(void **state)
{
	(void)state;
	m->memdevs[1]->backing->align = UINT64_C(1) << 30;
	fake_host_pmem("nv1", "mem1");
	assert_int_equal(add_at("mem3", WINDOW + 2 * SIZE), 0);
	// The first gap is too small for its alignment, and the window ends behind it.
	assert_int_equal(add_at("mem2", 0), -ENOSPC);
	m->pmem_size *= 2;
	assert_int_equal(add_at("mem2", 0), 0);
	assert_int_equal(virtio_pmem_gpa(m->pmems[2]->dev.vp), WINDOW + (UINT64_C(1) << 30));
}

static void a_gap_that_is_large_enough_is_used(void **state)
{
	(void)state;
	assert_int_equal(add_at("mem1", WINDOW), 0);
	assert_int_equal(add_at("mem2", WINDOW + 2 * SIZE), 0);
	assert_int_equal(add_at("mem3", 0), 0);
	assert_int_equal(virtio_pmem_gpa(m->pmems[2]->dev.vp), WINDOW + SIZE);
}

static void an_address_is_checked(void **state)
{
	const struct {
		gpa_t memaddr;
		const char *text;
	} refused[] = {
		{ WINDOW + 4096, "address must be aligned to 0x200000 bytes" },
		{ WINDOW - SIZE, "can't add memory device [0x1ffc00000:0x400000], usable range" },
		{ WINDOW + (UINT64_C(1) << 30) - VPMEM_GRANULE, "can't add memory device [0x23fe00000:0x400000]" },
		{ UINT64_MAX - VPMEM_GRANULE + 1, "can't add memory device" },
		{ WINDOW + VPMEM_GRANULE, "address range conflicts with memory device id='nv1'" },
	};

	(void)state;
	fake_host_pmem("nv1", "mem1");
	for (unsigned i = 0; i < COUNT(refused); i++) {
		assert_int_equal(add_at("mem2", refused[i].memaddr), -EINVAL);
		assert_non_null(strstr(err.text, refused[i].text));
	}
	assert_int_equal(m->npmems, 1);
	// Up to the last byte.
	assert_int_equal(add_at("mem2", WINDOW + (UINT64_C(1) << 30) - SIZE), 0);
}

static void what_does_not_fit_together_is_refused(void **state)
{
	(void)state;
	fake_host_pmem("nv1", "mem1");
	assert_int_equal(add(fake_host_config("nv1", "mem2")), -EEXIST);
	assert_string_equal(err.text, "Duplicate device ID 'nv1'");
	assert_int_equal(add(fake_host_config("nv2", "mem9")), -ENODEV);
	assert_string_equal(err.text, "Device 'mem9' not found");
	assert_int_equal(add(fake_host_config("nv2", "mem1")), -EBUSY);
	assert_string_equal(err.text, "can't use already busy memdev: mem1");
	assert_int_equal(m->npmems, 1);
	assert_int_equal(fake_host->ndevices, 1);
}

static void a_device_without_an_id_has_a_path(void **state)
{
	(void)state;
	assert_string_equal(fake_host_pmem(NULL, "mem1")->dev.path, "/machine/peripheral-anon/device[0]");
	assert_string_equal(fake_host_pmem(NULL, "mem2")->dev.path, "/machine/peripheral-anon/device[1]");
	assert_string_equal(pmem_name(m->pmems[1]), "mem2");
}

static void a_failure_leaves_nothing(void **state)
{
	(void)state;
	fake_host->create_error = -EMFILE;
	assert_int_equal(add(fake_host_config("nv1", "mem1")), -EMFILE);
	assert_non_null(strstr(err.hint, "ulimit"));
	fake_host->create_error = 0;
	fake_host->slot_error = -ENOSPC;
	assert_int_equal(add(fake_host_config("nv1", "mem1")), -ENOSPC);
	assert_string_equal(err.text, "hypervisor has not enough free memory slots left");
	fake_host->slot_error = -EINVAL;
	assert_int_equal(add(fake_host_config("nv1", "mem1")), -EINVAL);
	assert_int_equal(fake_host->ndevices, 0);
	assert_int_equal(m->npmems, 0);
	assert_false(m->memdevs[0]->obj.in_use);
	fake_host->slot_error = 0;
	assert_int_equal(add(fake_host_config("nv1", "mem1")), 0);
}

static void on_memory_changed(void *owner)
{
	++*(unsigned *)owner;
}

// The memory that a vhost device's back end can access: the window is in it before device_add returns, and not after an eject.
static void windows_are_in_the_table_of_memory(void **state)
{
	struct vm *vm = &m->kvm.vm;
	unsigned nchanges = 0;
	struct vm_memory_listener listener = { .changed = on_memory_changed, .owner = &nchanges, .regions_max = 2 };
	struct pmem *pmem = fake_host_pmem("nv1", "mem1");
	struct pmem_config *shmem = fake_host_config("nv3", "mem3");

	(void)state;
	vm_memory_listen(vm, &listener);
	assert_int_equal(vm->memory.nregions, 1);
	assert_int_equal(vm->memory.regions[0].gpa, WINDOW);
	assert_int_equal(vm->memory.regions[0].size, SIZE);
	assert_ptr_equal(vm->memory.regions[0].hva, vpmem_backing_hva(pmem->memdev->backing));
	assert_int_equal(vm->memory.regions[0].fd, 7);
	assert_int_equal(vm->memory.regions[0].fd_off, 4096);
	fake_host_pmem("nv2", "mem2");
	assert_int_equal(nchanges, 1);
	// The back end can have no more.
	assert_int_equal(add(fake_host_config("nv3", "mem3")), -E2BIG);
	assert_string_equal(err.text, "a used vhost backend has no free memory slots left");
	assert_non_null(strstr(err.hint, "max_mem_regions"));
	shmem->shmem = true;
	assert_int_equal(add(shmem), -E2BIG);
	machine_detach_device(&pmem->dev);
	assert_int_equal(nchanges, 2);
	assert_int_equal(vm->memory.nregions, 1);
	assert_int_equal(add(fake_host_config("nv3", "mem3")), 0);
	machine_remove_device(&pmem->dev, false);
	machine_free_device(&pmem->dev);
	vm_memory_ignore(vm, &listener);
}

static void with_shmem_the_window_is_a_bar(void **state)
{
	struct pmem_config *cfg = fake_host_config("nv1", "mem1");

	(void)state;
	cfg->shmem = true;
	assert_int_equal(add(cfg), 0);
	assert_int_equal(fake_host->slots[0].size, 0);
	assert_true(m->pmems[0]->dev.vp->cfg.device.shmem);
	assert_int_equal(m->pmems[0]->dev.vp->cfg.device.gpa, 0);
}

static void properties_reach_the_device(void **state)
{
	struct pmem_config *cfg = fake_host_config("nv1", "mem1");
	const struct virtio_pmem_options *got;

	(void)state;
	cfg->dev.slot = 7;
	cfg->dev.bus_nr = 0;
	cfg->dev.event_idx = cfg->dev.register_page = true;
	cfg->werror = WERROR_STOP;
	assert_int_equal(add(cfg), 0);
	got = &m->pmems[0]->dev.vp->cfg;
	assert_int_equal(got->pci.slot, 7);
	assert_int_equal(got->pci.bus_nr, 0);
	assert_true(got->pci.register_page && !got->pci.pio_notify);
	assert_true(!got->device.no_event_idx && got->device.no_indirect_desc && got->device.no_ring_reset);
	assert_true(got->device.hold_on_error);
	assert_int_equal(m->pmems[0]->dev.slot, 7);
}

/* Those that name a place come first, in whichever order they were given. */
static void the_command_line_is_placed_by_need(void **state)
{
	struct pmem_config *addr = fake_host_config("addr", "mem3");
	struct device_config *cfgs[] = { &fake_host_config("any", "mem1")->dev, &fake_host_config("bus", "mem2")->dev,
		                         &addr->dev };

	(void)state;
	cfgs[1]->bus_nr = 0;
	addr->memaddr = WINDOW;
	fake_host->opts.devices = cfgs;
	fake_host->opts.ndevices = COUNT(cfgs);
	assert_int_equal(machine_add_devices(m, &err), 0);
	for (unsigned i = 0; i < COUNT(cfgs); i++)
		assert_null(cfgs[i]);
	assert_string_equal(m->pmems[0]->dev.cfg->id, "addr");
	assert_string_equal(m->pmems[1]->dev.cfg->id, "bus");
	assert_string_equal(m->pmems[2]->dev.cfg->id, "any");
	assert_int_equal(virtio_pmem_gpa(m->pmems[0]->dev.vp), WINDOW);
}

static void a_place_that_was_left_is_free(void **state)
{
	struct pmem *pmem = fake_host_pmem("nv1", "mem1");

	(void)state;
	machine_detach_device(&pmem->dev);
	machine_remove_device(&pmem->dev, false);
	machine_free_device(&pmem->dev);
	assert_int_equal(m->npmems, 0);
	assert_int_equal(virtio_pmem_gpa(fake_host_pmem("nv1", "mem1")->dev.vp), WINDOW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_is_mapped_at_the_start_of_the_window),
		TEST(read_only_memory_is_mapped_read_only),
		TEST(devices_fill_the_window_from_its_start),
		TEST(a_gap_that_is_large_enough_is_used),
		TEST(an_address_is_checked),
		TEST(what_does_not_fit_together_is_refused),
		TEST(a_device_without_an_id_has_a_path),
		TEST(a_failure_leaves_nothing),
		TEST(windows_are_in_the_table_of_memory),
		TEST(with_shmem_the_window_is_a_bar),
		TEST(properties_reach_the_device),
		TEST(the_command_line_is_placed_by_need),
		TEST(a_place_that_was_left_is_free),
	};

	return cmocka_run_group_tests_name("machine_pmem", tests, NULL, NULL);
}
