// SPDX-License-Identifier: Apache-2.0
// RAM on both sides of the PCI hole, and the windows above it.
#include "machine_memory.h"

#include "cpu.h"
#include "fake_host.h"
#include "machine_hotplug.h"
#include "machine_memdev.h"
#include "memory_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "unit_test.h"

// ---- a processor and a host's memory as a test wants them

static unsigned phys_bits;
static bool no_memory;

unsigned cpu_phys_bits(const struct cpu_host *cpu)
{
	(void)cpu;
	return phys_bits;
}

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (no_memory && prot != PROT_NONE) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	// The tests touch none of it.
	return __real_mmap64(addr, len, prot, flags | MAP_NORESERVE, fd, off);
}

static struct machine *m;
static struct vpmem_error err;

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	phys_bits = 46;
	no_memory = false;
	return rc;
}

static int teardown(void **state)
{
	machine_ram_down(m);
	memset(fake_host->slots, 0, sizeof(fake_host->slots));
	return fake_host_teardown(state);
}

static void has_ram(uint64_t size)
{
	fake_host->opts.ram_size = size;
	assert_int_equal(machine_ram_up(m, &err), 0);
}

// ---- the tests

static void little_ram_is_one_region(void **state)
{
	(void)state;
	has_ram(128 * MIB);
	assert_int_equal(fake_host->slots[0].gpa, 0);
	assert_int_equal(fake_host->slots[0].size, 128 * MIB);
	assert_int_equal(fake_host->slots[1].size, 0);
	assert_int_equal((uintptr_t)fake_host->slots[0].hva % (2 * MIB), 0);
	assert_ptr_equal(gmem_hva(&m->gmem, 128 * MIB - 8, 8), m->ram_low.hva + 128 * MIB - 8);
	assert_null(gmem_hva(&m->gmem, 128 * MIB - 4, 8));
}

static void more_lies_on_both_sides_of_the_hole(void **state)
{
	(void)state;
	has_ram(RAM_LOW_MAX + 5 * GIB);
	assert_int_equal(fake_host->slots[0].size, RAM_LOW_MAX);
	assert_int_equal(fake_host->slots[1].gpa, RAM_HIGH_BASE);
	assert_int_equal(fake_host->slots[1].size, 5 * GIB);
	assert_null(gmem_hva(&m->gmem, RAM_LOW_MAX, 1));
	assert_non_null(gmem_hva(&m->gmem, RAM_HIGH_BASE, 1));
}

static void exactly_what_fits_below_is_one_region(void **state)
{
	(void)state;
	has_ram(RAM_LOW_MAX);
	assert_int_equal(fake_host->slots[1].size, 0);
	assert_null(m->ram_high.area);
}

static void a_host_without_memory_is_named(void **state)
{
	(void)state;
	no_memory = true;
	fake_host->opts.ram_size = 512 * MIB;
	assert_int_equal(machine_ram_up(m, &err), -ENOMEM);
	assert_string_equal(err.text, "cannot set up guest memory 'pc.ram': Cannot allocate memory");
	assert_non_null(strstr(err.hint, "512 MiB"));
}

static void without_a_memory_slot_the_start_fails(void **state)
{
	(void)state;
	fake_host->slot_error = -EEXIST;
	assert_int_equal(machine_ram_up(m, &err), -EEXIST);
}

// ---- RAM that is a memory backend

static struct memdev *add_backend(const struct object_type *type, uint64_t size, bool share)
{
	struct memdev_config *cfg = calloc(1, sizeof(*cfg));
	struct object_config *obj = &cfg->obj;

	assert_non_null(cfg);
	*cfg = (struct memdev_config) { .obj = { .type = type, .id = strdup("ram") },
		                        .backing = { .size = size, .share = share, .reserve = false } };
	if (type == &memory_backend_file_type)
		cfg->backing.path = cfg->mem_path = strdup("a.img");
	assert_int_equal(machine_add_object(m, &obj, &err), 0);
	fake_host->opts.memory_backend = (char *)"ram";
	return m->memdevs[m->nmemdevs - 1];
}

