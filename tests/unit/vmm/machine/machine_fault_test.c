// SPDX-License-Identifier: Apache-2.0
/*
 * machine_fault_test.c - what the machine does when the host cannot provide what the guest was promised. Whole machines show
 * it with the shape that their KVM happens to take (tests/system/test_host_faults.py); here are all of them.
 */
#include "machine_fault.h"

#include "machine.h"
#include "machine_find.h"
#include "machine_store.h"
#include "monotonic.h"
#include "virtio_pmem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SIZE 64u

// ---- a host whose file has room, or not; what the machine says

struct vpmem_backing {
	uint8_t bytes[SIZE];
	unsigned nstores, nasked; // asked: for space
	bool full, truncated, rom;
	int refused;          // what room says without being full
	unsigned stores_good; // so many succeed, then the host is full
};

struct host {
	struct machine m;
	struct pmem pmems[2], *list[2];
	struct pmem_config cfgs[2];
	struct memdev memdevs[2];
	struct vpmem_backing backings[2];
	struct machine_event events[8];
	unsigned nevents, nhalts, nrequests, nreleases;
	int device_error;
	uint64_t nsync_errors;
	unsigned nstats;
	unsigned nclears;
	enum vcpus_sample sample;
	uint64_t now_ms;
	unsigned armed_ms;
};
static struct host *host;

int vpmem_backing_store(struct vpmem_backing *b, uint64_t off, const void *buf, uint64_t len)
{
	if (b->full && b->stores_good == 0)
		return -EFAULT;
	if (b->full)
		b->stores_good--;
	b->nstores++;
	memcpy(b->bytes + off, buf, len);
	return 0;
}

int vpmem_backing_load(const struct vpmem_backing *b, uint64_t off, void *buf, uint64_t len)
{
	if (b->full || b->truncated)
		return -EFAULT;
	memcpy(buf, b->bytes + off, len);
	return 0;
}

int vpmem_backing_room(const struct vpmem_backing *b)
{
	((struct vpmem_backing *)(uintptr_t)b)->nasked++;
	return b->full ? -ENOSPC : b->refused;
}

bool vpmem_backing_is_truncated(const struct vpmem_backing *b)
{
	return b->truncated;
}

bool vpmem_backing_is_rom(const struct vpmem_backing *b)
{
	return b->rom;
}

const char *vpmem_backing_path(const struct vpmem_backing *b)
{
	(void)b;
	return "a.img";
}

void vpmem_device_set_error(struct vpmem_device *dev, int rc)
{
	(void)dev;
	host->device_error = rc;
}

int vpmem_device_clear_error(struct vpmem_device *dev, uint64_t nsync_errors)
{
	if (nsync_errors != host->nsync_errors)
		return -EAGAIN;
	vpmem_device_set_error(dev, 0);
	host->nclears++;
	return 0;
}

struct vpmem_stats vpmem_device_stats(const struct vpmem_device *dev)
{
	(void)dev;
	host->nstats++;
	return (struct vpmem_stats) { .sync_errors = host->nsync_errors };
}

void vpmem_device_release(struct vpmem_device *dev)
{
	(void)dev;
	host->nreleases++;
}

struct vpmem_device *virtio_pmem_device(const struct virtio_pci *vp)
{
	(void)vp;
	return NULL;
}

gpa_t virtio_pmem_gpa(const struct virtio_pci *vp)
{
	(void)vp;
	return 0;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *b)
{
	(void)b;
	return SIZE;
}

void machine_event_send(struct machine *m, const struct machine_event *event)
{
	(void)m;
	host->events[host->nevents++] = *event;
}

void machine_event_send_pmem(struct machine *m, const struct pmem *pmem, enum machine_event_kind kind, int error)
{
	machine_event_send(m, &(struct machine_event) {
				      .kind = kind, .error = -error, .device = pmem ? pmem->dev.cfg->id : NULL });
}

