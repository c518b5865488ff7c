// SPDX-License-Identifier: Apache-2.0
// The MSI-X table, its pending bits, and the delivery of events (PCI Local Bus Specification 3.0, 6.8.2).
#include "msix.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ADDR_LO, ADDR_HI, DATA, CONTROL, ENTRY_DWORDS };
static_assert(ENTRY_DWORDS * 4 == PCI_MSIX_ENTRY_SIZE, "a table entry is four dwords");

struct vector {
	uint32_t entry[ENTRY_DWORDS]; /* as the guest reads it */
	int efd;
	int gsi;             /* the route, or -1 */
	uint64_t route_addr; /* what the route sends, if route_ok */
	uint32_t route_data;
	bool route_ok;
	/* Guarded by the leaf lock. */
	bool open; /* a message may be sent now */
	bool pending;
};

struct event {
	uint16_t vector; /* written under both locks, so either is enough to read it */
	/* The machine lock guards these. */
	int efd;    /* another source of the event, or -1; borrowed */
	bool bound; /* efd is bound to the vector's route */
};

struct msix {
	/* Register state: the machine lock guards it. */
	struct vm *vm;
	bool function_masked;
	struct event *events; /* nevents of them */

	/* A leaf: guards what msix_raise needs. */
	pthread_mutex_t lock;
	bool enabled; /* written under both */

	unsigned n, nevents; /* vectors, events; fixed */
	struct vector vectors[];
};

/* Never blocks: the eventfds are non-blocking, and a counter at its maximum is an interrupt as well. */
static void signal_efd(int efd)
{
	const uint64_t one = 1;
	ssize_t n = write(efd, &one, sizeof(one));

	(void)n;
}

/* ---- routes: vm_ops calls, machine lock held, leaf lock not ----------------------------------------- */

/* Brings the vector's route in line with its table entry. */
static int route_set(struct msix *msix, struct vector *vec)
{
	uint64_t addr = vec->entry[ADDR_LO] | (uint64_t)vec->entry[ADDR_HI] << 32;
	uint32_t data = vec->entry[DATA];
	int rc;

	if (vec->route_ok && vec->route_addr == addr && vec->route_data == data)
		return 0;
	if (vec->gsi >= 0)
		rc = msix->vm->ops->msi_set(msix->vm, vec->gsi, addr, data);
	else
		rc = msix->vm->ops->msi_add(msix->vm, vec->efd, addr, data);
	vec->route_ok = rc >= 0;
	if (rc < 0) {
		log_guest("msix: no route for a message: address 0x%" PRIx64 " data 0x%" PRIx32 ": %s", addr, data,
		          strerror(-rc));
		return rc;
	}
	if (vec->gsi < 0)
		vec->gsi = rc;
	vec->route_addr = addr;
	vec->route_data = data;
	return 0;
}

/* The eventfd sends the message by itself, as long as the vector is open. */
static void event_bind(struct msix *msix, unsigned idx)
{
	struct event *event = &msix->events[idx];
	int gsi, rc;

	if (event->efd < 0 || event->bound)
		return;
	gsi = msix->vectors[event->vector].gsi;
	rc = msix->vm->ops->irqfd_add(msix->vm, gsi, event->efd);
	event->bound = rc == 0;
	if (rc)
		log_guest("msix: cannot bind an eventfd to the route %d: %s", gsi, strerror(-rc));
}

static void event_unbind(struct msix *msix, unsigned idx)
{
	struct event *event = &msix->events[idx];

	if (event->bound)
		msix->vm->ops->irqfd_del(msix->vm, msix->vectors[event->vector].gsi, event->efd);
	event->bound = false;
}

