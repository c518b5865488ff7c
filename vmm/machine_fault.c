// SPDX-License-Identifier: Apache-2.0
/*
 * machine_fault.c - the host cannot provide what the guest was promised: no room for a hole of a file, a file
 * that was cut, a sync that failed.
 *
 * A guest access to a page that the host does not have comes in three shapes (docs/durability.md):
 *   - KVM_RUN fails with EFAULT, the instruction not executed: it is executed again after cont;
 *   - an MMIO exit inside a pmem window, the instruction behind us: a store is kept here and done before cont;
 *   - no exit at all: KVM tries again for ever. Every WATCH_MS its statistics are looked at, and where faults are
 *     taken, the vCPU itself some times more (stall.h).
 * In all of them the machine pauses in the run state io-error, an event names the device and its file, and no
 * store is lost. Nothing here touches the mapping but through the guarded accesses of libvpmem.
 */
#include "machine_internal.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WATCH_MS 2000u
#define LOOK_MS 200u
#define REFUSED_EVENT_MS 1000u

const char *pmem_name(const struct pmem *pmem)
{
	return pmem->cfg.id ? pmem->cfg.id : pmem->memdev->cfg.id;
}

static void tell_pmem(struct machine *m, const struct pmem *pmem, enum machine_event_kind kind, int error)
{
	machine_tell(m, &(struct machine_event) {
		.kind = kind,
		.error = -error,
		.device = pmem ? pmem->cfg.id : NULL,
		.path = pmem ? pmem->path : NULL,
		.file = pmem ? vpmem_backing_path(pmem->memdev->backing) : NULL,
	});
}

// ---- pausing

static bool is_no_room(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

static void log_io_error(const struct pmem *pmem, int error)
{
	const char *path = pmem ? vpmem_backing_path(pmem->memdev->backing) : NULL;

	if (!pmem)
		log_error("the host cannot provide memory for a guest access, and no pmem device shows why: the guest is paused");
	else if (is_no_room(error))
		log_error("%s: no room on the host for %s: %s: the guest is paused: make room, then cont", pmem_name(pmem),
		          path, strerror(-error));
	else
		log_error("%s: the host cannot provide a part of %s: %s: the guest is paused", pmem_name(pmem), path,
		          strerror(-error));
}

// From any thread with the lock: the guest stops now, the main loop does the rest. One report for each pause.
static void io_error(struct machine *m, struct pmem *pmem, int error)
{
	bool first = !m->io_error && m->run_state == RUN_STATE_RUNNING;

	if (pmem && is_no_room(error))
		pmem->no_room = true;
	m->io_error = true;
	machine_halt(m);
	if (!first)
		return;
	log_io_error(pmem, error);
	tell_pmem(m, pmem, is_no_room(error) ? MACHINE_EVENT_PMEM_NOSPACE : MACHINE_EVENT_PMEM_ERROR, error);
}

// Why the host cannot provide a page of this device: 0 if it could.
static int reason(struct pmem *pmem)
{
	struct vpmem_backing *backing = pmem->memdev->backing;

	return vpmem_backing_is_cut(backing) ? -EIO : vpmem_backing_room(backing);
}

// The host could not provide a page for some guest access, KVM does not say which: looks for the device.
void machine_no_memory(struct machine *m)
{
	struct pmem *only = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		int error = pmem->unplug == UNPLUG_EJECTED ? 0 : reason(pmem);

		if (error) {
			io_error(m, pmem, error);
			return;
		}
		only = pmem;
		n++;
	}
	io_error(m, n == 1 ? only : NULL, -EFAULT);
}

// ---- guest accesses that arrive as MMIO

static void refuse_store(struct machine *m, struct pmem *pmem, uint64_t off)
{
	uint64_t now = loop_now_ms();

	pmem->nrefused++;
	log_guest("%s: guest store to read-only memory refused: offset %" PRIu64 " of %s", pmem_name(pmem), off,
	          vpmem_backing_path(pmem->memdev->backing));
	// A guest can do this without end; the counter has all of them.
	if (pmem->refused_event_ms != 0 && now - pmem->refused_event_ms < REFUSED_EVENT_MS)
		return;
	pmem->refused_event_ms = now;
	tell_pmem(m, pmem, MACHINE_EVENT_PMEM_STORE_REFUSED, -EROFS);
}

