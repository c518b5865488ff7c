// SPDX-License-Identifier: Apache-2.0
/*
 * machine_fault.c - the host cannot provide what the guest was promised: no room for a hole of a file, a file
 * that was truncated, a sync that failed.
 *
 * A guest access to a page that the host does not have comes in three shapes (docs/durability.md):
 *   - KVM_RUN fails with EFAULT, the instruction not executed: it is executed again after cont;
 *   - an MMIO exit inside a pmem window, the instruction behind us: a store is kept and done before cont
 *     (machine_store.c);
 *   - no exit at all: KVM tries again for ever. Every WATCH_MS its statistics are read, and where faults are
 *     taken, the vCPU's registers every SAMPLE_MS (stall.h).
 * In all of them the machine pauses in the run state io-error, an event names the device and its file, and no
 * store is lost. Nothing here touches the mapping but through the guarded accesses of libvpmem.
 */
#include "machine_fault.h"

#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_find.h"
#include "monotonic.h"
#include "virtio_pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WATCH_MS 2000u
#define SAMPLE_MS 200u
#define ASK_MIN_MS 500u /* between two questions to the file systems, which cost them some work */
#define ASK_MAX_MS 4000u
/*
 * A stall without a known reason may be a page that a slow disk or server is still reading: the guest gets it in the
 * end. So the pause waits longer than a disk's own time-outs.
 */
#define REFUSED_MAX_MS 60000u
#define REFUSED_GAP_MS 10000u /* between two verdicts on the same stall */

// ---- pausing

// The host refuses a page, and no file system says why.
static bool is_unknown(int error)
{
	return error == -EFAULT;
}

static void log_io_error(const struct pmem *pmem, int error)
{
	const char *path = pmem ? vpmem_backing_path(pmem->memdev->backing) : NULL;

	if (!pmem)
		log_error(
			"the host refuses a page of guest memory, reason unknown: the guest is paused: see the host's "
			"kernel log, then cont");
	else if (is_unknown(error))
		log_error(
			"%s: the host refuses a page of %s, reason unknown: the guest is paused: see the host's kernel "
			"log, then cont",
			pmem_name(pmem), path);
	else if (vpmem_is_no_space(error))
		log_error("%s: no room on the host for %s: %s: the guest is paused: make room, then cont",
		          pmem_name(pmem), path, strerror(-error));
	else
		log_error("%s: the host cannot provide a part of %s: %s: the guest is paused", pmem_name(pmem), path,
		          strerror(-error));
}

// One report for each pause.
void machine_io_error(struct machine *m, struct pmem *pmem, int error)
{
	bool first = !m->io_error && m->run_state == RUN_STATE_RUNNING;
	bool no_room = vpmem_is_no_space(error) || is_unknown(error);

	if (pmem && no_room)
		pmem->no_room = true;
	m->io_error = true;
	machine_halt(m);
	if (!first)
		return;
	log_io_error(pmem, error);
	machine_event_send_pmem(m, pmem, no_room ? MACHINE_EVENT_PMEM_NOSPACE : MACHINE_EVENT_PMEM_ERROR, error);
}

// True: the file is truncated. What was acknowledged is lost then: every flush fails from here on, whatever becomes of
// the file.
static bool watch_file(struct machine *m, struct pmem *pmem)
{
	bool truncated = vpmem_backing_is_truncated(pmem->memdev->backing);

	if (truncated == pmem->truncated)
		return truncated;
	pmem->truncated = truncated;
	if (!truncated)
		return false;
	// First of all, before a flush can end.
	vpmem_device_set_error(virtio_pmem_device(pmem->dev.vp), -EIO);
	log_error(
		"%s: %s was truncated and is shorter than its mapping: data is lost, and every flush fails from here on",
		pmem_name(pmem), vpmem_backing_path(pmem->memdev->backing));
	machine_event_send_pmem(m, pmem, MACHINE_EVENT_PMEM_ERROR, -EIO);
	if (pmem->cfg->werror == WERROR_STOP) {
		m->io_error = true;
		machine_halt(m);
	}
	return true;
}

void machine_watch_files(struct machine *m)
{
	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->dev.unplug != UNPLUG_EJECTED)
			(void)watch_file(m, m->pmems[i]);
}

// Why the host cannot provide a page of this device: 0 if it could.
int machine_pmem_reason(struct pmem *pmem)
{
	return watch_file(pmem->dev.machine, pmem) ? -EIO : vpmem_backing_room(pmem->memdev->backing);
}

