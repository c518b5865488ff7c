// SPDX-License-Identifier: Apache-2.0
// Bytes of a socket by sendmsg and recvmsg, which descriptors need in any case.
#include "socket_io.h"

#include <sys/socket.h>

ssize_t socket_send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec span = { .iov_base = (void *)buf, .iov_len = len };
	const struct msghdr msg = { .msg_iov = &span, .msg_iovlen = 1 };

	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

// Without room for descriptors: the kernel drops those that come.
ssize_t socket_receive(int fd, void *buf, size_t len, int flags)
{
	struct iovec span = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &span, .msg_iovlen = 1 };

	return recvmsg(fd, &msg, flags);
}
