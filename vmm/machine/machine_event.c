// SPDX-License-Identifier: Apache-2.0
// Events to the observer, requests to the main thread, and the halt that goes with them.
#include "machine_event.h"

#include "chardev.h"
#include "machine.h"

// ---- the observer

int machine_observer_up(struct machine *m, struct vpmem_error *err)
{
	return m->observer ? m->observer->up(m, &m->observer_state, err) : 0;
}

void machine_observer_down(struct machine *m)
{
	void *state = m->observer_state;

	m->observer_state = NULL;
	if (state)
		m->observer->down(state);
}

void machine_event_send(struct machine *m, const struct machine_event *event)
{
	if (m->observer_state)
		m->observer->event(m->observer_state, event);
}

void machine_event_send_pmem(struct machine *m, const struct pmem *pmem, enum machine_event_kind kind, int error)
{
	machine_event_send(m, &(struct machine_event) {
				      .kind = kind,
				      .error = -error,
				      .device = pmem ? pmem->dev.cfg->id : NULL,
				      .path = pmem ? pmem->dev.path : NULL,
				      .file = pmem ? vpmem_backing_path(pmem->memdev->backing) : NULL,
			      });
}

// ---- interrupting the guest

void machine_halt(struct machine *m)
{
	vcpus_stop(&m->vcpus);
	if (m->console)
		chardev_interrupt(m->console);
	loop_wake(&m->loop);
}

void machine_request(struct machine *m, enum request_kind request, enum machine_cause cause)
{
	if (request > m->requested) {
		m->requested = request;
		m->requested_cause = cause;
	}
	machine_halt(m);
}
