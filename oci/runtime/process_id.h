// SPDX-License-Identifier: Apache-2.0
/*
 * process_id.h - which process a pid in a file names: the kernel uses a pid again once its process is gone, so the time at
 * which it was started is a part of its identity.
 */
#ifndef PMVM_OCI_PROCESS_ID_H
#define PMVM_OCI_PROCESS_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_id {
	pid_t pid;           /* 0: none */
	uint64_t start_time; /* field 22 of /proc/PID/stat: clock ticks since the host's start */
};

/* -ESRCH: there is no such process. */
int process_id_of(pid_t pid, struct process_id *id);
/* It exists, and is not a zombie that only waits for its parent. True also where that cannot be found out. */
bool process_id_is_alive(const struct process_id *id);
/* Sends a signal to that process and to no other. -ESRCH: it is gone. */
int process_id_kill(const struct process_id *id, int signal);
/* true: it ended in this time. */
bool process_id_wait(const struct process_id *id, unsigned timeout_ms);

#endif
