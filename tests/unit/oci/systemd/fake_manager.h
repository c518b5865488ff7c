// SPDX-License-Identifier: Apache-2.0
/*
 * fake_manager.h - systemd's manager object, as a process that answers calls and keeps them as text.
 */
#ifndef FAKE_MANAGER_H
#define FAKE_MANAGER_H

#include <stdbool.h>

/* How it behaves. */
struct fake_manager {
	bool is_bus; /* it answers as the system bus does; false: as systemd's own socket */
	bool is_bus_without_systemd;
	const char *job_result; /* of each job; NULL: no job ends */
	const char *error;      /* of the first call that starts a unit; NULL: none */
	const char *stop_error; /* of StopUnit; NULL: none */
	bool hangs_up;          /* after a call that starts a unit */
};

/* At most one at a time. */
void fake_manager_start(const struct fake_manager *fake);
/* The calls, one a line. Ends it. Borrowed until the next one. */
const char *fake_manager_end(void);

#endif
