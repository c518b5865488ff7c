// SPDX-License-Identifier: Apache-2.0
/*
 * terminal.h - the terminal of a process in a container: a pty on the host, between the engine and the guest.
 *
 * The engine has the master, and the slave is ours. It is raw: the guest's terminal alone turns input into lines and
 * signals, and echoes. It controls our session, so that a new size arrives as SIGWINCH.
 */
#ifndef PMVM_OCI_TERMINAL_H
#define PMVM_OCI_TERMINAL_H

#include <vpmem.h>

struct terminal_size {
	unsigned rows, columns; /* 0: not known */
};

/*
 * Makes the pty, and sends its master to the socket. *slave_fd is the caller's. This process becomes the leader of a new
 * session. socket_path NULL is refused with the next step.
 */
int terminal_open(const char *socket_path, struct terminal_size size, int *slave_fd, struct vpmem_error *err);

struct terminal_size terminal_get_size(int slave_fd);

#endif