// Some device for which the host cannot provide a page, and why. One without room rather than one whose file is
// truncated: that stays a reason for as long as the file is, whatever else happens.
static struct pmem *find_reason(struct machine *m, int *error)
{
	struct pmem *found = NULL;

	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		int reason = pmem->dev.unplug == UNPLUG_EJECTED ? 0 : machine_pmem_reason(pmem);

		if (reason && (!found || vpmem_is_no_space(reason))) {
			found = pmem;
			*error = reason;
		}
		if (vpmem_is_no_space(reason))
			break;
	}
	return found;
}

static void report_unknown(struct machine *m)
{
	// Anonymous RAM is never refused; that of a memory backend can be.
	machine_io_error(m, m->npmems == 1 && !m->ram_memdev ? m->pmems[0] : NULL, -EFAULT);
}

// KVM does not say which access it was: finds the device.
static void find_device(struct machine *m)
{
	int error;
	struct pmem *pmem = find_reason(m, &error);

	if (pmem)
		machine_io_error(m, pmem, error);
	else
		report_unknown(m);
}

// One is enough: to ask for the reason of those behind it would take more of the file system's space, 2 MiB each time.
void machine_no_page(struct machine *m, struct pmem *pmem, int error)
{
	if (!m->no_page.is_new)
		m->no_page = (struct no_page) { .is_new = true, .pmem = pmem, .error = error };
	machine_halt(m);
}

void machine_find_reason(struct machine *m)
{
	const struct no_page found = m->no_page;
	int why;

	m->no_page.is_new = false;
	if (!found.is_new)
		return;
	if (!found.pmem) {
		find_device(m);
		return;
	}
	why = m->io_error ? 0 : machine_pmem_reason(found.pmem);
	machine_io_error(m, found.pmem, why ? why : found.error);
}

void machine_forget_no_page(const struct pmem *pmem)
{
	struct no_page *no_page = &pmem->dev.machine->no_page;

	if (no_page->pmem == pmem)
		no_page->pmem = NULL;
}

// ---- going on

void machine_forget_faults(struct machine *m)
{
	m->io_error = m->no_page.is_new = false;
	for (unsigned i = 0; i < m->npmems; i++)
		m->pmems[i]->no_room = false;
}

int machine_cannot_go_on(const struct pmem *pmem, int rc, struct vpmem_error *err)
{
	error_set(err, rc, "the guest cannot go on: %s: %s: %s", pmem_name(pmem),
	          vpmem_backing_path(pmem->memdev->backing),
	          is_unknown(rc) ? "the host refuses a page, reason unknown" : strerror(-rc));
	error_hint(err, vpmem_is_no_space(rc) ? "make room on its file system, then cont" :
	                is_unknown(rc)        ? "see the host's kernel log" :
	                                        "see info pmem");
	return rc;
}

int machine_check_room(struct machine *m, struct vpmem_error *err)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		int rc = pmem->no_room && pmem->dev.unplug != UNPLUG_EJECTED ?
		                 vpmem_backing_room(pmem->memdev->backing) :
		                 0;

		if (rc < 0)
			return machine_cannot_go_on(pmem, rc, err);
		pmem->no_room = false;
	}
	m->io_error = false;
	return 0;
}

// ---- syncs that failed

// In the flush worker, with the device's lock: no machine lock here.
void machine_on_device_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct pmem *pmem = opaque;

	if (event != VPMEM_EVENT_SYNC_FAILED) {
		log_guest("%s", text);
		return;
	}
	atomic_store(&pmem->sync_error, error);
	loop_wake(&pmem->dev.machine->loop);
	log_error("%s: every flush of this device fails from here on", text);
}

void machine_report_sync_error(struct pmem *pmem)
{
	struct machine *m = pmem->dev.machine;
	int error = atomic_exchange(&pmem->sync_error, 0);

	if (error == 0)
		return;
	machine_event_send_pmem(m, pmem, MACHINE_EVENT_PMEM_ERROR, error);
	// One that has left the guest may be destroyed already, and its error cannot be cleared.
	if (pmem->dev.unplug == UNPLUG_EJECTED)
		return;
	// No sync begins before the error is cleared, which is for this thread to do: the count is that of this failure.
	pmem->nsync_errors_reported = vpmem_device_stats(virtio_pmem_device(pmem->dev.vp)).sync_errors;
	if (pmem->cfg->werror == WERROR_STOP) {
		pmem->is_held = true;
		m->io_error = true;
		machine_halt(m);
	}
}

