// SPDX-License-Identifier: Apache-2.0
// The table of memory that back ends may access: regions come and go with their slots, and listeners see each change.
#include "fake_vm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SIZE 0x200000u

struct listener {
	struct vm_memory_listener l;
	struct fake_vm *fake;
	unsigned nchanges, nregions, nslots; /* as they were at the last change */
};

static void on_changed(void *owner)
{
	struct listener *listener = owner;

	listener->nchanges++;
	listener->nregions = listener->fake->vm.memory.nregions;
	listener->nslots = fake_vm_nslots(listener->fake);
}

static struct listener listener_of(struct fake_vm *fake, unsigned max)
{
	return (struct listener) { .l = { .changed = on_changed, .regions_max = max }, .fake = fake };
}

static void regions_are_slots_and_entries(void **state)
{
	struct fake_vm fake;
	uint8_t ram, window;

	(void)state;
	fake_vm_init(&fake);
	assert_int_equal(vm_memory_add(&fake.vm, 0, SIZE, &ram, false), 0);
	assert_int_equal(vm_memory_add(&fake.vm, SIZE, SIZE, &window, true), 0);
	assert_int_equal(fake.vm.memory.nregions, 2);
	assert_int_equal(fake.vm.memory.regions[1].gpa, SIZE);
	assert_int_equal(fake.vm.memory.regions[1].size, SIZE);
	assert_ptr_equal(fake.vm.memory.regions[1].hva, &window);
	assert_ptr_equal(fake_vm_readonly(&fake, SIZE), &window);
	assert_null(fake_vm_readonly(&fake, 0));
	assert_int_equal(fake.vm.memory.regions[0].fd, -1);
	/* What is not there is not removed. */
	vm_memory_del(&fake.vm, 0, 2 * SIZE);
	vm_memory_del(&fake.vm, 0, SIZE);
	assert_int_equal(fake.vm.memory.nregions, 1);
	assert_int_equal(fake.vm.memory.regions[0].gpa, SIZE);
	vm_memory_del(&fake.vm, SIZE, SIZE);
	assert_int_equal(fake.vm.memory.nregions, 0);
	fake_vm_check_empty(&fake);
}

// What another process needs to map the same memory.
static void a_region_has_its_file(void **state)
{
	struct fake_vm fake;
	uint8_t ram;
	const struct vm_memory_region region = { .gpa = 0, .size = SIZE, .hva = &ram, .fd = 5, .fd_off = 2 * SIZE };

	(void)state;
	fake_vm_init(&fake);
	assert_int_equal(vm_memory_add_region(&fake.vm, &region, false), 0);
	assert_int_equal(fake.vm.memory.regions[0].fd, 5);
	assert_int_equal(fake.vm.memory.regions[0].fd_off, 2 * SIZE);
	vm_memory_del(&fake.vm, 0, SIZE);
	fake_vm_check_empty(&fake);
}

static void a_region_without_a_slot_is_not_in_the_table(void **state)
{
	struct fake_vm fake;
	struct listener listener = listener_of(&fake, 64);

	(void)state;
	fake_vm_init(&fake);
	listener.l.owner = &listener;
	vm_memory_listen(&fake.vm, &listener.l);
	fake.slot_error = -EEXIST;
	assert_int_equal(vm_memory_add(&fake.vm, 0, SIZE, &fake, false), -EEXIST);
	assert_int_equal(fake.vm.memory.nregions, 0);
	assert_int_equal(listener.nchanges, 0);
	fake.slot_error = 0;
	vm_memory_ignore(&fake.vm, &listener.l);
	fake.vm.memory.nregions = VM_MEMORY_REGIONS_MAX;
	assert_int_equal(vm_memory_add(&fake.vm, 0, SIZE, &fake, false), -E2BIG);
	vm_memory_listen(&fake.vm, &listener.l);
	fake.vm.memory.nregions = 64;
	assert_int_equal(vm_memory_add(&fake.vm, 0, SIZE, &fake, false), -E2BIG);
	fake.vm.memory.nregions = 0;
	fake_vm_check_empty(&fake);
}

/* A back end must not reach memory that its slot has left: the next thing is munmap. */
static void listeners_see_a_removal_before_the_guest_does(void **state)
{
	struct fake_vm fake;
	struct listener first = listener_of(&fake, 64), second = listener_of(&fake, 8);

	(void)state;
	fake_vm_init(&fake);
	first.l.owner = &first;
	second.l.owner = &second;
	assert_int_equal(vm_memory_regions_max(&fake.vm), VM_MEMORY_REGIONS_MAX);
	vm_memory_listen(&fake.vm, &first.l);
	vm_memory_listen(&fake.vm, &second.l);
	assert_int_equal(vm_memory_regions_max(&fake.vm), 8);
	assert_int_equal(vm_memory_add(&fake.vm, 0, SIZE, &fake, false), 0);
	assert_int_equal(first.nregions, 1);
	assert_int_equal(first.nslots, 1);
	assert_int_equal(second.nregions, 1);
	vm_memory_ignore(&fake.vm, &second.l);
	vm_memory_ignore(&fake.vm, &second.l);
	assert_int_equal(vm_memory_regions_max(&fake.vm), 64);
	vm_memory_del(&fake.vm, 0, SIZE);
	assert_int_equal(first.nregions, 0);
	assert_int_equal(first.nslots, 1);
	assert_int_equal(first.nchanges, 2);
	assert_int_equal(second.nchanges, 1);
	vm_memory_ignore(&fake.vm, &first.l);
	fake_vm_check_empty(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_are_slots_and_entries),
		cmocka_unit_test(a_region_has_its_file),
		cmocka_unit_test(a_region_without_a_slot_is_not_in_the_table),
		cmocka_unit_test(listeners_see_a_removal_before_the_guest_does),
	};

	return cmocka_run_group_tests_name("vm_memory", tests, NULL, NULL);
}