void machine_halt(struct machine *m)
{
	(void)m;
	host->nhalts++;
}

void machine_request(struct machine *m, enum request_kind request, enum machine_cause cause)
{
	(void)m;
	(void)request;
	(void)cause;
	host->nrequests++;
}

enum vcpus_sample vcpus_sample(struct vcpus *vcpus)
{
	(void)vcpus;
	return host->sample;
}

void vcpus_forget_samples(struct vcpus *vcpus)
{
	(void)vcpus;
}

int loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	(void)timer;
	return 0;
}

void loop_arm(struct loop *loop, struct loop_timer *timer, unsigned ms)
{
	(void)loop;
	(void)timer;
	host->armed_ms = ms;
}

void loop_wake(struct loop *loop)
{
	(void)loop;
}

uint64_t monotonic_ms(void)
{
	return host->now_ms;
}

// ---- the tests

static int setup(void **state)
{
	host = calloc(1, sizeof(*host));
	if (!host)
		return -1;
	host->m.run_state = RUN_STATE_RUNNING;
	host->now_ms = 1;
	for (unsigned i = 0; i < 2; i++) {
		host->memdevs[i].backing = &host->backings[i];
		host->cfgs[i].dev.id = i ? (char *)"nv2" : (char *)"nv1";
		host->pmems[i] = (struct pmem) { .dev = { .machine = &host->m,
			                                  .cfg = &host->cfgs[i].dev,
			                                  .path = (char *)"/machine/peripheral/nv",
			                                  .vp = (struct virtio_pci *)&host->backings[i] },
			                         .cfg = &host->cfgs[i],
			                         .memdev = &host->memdevs[i] };
		host->list[i] = &host->pmems[i];
	}
	host->m.pmems = host->list;
	host->m.npmems = 2;
	assert_int_equal(machine_watch(&host->m), 0);
	*state = host;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(host->m.stores);
	free(host);
	return 0;
}

// The access, and what the main loop does about it.
static void guest_stores(uint64_t off, const char *text)
{
	char data[8];
	unsigned len = (unsigned)strlen(text);

	memcpy(data, text, len);
	machine_pmem_access(&host->pmems[off / SIZE], off % SIZE, data, len, true);
	machine_find_reason(&host->m);
}

static const char *guest_loads(uint64_t off, unsigned len)
{
	static char data[9];

	memset(data, 0, sizeof(data));
	machine_pmem_access(&host->pmems[off / SIZE], off % SIZE, data, len, false);
	machine_find_reason(&host->m);
	return data;
}

static void needs_a_page_somewhere(void)
{
	machine_no_page(&host->m, NULL, -EFAULT);
	machine_find_reason(&host->m);
}

/* What cont does. */
static int recover(struct vpmem_error *err)
{
	int rc = machine_check_room(&host->m, err);

	return rc ? rc : machine_do_stores(&host->m, err);
}

static void pauses(void)
{
	assert_true(host->m.io_error);
	host->m.io_error = false;
	host->m.run_state = RUN_STATE_IO_ERROR;
}

static void watch_now(void)
{
	host->m.watch.expired(host->m.watch.owner);
}

static void watch_after(unsigned ms, enum vcpus_sample sample)
{
	host->now_ms += ms;
	host->sample = sample;
	watch_now();
}

static void a_store_with_room_is_done(void **state)
{
	(void)state;
	guest_stores(8, "done");
	assert_memory_equal(host->backings[0].bytes + 8, "done", 4);
	assert_int_equal(host->nhalts + host->nevents, 0);
}

