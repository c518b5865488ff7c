// SPDX-License-Identifier: Apache-2.0
/*
 * machines_find.h - the sockets of monitors in a directory (machines.h says which files are meant).
 */
#ifndef PMVM_MACHINES_FIND_H
#define PMVM_MACHINES_FIND_H

typedef void machines_found_fn(void *owner, const char *name, const char *path);

/*
 * Calls the function for each socket, in no order. 0; a directory that is not there is an empty one. -1: it cannot be
 * read, and errno says why.
 */
int machines_find(const char *directory, machines_found_fn *fn, void *owner);

#endif
