// SPDX-License-Identifier: Apache-2.0
/*
 * daemon.h - -daemonize: the program goes on in the background once the machine is ready.
 *
 * As in QEMU, the command returns when the machine is ready: 0, or 1 with the error on standard error. The daemon has
 * its own session, no terminal, and the umask 027. Unlike QEMU's it keeps its working directory, so that a relative
 * path means the same in object_add as on the command line.
 */
#ifndef PMVM_DAEMON_H
#define PMVM_DAEMON_H

#include <vpmem.h>

/*
 * Continues in a new process, with umask 027. Call it before anything is opened or created and before there are
 * threads. The calling process waits for daemon_ready or for the end of the new process, and exits: the function
 * returns in the new process only. On failure it returns -errno in the calling process.
 */
int daemon_start(struct vpmem_error *err);

/*
 * The machine is ready: standard input, output and error become /dev/null, and the first process exits with 0. To be
 * called once, after daemon_start.
 */
int daemon_ready(struct vpmem_error *err);

/* The descriptors that daemon_ready uses; -1: none. */
void daemon_get_fds(int fds[2]);

#endif
