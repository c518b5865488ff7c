// SPDX-License-Identifier: Apache-2.0
// RAM on both sides of the PCI hole, and the windows above it.
#include "machine_memory.h"

#include "cpu.h"
#include "fake_host.h"
#include "memory_map.h"

#include <errno.h>
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
		TEST(windows_share_the_room_above_ram),
		TEST(the_first_window_begins_at_a_gib),
		TEST(a_processor_with_few_address_bits_has_small_windows),
		TEST(ram_beyond_the_processors_addresses_is_refused),
		TEST(no_room_above_ram_is_no_window),
	};

	return cmocka_run_group_tests_name("machine_memory", tests, NULL, NULL);
}
