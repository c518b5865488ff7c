// SPDX-License-Identifier: Apache-2.0
/*
 * walls.h - what this process gives up before it runs a guest, apart from system calls (seccomp.h).
 *
 * While it has one thread, so that every later thread has the same. None of it can be taken back.
 */
#ifndef PMVM_WALLS_H
#define PMVM_WALLS_H

#include <stdbool.h>
#include <vpmem.h>

/* Which walls stand. Some kernels, containers and settings of a host refuse some of them. */
struct walls {
	bool user_ns, mount_ns, net_ns, ipc_ns; /* namespaces of its own */
	bool empty_root;                        /* the root directory is an empty, read-only file system */
	int landlock;                           /* version; 0: none */
	int userns_error;                       /* if there are no namespaces: the errno of unshare(2) */
};

/* Closes all descriptors from 3 on, but those: sorted, ascending. */
void walls_close_inherited(const int *keep_fds, unsigned nkeep);

/*
 * no_new_privs, undumpable, no core dumps, at most WALLS_FDS_MAX descriptors, namespaces, an empty root directory, no
 * capabilities, Landlock. -errno: one of those that no kernel refuses failed. What this kernel does not give is left out.
 */
#define WALLS_FDS_MAX 4096u
int walls_raise(struct walls *out, struct vpmem_error *err);

#endif
