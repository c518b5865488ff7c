// SPDX-License-Identifier: Apache-2.0
// A struct vm that records what was asked of it, and refuses what KVM would refuse.
#include "fake_vm.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake_vm *fake_of(struct vm *vm)
{
	return (struct fake_vm *)vm;
}

static int ioeventfd_at(const struct fake_vm *fake, enum vm_space space, uint64_t addr)
{
	for (unsigned i = 0; i < FAKE_MAX; i++)
		if (fake->ioeventfds[i].used && fake->ioeventfds[i].space == space && fake->ioeventfds[i].addr == addr)
			return fake->ioeventfds[i].efd;
	return -1;
}

static int ioeventfd_add(struct vm *vm, enum vm_space space, uint64_t addr, int efd)
{
	struct fake_vm *fake = fake_of(vm);

	if (fake->ioeventfd_error)
		return fake->ioeventfd_error;
	assert_true(efd >= 0);
	if (ioeventfd_at(fake, space, addr) >= 0)
		return -EEXIST;
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		if (fake->ioeventfds[i].used)
			continue;
		fake->ioeventfds[i] =
			(struct fake_ioeventfd) { .used = true, .space = space, .addr = addr, .efd = efd };
		return 0;
	}
	return -ENOSPC;
}

static void ioeventfd_del(struct vm *vm, enum vm_space space, uint64_t addr, int efd)
{
	struct fake_vm *fake = fake_of(vm);

	for (unsigned i = 0; i < FAKE_MAX; i++) {
		struct fake_ioeventfd *entry = &fake->ioeventfds[i];

		if (!entry->used || entry->space != space || entry->addr != addr || entry->efd != efd)
			continue;
		entry->used = false;
		return;
	}
	fail_msg("ioeventfd_del without add: 0x%llx", (unsigned long long)addr);
}

static int msi_add(struct vm *vm, int efd, uint64_t addr, uint32_t data)
{
	struct fake_vm *fake = fake_of(vm);

	fake->nroute_calls++;
	if (fake->msi_error)
		return fake->msi_error;
	for (int i = 0; i < FAKE_MAX; i++) {
		if (fake->routes[i].used)
			continue;
		fake->routes[i] = (struct fake_route) { .used = true, .efd = efd, .addr = addr, .data = data };
		return i;
	}
	return -ENOSPC;
}

static int msi_set(struct vm *vm, int gsi, uint64_t addr, uint32_t data)
{
	struct fake_vm *fake = fake_of(vm);

	fake->nroute_calls++;
	assert_true(gsi >= 0 && gsi < FAKE_MAX && fake->routes[gsi].used);
	if (fake->msi_error)
		return fake->msi_error;
	fake->routes[gsi].addr = addr;
	fake->routes[gsi].data = data;
	return 0;
}

static void msi_del(struct vm *vm, int gsi, int efd)
{
	struct fake_vm *fake = fake_of(vm);

	assert_true(gsi >= 0 && gsi < FAKE_MAX && fake->routes[gsi].used && fake->routes[gsi].efd == efd);
	for (unsigned i = 0; i < FAKE_MAX; i++)
		assert_false(fake->irqfds[i].used && fake->irqfds[i].gsi == gsi);
	fake->routes[gsi].used = false;
}

static struct fake_irqfd *irqfd_find(struct fake_vm *fake, int efd)
{
	for (unsigned i = 0; i < FAKE_MAX; i++)
		if (fake->irqfds[i].used && fake->irqfds[i].efd == efd)
			return &fake->irqfds[i];
	return NULL;
}

static int irqfd_add(struct vm *vm, int gsi, int efd)
{
	struct fake_vm *fake = fake_of(vm);

	assert_true(efd >= 0 && gsi >= 0 && gsi < FAKE_MAX && fake->routes[gsi].used);
	if (fake->irqfd_error)
		return fake->irqfd_error;
	if (irqfd_find(fake, efd))
		return -EBUSY;
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		if (fake->irqfds[i].used)
			continue;
		fake->irqfds[i] = (struct fake_irqfd) { .used = true, .gsi = gsi, .efd = efd };
		return 0;
	}
	return -ENOSPC;
}

static void irqfd_del(struct vm *vm, int gsi, int efd)
{
	struct fake_irqfd *irqfd = irqfd_find(fake_of(vm), efd);

	assert_true(irqfd && irqfd->gsi == gsi);
	irqfd->used = false;
}

static void irq_line(struct vm *vm, unsigned gsi, bool level)
{
	struct fake_vm *fake = fake_of(vm);

	assert_true(gsi < FAKE_MAX);
	pthread_mutex_lock(&fake->line_lock);
	fake->lines[gsi] = level;
	fake->nline_changes++;
	pthread_mutex_unlock(&fake->line_lock);
}

