// SPDX-License-Identifier: Apache-2.0
/*
 * run_state.h - the run states of a machine, and the causes of its resets and ends: QEMU's, as far as they apply, with
 * QEMU's words. The monitor's schema takes the words from here.
 */
#ifndef PMVM_RUN_STATE_H
#define PMVM_RUN_STATE_H

#include <stdbool.h>

/* QEMU's RunState. Only in RUNNING do the vCPUs run. */
enum run_state {
	RUN_STATE_PRELAUNCH, /* -S, or reset while not running: cont starts the guest */
	RUN_STATE_RUNNING,
	RUN_STATE_PAUSED,         /* stop */
	RUN_STATE_IO_ERROR,       /* the host cannot provide memory, or werror=stop: cont tries again */
	RUN_STATE_SHUTDOWN,       /* -no-shutdown, and the guest powered off: a reset is needed */
	RUN_STATE_INTERNAL_ERROR, /* KVM cannot go on with a vCPU: a reset is needed */
	RUN_STATES,               /* how many there are */
};
/* The words, by enum run_state: "prelaunch", "running", ...; NULL behind the last. */
extern const char *const run_state_names[RUN_STATES + 1];
const char *run_state_name(enum run_state state);
/* The guest cannot go on from there: cont refuses until a reset. */
bool run_state_needs_reset(enum run_state state);

/* Who caused a reset or the end: QEMU's ShutdownCause. */
enum machine_cause {
	CAUSE_NONE,
	CAUSE_GUEST_RESET,
	CAUSE_GUEST_SHUTDOWN,
	CAUSE_HOST_SIGNAL,
	CAUSE_HOST_QMP_QUIT,
	CAUSE_HOST_QMP_SYSTEM_RESET,
	CAUSE_HOST_ERROR,
	MACHINE_CAUSES, /* how many there are */
};
/* The words, by enum machine_cause: "none", "guest-reset", ...; NULL behind the last. */
extern const char *const machine_cause_names[MACHINE_CAUSES + 1];
const char *machine_cause_name(enum machine_cause cause);
bool machine_cause_is_guest(enum machine_cause cause);

#endif