static void stores_without_room_wait_in_order_and_are_done_once(void **state)
{
	struct vpmem_backing *b = &host->backings[0];
	struct vpmem_error err;

	(void)state;
	b->full = true;
	guest_stores(0, "aaaa");
	guest_stores(2, "bbbb");
	guest_stores(4, "cccc");
	pauses();
	// One report for a pause, with the reason.
	assert_int_equal(host->nevents, 1);
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
	assert_int_equal(host->events[0].error, ENOSPC);
	assert_string_equal(host->events[0].device, "nv1");
	assert_int_equal(b->nstores, 0);
	assert_int_equal(recover(&err), -ENOSPC);
	assert_int_equal(b->nstores, 0);
	b->full = false;
	assert_int_equal(recover(&err), 0);
	assert_memory_equal(b->bytes, "aabbcccc", 8);
	assert_int_equal(b->nstores, 3);
	assert_int_equal(recover(&err), 0);
	assert_int_equal(b->nstores, 3);
}

// Each question may take 2 MiB of the file system's space.
static void a_machine_that_pauses_asks_once(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].full = host->backings[1].full = true;
	guest_stores(0, "aaaa");
	guest_stores(4, "bbbb");
	guest_stores(SIZE, "cccc");
	guest_loads(SIZE, 4);
	assert_int_equal(host->backings[0].nasked, 1);
	assert_int_equal(host->backings[1].nasked, 0);
	pauses();
	// cont asks each device whose access waits.
	host->backings[0].full = false;
	assert_int_equal(recover(&err), -ENOSPC);
	assert_non_null(strstr(err.hint, "make room"));
	host->backings[1].full = false;
	assert_int_equal(recover(&err), 0);
	assert_memory_equal(host->backings[0].bytes, "aaaabbbb", 8);
	assert_memory_equal(host->backings[1].bytes, "cccc", 4);
}

// Behind one that waits all wait, also those to another device that has room: the guest made them in this order.
static void nothing_overtakes_a_store_that_waits(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].full = true;
	guest_stores(0, "aaaa");
	guest_stores(SIZE, "bbbb");
	assert_int_equal(host->backings[1].nstores, 0);
	host->backings[0].full = false;
	assert_int_equal(recover(&err), 0);
	assert_memory_equal(host->backings[1].bytes, "bbbb", 4);
}

static void a_store_that_fails_again_keeps_those_behind_it(void **state)
{
	struct vpmem_backing *b = &host->backings[0];
	struct vpmem_error err;

	(void)state;
	b->full = true;
	guest_stores(0, "aaaa");
	guest_stores(4, "bbbb");
	guest_stores(8, "cccc");
	pauses();
	// Something else than room was in the way, and comes back after the first of them.
	host->pmems[0].no_room = false;
	b->stores_good = 1;
	assert_int_equal(recover(&err), -ENOSPC);
	assert_int_equal(b->nstores, 1);
	b->full = false;
	assert_int_equal(recover(&err), 0);
	assert_memory_equal(b->bytes, "aaaabbbbcccc", 12);
	assert_int_equal(b->nstores, 3);
}

static void a_load_sees_what_waits(void **state)
{
	struct vpmem_backing *b = &host->backings[0];

	(void)state;
	memset(b->bytes, '.', SIZE);
	b->full = true;
	guest_stores(4, "ab");
	guest_stores(5, "cd");
	b->full = false;
	assert_string_equal(guest_loads(2, 8), "..acd...");
	assert_string_equal(guest_loads(6, 2), "d.");
}

static void a_load_that_fails_pauses_and_gives_ones(void **state)
{
	(void)state;
	host->backings[0].truncated = true;
	assert_memory_equal(guest_loads(0, 4), "\xff\xff\xff\xff", 4);
	pauses();
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_ERROR);
	assert_int_equal(host->events[0].error, EIO);
}

static void a_reset_drops_what_waits(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].full = true;
	guest_stores(0, "aaaa");
	machine_forget_stores(&host->m);
	machine_forget_faults(&host->m);
	assert_false(host->m.io_error);
	// There still is no room: the new guest does not need any.
	assert_int_equal(recover(&err), 0);
	assert_int_equal(host->backings[0].nstores, 0);
}

