// SPDX-License-Identifier: Apache-2.0
// The MSI-X table: masks, pending bits, routes, odd accesses, and firing against register writes.
#include "fake_vm.h"
#include "msix.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define ADDR 0xfee01000u
#define MASKED 1u
#define NVECTORS 2u /* of the fixture */
#define TABLE_SIZE (NVECTORS * 16u)
#define PBA_SIZE 8u

struct fixture {
	struct fake_vm fake;
	struct msix *msix;
};

static int setup(void **state)
{
	struct fixture *f = malloc(sizeof(*f));

	fake_vm_init(&f->fake);
	assert_int_equal(msix_create(&f->fake.vm, NVECTORS, NVECTORS, &f->msix), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	msix_destroy(f->msix);
	fake_vm_check_empty(&f->fake);
	free(f);
	return 0;
}

static void entry_write(struct fixture *f, unsigned idx, uint32_t data, uint32_t control)
{
	msix_table_write(f->msix, 16 * idx, 4, ADDR);
	msix_table_write(f->msix, 16 * idx + 4, 4, 0);
	msix_table_write(f->msix, 16 * idx + 8, 4, data);
	msix_table_write(f->msix, 16 * idx + 12, 4, control);
}

/* How often the message was sent since the last call; -1: there is no such route. */
static int sent(struct fixture *f, uint32_t data)
{
	const struct fake_route *route = fake_vm_route(&f->fake, ADDR, data);

	return route ? (int)fake_efd_take(route->efd) : -1;
}

static void assert_as_created(struct msix *msix)
{
	for (unsigned i = 0; i < NVECTORS; i++) {
		assert_int_equal(msix_table_read(msix, 16 * i, 8), 0);
		assert_int_equal(msix_table_read(msix, 16 * i + 8, 4), 0);
		assert_int_equal(msix_table_read(msix, 16 * i + 12, 4), MASKED);
	}
	for (unsigned i = 0; i < NVECTORS; i++)
		assert_int_equal(msix_event_vector(msix, i), MSIX_NO_VECTOR);
	assert_int_equal(msix_pba_read(msix, 0, 8), 0);
}

static void starts_masked_and_unmapped(void **state)
{
	struct fixture *f = *state;

	assert_as_created(f->msix);
	assert_int_equal(f->fake.nroute_calls, 0);
}

static void an_event_sends_its_message(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, 0);
	entry_write(f, 1, 0x41, 0);
	msix_set_control(f->msix, true, false);
	assert_int_equal(msix_map_event(f->msix, 0, 0), 0);
	assert_int_equal(msix_map_event(f->msix, 1, 1), 1);
	assert_true(msix_raise(f->msix, 1));
	assert_int_equal(sent(f, 0x41), 1);
	assert_int_equal(sent(f, 0x40), 0);
	assert_true(msix_raise(f->msix, 0));
	assert_int_equal(sent(f, 0x40), 1);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 0);
}

static void disabled_is_for_the_pin(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, 0);
	msix_map_event(f->msix, 0, 0);
	assert_false(msix_raise(f->msix, 0));
	msix_set_control(f->msix, true, false);
	assert_int_equal(sent(f, 0x40), 0);
	assert_int_equal(msix_pba_read(f->msix, 0, 4), 0);
}

/* "NO_VECTOR: the device MUST NOT deliver an interrupt for that event" - and not by the pin either. */
static void no_vector_means_no_interrupt(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, 0);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 0, 0);
	assert_int_equal(msix_map_event(f->msix, 0, MSIX_NO_VECTOR), MSIX_NO_VECTOR);
	assert_true(msix_raise(f->msix, 0));
	assert_true(msix_raise(f->msix, 1));
	assert_int_equal(sent(f, 0x40), 0);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 0);
}

static void vectors_out_of_range_are_not_mapped(void **state)
{
	struct fixture *f = *state;
	static const uint16_t bad[] = { NVECTORS, 3, 0x7ff, 0x800, 0x8000, 0xfffe };

	msix_map_event(f->msix, 1, 1);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(msix_map_event(f->msix, 1, bad[i]), MSIX_NO_VECTOR);
		assert_int_equal(msix_event_vector(f->msix, 1), MSIX_NO_VECTOR);
	}
	assert_int_equal(fake_vm_nroutes(&f->fake), 1);
}

/* "MUST return NO_VECTOR when failing to map"; and the machine may have room later. */
static void without_a_route_there_is_no_vector(void **state)
{
	struct fixture *f = *state;

	f->fake.msi_error = -ENOSPC;
	assert_int_equal(msix_map_event(f->msix, 0, 0), MSIX_NO_VECTOR);
	assert_int_equal(msix_event_vector(f->msix, 0), MSIX_NO_VECTOR);
	f->fake.msi_error = 0;
	assert_int_equal(msix_map_event(f->msix, 0, 0), 0);
}

