// SPDX-License-Identifier: Apache-2.0
/*
 * file_server.c - a process that opens files for another one: requests and answers go over a socket, the descriptor
 * with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "file_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the messages --------------------------------------------------------------------------------------- */

struct call {
	bool is_remove;
	struct vpmem_file_request request;
	char id[64], path[256];
};

struct answer {
	int rc;
	struct vpmem_file file;
	struct vpmem_error err;
};

/* Sends a message with a descriptor, or with -1 without one. */
static bool put(int socket_fd, void *data, size_t size, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
			      .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(socket_fd, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool get(int socket_fd, void *data, size_t size, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room)
	};
	const struct cmsghdr *head;

	*fd = -1;
	if (recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC) != (ssize_t)size)
		return false;
	head = CMSG_FIRSTHDR(&msg);
	if (head)
		memcpy(fd, CMSG_DATA(head), sizeof(*fd));
	return true;
}

/* ---- the process that opens ------------------------------------------------------------------------------ */

static void serve_open(int socket_fd, const struct call *call, int user_pid)
{
	struct answer answer = { .file = { .fd = -1 } };

	answer.rc = vpmem_file_open(&call->request, call->id, call->path, user_pid, &answer.file, &answer.err);
	put(socket_fd, &answer, sizeof(answer), answer.rc ? -1 : answer.file.fd);
	if (answer.rc == 0)
		close(answer.file.fd);
}

static void serve_remove(int socket_fd, const struct call *call, int fd)
{
	struct answer answer = { .rc = vpmem_file_remove(call->path, fd) };

	put(socket_fd, &answer, sizeof(answer), -1);
	close(fd);
}

static void serve(int socket_fd, int user_pid)
{
	struct call call;
	int fd;

	while (get(socket_fd, &call, sizeof(call), &fd)) {
		if (call.is_remove)
			serve_remove(socket_fd, &call, fd);
		else
			serve_open(socket_fd, &call, user_pid);
	}
}

struct file_server start_file_server(void)
{
	int pair[2], user_pid = getpid();
	struct file_server server;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		close(pair[0]);
		serve(pair[1], user_pid);
		_exit(0);
	}
	close(pair[1]);
	server.fd = pair[0];
	return server;
}

void end_file_server(const struct file_server *server)
{
	close(server->fd);
	assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
}

/* ---- the process with the backing ------------------------------------------------------------------------- */

static int send_call(int socket_fd, struct call *call, int fd, struct answer *answer)
{
	int answer_fd;

	if (!put(socket_fd, call, sizeof(*call), fd) || !get(socket_fd, answer, sizeof(*answer), &answer_fd))
		return -EPIPE;
	answer->file.fd = answer_fd;
	return answer->rc;
}

static int open_there(void *opaque, const struct vpmem_file_request *request, const char *id, const char *path,
                      struct vpmem_file *file, struct vpmem_error *err)
{
	struct call call = { .request = *request };
	struct answer answer = { .rc = 0 };
	int rc;

	snprintf(call.id, sizeof(call.id), "%s", id);
	snprintf(call.path, sizeof(call.path), "%s", path);
	rc = send_call(*(int *)opaque, &call, -1, &answer);
	*file = answer.file;
	*err = answer.err;
	return rc;
}

static int remove_there(void *opaque, const char *path, int fd)
{
	struct call call = { .is_remove = true };
	struct answer answer;

	snprintf(call.path, sizeof(call.path), "%s", path);
	return send_call(*(int *)opaque, &call, fd, &answer);
}

struct vpmem_file_ops file_server_ops(struct file_server *server)
{
	return (struct vpmem_file_ops) { .open = open_there, .remove = remove_there, .opaque = &server->fd };
}