static int keep_store(struct machine *m, struct pmem *pmem, uint64_t off, const void *data, unsigned len)
{
	struct pending_store *stores = reallocarray(m->stores, m->nstores + 1, sizeof(*stores));

	if (!stores)
		return -ENOMEM;
	m->stores = stores;
	stores[m->nstores] = (struct pending_store) { .pmem = pmem, .off = off, .len = len };
	memcpy(stores[m->nstores++].data, data, len);
	return 0;
}

static void store(struct machine *m, struct pmem *pmem, uint64_t off, const void *data, unsigned len)
{
	struct vpmem_backing *backing = pmem->memdev->backing;
	int rc, why;

	if (vpmem_backing_is_rom(backing)) {
		refuse_store(m, pmem, off);
		return;
	}
	// Behind one that waits, all wait: they may be to the same place.
	rc = m->nstores > 0 ? -EFAULT : vpmem_backing_store(backing, off, data, len);
	if (rc == 0)
		return;
	why = reason(pmem);
	if (keep_store(m, pmem, off, data, len) < 0) {
		log_error("%s: out of memory: a guest store is lost", pmem_name(pmem));
		machine_request(m, REQUEST_FAIL, CAUSE_HOST_ERROR);
		return;
	}
	io_error(m, pmem, why ? why : rc);
}

// What waits to be stored is what the guest sees.
static void see_stores(const struct machine *m, const struct pmem *pmem, uint64_t off, uint8_t *data, unsigned len)
{
	for (unsigned i = 0; i < m->nstores; i++) {
		const struct pending_store *s = &m->stores[i];

		for (unsigned j = 0; s->pmem == pmem && j < s->len; j++)
			if (s->off + j >= off && s->off + j - off < len)
				data[s->off + j - off] = s->data[j];
	}
}

void machine_pmem_access(struct machine *m, gpa_t gpa, void *data, unsigned len, bool is_write)
{
	struct pmem *pmem = machine_pmem_at(m, gpa);
	uint64_t off = gpa - virtio_pci_pmem_gpa(pmem->vp);
	int rc, why;

	if (is_write) {
		store(m, pmem, off, data, len);
		return;
	}
	rc = vpmem_backing_load(pmem->memdev->backing, off, data, len);
	if (rc < 0)
		// There is no data to give, now or later.
		memset(data, 0xff, len);
	see_stores(m, pmem, off, data, len);
	if (rc == 0)
		return;
	why = reason(pmem);
	io_error(m, pmem, why ? why : rc);
}

// ---- going on

void machine_forget_stores(struct machine *m)
{
	free(m->stores);
	m->stores = NULL;
	m->nstores = 0;
}

void machine_forget_stores_to(struct pmem *pmem)
{
	struct machine *m = pmem->machine;
	unsigned nkept = 0;

	for (unsigned i = 0; i < m->nstores; i++)
		if (m->stores[i].pmem != pmem)
			m->stores[nkept++] = m->stores[i];
	m->nstores = nkept;
}

void machine_forget_faults(struct machine *m)
{
	machine_forget_stores(m);
	m->io_error = false;
	for (unsigned i = 0; i < m->npmems; i++)
		m->pmems[i]->no_room = false;
}

static int cannot_go_on(const struct pmem *pmem, int rc, struct vpmem_error *err)
{
	error_set(err, rc, "the guest cannot go on: %s: %s: %s", pmem_name(pmem),
	          vpmem_backing_path(pmem->memdev->backing), strerror(-rc));
	error_hint(err, is_no_room(rc) ? "make room on its file system, then cont" : "see info pmem");
	return rc;
}

