// SPDX-License-Identifier: Apache-2.0
// What the machine reports to a service manager.
#include "machine_notify.h"

#include "error.h"
#include "machine.h"

#include <stdio.h>
#include <string.h>

#define WATCHDOG_MAX_MS 3600000u

static void arm(struct machine *m)
{
	uint64_t half_ms = m->notify.manager.watchdog_usec / 2000;

	half_ms = half_ms < 1 ? 1 : half_ms < WATCHDOG_MAX_MS ? half_ms : WATCHDOG_MAX_MS;
	loop_arm(&m->loop, &m->notify.watchdog, (unsigned)half_ms);
}

static void on_watchdog(void *owner)
{
	struct machine *m = owner;

	// One that is lost to a backlog has another one behind it in time.
	(void)notify_send(&m->notify.manager, "WATCHDOG=1");
	arm(m);
}

int machine_notify_up(struct machine *m, struct vpmem_error *err)
{
	struct machine_notify *n = &m->notify;
	int rc;

	*n = (struct machine_notify) { .watchdog = { .expired = on_watchdog, .owner = m }, .state = RUN_STATES };
	notify_open(&n->manager);
	if (n->manager.watchdog_usec == 0)
		return 0;
	rc = loop_add_timer(&m->loop, &n->watchdog);
	if (rc < 0)
		return error_set(err, rc, "cannot serve the watchdog of the service manager: %s", strerror(-rc));
	arm(m);
	return 0;
}

void machine_notify_down(struct machine *m)
{
	loop_del_timer(&m->loop, &m->notify.watchdog);
	notify_close(&m->notify.manager);
}

void machine_notify_state(struct machine *m)
{
	struct machine_notify *n = &m->notify;
	bool is_ready = n->is_ready || m->opts->stopped || m->run_state != RUN_STATE_PRELAUNCH;
	char lines[64];

	if (n->state == m->run_state && n->is_ready == is_ready)
		return;
	snprintf(lines, sizeof(lines), "%sSTATUS=%s", is_ready && !n->is_ready ? "READY=1\n" : "",
	         run_state_name(m->run_state));
	if (notify_send(&n->manager, lines) < 0)
		return;
	n->is_ready = is_ready;
	n->state = m->run_state;
}

void machine_notify_end(struct machine *m)
{
	(void)notify_send(&m->notify.manager, "STOPPING=1\nSTATUS=ending, last sync of the files");
}
