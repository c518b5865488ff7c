// SPDX-License-Identifier: Apache-2.0
// The memory that a device's back end may access: RAM and the pmem windows, as one table.
#include "vm.h"

#include "array.h"

#include <errno.h>
#include <stdlib.h>

static void report(struct vm *vm)
{
	for (struct vm_memory_listener *l = vm->memory.listeners; l; l = l->next)
		l->changed(l->owner);
}

void vm_memory_clear(struct vm *vm)
{
	free(vm->memory.regions);
	vm->memory.regions = NULL;
	vm->memory.nregions = 0;
}

int vm_memory_add_region(struct vm *vm, const struct vm_memory_region *region, bool readonly)
{
	struct vm_memory *memory = &vm->memory;
	int rc;

	if (memory->nregions >= vm_memory_regions_max(vm))
		return -E2BIG;
	rc = array_room(&memory->regions, memory->nregions, sizeof(memory->regions[0]));
	if (rc == 0)
		rc = vm->ops->slot_add(vm, region->gpa, region->size, region->hva, readonly);
	if (rc && memory->nregions == 0)
		vm_memory_clear(vm);
	if (rc)
		return rc;
	memory->regions[memory->nregions++] = *region;
	report(vm);
	return 0;
}

int vm_memory_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly)
{
	const struct vm_memory_region region = { .gpa = gpa, .size = size, .hva = hva, .fd = -1 };

	return vm_memory_add_region(vm, &region, readonly);
}

void vm_memory_del(struct vm *vm, gpa_t gpa, uint64_t size)
{
	struct vm_memory *memory = &vm->memory;
	unsigned i = 0;

	while (i < memory->nregions && (memory->regions[i].gpa != gpa || memory->regions[i].size != size))
		i++;
	if (i == memory->nregions)
		return;
	memory->regions[i] = memory->regions[--memory->nregions];
	if (memory->nregions == 0)
		vm_memory_clear(vm);
	report(vm);
	vm->ops->slot_del(vm, gpa, size);
}

void vm_memory_listen(struct vm *vm, struct vm_memory_listener *listener)
{
	listener->next = vm->memory.listeners;
	vm->memory.listeners = listener;
}

void vm_memory_ignore(struct vm *vm, struct vm_memory_listener *listener)
{
	struct vm_memory_listener **at = &vm->memory.listeners;

	while (*at && *at != listener)
		at = &(*at)->next;
	if (*at)
		*at = listener->next;
}

unsigned vm_memory_regions_max(const struct vm *vm)
{
	unsigned max = VM_MEMORY_REGIONS_MAX;

	for (const struct vm_memory_listener *l = vm->memory.listeners; l; l = l->next)
		max = l->regions_max < max ? l->regions_max : max;
	return max;
}
