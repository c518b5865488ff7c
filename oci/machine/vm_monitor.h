// SPDX-License-Identifier: Apache-2.0
/*
 * vm_monitor.h - the monitor of pmvm, by a socket pair. There are few commands, and pmvm answers at once, so a command waits.
 *
 * The answers are pmvm's, which is sandboxed because a guest may take it over: they are as untrusted as the guest.
 */
#ifndef PMVM_OCI_VM_MONITOR_H
#define PMVM_OCI_VM_MONITOR_H

#include "loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

struct json_object;
struct json_stream;

struct vm_monitor {
	struct loop *loop; /* NULL: not open */
	int fd;
	struct loop_source source;
	struct json_stream *stream;
	enum { QMP_WAITS, QMP_DONE, QMP_REFUSED, QMP_OVER } answer; /* to the command under way */
	char refused[256], status[32];
	struct json_object **value; /* where the answer goes; NULL: nobody wants it */
	bool is_paused;             /* by our own command */
	bool has_stopped;           /* by itself */
	/* The vCPUs were stopped, not by a command of ours; `state` is QEMU's name of the run state. From the event loop. */
	void (*stopped)(void *owner, const char *state);
	/*
	 * The device of this id is gone; it is there, but its vhost-user back end is gone. NULL: nobody wants to know. From
	 * whatever reads what pmvm says, which may be another command: they must not run one.
	 */
	void (*deleted)(void *owner, const char *id);
	void (*unserved)(void *owner, const char *id);
	void *owner;
};

/*
 * Takes fd, also on failure. Waits for the greeting and for the first answer, each up to start_ms: a host that starts
 * many machines at once is slow. *monitor is all zeros; vm_monitor_close is legal afterwards in any case.
 */
int vm_monitor_open(struct vm_monitor *monitor, int fd, struct loop *loop, unsigned start_ms,
                    void (*stopped)(void *owner, const char *state), void *owner, struct vpmem_error *err);
void vm_monitor_close(struct vm_monitor *monitor);

int vm_monitor_pause(struct vm_monitor *monitor, struct vpmem_error *err);
int vm_monitor_resume(struct vm_monitor *monitor, struct vpmem_error *err);
/* A command with arguments (taken, NULL: none), whose answer nobody wants. -EIO with the text of pmvm: it refused. */
int vm_monitor_run(struct vm_monitor *monitor, const char *name, struct json_object *arguments,
                   struct vpmem_error *err);
/* A command without arguments; *answer is what it returns, of any type, the caller's. */
int vm_monitor_query(struct vm_monitor *monitor, const char *name, struct json_object **answer,
                     struct vpmem_error *err);

#endif
