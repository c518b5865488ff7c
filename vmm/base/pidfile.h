// SPDX-License-Identifier: Apache-2.0
/*
 * pidfile.h - the file that holds the process id while the program runs.
 *
 * It is locked while it is ours, so a second program with the same path is refused, and a left-over is not
 * mistaken for a running one.
 */
#ifndef PMVM_PIDFILE_H
#define PMVM_PIDFILE_H

#include <vpmem.h>

/*
 * Writes our process id to the file. *fd (-1 before) keeps the lock, also when writing failed: call
 * pidfile_remove then. -EBUSY: another program has it. -EEXIST: the file holds something else.
 */
int pidfile_create(const char *path, int *fd, struct vpmem_error *err);
/* Removes the file if it is ours; *fd is -1 then. */
void pidfile_remove(const char *path, int *fd);

#endif
