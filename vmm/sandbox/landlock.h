// SPDX-License-Identifier: Apache-2.0
/*
 * landlock.h - limits which files the calling thread, and every thread and process that it creates, can reach.
 *
 * A descriptor that is open already stays as it is. See landlock(7).
 */
#ifndef PMVM_LANDLOCK_H
#define PMVM_LANDLOCK_H

#include <stdbool.h>

enum landlock_access {
	LANDLOCK_READ,       /* files, and the content of directories */
	LANDLOCK_READ_WRITE, /* and create, write, truncate, rename, remove; ioctl of devices */
	LANDLOCK_ALL,        /* and make device nodes: for a program that serves a file system */
	LANDLOCK_RUN,        /* read, and execute programs */
};

struct landlock_rule {
	const char *path; /* a file, or a directory with everything below it; one that does not exist is left out */
	enum landlock_access access;
};

/* The version that this kernel has: 1 and up. 0: none, or it is not active. */
int landlock_version(void);

/*
 * From now on only what the rules name can be reached, and nothing else can be executed. `no_sockets`: also no TCP
 * port (version 4) and no abstract Unix socket outside (version 6). Needs no_new_privs. 0 or -errno; -EOPNOTSUPP: version 0.
 */
int landlock_confine(const struct landlock_rule *rules, unsigned nrules, bool no_sockets);

#endif
