// SPDX-License-Identifier: Apache-2.0
/*
 * socket_wait.h - waits for one descriptor, with one deadline for all the waits of an operation.
 */
#ifndef PMVM_OCI_SOCKET_WAIT_H
#define PMVM_OCI_SOCKET_WAIT_H

#include <stdint.h>

/* The deadline that is timeout_ms away; negative: there is none. */
int64_t socket_deadline(int timeout_ms);

/* Waits until the descriptor has one of the events (POLLIN, POLLOUT), or an error. 0, -ETIMEDOUT, or -errno of poll. */
int socket_wait(int fd, short events, int64_t deadline_ms);

#endif
