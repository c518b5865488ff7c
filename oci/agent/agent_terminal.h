// SPDX-License-Identifier: Apache-2.0
/*
 * agent_terminal.h - gets the terminal of a process from crun, by its console socket.
 */
#ifndef PMVM_OCI_AGENT_TERMINAL_H
#define PMVM_OCI_AGENT_TERMINAL_H

#include <vpmem.h>

int terminal_listen(const char *path, int *listen_fd, struct vpmem_error *err);
/* The master that crun has sent. -EIO: it sent none. */
int terminal_take(int listen_fd, int *terminal_fd, struct vpmem_error *err);

#endif