/* Pending while masked; delivered once by the unmask, however often it was raised. */
static void a_masked_vector_is_delivered_once(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 1, 0x41, MASKED);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 1, 1);
	for (unsigned i = 0; i < 3; i++)
		msix_raise(f->msix, 1);
	assert_int_equal(msix_pba_read(f->msix, 0, 4), 2);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 2);
	assert_int_equal(msix_pba_read(f->msix, 4, 4), 0);
	assert_int_equal(sent(f, 0x41), 0);
	msix_table_write(f->msix, 16 + 12, 4, 0);
	assert_int_equal(sent(f, 0x41), 1);
	assert_int_equal(msix_pba_read(f->msix, 0, 4), 0);
	msix_table_write(f->msix, 16 + 12, 4, MASKED);
	msix_table_write(f->msix, 16 + 12, 4, 0);
	assert_int_equal(sent(f, 0x41), 0);
}

static void the_function_mask_holds_all(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, 0);
	entry_write(f, 1, 0x41, MASKED);
	msix_set_control(f->msix, true, true);
	msix_map_event(f->msix, 0, 0);
	msix_map_event(f->msix, 1, 1);
	msix_raise(f->msix, 0);
	msix_raise(f->msix, 1);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 3);
	msix_set_control(f->msix, true, false);
	assert_int_equal(sent(f, 0x40), 1);
	/* Its own mask still holds the other. */
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 2);
	msix_table_write(f->msix, 16 + 12, 4, 0);
	assert_int_equal(sent(f, 0x41), 1);
}

/* The message that counts is the one at the unmask: Linux moves an interrupt by mask, write, unmask. */
static void an_unmask_sends_the_new_message(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, 0);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 0, 0);
	msix_table_write(f->msix, 12, 4, MASKED);
	unsigned calls = f->fake.nroute_calls;
	msix_table_write(f->msix, 8, 4, 0x50);
	msix_raise(f->msix, 0);
	assert_int_equal(f->fake.nroute_calls, calls);
	assert_int_equal(sent(f, 0x40), 0);
	msix_table_write(f->msix, 12, 4, 0);
	assert_int_equal(sent(f, 0x50), 1);
	assert_int_equal(sent(f, 0x40), -1);
	/* Unmasked again without a change: no work for the machine. */
	calls = f->fake.nroute_calls;
	msix_table_write(f->msix, 12, 4, MASKED);
	msix_table_write(f->msix, 12, 4, 0);
	assert_int_equal(f->fake.nroute_calls, calls);
	/* Changed while unmasked. */
	msix_table_write(f->msix, 8, 4, 0x60);
	msix_raise(f->msix, 0);
	assert_int_equal(sent(f, 0x60), 1);
}

/* A message that the machine refuses is not sent as an old one: it stays pending until there is a good one. */
static void a_refused_message_stays_pending(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, 0);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 0, 0);
	f->fake.msi_error = -EINVAL;
	msix_table_write(f->msix, 4, 4, 0xff);
	msix_raise(f->msix, 0);
	assert_int_equal(sent(f, 0x40), 0);
	assert_int_equal(msix_pba_read(f->msix, 0, 4), 1);
	/* Back to the old message: whether the machine still has it is not known, so it is set again. */
	f->fake.msi_error = 0;
	unsigned calls = f->fake.nroute_calls;
	msix_table_write(f->msix, 4, 4, 0);
	assert_int_equal(f->fake.nroute_calls, calls + 1);
	assert_int_equal(sent(f, 0x40), 1);
}

static void two_events_may_share_a_vector(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 0, 0x40, MASKED);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 0, 0);
	msix_map_event(f->msix, 1, 0);
	msix_raise(f->msix, 1);
	/* Event 0 goes; what is pending may be event 1's. */
	msix_map_event(f->msix, 0, MSIX_NO_VECTOR);
	assert_int_equal(msix_pba_read(f->msix, 0, 4), 1);
	msix_map_event(f->msix, 1, MSIX_NO_VECTOR);
	assert_int_equal(msix_pba_read(f->msix, 0, 4), 0);
}