static int slot_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly)
{
	struct fake_vm *fake = fake_of(vm);
	struct fake_slot *unused = NULL;

	fake->nslot_calls++;
	if (fake->slot_error)
		return fake->slot_error;
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		struct fake_slot *slot = &fake->slots[i];

		if (!slot->used)
			unused = unused ? unused : slot;
		else if (gpa < slot->gpa + slot->size && slot->gpa < gpa + size)
			return -EEXIST;
	}
	if (!unused)
		return -ENOSPC;
	*unused = (struct fake_slot) { .used = true, .gpa = gpa, .size = size, .hva = hva, .readonly = readonly };
	return 0;
}

static void slot_del(struct vm *vm, gpa_t gpa, uint64_t size)
{
	struct fake_vm *fake = fake_of(vm);

	fake->nslot_calls++;
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		struct fake_slot *slot = &fake->slots[i];

		if (!slot->used || slot->gpa != gpa || slot->size != size)
			continue;
		slot->used = false;
		return;
	}
	fail_msg("slot_del without add: 0x%llx", (unsigned long long)gpa);
}

static const struct vm_ops fake_ops = {
	.ioeventfd_add = ioeventfd_add,
	.ioeventfd_del = ioeventfd_del,
	.msi_add = msi_add,
	.msi_set = msi_set,
	.msi_del = msi_del,
	.irqfd_add = irqfd_add,
	.irqfd_del = irqfd_del,
	.irq_line = irq_line,
	.slot_add = slot_add,
	.slot_del = slot_del,
};

void fake_vm_init(struct fake_vm *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->vm.ops = &fake_ops;
	pthread_mutex_init(&fake->line_lock, NULL);
}

unsigned fake_vm_nioeventfds(const struct fake_vm *fake)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_MAX; i++)
		n += fake->ioeventfds[i].used;
	return n;
}

unsigned fake_vm_nirqfds(const struct fake_vm *fake)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_MAX; i++)
		n += fake->irqfds[i].used;
	return n;
}

unsigned fake_vm_nslots(const struct fake_vm *fake)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_MAX; i++)
		n += fake->slots[i].used;
	return n;
}

unsigned fake_vm_nroutes(const struct fake_vm *fake)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAKE_MAX; i++)
		n += fake->routes[i].used;
	return n;
}

void fake_vm_check_empty(struct fake_vm *fake)
{
	assert_int_equal(fake_vm_nioeventfds(fake), 0);
	assert_int_equal(fake_vm_nslots(fake), 0);
	assert_int_equal(fake_vm_nroutes(fake), 0);
	assert_int_equal(fake_vm_nirqfds(fake), 0);
	for (unsigned i = 0; i < FAKE_MAX; i++)
		assert_false(fake->lines[i]);
	pthread_mutex_destroy(&fake->line_lock);
}

bool fake_vm_line(struct fake_vm *fake, unsigned gsi)
{
	pthread_mutex_lock(&fake->line_lock);
	bool level = fake->lines[gsi];
	pthread_mutex_unlock(&fake->line_lock);
	return level;
}

const uint8_t *fake_vm_readonly(const struct fake_vm *fake, gpa_t gpa)
{
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		const struct fake_slot *slot = &fake->slots[i];

		if (slot->used && slot->readonly && gpa >= slot->gpa && gpa - slot->gpa < slot->size)
			return (const uint8_t *)slot->hva + (gpa - slot->gpa);
	}
	return NULL;
}

int fake_vm_ioeventfd(const struct fake_vm *fake, gpa_t gpa)
{
	return ioeventfd_at(fake, VM_SPACE_MEMORY, gpa);
}

int fake_vm_port_ioeventfd(const struct fake_vm *fake, uint64_t port)
{
	return ioeventfd_at(fake, VM_SPACE_PORTS, port);
}

const struct fake_route *fake_vm_route(const struct fake_vm *fake, uint64_t addr, uint32_t data)
{
	for (unsigned i = 0; i < FAKE_MAX; i++)
		if (fake->routes[i].used && fake->routes[i].addr == addr && fake->routes[i].data == data)
			return &fake->routes[i];
	return NULL;
}

bool fake_vm_is_bound(const struct fake_vm *fake, const struct fake_route *route, int efd)
{
	for (unsigned i = 0; i < FAKE_MAX; i++)
		if (fake->irqfds[i].used && fake->irqfds[i].efd == efd)
			return &fake->routes[fake->irqfds[i].gsi] == route;
	return false;
}

uint64_t fake_efd_take(int efd)
{
	struct pollfd pfd = { .fd = efd, .events = POLLIN };
	uint64_t count = 0;

	if (poll(&pfd, 1, 0) != 1)
		return 0;
	assert_int_equal(read(efd, &count, sizeof(count)), (ssize_t)sizeof(count));
	return count;
}
