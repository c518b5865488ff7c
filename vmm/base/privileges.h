// SPDX-License-Identifier: Apache-2.0
/*
 * privileges.h - -run-with user=,chroot=: what the program gives up once all that was named is open.
 *
 * Afterwards it opens and removes files as that user and below that directory: a file of a later object_add, a socket or
 * pidfile that it made before.
 */
#ifndef PMVM_PRIVILEGES_H
#define PMVM_PRIVILEGES_H

#include <vpmem.h>

#include <sys/types.h>

#define PRIVILEGES_GROUPS_MAX 64u

/* A user to become. */
struct privileges {
	const char *user; /* for messages; borrowed. NULL: stay who we are */
	uid_t uid;
	gid_t gid;
	size_t ngroups;
	gid_t groups[PRIVILEGES_GROUPS_MAX]; /* supplementary */
};

/*
 * Finds the user: a name of /etc/passwd, with the groups of /etc/group; or UID:GID, without further groups. Users of
 * other directories (LDAP) have no name here. -ENOENT: there is none.
 */
int privileges_find(const char *user, struct privileges *out, struct vpmem_error *err);

/*
 * Makes `root` the root directory and the working directory, unless it is NULL, and becomes the user: in all threads, for
 * good. Does nothing for a user that the process is already. On failure the process is not to go on.
 */
int privileges_drop(const struct privileges *to, const char *root, struct vpmem_error *err);

#endif