/* Another process maps each part of RAM at its own place in the memfd. */
static void a_memfd_lies_on_both_sides_of_the_hole(void **state)
{
	struct memdev *memdev = add_backend(&memory_backend_memfd_type, RAM_LOW_MAX + GIB, true);
	const struct vm_memory *table = &m->kvm.vm.memory;

	(void)state;
	has_ram(RAM_LOW_MAX + GIB);
	assert_int_equal(table->nregions, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(table->regions[i].fd, memdev->memory.fd);
	assert_int_equal(table->regions[0].fd_off, 0);
	assert_int_equal(table->regions[0].size, RAM_LOW_MAX);
	assert_int_equal(table->regions[1].gpa, RAM_HIGH_BASE);
	assert_int_equal(table->regions[1].fd_off, RAM_LOW_MAX);
	assert_int_equal(table->regions[1].size, GIB);
	assert_ptr_equal(table->regions[1].hva, memdev->memory.hva + RAM_LOW_MAX);
	assert_ptr_equal(gmem_hva(&m->gmem, RAM_HIGH_BASE, 8), table->regions[1].hva);
	assert_false(fake_host->slots[0].readonly);
	assert_int_equal(m->ram_low.size + m->ram_high.size, RAM_LOW_MAX + GIB);
}

static void private_memory_has_no_file_for_others(void **state)
{
	(void)state;
	add_backend(&memory_backend_memfd_type, 64 * MIB, false);
	has_ram(64 * MIB);
	assert_int_equal(m->kvm.vm.memory.regions[0].fd, -1);
}

static void a_file_can_be_ram(void **state)
{
	struct memdev *memdev = add_backend(&memory_backend_file_type, 64 * MIB, true);

	(void)state;
	has_ram(64 * MIB);
	assert_int_equal(m->kvm.vm.memory.regions[0].fd, 7);
	assert_int_equal(m->kvm.vm.memory.regions[0].fd_off, 4096);
	assert_ptr_equal(m->kvm.vm.memory.regions[0].hva, vpmem_backing_hva(memdev->backing));
}

static void without_m_ram_has_the_size_of_the_object(void **state)
{
	(void)state;
	add_backend(&memory_backend_ram_type, 96 * MIB, false);
	has_ram(0);
	assert_int_equal(fake_host->opts.ram_size, 96 * MIB);
	assert_int_equal(m->ram_low.size, 96 * MIB);
}

static void expect_no_ram(uint64_t ram_size, const char *text, const char *hint)
{
	fake_host->opts.ram_size = ram_size;
	assert_true(machine_ram_up(m, &err) < 0);
	assert_string_equal(err.text, text);
	assert_non_null(strstr(err.hint, hint));
	assert_int_equal(m->kvm.vm.memory.nregions, 0);
	assert_null(m->ram_memdev);
}

static void another_size_than_that_of_m_is_refused(void **state)
{
	struct memdev *memdev = add_backend(&memory_backend_ram_type, 96 * MIB, false);

	(void)state;
	expect_no_ram(64 * MIB, "Machine memory size does not match the size of the memory backend", "-m 100663296B");
	assert_false(memdev->obj.in_use);
}

static void a_size_that_ram_cannot_have_is_refused(void **state)
{
	(void)state;
	add_backend(&memory_backend_ram_type, 3 * MIB + 4096, false);
	expect_no_ram(0, "memory backend 'ram': a size of 0x301000 bytes is not supported for RAM",
	              "multiple of 8 KiB");
}

static void an_object_that_is_ram_is_in_use(void **state)
{
	struct device_config *dev = &fake_host_config("nv1", "ram")->dev;
	struct memdev *memdev = add_backend(&memory_backend_file_type, 64 * MIB, true);

	(void)state;
	has_ram(64 * MIB);
	assert_ptr_equal(m->ram_memdev, memdev);
	assert_int_equal(machine_object_del(m, "ram", &err), -EBUSY);
	assert_string_equal(err.text, "object 'ram' is in use, can not be deleted");
	assert_non_null(strstr(err.hint, "the guest's RAM"));
	assert_int_equal(machine_add_device(m, &dev, &err), -EBUSY);
	assert_string_equal(err.text, "can't use already busy memdev: ram");
	device_config_free(dev);
}

static void a_memfd_is_no_persistent_memory(void **state)
{
	struct device_config *dev = &fake_host_config("nv1", "ram")->dev;

	(void)state;
	add_backend(&memory_backend_memfd_type, 64 * MIB, true);
	assert_int_equal(machine_add_device(m, &dev, &err), -EINVAL);
	assert_string_equal(err.text, "Invalid parameter type for 'memdev', expected: memory-backend-file");
	assert_non_null(strstr(err.hint, "a flush needs a file"));
	device_config_free(dev);
	// Nobody uses it.
	assert_int_equal(machine_object_del(m, "ram", &err), 0);
	assert_int_equal(m->nmemdevs, 0);
}

static void windows_share_the_room_above_ram(void **state)
{
	(void)state;
	has_ram(128 * MIB);
	assert_int_equal(machine_place_windows(m, &err), 0);
	assert_int_equal(m->pmem_gpa, RAM_HIGH_BASE);
	assert_int_equal(m->pmem_size, 6 * TIB);
	assert_int_equal(m->mem64_gpa, m->pmem_gpa + m->pmem_size);
	assert_int_equal(m->mem64_size, 2 * TIB);
}

/* From a whole GiB on, so that large pages are possible. */
static void the_first_window_begins_at_a_gib(void **state)
{
	(void)state;
	has_ram(RAM_LOW_MAX + 100 * MIB);
	assert_int_equal(machine_place_windows(m, &err), 0);
	assert_int_equal(m->pmem_gpa, RAM_HIGH_BASE + GIB);
	assert_int_equal(m->mem64_gpa % GIB, 0);
	assert_true(m->mem64_gpa + m->mem64_size <= RAM_HIGH_BASE + 100 * MIB + WINDOW_MAX);
}

static void a_processor_with_few_address_bits_has_small_windows(void **state)
{
	(void)state;
	phys_bits = 36;
	has_ram(128 * MIB);
	assert_int_equal(machine_place_windows(m, &err), 0);
	assert_int_equal(m->pmem_size, 45 * GIB);
	assert_int_equal(m->mem64_gpa + m->mem64_size, UINT64_C(1) << 36);
}

static void ram_beyond_the_processors_addresses_is_refused(void **state)
{
	(void)state;
	phys_bits = 36;
	has_ram(RAM_LOW_MAX + 61 * GIB);
	assert_int_equal(machine_place_windows(m, &err), -EINVAL);
	assert_non_null(strstr(err.text, "phys-bits too low (36)"));
}

static void no_room_above_ram_is_no_window(void **state)
{
	(void)state;
	phys_bits = 36;
	has_ram(RAM_LOW_MAX + 60 * GIB);
	assert_int_equal(machine_place_windows(m, &err), 0);
	assert_int_equal(m->pmem_size + m->mem64_size, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(little_ram_is_one_region),
		TEST(more_lies_on_both_sides_of_the_hole),
		TEST(exactly_what_fits_below_is_one_region),
		TEST(a_host_without_memory_is_named),
		TEST(without_a_memory_slot_the_start_fails),
		TEST(a_memfd_lies_on_both_sides_of_the_hole),
		TEST(private_memory_has_no_file_for_others),
		TEST(a_file_can_be_ram),
		TEST(without_m_ram_has_the_size_of_the_object),
		TEST(another_size_than_that_of_m_is_refused),
		TEST(a_size_that_ram_cannot_have_is_refused),
		TEST(an_object_that_is_ram_is_in_use),
		TEST(a_memfd_is_no_persistent_memory),
		TEST(windows_share_the_room_above_ram),
		TEST(the_first_window_begins_at_a_gib),
		TEST(a_processor_with_few_address_bits_has_small_windows),
		TEST(ram_beyond_the_processors_addresses_is_refused),
		TEST(no_room_above_ram_is_no_window),
	};

	return cmocka_run_group_tests_name("machine_memory", tests, NULL, NULL);
}
