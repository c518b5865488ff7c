// SPDX-License-Identifier: Apache-2.0
/*
 * permit.h - which paths and addresses an operation of the broker may use (broker.h).
 *
 * Without permit_begin, as in a machine without a sandbox, all are permitted. A path is compared as the kernel would
 * resolve it at this moment, symbolic links included. Where the kernel has Landlock, it also limits the broker, and does
 * so without a moment between the check and the use.
 *
 * One thread only.
 */
#ifndef PMVM_PERMIT_H
#define PMVM_PERMIT_H

#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>

/* From now on only what was added is permitted. */
void permit_begin(void);
/* A file, or a directory with everything below it. One that does not exist is none. 0, -ENOMEM or the errno of realpath. */
int permit_add(const char *path);
/* An address of IPv4 or IPv6, with its port. 0 or -ENOMEM. */
int permit_add_address(const struct sockaddr *addr, socklen_t len);
void permit_add_all_addresses(void);
bool permit_has_all_addresses(void);

/* The path may exist or not. */
bool permit_path(const char *path);
/* Of the family AF_UNIX, its path. */
bool permit_address(const struct sockaddr *addr, socklen_t len);

/*
 * For an operation that got a path, or NULL. 0; -EINVAL: there is none; -EACCES: it is not permitted. -ENOENT, -ENOTDIR: nor
 * is its directory there, which is the error that the user can understand.
 */
int permit_check(const char *path);

/* What the path would name, as a path without links; false: nothing can be there. */
bool permit_resolve(const char *path, char out[PATH_MAX]);
bool permit_is_limited(void);

/* Was one of these functions false since it was cleared? */
void permit_clear_denied(void);
bool permit_was_denied(void);

/* The paths that were added, resolved, in their order; NULL: no more of them. */
const char *permit_get(unsigned idx);

#endif