/* The guest lets a device go whose stores wait for room: there may be some now. */
static void a_device_that_goes_gets_its_stores_before(void **state)
{
	(void)state;
	host->backings[0].full = true;
	guest_stores(0, "aaaa");
	guest_stores(SIZE, "bbbb");
	guest_stores(4, "cccc");
	host->backings[0].full = false;
	machine_end_stores_to(&host->pmems[0]);
	assert_memory_equal(host->backings[0].bytes, "aaaacccc", 8);
	assert_int_equal(host->m.close_error, 0);
	assert_int_equal(host->m.nstores, 1);
}

static void stores_that_a_device_takes_along_show_in_the_exit_status(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].full = true;
	guest_stores(0, "aaaa");
	guest_stores(SIZE, "bbbb");
	machine_end_stores_to(&host->pmems[0]);
	assert_int_equal(host->m.close_error, -EFAULT);
	host->pmems[0].dev.unplug = UNPLUG_EJECTED;
	assert_int_equal(recover(&err), 0);
	assert_int_equal(host->backings[0].nstores, 0);
	assert_memory_equal(host->backings[1].bytes, "bbbb", 4);
}

static void a_store_to_read_only_memory_is_refused_and_counted(void **state)
{
	(void)state;
	host->backings[0].rom = true;
	guest_stores(0, "aaaa");
	guest_stores(0, "bbbb");
	assert_int_equal(host->pmems[0].nrefused, 2);
	// One a second at most.
	assert_int_equal(host->nevents, 1);
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_STORE_REFUSED);
	assert_int_equal(host->nhalts + host->m.nstores, 0);
}

// A vCPU's thread may make no system call for that.
static void the_main_loop_asks_for_the_reason(void **state)
{
	char data[] = "aaaa";

	(void)state;
	host->backings[1].full = true;
	machine_no_page(&host->m, NULL, -EFAULT);
	machine_pmem_access(&host->pmems[0], 0, data, 4, false);
	assert_int_equal(host->nevents, 0);
	assert_false(host->m.io_error);
	assert_false(host->m.vcpus.running);
	machine_find_reason(&host->m);
	pauses();
	assert_int_equal(host->nevents, 1);
	assert_string_equal(host->events[0].device, "nv2");
	// It was one reason, and is found once.
	machine_find_reason(&host->m);
	assert_false(host->m.io_error);
}

/* The guest was stopped for it, and goes on as after any pause. */
static void a_device_that_leaves_meanwhile_is_not_asked(void **state)
{
	(void)state;
	machine_no_page(&host->m, &host->pmems[0], -EFAULT);
	machine_forget_no_page(&host->pmems[1]);
	machine_forget_no_page(&host->pmems[0]);
	host->pmems[0].dev.unplug = UNPLUG_EJECTED;
	host->backings[0].truncated = true;
	machine_find_reason(&host->m);
	pauses();
	assert_int_equal(host->device_error, 0);
	assert_int_equal(host->events[0].error, EFAULT);
}

static void an_exit_without_memory_names_the_device(void **state)
{
	(void)state;
	host->backings[1].full = true;
	needs_a_page_somewhere();
	pauses();
	assert_string_equal(host->events[0].device, "nv2");
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
}

static void a_stalled_vcpu_pauses_only_if_there_is_no_room(void **state)
{
	(void)state;
	host->sample = VCPUS_STALLED;
	watch_now();
	assert_int_equal(host->nhalts, 0);
	host->backings[0].full = true;
	host->sample = VCPUS_FAULTING;
	watch_now();
	assert_int_equal(host->nhalts, 0);
	watch_after(1000, VCPUS_STALLED);
	pauses();
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
}

static void refuse_for(unsigned ms)
{
	for (unsigned at = 0; at < ms; at += 1000)
		watch_after(1000, VCPUS_REFUSED);
}

