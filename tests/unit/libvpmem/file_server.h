// SPDX-License-Identifier: Apache-2.0
// file_server.h - a child process that serves struct vpmem_file_ops.
#ifndef TEST_FILE_SERVER_H
#define TEST_FILE_SERVER_H

#include <vpmem.h>

#include <sys/types.h>

struct file_server {
	pid_t pid;
	int fd; /* the socket */
};

/* Forks; the child ends with the last copy of the socket. */
struct file_server start_file_server(void);
void end_file_server(const struct file_server *server);
/* Borrows the server. */
struct vpmem_file_ops file_server_ops(struct file_server *server);

#endif
