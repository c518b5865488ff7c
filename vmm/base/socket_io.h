// SPDX-License-Identifier: Apache-2.0
/*
 * socket_io.h - send(2) and recv(2) by the two system calls that a sandboxed thread may make on sockets.
 */
#ifndef PMVM_SOCKET_IO_H
#define PMVM_SOCKET_IO_H

#include <sys/types.h>

/* Flags and results are theirs. Never a signal: MSG_NOSIGNAL is added. */
ssize_t socket_send(int fd, const void *buf, size_t len, int flags);
ssize_t socket_receive(int fd, void *buf, size_t len, int flags);

#endif