// In their order, each once.
static int do_stores(struct machine *m, struct vpmem_error *err)
{
	unsigned done = 0;
	int rc = 0;

	for (; done < m->nstores; done++) {
		struct pending_store *s = &m->stores[done];

		rc = vpmem_backing_store(s->pmem->memdev->backing, s->off, s->data, s->len);
		if (rc < 0) {
			int why = reason(s->pmem);

			rc = cannot_go_on(s->pmem, why ? why : rc, err);
			break;
		}
	}
	m->nstores -= done;
	if (m->nstores > 0)
		memmove(m->stores, m->stores + done, m->nstores * sizeof(*m->stores));
	else
		machine_forget_stores(m);
	return rc;
}

int machine_recover(struct machine *m, struct vpmem_error *err)
{
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		int rc = pmem->no_room && pmem->unplug != UNPLUG_EJECTED ? vpmem_backing_room(pmem->memdev->backing) : 0;

		if (rc < 0)
			return cannot_go_on(pmem, rc, err);
		pmem->no_room = false;
	}
	m->io_error = false;
	return do_stores(m, err);
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
	log_error("%s: every flush of this device fails from here on", text);
	atomic_store(&pmem->sync_error, error);
	loop_wake(&pmem->machine->loop);
}

void machine_tell_sync_error(struct pmem *pmem)
{
	struct machine *m = pmem->machine;
	int error = atomic_exchange(&pmem->sync_error, 0);

	if (error == 0)
		return;
	tell_pmem(m, pmem, MACHINE_EVENT_PMEM_ERROR, error);
	if (pmem->cfg.werror == WERROR_STOP && pmem->unplug != UNPLUG_EJECTED) {
		m->io_error = true;
		machine_halt(m);
	}
}

void machine_tell_sync_errors(struct machine *m)
{
	for (unsigned i = 0; i < m->npmems; i++)
		machine_tell_sync_error(m->pmems[i]);
}

static void watch_file(struct machine *m, struct pmem *pmem)
{
	bool cut = vpmem_backing_is_cut(pmem->memdev->backing);

	if (cut == pmem->cut)
		return;
	pmem->cut = cut;
	if (!cut)
		return;
	// What was acknowledged is lost: the guest hears of it at its next flush, whatever it does next.
	log_error("%s: %s was cut and is shorter than its mapping: data is lost, and every flush fails from here on",
	          pmem_name(pmem), vpmem_backing_path(pmem->memdev->backing));
	vpmem_device_set_error(virtio_pci_device(pmem->vp), -EIO);
	tell_pmem(m, pmem, MACHINE_EVENT_PMEM_ERROR, -EIO);
	if (pmem->cfg.werror == WERROR_STOP) {
		m->io_error = true;
		machine_halt(m);
	}
}

int machine_clear_error(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct pmem *pmem = machine_find_pmem(m, id);

	if (!pmem || pmem->unplug == UNPLUG_EJECTED)
		return error_set(err, -ENODEV, "Device '%s' not found", id);
	vpmem_device_clear_error(virtio_pci_device(pmem->vp));
	pmem->cut = false;
	// One that is still cut fails on, without a flush that succeeds in between.
	watch_file(m, pmem);
	return 0;
}

// ---- watching: what tells nobody

// True: some vCPU may stand still, so that the next look should come soon.
static bool watch_stalls(struct machine *m)
{
	enum vcpus_look seen = vcpus_look(&m->vcpus);

	if (seen != VCPUS_STANDING)
		return seen == VCPUS_FAULTING;
	vcpus_forget_looks(&m->vcpus);
	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];
		int error = pmem->unplug == UNPLUG_EJECTED ? 0 : reason(pmem);

		if (error) {
			io_error(m, pmem, error);
			return false;
		}
	}
	return true;
}

static void on_watch(void *owner)
{
	struct machine *m = owner;

	loop_arm(&m->loop, &m->watch, WATCH_MS);
	if (m->run_state != RUN_STATE_RUNNING || m->npmems == 0) {
		vcpus_forget_looks(&m->vcpus);
		return;
	}
	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->unplug != UNPLUG_EJECTED)
			watch_file(m, m->pmems[i]);
	if (watch_stalls(m))
		loop_arm(&m->loop, &m->watch, LOOK_MS);
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
