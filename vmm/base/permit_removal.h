// SPDX-License-Identifier: Apache-2.0
/*
 * permit_removal.h - which files an operation of the broker may remove (permit.h).
 *
 * A machine that was taken over may name any file of a permitted directory. So only these are removed: sockets, files
 * that the broker itself has created, and regular files at the paths that were added. Without permit_begin, all are.
 *
 * A file that was created is known by its device and inode, and, as inodes are used again, by the time of its birth where
 * the file system has one.
 *
 * One thread only.
 */
#ifndef PMVM_PERMIT_REMOVAL_H
#define PMVM_PERMIT_REMOVAL_H

#include <stdbool.h>

/* The file may exist or not, its directory must, or the path is none. Legal before permit_begin. 0 or -ENOMEM. */
int permit_add_removal(const char *path);
/* The broker created this open file. If there is no memory to note it, the file stays. */
void permit_note_created(int fd);
/*
 * For a path that permit_path permits. True once for a file that the broker created: it is forgotten, because the caller
 * removes it.
 */
bool permit_removal(const char *path);

#endif