/* After a device reset "the device MUST NOT send notifications": not at a later unmask either. */
static void nothing_pending_survives_a_reset(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 1, 0x41, MASKED);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 1, 1);
	msix_raise(f->msix, 1);
	msix_unmap_events(f->msix);
	msix_map_event(f->msix, 1, 1);
	msix_table_write(f->msix, 16 + 12, 4, 0);
	assert_int_equal(sent(f, 0x41), 0);
	/* The table is PCI's and stays; a machine reset clears it. */
	assert_int_equal(msix_table_read(f->msix, 16 + 8, 4), 0x41);
	msix_raise(f->msix, 1);
	assert_int_equal(sent(f, 0x41), 1);
	msix_reset(f->msix);
	assert_false(msix_raise(f->msix, 1));
	assert_as_created(f->msix);
	assert_int_equal(fake_vm_nroutes(&f->fake), 1);
}

static void disabling_drops_what_is_pending(void **state)
{
	struct fixture *f = *state;

	entry_write(f, 1, 0x41, MASKED);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 1, 1);
	msix_raise(f->msix, 1);
	msix_set_control(f->msix, false, false);
	msix_table_write(f->msix, 16 + 12, 4, 0);
	msix_set_control(f->msix, true, false);
	assert_int_equal(sent(f, 0x41), 0);
}

/* Every width at every offset around table and pending bits. */
static void odd_accesses_are_harmless(void **state)
{
	struct fixture *f = *state;

	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 0, 0);
	for (uint64_t off = 0; off < 4096; off++) {
		for (unsigned width = 1; width <= 8; width *= 2) {
			bool legal = width >= 4 && off % width == 0 && off < TABLE_SIZE;

			if (legal)
				continue;
			msix_table_write(f->msix, off, width, UINT64_MAX);
			assert_int_equal(msix_table_read(f->msix, off, width), 0);
			if (off >= PBA_SIZE || width < 4)
				assert_int_equal(msix_pba_read(f->msix, off, width), 0);
		}
	}
	msix_map_event(f->msix, 0, MSIX_NO_VECTOR);
	msix_set_control(f->msix, false, false);
	assert_as_created(f->msix);
}

static void legal_accesses_of_both_widths(void **state)
{
	struct fixture *f = *state;

	msix_table_write(f->msix, 16, 8, UINT64_C(0x00000001fee01003));
	msix_table_write(f->msix, 24, 8, UINT64_C(0xffffffff00000041));
	assert_true(msix_table_read(f->msix, 16, 8) == UINT64_C(0x00000001fee01000));
	assert_int_equal(msix_table_read(f->msix, 16, 4), 0xfee01000);
	assert_int_equal(msix_table_read(f->msix, 20, 4), 1);
	assert_int_equal(msix_table_read(f->msix, 24, 4), 0x41);
	/* Only the mask bit of vector control is writable. */
	assert_int_equal(msix_table_read(f->msix, 28, 4), 1);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 1, 1);
	/* Data and unmask in one access: the route has both before the vector opens. */
	msix_raise(f->msix, 1);
	msix_table_write(f->msix, 24, 8, 0x42);
	const struct fake_route *route = fake_vm_route(&f->fake, UINT64_C(0x1fee01000), 0x42);
	assert_non_null(route);
	assert_int_equal(fake_efd_take(route->efd), 1);
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

#define NRAISES 20000

static void *raise_often(void *arg)
{
	struct fixture *f = arg;

	for (unsigned i = 0; i < NRAISES; i++) {
		msix_raise(f->msix, 1);
		msix_raise(f->msix, 0);
	}
	return NULL;
}

/* One thread fires while another masks, moves and unmasks: no event is lost for good. */
static void firing_against_register_writes(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	uint64_t nsent = 0;

	entry_write(f, 0, 0x40, 0);
	entry_write(f, 1, 0x41, 0);
	msix_set_control(f->msix, true, false);
	msix_map_event(f->msix, 0, 0);
	msix_map_event(f->msix, 1, 1);
	int efd = fake_vm_route(&f->fake, ADDR, 0x41)->efd;
	assert_int_equal(pthread_create(&thread, NULL, raise_often, f), 0);
	for (unsigned i = 0; i < 2000; i++) {
		msix_table_write(f->msix, 16 + 12, 4, MASKED);
		msix_table_write(f->msix, 16 + 8, 4, i);
		msix_pba_read(f->msix, 0, 8);
		msix_table_write(f->msix, 16 + 12, 4, 0);
		msix_set_control(f->msix, true, i & 1);
		nsent += fake_efd_take(efd);
		msix_map_event(f->msix, 0, i & 2 ? MSIX_NO_VECTOR : 0);
	}
	msix_table_write(f->msix, 16 + 12, 4, MASKED);
	pthread_join(thread, NULL);
	nsent += fake_efd_take(efd);
	/* All is quiet: what the last event left is one pending bit or a message that was sent. */
	bool pending = msix_pba_read(f->msix, 0, 4) & 2;
	assert_true(nsent > 0 || pending);
	msix_set_control(f->msix, true, false);
	msix_table_write(f->msix, 16 + 12, 4, 0);
	assert_int_equal(fake_efd_take(efd), pending);
	msix_raise(f->msix, 1);
	assert_int_equal(fake_efd_take(efd), 1);
}

