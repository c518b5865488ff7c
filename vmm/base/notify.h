// SPDX-License-Identifier: Apache-2.0
/*
 * notify.h - reports to a service manager, by the protocol of sd_notify(3) and without its library.
 *
 * The manager names a datagram socket in $NOTIFY_SOCKET, and in $WATCHDOG_USEC within which time it expects a report.
 * The socket is connected once: what a sandbox takes away later does not matter.
 */
#ifndef PMVM_NOTIFY_H
#define PMVM_NOTIFY_H

#include <stdint.h>

struct notify {
	int fd;                 /* -1: nobody wants reports */
	uint64_t watchdog_usec; /* "WATCHDOG=1" is expected at least that often; 0: never */
};

/*
 * Takes the variables out of the environment, so that no child process reports for this one. A socket that cannot be
 * reached is a warning. $WATCHDOG_USEC counts if $WATCHDOG_PID is this process, or nothing.
 */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/*
 * Sends lines such as "READY=1\nSTATUS=running", without waiting. Returns 0, also if nobody wants reports; -EAGAIN: the
 * manager has a backlog. If the manager has closed its socket, that is a warning, and nobody wants reports any more.
 */
int notify_send(struct notify *notify, const char *lines);

#endif
