// SPDX-License-Identifier: Apache-2.0
// A standard descriptor, used without ever waiting for the process at its other end.
#include "nonblock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

// A description of our own, or -1.
static int open_once_more(int std_fd, int access)
{
	int fd, flags = access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", std_fd);
	fd = open(path, flags);
	if (fd >= 0)
		return fd;
	// The terminal of another user (su). tcgetsid succeeds if it controls our session: then /dev/tty is the same one.
	return tcgetsid(std_fd) >= 0 ? open("/dev/tty", flags) : -1;
}

void nonblock_open(struct nonblock *nb, int std_fd, int access)
{
	struct stat st;

	*nb = (struct nonblock) { .fd = std_fd, .how = NONBLOCK_PLAIN };
	if (fstat(std_fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		nb->how = NONBLOCK_SOCKET;
		return;
	}
	nb->is_char = S_ISCHR(st.st_mode);
	nb->fd = open_once_more(std_fd, access);
	nb->owns = nb->fd >= 0;
	if (!nb->owns) {
		nb->fd = std_fd;
		nb->how = NONBLOCK_POLLED;
	}
}

void nonblock_close(struct nonblock *nb)
{
	if (nb->owns)
		close(nb->fd);
	*nb = (struct nonblock) { .fd = -1 };
}

static bool is_ready(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	return poll(&poll_fd, 1, 0) == 1;
}

static bool is_unsupported(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

ssize_t nonblock_read(const struct nonblock *nb, void *buf, size_t len)
{
	struct iovec span = { .iov_base = buf, .iov_len = len };
	ssize_t n;

	if (nb->how == NONBLOCK_SOCKET)
		return recv(nb->fd, buf, len, MSG_DONTWAIT);
	if (nb->how == NONBLOCK_PLAIN)
		return read(nb->fd, buf, len);
	n = preadv2(nb->fd, &span, 1, -1, RWF_NOWAIT);
	if (n >= 0 || !is_unsupported(errno))
		return n;
	if (is_ready(nb->fd, POLLIN))
		return read(nb->fd, buf, len);
	errno = EAGAIN;
	return -1;
}

ssize_t nonblock_write(const struct nonblock *nb, const void *buf, size_t len)
{
	struct iovec span = { .iov_base = (void *)buf, .iov_len = len };
	ssize_t n;

	if (nb->how == NONBLOCK_SOCKET)
		return send(nb->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (nb->how == NONBLOCK_PLAIN)
		return write(nb->fd, buf, len);
	n = pwritev2(nb->fd, &span, 1, -1, RWF_NOWAIT);
	if (n >= 0 || !is_unsupported(errno))
		return n;
	// A pipe that reports POLLOUT has room for PIPE_BUF bytes.
	if (is_ready(nb->fd, POLLOUT))
		return write(nb->fd, buf, len < PIPE_BUF ? len : PIPE_BUF);
	errno = EAGAIN;
	return -1;
}
