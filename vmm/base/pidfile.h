// SPDX-License-Identifier: Apache-2.0
/*
 * pidfile.h - the file that holds the process id while the program runs.
 *
 * It is locked while the program runs: a second program with the same path is refused, and the file that a killed
 * program left behind is used again. It is a regular file: a symbolic link is not followed, and a device such as
 * /dev/null is refused. A new one can be read by its owner only, as QEMU's.
 */
#ifndef PMVM_PIDFILE_H
#define PMVM_PIDFILE_H

#include <vpmem.h>

/*
 * Writes our process id to the file. *fd (-1 before) keeps the lock, also when writing failed: call
 * pidfile_remove then. -EBUSY: another program has it. -EEXIST: the file holds something else. -EINVAL: it is no
 * regular file. Other errors: it cannot be opened, locked or written. Unless writing failed, *fd is -1 and the file is
 * as it was: one that was created is gone.
 */
int pidfile_create(const char *path, int *fd, struct vpmem_error *err);
/* Removes the file if the path still names the one that *fd has open; *fd is -1 then. */
void pidfile_remove(const char *path, int *fd);

#endif
