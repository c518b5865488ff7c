// SPDX-License-Identifier: Apache-2.0
/*
 * daemon.h - -daemonize: the program goes on in the background once the machine is ready.
 *
 * As in QEMU, the command returns when the machine is there: 0, or 1 with the error on standard error. The
 * daemon has its own session and no terminal. Unlike QEMU's it keeps its working directory, so that a
 * relative path in object_add means what it means on the command line.
 */
#ifndef PMVM_DAEMON_H
#define PMVM_DAEMON_H

#include <vpmem.h>

/*
 * Goes on in a new process; to be called before anything is opened and before there are threads. The process
 * that called waits for daemon_ready or for the end of the new one, and exits; this returns in the new one
 * only. On failure it returns -errno in the process that called.
 */
int daemon_start(struct vpmem_error *err);

/* The machine is ready: lets go of standard input, output and error, and ends the wait. Once, after start. */
int daemon_ready(struct vpmem_error *err);

#endif