static int create_with_fds(struct fake_vm *fake, unsigned n, unsigned nfds, struct msix **out)
{
	struct rlimit before, few;
	int rc, lowest = dup(STDIN_FILENO);

	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit) { .rlim_cur = (rlim_t)lowest + nfds, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	rc = msix_create(&fake->vm, n, n, out);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	return rc;
}

/* They are made with the device: a vCPU's thread, in which the guest uses a vector, may create nothing. */
static void each_vector_has_an_eventfd_from_the_start(void **state)
{
	struct fixture *f = *state;
	struct msix *msix = NULL;

	assert_int_equal(create_with_fds(&f->fake, 2, 1, &msix), -EMFILE);
	assert_null(msix);
	assert_int_equal(create_with_fds(&f->fake, 2, 2, &msix), 0);
	msix_destroy(msix);
}

/* More vectors than one word of pending bits has: table and pending bits go on, and end where they should. */
static void a_device_may_have_many_vectors(void **state)
{
	const unsigned n = 70, last = n - 1;
	struct fixture f;

	(void)state;
	fake_vm_init(&f.fake);
	assert_int_equal(msix_create(&f.fake.vm, n, n, &f.msix), 0);
	entry_write(&f, last, 0x99, MASKED);
	assert_int_equal(msix_table_read(f.msix, 16 * last + 8, 4), 0x99);
	msix_table_write(f.msix, 16 * n, 4, ADDR);
	assert_int_equal(msix_table_read(f.msix, 16 * n, 4), 0);
	msix_set_control(f.msix, true, false);
	assert_int_equal(msix_map_event(f.msix, 1, (uint16_t)n), MSIX_NO_VECTOR);
	assert_int_equal(msix_map_event(f.msix, last, (uint16_t)last), last);
	assert_int_equal(msix_event_vector(f.msix, 0), MSIX_NO_VECTOR);
	assert_true(msix_raise(f.msix, last));
	assert_int_equal(msix_pba_read(f.msix, 0, 8), 0);
	assert_int_equal(msix_pba_read(f.msix, 8, 8), UINT64_C(1) << (last - 64));
	assert_int_equal(msix_pba_read(f.msix, 8, 4), UINT64_C(1) << (last - 64));
	assert_int_equal(msix_pba_read(f.msix, 12, 4), 0);
	assert_int_equal(msix_pba_read(f.msix, 16, 8), 0);
	msix_table_write(f.msix, 16 * last + 12, 4, 0);
	assert_int_equal(sent(&f, 0x99), 1);
	assert_int_equal(msix_pba_read(f.msix, 8, 8), 0);
	msix_destroy(f.msix);
	fake_vm_check_empty(&f.fake);
}

/* ---- events with an eventfd of their own ----------------------------------------------------------------- */

static void signal_external(int efd)
{
	assert_int_equal(eventfd_write(efd, 1), 0);
}

static bool is_bound(struct fixture *f, uint32_t data, int efd)
{
	const struct fake_route *route = fake_vm_route(&f->fake, ADDR, data);

	return route && fake_vm_is_bound(&f->fake, route, efd);
}

/* Vector 0 is unmasked and belongs to event 1, which has an eventfd. */
static int open_external(struct fixture *f)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	msix_set_event_efd(f->msix, 1, efd);
	entry_write(f, 0, 0x40, 0);
	msix_set_control(f->msix, true, false);
	assert_int_equal(msix_map_event(f->msix, 1, 0), 0);
	return efd;
}

static void an_eventfd_is_bound_while_its_vector_is_open(void **state)
{
	struct fixture *f = *state;
	int efd = open_external(f);

	assert_true(is_bound(f, 0x40, efd));
	assert_false(msix_event_efd_is_free(f->msix, 1));
	assert_false(msix_event_efd_is_free(f->msix, 0));
	/* Raised by us, it is the same message. */
	assert_true(msix_raise(f->msix, 1));
	assert_int_equal(sent(f, 0x40), 1);
	msix_map_event(f->msix, 1, MSIX_NO_VECTOR);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 0);
	/* No vector: nobody waits for it. */
	assert_false(msix_event_efd_is_free(f->msix, 1));
	close(efd);
}

