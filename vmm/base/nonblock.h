// SPDX-License-Identifier: Apache-2.0
/*
 * nonblock.h - a standard descriptor, used without ever waiting for the process at its other end.
 *
 * O_NONBLOCK belongs to the open file description, which is shared with other processes (a shell, for example): it
 * must not be set there. And a poll(2) before a blocking write does not help: a terminal reports POLLOUT while one
 * byte fits, and another thread or process may take the room of a pipe. So a terminal, a pipe or a device is opened
 * once more, as a description of our own; a socket is used with MSG_DONTWAIT; a regular file never blocks, and its
 * offset has to stay shared.
 *
 * What cannot be opened once more (a pipe or a terminal that belongs to another user) is read and written with
 * RWF_NOWAIT where the kernel can do that: with pipes in newer kernels, not with terminals. Elsewhere it is used after
 * a poll, and may wait: at a terminal, if fewer bytes fit than are written; at both, if another process was faster. A
 * terminal that controls our session is no such case, because it is opened as /dev/tty.
 */
#ifndef PMVM_NONBLOCK_H
#define PMVM_NONBLOCK_H

#include "broker.h"

#include <stdbool.h>
#include <sys/types.h>

struct nonblock {
	int fd;       /* for poll(2) */
	bool owns;    /* fd is ours to close */
	bool is_char; /* a character device: only these are terminals */
	enum { NONBLOCK_PLAIN, NONBLOCK_SOCKET, NONBLOCK_POLLED } how;
};

/* access is O_RDONLY or O_WRONLY. A descriptor that is closed fails later, with EBADF. */
void nonblock_open(struct nonblock *nb, int std_fd, int access);
/* The same, without opening anything: where that would be needed, it may wait as described above. */
void nonblock_use(struct nonblock *nb, int std_fd);
/* The same as nonblock_open, opened by the broker where there is one. */
void nonblock_open_by_broker(struct nonblock *nb, int std_fd, int access);
extern const struct broker_op nonblock_reopen_op;
void nonblock_close(struct nonblock *nb);

/* As read(2) and write(2), but they fail with EAGAIN where those would wait, with the exception above. */
ssize_t nonblock_read(const struct nonblock *nb, void *buf, size_t len);
ssize_t nonblock_write(const struct nonblock *nb, const void *buf, size_t len);

#endif