/* No file system gives a reason, and KVM gives the vCPU no page at all, for longer than a slow disk needs for one. */
static void a_stall_without_a_reason_pauses_when_no_fault_is_resolved_for_long(void **state)
{
	(void)state;
	refuse_for(40000);
	// One that was quiet in between is not the same one, nor is one that made progress for a while.
	watch_after(200, VCPUS_QUIET);
	refuse_for(40000);
	for (unsigned i = 0; i < 60; i++)
		watch_after(200, VCPUS_FAULTING);
	refuse_for(40000);
	// A guest whose faults are resolved is not refused.
	for (unsigned i = 0; i < 60; i++)
		watch_after(1000, VCPUS_STALLED);
	refuse_for(60000);
	assert_int_equal(host->nhalts, 0);
	watch_after(200, VCPUS_FAULTING);
	watch_after(1000, VCPUS_REFUSED);
	pauses();
	assert_int_equal(host->nevents, 1);
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
	assert_int_equal(host->events[0].error, EFAULT);
	// Of two devices, it is not known which.
	assert_null(host->events[0].device);
}

/* A question makes the file system reserve space. */
static void questions_in_vain_become_rarer(void **state)
{
	unsigned first;

	(void)state;
	host->m.npmems = 1;
	watch_after(200, VCPUS_STALLED);
	assert_int_equal(host->backings[0].nasked, 1);
	watch_after(200, VCPUS_STALLED);
	assert_int_equal(host->backings[0].nasked, 1);
	for (unsigned i = 0; i < 50; i++)
		watch_after(200, VCPUS_STALLED);
	first = host->backings[0].nasked;
	assert_in_range(first, 3, 6);
	for (unsigned i = 0; i < 1000; i++)
		watch_after(200, VCPUS_STALLED);
	assert_in_range(host->backings[0].nasked - first, 40, 60);
	// The host becomes full: it is found within the longest wait.
	host->backings[0].full = true;
	for (unsigned i = 0; i < 25 && host->nhalts == 0; i++)
		watch_after(200, VCPUS_STALLED);
	pauses();
}

static void an_exit_without_memory_and_without_a_reason_says_so(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->m.npmems = 1;
	needs_a_page_somewhere();
	pauses();
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
	assert_int_equal(host->events[0].error, EFAULT);
	assert_string_equal(host->events[0].device, "nv1");
	// The file system would give a page now.
	assert_int_equal(recover(&err), 0);
}

/* RAM of a memory backend may be what lacks a page: the only device is not blamed. */
static void with_ram_of_a_backend_the_only_device_is_not_blamed(void **state)
{
	struct memdev ram = { .obj.in_use = true };

	(void)state;
	host->m.npmems = 1;
	host->m.ram_memdev = &ram;
	needs_a_page_somewhere();
	pauses();
	assert_int_equal(host->events[0].error, EFAULT);
	assert_null(host->events[0].device);
}

/* The library asked as a store asks, and no reason came with the refusal. */
static void a_file_system_that_refuses_without_a_reason(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[1].refused = -EFAULT;
	host->sample = VCPUS_STALLED;
	watch_now();
	pauses();
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
	assert_int_equal(host->events[0].error, EFAULT);
	assert_string_equal(host->events[0].device, "nv2");
	assert_int_equal(recover(&err), -EFAULT);
	assert_string_equal(err.text, "the guest cannot go on: nv2: a.img: the host refuses a page, reason unknown");
	host->backings[1].refused = 0;
	assert_int_equal(recover(&err), 0);
}

static void samples_come_often_only_while_there_are_faults(void **state)
{
	unsigned seldom;

	(void)state;
	host->sample = VCPUS_QUIET;
	watch_now();
	seldom = host->armed_ms;
	host->sample = VCPUS_FAULTING;
	watch_now();
	assert_true(host->armed_ms < seldom);
	host->m.run_state = RUN_STATE_PAUSED;
	watch_now();
	assert_int_equal(host->armed_ms, seldom);
}

