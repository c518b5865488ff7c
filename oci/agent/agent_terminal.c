// SPDX-License-Identifier: Apache-2.0
// The console socket of the OCI runtimes: a connection that brings one descriptor.
#include "agent_terminal.h"

#include "error.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int terminal_listen(const char *path, int *listen_fd, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 1) == 0) {
		*listen_fd = fd;
		return 0;
	}
	error_set(err, -errno, "the console socket cannot be made: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -EIO;
}

static int receive_fd(int socket_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char name[256];
	struct iovec span = { .iov_base = name, .iov_len = sizeof(name) };
	struct msghdr msg = {
		.msg_iov = &span,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

// crun has ended: what it sent is there.
int terminal_take(int listen_fd, int *terminal_fd, struct vpmem_error *err)
{
	int socket_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	*terminal_fd = socket_fd < 0 ? -1 : receive_fd(socket_fd);
	if (socket_fd >= 0)
		close(socket_fd);
	return *terminal_fd < 0 ? error_set(err, -EIO, "crun has sent no terminal") : 0;
}