static void a_masked_eventfd_counts_and_shows_as_pending(void **state)
{
	struct fixture *f = *state;
	int efd = open_external(f);

	msix_table_write(f->msix, 12, 4, MASKED);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 0);
	assert_false(msix_event_efd_is_free(f->msix, 1));
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 0);
	signal_external(efd);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 1);
	assert_int_equal(sent(f, 0x40), 0);
	/* The count stays for KVM, which sends the message when it is bound. */
	msix_table_write(f->msix, 12, 4, 0);
	assert_true(is_bound(f, 0x40, efd));
	assert_int_equal(fake_efd_take(efd), 1);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 0);
	msix_set_control(f->msix, true, true);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 0);
	msix_set_control(f->msix, true, false);
	assert_true(is_bound(f, 0x40, efd));
	close(efd);
}

static void an_eventfd_follows_its_event_to_another_vector(void **state)
{
	struct fixture *f = *state;
	int efd = open_external(f);

	entry_write(f, 1, 0x41, 0);
	msix_map_event(f->msix, 1, 1);
	assert_true(is_bound(f, 0x41, efd));
	assert_int_equal(fake_vm_nirqfds(&f->fake), 1);
	msix_unmap_events(f->msix);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 0);
	close(efd);
}

static void two_eventfds_may_share_a_vector(void **state)
{
	struct fixture *f = *state;
	int efd = open_external(f), other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	msix_set_event_efd(f->msix, 0, other);
	msix_map_event(f->msix, 0, 0);
	assert_true(is_bound(f, 0x40, efd) && is_bound(f, 0x40, other));
	msix_table_write(f->msix, 12, 4, MASKED);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 0);
	signal_external(other);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 1);
	msix_table_write(f->msix, 12, 4, 0);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 2);
	close(efd);
	close(other);
}

static void without_msix_the_eventfd_is_the_caller_s(void **state)
{
	struct fixture *f = *state;
	int efd = open_external(f);

	msix_set_control(f->msix, false, false);
	assert_int_equal(fake_vm_nirqfds(&f->fake), 0);
	assert_true(msix_event_efd_is_free(f->msix, 1));
	assert_false(msix_event_efd_is_free(f->msix, 0)); /* it has none */
	signal_external(efd);
	assert_int_equal(msix_pba_read(f->msix, 0, 8), 0);
	close(efd);
}

static void an_eventfd_that_cannot_be_bound_is_the_caller_s(void **state)
{
	struct fixture *f = *state;
	int efd;

	f->fake.irqfd_error = -EMFILE;
	efd = open_external(f);
	assert_true(msix_event_efd_is_free(f->msix, 1));
	assert_true(msix_raise(f->msix, 1));
	assert_int_equal(sent(f, 0x40), 1);
	/* Masked, it counts as any other; and when there is room again, it is bound. */
	msix_table_write(f->msix, 12, 4, MASKED);
	assert_false(msix_event_efd_is_free(f->msix, 1));
	f->fake.irqfd_error = 0;
	msix_table_write(f->msix, 12, 4, 0);
	assert_true(is_bound(f, 0x40, efd));
	assert_false(msix_event_efd_is_free(f->msix, 1));
	close(efd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(starts_masked_and_unmapped),
		TEST(an_event_sends_its_message),
		TEST(disabled_is_for_the_pin),
		TEST(no_vector_means_no_interrupt),
		TEST(vectors_out_of_range_are_not_mapped),
		TEST(without_a_route_there_is_no_vector),
		TEST(a_masked_vector_is_delivered_once),
		TEST(the_function_mask_holds_all),
		TEST(an_unmask_sends_the_new_message),
		TEST(a_refused_message_stays_pending),
		TEST(two_events_may_share_a_vector),
		TEST(nothing_pending_survives_a_reset),
		TEST(disabling_drops_what_is_pending),
		TEST(odd_accesses_are_harmless),
		TEST(legal_accesses_of_both_widths),
		TEST(firing_against_register_writes),
		TEST(each_vector_has_an_eventfd_from_the_start),
		TEST(an_eventfd_is_bound_while_its_vector_is_open),
		TEST(a_masked_eventfd_counts_and_shows_as_pending),
		TEST(an_eventfd_follows_its_event_to_another_vector),
		TEST(two_eventfds_may_share_a_vector),
		TEST(without_msix_the_eventfd_is_the_caller_s),
		TEST(an_eventfd_that_cannot_be_bound_is_the_caller_s),
		cmocka_unit_test(a_device_may_have_many_vectors),
	};

	return cmocka_run_group_tests_name("msix", tests, NULL, NULL);
}
