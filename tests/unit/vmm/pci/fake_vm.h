// SPDX-License-Identifier: Apache-2.0
/* fake_vm.h - a struct vm that records what was asked of it, for tests without KVM. */
#ifndef FAKE_VM_H
#define FAKE_VM_H

#include "vm.h"

#include <pthread.h>

#define FAKE_MAX 64

struct fake_ioeventfd {
	bool used;
	enum vm_space space;
	uint64_t addr;
	int efd;
};

struct fake_route {
	bool used;
	int efd;
	uint64_t addr;
	uint32_t data;
};

/* One more eventfd of a route. */
struct fake_irqfd {
	bool used;
	int gsi, efd;
};

struct fake_slot {
	bool used;
	gpa_t gpa;
	uint64_t size;
	void *hva;
	bool readonly;
};

struct fake_vm {
	struct vm vm;
	struct fake_ioeventfd ioeventfds[FAKE_MAX];
	struct fake_route routes[FAKE_MAX]; /* by number */
	struct fake_irqfd irqfds[FAKE_MAX];
	struct fake_slot slots[FAKE_MAX];
	unsigned nroute_calls;                                   /* msi_add and msi_set */
	unsigned nslot_calls;                                    /* slot_add and slot_del */
	int ioeventfd_error, msi_error, irqfd_error, slot_error; /* what the next calls return; 0: they work */
	pthread_mutex_t line_lock;                               /* irq_line comes from any thread */
	bool lines[FAKE_MAX];
	unsigned nline_changes;
};

void fake_vm_init(struct fake_vm *fake);
/* Asserts that everything that was added was removed. */
void fake_vm_check_empty(struct fake_vm *fake);

unsigned fake_vm_nioeventfds(const struct fake_vm *fake);
unsigned fake_vm_nirqfds(const struct fake_vm *fake);
unsigned fake_vm_nslots(const struct fake_vm *fake);
unsigned fake_vm_nroutes(const struct fake_vm *fake);
bool fake_vm_line(struct fake_vm *fake, unsigned gsi);
/* What the guest reads at gpa without leaving, where there is a read-only slot; or NULL. */
const uint8_t *fake_vm_readonly(const struct fake_vm *fake, gpa_t gpa);
/* The eventfd registered at an address in memory, or at a port, or -1. */
int fake_vm_ioeventfd(const struct fake_vm *fake, gpa_t gpa);
int fake_vm_port_ioeventfd(const struct fake_vm *fake, uint64_t port);
/* The route with this message, or NULL. */
const struct fake_route *fake_vm_route(const struct fake_vm *fake, uint64_t addr, uint32_t data);
/* Whether an eventfd is bound to this route by irqfd_add. */
bool fake_vm_is_bound(const struct fake_vm *fake, const struct fake_route *route, int efd);
/* How often an eventfd was signalled since the last call; 0 if not. */
uint64_t fake_efd_take(int efd);

#endif