static void a_truncated_file_fails_until_it_is_whole(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].truncated = true;
	watch_now();
	watch_now();
	assert_int_equal(host->nevents, 1);
	assert_int_equal(host->device_error, -EIO);
	// Cleared while it is truncated: not one flush may succeed.
	assert_int_equal(machine_clear_error(&host->m, "nv1", &err), 0);
	assert_int_equal(host->device_error, -EIO);
	assert_int_equal(host->nevents, 2);
	host->backings[0].truncated = false;
	watch_now();
	assert_int_equal(machine_clear_error(&host->m, "nv1", &err), 0);
	assert_int_equal(host->device_error, 0);
	assert_int_equal(machine_clear_error(&host->m, "nv9", &err), -ENODEV);
}

/* A guest's access may come before the next check; the file may be whole again when the guest goes on. */
static void a_truncation_that_a_guest_meets_first_fails_the_flushes(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].truncated = true;
	needs_a_page_somewhere();
	pauses();
	assert_int_equal(host->device_error, -EIO);
	host->backings[0].truncated = false;
	assert_int_equal(recover(&err), 0);
	host->m.run_state = RUN_STATE_RUNNING;
	watch_now();
	assert_int_equal(host->device_error, -EIO);
}

static void a_truncation_while_the_guest_is_paused_is_noticed(void **state)
{
	(void)state;
	host->m.run_state = RUN_STATE_PAUSED;
	host->backings[0].truncated = true;
	watch_now();
	host->backings[0].truncated = false;
	assert_int_equal(host->device_error, -EIO);
	assert_int_equal(host->nevents, 1);
	// The check that cont makes.
	machine_watch_files(&host->m);
	host->device_error = 0;
	host->backings[0].truncated = true;
	machine_watch_files(&host->m);
	assert_int_equal(host->device_error, -EIO);
}

static void a_file_that_is_still_truncated_is_not_cleared_for_a_moment(void **state)
{
	struct vpmem_error err;

	(void)state;
	host->backings[0].truncated = true;
	watch_now();
	host->nclears = 0;
	assert_int_equal(machine_clear_error(&host->m, "nv1", &err), 0);
	assert_int_equal(host->nclears, 0);
}

static void a_failed_sync_is_held_until_it_was_reported(void **state)
{
	struct pmem *pmem = &host->pmems[0];

	(void)state;
	host->cfgs[0].werror = WERROR_STOP;
	machine_on_device_event(pmem, VPMEM_EVENT_SYNC_FAILED, -EIO, "failed");
	// Nothing was reported yet: a cont that is under way is not for it.
	machine_release_pmems(&host->m);
	assert_int_equal(host->nreleases, 0);
	machine_report_sync_errors(&host->m);
	pauses();
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_ERROR);
	machine_release_pmems(&host->m);
	machine_release_pmems(&host->m);
	assert_int_equal(host->nreleases, 1);
}

/* Two clients clear after one event, and a sync fails between them: the second one has not seen that. */
static void a_failure_that_was_not_reported_is_not_cleared(void **state)
{
	struct pmem *pmem = &host->pmems[0];
	struct vpmem_error err;

	(void)state;
	host->nsync_errors = 1;
	host->device_error = -EIO;
	machine_on_device_event(pmem, VPMEM_EVENT_SYNC_FAILED, -EIO, "failed");
	assert_int_equal(machine_clear_error(&host->m, "nv1", &err), -EAGAIN);
	assert_string_equal(err.text, "nv1: another sync has failed meanwhile");
	assert_int_equal(host->device_error, -EIO);
	machine_report_sync_errors(&host->m);
	assert_int_equal(host->nevents, 1);
	assert_int_equal(machine_clear_error(&host->m, "nv1", &err), 0);
	assert_int_equal(host->device_error, 0);
	assert_int_equal(machine_clear_error(&host->m, "nv1", &err), 0);
}