void machine_release_pmems(struct machine *m)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];

		if (pmem->is_held && pmem->dev.unplug != UNPLUG_EJECTED)
			vpmem_device_release(virtio_pmem_device(pmem->dev.vp));
		pmem->is_held = false;
	}
}

void machine_report_sync_errors(struct machine *m)
{
	for (unsigned i = 0; i < m->npmems; i++)
		machine_report_sync_error(m->pmems[i]);
}

int machine_clear_error(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct pmem *pmem = machine_find_pmem(m, id);

	if (!pmem || pmem->dev.unplug == UNPLUG_EJECTED)
		return error_set(err, -ENODEV, "Device '%s' not found", id);
	// One whose file is still truncated fails on, without a flush that succeeds in between, and is reported again.
	pmem->truncated = false;
	if (watch_file(m, pmem) ||
	    vpmem_device_clear_error(virtio_pmem_device(pmem->dev.vp), pmem->nsync_errors_reported) == 0)
		return 0;
	// The operator cannot have meant a failure that was not reported yet. The loop reports it, and the machine may pause.
	error_set(err, -EAGAIN, "%s: another sync has failed meanwhile", id);
	error_hint(err, "see info pmem; clear the error again if that failure is known as well");
	return -EAGAIN;
}

// ---- watching: what nothing reports

static void forget_stalls(struct machine *m)
{
	vcpus_forget_samples(&m->vcpus);
	m->stalls = (struct stall_watch) { 0 };
}

// The reason for a stall, if a file system gives one. Questions in vain become rarer.
static struct pmem *ask_for_reason(struct machine *m, uint64_t now, int *error)
{
	struct stall_watch *s = &m->stalls;

	if (now < s->ask_at_ms)
		return NULL;
	s->ask_wait_ms = s->ask_wait_ms == 0             ? ASK_MIN_MS :
	                 s->ask_wait_ms < ASK_MAX_MS / 2 ? 2 * s->ask_wait_ms :
	                                                   ASK_MAX_MS;
	s->ask_at_ms = now + s->ask_wait_ms;
	return find_reason(m, error);
}

// True: a vCPU has got no page at all for REFUSED_MAX_MS.
static bool is_refused_for_long(struct stall_watch *s, uint64_t now)
{
	if (s->refused_since_ms == 0 || now - s->refused_at_ms > REFUSED_GAP_MS) {
		s->refused_since_ms = now;
		log_warn("a vCPU waits for a page that the host does not provide, and no file system gives a reason: "
		         "the guest is paused if that lasts for %u s",
		         REFUSED_MAX_MS / 1000);
	}
	s->refused_at_ms = now;
	return now - s->refused_since_ms >= REFUSED_MAX_MS;
}

// True: some vCPU may be stalled, so that the next sample should come soon.
static bool watch_stalls(struct machine *m)
{
	enum vcpus_sample seen = vcpus_sample(&m->vcpus);
	uint64_t now = monotonic_ms();
	struct pmem *pmem;
	int error;

	if (seen < VCPUS_STALLED) {
		if (seen == VCPUS_QUIET)
			forget_stalls(m);
		return seen == VCPUS_FAULTING;
	}
	vcpus_forget_samples(&m->vcpus);
	pmem = ask_for_reason(m, now, &error);
	if (pmem)
		machine_io_error(m, pmem, error);
	else if (seen == VCPUS_REFUSED && is_refused_for_long(&m->stalls, now))
		report_unknown(m);
	else
		return true;
	return false;
}

static void on_watch(void *owner)
{
	struct machine *m = owner;

	loop_arm(&m->loop, &m->watch, WATCH_MS);
	// Also while the guest is paused: a sync may be under way, and the file may be whole again when it goes on.
	machine_watch_files(m);
	if (m->run_state != RUN_STATE_RUNNING || m->npmems == 0) {
		forget_stalls(m);
		return;
	}
	if (watch_stalls(m))
		loop_arm(&m->loop, &m->watch, SAMPLE_MS);
}

int machine_watch(struct machine *m)
{
	int rc;

	m->watch = (struct loop_timer) { .expired = on_watch, .owner = m };
	rc = loop_add_timer(&m->loop, &m->watch);
	if (rc == 0)
		loop_arm(&m->loop, &m->watch, WATCH_MS);
	return rc;
}