/* After any register change that concerns the vector. A vector that no event uses has no route and stays closed. */
static void vector_update(struct msix *msix, unsigned idx)
{
	struct vector *vec = &msix->vectors[idx];
	bool unmasked = msix->enabled && !msix->function_masked && !(vec->entry[CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	bool open = unmasked && vec->gsi >= 0 && route_set(msix, vec) == 0;

	pthread_mutex_lock(&msix->lock);
	vec->open = open;
	if (open && vec->pending) {
		vec->pending = false;
		signal_efd(vec->efd);
	}
	pthread_mutex_unlock(&msix->lock);
	for (unsigned i = 0; i < msix->nevents; i++) {
		if (msix->events[i].vector != idx)
			continue;
		if (open)
			event_bind(msix, i);
		else
			event_unbind(msix, i);
	}
}

/* ---- registers ---------------------------------------------------------------------------------------- */

static bool access_ok(uint64_t off, unsigned width, uint64_t size)
{
	return (width == 4 || width == 8) && off % width == 0 && off < size;
}

static uint64_t table_size(const struct msix *msix)
{
	return (uint64_t)msix->n * PCI_MSIX_ENTRY_SIZE;
}

static uint64_t pba_size(const struct msix *msix)
{
	return (msix->n + 63) / 64 * 8;
}

static const uint32_t *table_dword(const struct msix *msix, uint64_t off)
{
	return &msix->vectors[off / PCI_MSIX_ENTRY_SIZE].entry[off % PCI_MSIX_ENTRY_SIZE / 4];
}

uint64_t msix_table_read(const struct msix *msix, uint64_t off, unsigned width)
{
	if (!access_ok(off, width, table_size(msix)))
		return 0;
	if (width == 4)
		return *table_dword(msix, off);
	return *table_dword(msix, off) | (uint64_t)*table_dword(msix, off + 4) << 32;
}

void msix_table_write(struct msix *msix, uint64_t off, unsigned width, uint64_t val)
{
	if (!access_ok(off, width, table_size(msix)))
		return;
	unsigned idx = (unsigned)(off / PCI_MSIX_ENTRY_SIZE);
	uint32_t *entry = msix->vectors[idx].entry;
	unsigned dword = off % PCI_MSIX_ENTRY_SIZE / 4;

	entry[dword] = (uint32_t)val;
	if (width == 8)
		entry[dword + 1] = (uint32_t)(val >> 32);
	entry[ADDR_LO] &= ~UINT32_C(3);                /* a message is a dword write */
	entry[CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT; /* the others are reserved, "must return 0" */
	vector_update(msix, idx);
}

/* Whether an eventfd of the vector's events has counted while the vector was closed. */
static bool efd_pending(const struct msix *msix, unsigned vector)
{
	for (unsigned i = 0; i < msix->nevents; i++) {
		const struct event *event = &msix->events[i];
		struct pollfd pfd = { .fd = event->efd, .events = POLLIN };

		if (event->vector == vector && event->efd >= 0 && !event->bound && poll(&pfd, 1, 0) > 0)
			return true;
	}
	return false;
}

uint64_t msix_pba_read(struct msix *msix, uint64_t off, unsigned width)
{
	uint64_t bits = 0;

	if (!access_ok(off, width, pba_size(msix)))
		return 0;
	for (unsigned i = 0, idx = 8 * (unsigned)off; msix->enabled && i < 8 * width && idx < msix->n; i++, idx++)
		bits |= (uint64_t)efd_pending(msix, idx) << i;
	pthread_mutex_lock(&msix->lock);
	for (unsigned i = 0, idx = 8 * (unsigned)off; i < 8 * width && idx < msix->n; i++, idx++)
		bits |= (uint64_t)msix->vectors[idx].pending << i;
	pthread_mutex_unlock(&msix->lock);
	return bits;
}

void msix_set_control(struct msix *msix, bool enabled, bool function_masked)
{
	pthread_mutex_lock(&msix->lock);
	msix->enabled = enabled;
	for (unsigned i = 0; !enabled && i < msix->n; i++)
		msix->vectors[i].pending = false;
	pthread_mutex_unlock(&msix->lock);
	msix->function_masked = function_masked;
	for (unsigned i = 0; i < msix->n; i++)
		vector_update(msix, i);
}

/* ---- events ------------------------------------------------------------------------------------------- */

/* With the leaf lock held. What was pending for the event alone is not delivered any more. */
static void unmap_event(struct msix *msix, unsigned event)
{
	uint16_t vector = msix->events[event].vector;
	bool shared = false;

	msix->events[event].vector = MSIX_NO_VECTOR;
	for (unsigned i = 0; i < msix->nevents; i++)
		shared |= msix->events[i].vector == vector;
	if (vector != MSIX_NO_VECTOR && !shared)
		msix->vectors[vector].pending = false;
}

uint16_t msix_map_event(struct msix *msix, unsigned event, uint16_t vector)
{
	assert(event < msix->nevents);
	if (vector >= msix->n)
		vector = MSIX_NO_VECTOR;
	else if (msix->vectors[vector].gsi < 0 && route_set(msix, &msix->vectors[vector]) < 0)
		vector = MSIX_NO_VECTOR;
	if (vector == msix->events[event].vector)
		return vector;
	event_unbind(msix, event);
	pthread_mutex_lock(&msix->lock);
	unmap_event(msix, event);
	msix->events[event].vector = vector;
	pthread_mutex_unlock(&msix->lock);
	if (vector != MSIX_NO_VECTOR)
		vector_update(msix, vector);
	return vector;
}

uint16_t msix_event_vector(const struct msix *msix, unsigned event)
{
	assert(event < msix->nevents);
	return msix->events[event].vector;
}

void msix_set_event_efd(struct msix *msix, unsigned event, int efd)
{
	assert(event < msix->nevents && msix->events[event].vector == MSIX_NO_VECTOR);
	msix->events[event].efd = efd;
}

bool msix_event_efd_is_free(const struct msix *msix, unsigned event)
{
	const struct event *ev = &msix->events[event];

	if (!msix->enabled)
		return ev->efd >= 0;
	return ev->efd >= 0 && !ev->bound && ev->vector != MSIX_NO_VECTOR && msix->vectors[ev->vector].open;
}

void msix_unmap_events(struct msix *msix)
{
	for (unsigned i = 0; i < msix->nevents; i++)
		event_unbind(msix, i);
	pthread_mutex_lock(&msix->lock);
	for (unsigned i = 0; i < msix->nevents; i++)
		unmap_event(msix, i);
	pthread_mutex_unlock(&msix->lock);
}

bool msix_raise(struct msix *msix, unsigned event)
{
	assert(event < msix->nevents);
	pthread_mutex_lock(&msix->lock);
	bool enabled = msix->enabled;
	uint16_t vector = msix->events[event].vector;
	if (enabled && vector != MSIX_NO_VECTOR) {
		if (msix->vectors[vector].open)
			signal_efd(msix->vectors[vector].efd);
		else
			msix->vectors[vector].pending = true;
	}
	pthread_mutex_unlock(&msix->lock);
	return enabled;
}

/* ---- life ----------------------------------------------------------------------------------------------- */

void msix_reset(struct msix *msix)
{
	msix_unmap_events(msix);
	for (unsigned i = 0; i < msix->n; i++) {
		memset(msix->vectors[i].entry, 0, sizeof(msix->vectors[i].entry));
		msix->vectors[i].entry[CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
	msix_set_control(msix, false, false);
}

/* Now, because the guest uses its vectors in the threads of vCPUs, which may create nothing. */
static int efds_create(struct msix *msix)
{
	for (unsigned i = 0; i < msix->n; i++) {
		msix->vectors[i].efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (msix->vectors[i].efd < 0)
			return -errno;
	}
	return 0;
}

int msix_create(struct vm *vm, unsigned n, unsigned nevents, struct msix **out)
{
	struct msix *msix;
	int rc;

	assert(n > 0 && n <= MSIX_VECTORS_MAX && nevents > 0);
	msix = calloc(1, sizeof(*msix) + n * sizeof(msix->vectors[0]));
	if (!msix)
		return -ENOMEM;
	msix->events = calloc(nevents, sizeof(msix->events[0]));
	if (!msix->events) {
		free(msix);
		return -ENOMEM;
	}
	msix->vm = vm;
	msix->n = n;
	msix->nevents = nevents;
	pthread_mutex_init(&msix->lock, NULL);
	for (unsigned i = 0; i < msix->nevents; i++)
		msix->events[i] = (struct event) { .vector = MSIX_NO_VECTOR, .efd = -1 };
	for (unsigned i = 0; i < msix->n; i++)
		msix->vectors[i].efd = msix->vectors[i].gsi = -1;
	msix_reset(msix);
	rc = efds_create(msix);
	if (rc)
		msix_destroy(msix);
	else
		*out = msix;
	return rc;
}

void msix_destroy(struct msix *msix)
{
	if (!msix)
		return;
	for (unsigned i = 0; i < msix->nevents; i++)
		event_unbind(msix, i);
	for (unsigned i = 0; i < msix->n; i++) {
		struct vector *vec = &msix->vectors[i];

		if (vec->gsi >= 0)
			msix->vm->ops->msi_del(msix->vm, vec->gsi, vec->efd);
		if (vec->efd >= 0)
			close(vec->efd);
	}
	pthread_mutex_destroy(&msix->lock);
	free(msix->events);
	free(msix);
}
