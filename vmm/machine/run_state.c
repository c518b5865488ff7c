// SPDX-License-Identifier: Apache-2.0
// QEMU's words for run states and for causes.
#include "run_state.h"

#include <stddef.h>

const char *const run_state_names[RUN_STATES + 1] = {
	[RUN_STATE_PRELAUNCH] = "prelaunch",
	[RUN_STATE_RUNNING] = "running",
	[RUN_STATE_PAUSED] = "paused",
	[RUN_STATE_IO_ERROR] = "io-error",
	[RUN_STATE_SHUTDOWN] = "shutdown",
	[RUN_STATE_INTERNAL_ERROR] = "internal-error",
	[RUN_STATES] = NULL,
};

const char *run_state_name(enum run_state state)
{
	return run_state_names[state];
}

bool run_state_needs_reset(enum run_state state)
{
	return state == RUN_STATE_SHUTDOWN || state == RUN_STATE_INTERNAL_ERROR;
}

const char *const machine_cause_names[MACHINE_CAUSES + 1] = {
	[CAUSE_NONE] = "none",
	[CAUSE_GUEST_RESET] = "guest-reset",
	[CAUSE_GUEST_SHUTDOWN] = "guest-shutdown",
	[CAUSE_HOST_SIGNAL] = "host-signal",
	[CAUSE_HOST_QMP_QUIT] = "host-qmp-quit",
	[CAUSE_HOST_QMP_SYSTEM_RESET] = "host-qmp-system-reset",
	[CAUSE_HOST_ERROR] = "host-error",
	[MACHINE_CAUSES] = NULL,
};

const char *machine_cause_name(enum machine_cause cause)
{
	return machine_cause_names[cause];
}

bool machine_cause_is_guest(enum machine_cause cause)
{
	return cause == CAUSE_GUEST_RESET || cause == CAUSE_GUEST_SHUTDOWN;
}
