// SPDX-License-Identifier: Apache-2.0
/*
 * descriptor.h - sends an open descriptor to another process by a Unix stream socket, behind a frame: one byte that has it.
 */
#ifndef PMVM_OCI_DESCRIPTOR_H
#define PMVM_OCI_DESCRIPTOR_H

/* Borrows fd. 0 or -errno. */
int descriptor_send(int socket_fd, int fd);
/* Waits for it, timeout_ms at most. The descriptor (O_CLOEXEC), the caller's; or -errno, -EBADMSG: something else came. */
int descriptor_receive(int socket_fd, int timeout_ms);

#endif
