// SPDX-License-Identifier: Apache-2.0
/*
 * machine_notify.h - what the machine reports to a service manager: READY, its run state, its end, and that its main
 * loop is alive.
 *
 * A machine is ready once its guest has run, or, with -S, once it waits for `cont`. All functions: main thread, lock held.
 */
#ifndef PMVM_MACHINE_NOTIFY_H
#define PMVM_MACHINE_NOTIFY_H

#include "loop.h"
#include "notify.h"
#include "run_state.h"

#include <stdbool.h>

struct machine;
struct vpmem_error;

struct machine_notify {
	struct notify manager;
	struct loop_timer watchdog;
	bool is_ready;        /* that is reported */
	enum run_state state; /* that is reported; RUN_STATES: none yet */
};

/* A stage of the machine's assembly. Never fails for want of a manager. */
int machine_notify_up(struct machine *m, struct vpmem_error *err);
void machine_notify_down(struct machine *m);

/* Reports what has changed. What the manager could not take is sent by the next call. */
void machine_notify_state(struct machine *m);
/* The guest does not run any more; the last syncs may take long. */
void machine_notify_end(struct machine *m);

#endif
