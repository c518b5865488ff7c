// SPDX-License-Identifier: Apache-2.0
/*
 * listen.h - puts a listening socket into the file system.
 */
#ifndef PMVM_LISTEN_H
#define PMVM_LISTEN_H

#include "file_id.h"

#include <vpmem.h>

/*
 * A non-blocking stream socket that listens at the path, with at most this mode: the umask takes more away. *id is the
 * socket as a file: remove the path with file_id_unlink, before the descriptor is closed.
 *
 * A socket at the path that nobody serves is replaced. -EADDRINUSE: a program serves it, or the path is no socket.
 */
int listen_unix(const char *path, mode_t mode, int backlog, int *out_fd, struct file_id *id, struct vpmem_error *err);
extern const struct broker_op listen_unix_op;

#endif
