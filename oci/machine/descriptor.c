// SPDX-License-Identifier: Apache-2.0
// Descriptors that go to another process.
#include "descriptor.h"

#include "socket_wait.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define SEND_MS 10000 /* for the peer to take it: as for a message, frame.h */

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int descriptor_send(int socket_fd, int fd)
{
	char byte = 0;
	struct iovec span = { .iov_base = &byte, .iov_len = 1 };
	union control control = { .buf = { 0 } };
	struct msghdr msg = {
		.msg_iov = &span, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	const int64_t deadline_ms = socket_deadline(SEND_MS);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	while (sendmsg(socket_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		int rc = errno == EAGAIN ? socket_wait(socket_fd, POLLOUT, deadline_ms) : errno == EINTR ? 0 : -errno;

		if (rc < 0)
			return rc;
	}
	return 0;
}

int descriptor_receive(int socket_fd, int timeout_ms)
{
	char byte;
	struct iovec span = { .iov_base = &byte, .iov_len = 1 };
	union control control;
	struct msghdr msg = {
		.msg_iov = &span, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof(control.buf)
	};
	struct pollfd poll_fd = { .fd = socket_fd, .events = POLLIN };
	struct cmsghdr *cmsg;
	int fd;

	if (poll(&poll_fd, 1, timeout_ms) == 0)
		return -ETIMEDOUT;
	if (recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
		return -EBADMSG;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}
