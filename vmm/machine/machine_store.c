// SPDX-License-Identifier: Apache-2.0
/*
 * machine_store.c - guest accesses to persistent memory that arrive as MMIO, because the host could not provide
 * the page (machine_fault.c) or because the memory is read-only. A store is behind the guest then: it is kept
 * here, and done before the guest goes on.
 */
#include "machine_store.h"

#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_fault.h"
#include "machine_find.h"
#include "monotonic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED_EVENT_MS 1000u

// Not oftener than once in REFUSED_EVENT_MS: a guest can do this without end, and the counter has all of them.
static void report_refused(struct machine *m, struct pmem *pmem)
{
	uint64_t now = monotonic_ms();

	if (pmem->refused_event_ms != 0 && now - pmem->refused_event_ms < REFUSED_EVENT_MS)
		return;
	pmem->refused_event_ms = now;
	machine_event_send_pmem(m, pmem, MACHINE_EVENT_PMEM_STORE_REFUSED, -EROFS);
}

static void refuse_store(struct machine *m, struct pmem *pmem, uint64_t off)
{
	pmem->nrefused++;
	log_guest("%s: guest store to read-only memory refused: offset %" PRIu64 " of %s", pmem_name(pmem), off,
	          vpmem_backing_path(pmem->memdev->backing));
	report_refused(m, pmem);
}

void machine_refuse_unknown_store(struct machine *m)
{
	struct pmem *found = NULL;
	unsigned nrom = 0;

	for (unsigned i = 0; i < m->npmems; i++) {
		struct pmem *pmem = m->pmems[i];

		if (pmem->dev.unplug == UNPLUG_EJECTED || !vpmem_backing_is_rom(pmem->memdev->backing))
			continue;
		found = pmem;
		nrom++;
	}
	if (nrom == 0)
		return;
	if (nrom > 1) {
		machine_event_send_pmem(m, NULL, MACHINE_EVENT_PMEM_STORE_REFUSED, -EROFS);
		return;
	}
	found->nrefused++;
	report_refused(m, found);
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
	int rc;

	if (vpmem_backing_is_rom(backing)) {
		refuse_store(m, pmem, off);
		return;
	}
	// Behind one that waits, all wait: they may be to the same place.
	rc = m->nstores > 0 ? -EFAULT : vpmem_backing_store(backing, off, data, len);
	if (rc == 0)
		return;
	if (keep_store(m, pmem, off, data, len) < 0) {
		log_error("%s: out of memory: a guest store is lost", pmem_name(pmem));
		machine_request(m, REQUEST_FAIL, CAUSE_HOST_ERROR);
		return;
	}
	machine_no_page(m, pmem, rc);
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

void machine_pmem_access(struct pmem *pmem, uint64_t off, void *data, unsigned len, bool is_write)
{
	struct machine *m = pmem->dev.machine;
	int rc;

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
	machine_no_page(m, pmem, rc);
}

// ---- what waits

void machine_forget_stores(struct machine *m)
{
	free(m->stores);
	m->stores = NULL;
	m->nstores = 0;
}

// The guest believes that they were made. The exit status says that they were not.
static void report_lost(struct machine *m, const char *name, unsigned nlost, int error)
{
	log_error("%s: %u of the guest's stores that waited are lost: %s", name, nlost, strerror(-error));
	m->close_error = error;
}

void machine_end_stores_to(struct pmem *pmem)
{
	struct machine *m = pmem->dev.machine;
	unsigned nkept = 0, nlost = 0;
	int error = 0;

	for (unsigned i = 0; i < m->nstores; i++) {
		const struct pending_store *s = &m->stores[i];
		int rc = s->pmem != pmem ? 0 : vpmem_backing_store(pmem->memdev->backing, s->off, s->data, s->len);

		if (s->pmem != pmem)
			m->stores[nkept++] = *s;
		nlost += rc < 0;
		error = rc < 0 ? rc : error;
	}
	m->nstores = nkept;
	if (nlost > 0)
		report_lost(m, pmem_name(pmem), nlost, error);
}

// In their order, each once.
int machine_do_stores(struct machine *m, struct vpmem_error *err)
{
	unsigned done = 0;
	int rc = 0;

	for (; done < m->nstores; done++) {
		struct pending_store *s = &m->stores[done];

		rc = vpmem_backing_store(s->pmem->memdev->backing, s->off, s->data, s->len);
		if (rc < 0) {
			int why = machine_pmem_reason(s->pmem);

			rc = machine_cannot_go_on(s->pmem, why ? why : rc, err);
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
