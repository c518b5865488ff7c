// SPDX-License-Identifier: Apache-2.0
/*
 * monitor.h - the monitor: QEMU's HMP (text) and QMP (JSON), over terminals and sockets.
 *
 *   command    what a client can request, once for both front ends: command.h, commands.c
 *   session    one client: a byte stream with a front end (session.h)
 *   front end  HMP (hmp.c) or QMP (qmp.c)
 *   chardev    of each -mon: a socket makes a session of every client that connects
 *
 * Everything runs in the main thread, from the event loop, under the machine lock; only monitor_event may
 * come from other threads, with the lock held.
 */
#ifndef PMVM_MONITOR_H
#define PMVM_MONITOR_H

#include "machine.h"

struct monitor;

/*
 * Puts a monitor on each chardev that the options name for one. The machine, its chardevs and its console exist; the
 * guest does not run yet. On failure nothing is left behind.
 */
int monitor_create(struct machine *m, struct monitor **out, struct vpmem_error *err);

/*
 * Hangs up on every client, after giving each a moment to take what is buffered; closes the chardevs that had no other
 * user. NULL is allowed.
 */
void monitor_destroy(struct monitor *mon);

/* Sends the event to every QMP client that has negotiated. NULL is allowed. */
void monitor_event(struct monitor *mon, const struct machine_event *event);

/* How the machine reaches the monitor: for machine_build. */
extern const struct machine_observer monitor_observer;

#endif
