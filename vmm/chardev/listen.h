// SPDX-License-Identifier: Apache-2.0
/*
 * listen.h - a socket in the file system that listens.
 */
#ifndef PMVM_LISTEN_H
#define PMVM_LISTEN_H

#include <vpmem.h>

/*
 * Binds a stream socket to the path and listens, without blocking. A socket file that nobody serves is
 * replaced; -EADDRINUSE: somebody does, or the file is no socket. The caller unlinks the path at the end.
 */
int listen_unix(const char *path, int backlog, int *out_fd, struct vpmem_error *err);

#endif
