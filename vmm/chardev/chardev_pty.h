// SPDX-License-Identifier: Apache-2.0
/*
 * chardev_pty.h - a pseudo terminal.
 */
#ifndef PMVM_CHARDEV_PTY_H
#define PMVM_CHARDEV_PTY_H

#include "broker.h"

/*
 * A non-blocking descriptor of the side that controls a new terminal, which is in raw mode and that nobody has open:
 * poll(2) reports POLLHUP until somebody has. *path is allocated. 0 or -errno.
 */
int chardev_pty_open(int *out_fd, char **path);
extern const struct broker_op chardev_pty_op;

#endif