/* Its device may be gone by then: nothing is asked of it. */
static void a_failed_last_sync_is_reported_without_the_device(void **state)
{
	(void)state;
	host->cfgs[0].werror = WERROR_STOP;
	machine_on_device_event(&host->pmems[0], VPMEM_EVENT_SYNC_FAILED, -EIO, "failed");
	host->pmems[0].dev.unplug = UNPLUG_EJECTED;
	machine_report_sync_error(&host->pmems[0]);
	assert_int_equal(host->nevents, 1);
	assert_int_equal(host->nstats, 0);
	assert_int_equal(host->nhalts, 0);
}

static void no_room_is_reported_before_a_truncated_file(void **state)
{
	(void)state;
	host->backings[0].truncated = true;
	watch_now();
	host->nevents = 0;
	host->backings[1].full = true;
	needs_a_page_somewhere();
	assert_int_equal(host->nevents, 1);
	assert_int_equal(host->events[0].kind, MACHINE_EVENT_PMEM_NOSPACE);
	assert_true(host->pmems[1].no_room);
}

/* The last device is removed first. */
static void stores_that_wait_behind_a_full_device_are_done_at_the_end(void **state)
{
	(void)state;
	host->backings[0].full = true;
	guest_stores(0, "aaaa");
	guest_stores(SIZE, "bbbb");
	machine_end_stores_to(&host->pmems[1]);
	assert_memory_equal(host->backings[1].bytes, "bbbb", 4);
	assert_int_equal(host->m.close_error, 0);
	machine_end_stores_to(&host->pmems[0]);
	assert_int_equal(host->m.close_error, -EFAULT);
	assert_int_equal(host->m.nstores, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_store_with_room_is_done),
		TEST(stores_without_room_wait_in_order_and_are_done_once),
		TEST(a_machine_that_pauses_asks_once),
		TEST(nothing_overtakes_a_store_that_waits),
		TEST(a_store_that_fails_again_keeps_those_behind_it),
		TEST(a_load_sees_what_waits),
		TEST(a_load_that_fails_pauses_and_gives_ones),
		TEST(a_reset_drops_what_waits),
		TEST(a_device_that_goes_gets_its_stores_before),
		TEST(stores_that_a_device_takes_along_show_in_the_exit_status),
		TEST(a_store_to_read_only_memory_is_refused_and_counted),
		TEST(the_main_loop_asks_for_the_reason),
		TEST(a_device_that_leaves_meanwhile_is_not_asked),
		TEST(an_exit_without_memory_names_the_device),
		TEST(a_stalled_vcpu_pauses_only_if_there_is_no_room),
		TEST(a_stall_without_a_reason_pauses_when_no_fault_is_resolved_for_long),
		TEST(questions_in_vain_become_rarer),
		TEST(an_exit_without_memory_and_without_a_reason_says_so),
		TEST(with_ram_of_a_backend_the_only_device_is_not_blamed),
		TEST(a_file_system_that_refuses_without_a_reason),
		TEST(samples_come_often_only_while_there_are_faults),
		TEST(a_truncated_file_fails_until_it_is_whole),
		TEST(a_truncation_that_a_guest_meets_first_fails_the_flushes),
		TEST(a_truncation_while_the_guest_is_paused_is_noticed),
		TEST(a_file_that_is_still_truncated_is_not_cleared_for_a_moment),
		TEST(a_failed_sync_is_held_until_it_was_reported),
		TEST(a_failure_that_was_not_reported_is_not_cleared),
		TEST(a_failed_last_sync_is_reported_without_the_device),
		TEST(no_room_is_reported_before_a_truncated_file),
		TEST(stores_that_wait_behind_a_full_device_are_done_at_the_end),
	};

	return cmocka_run_group_tests_name("machine_fault", tests, NULL, NULL);
}
