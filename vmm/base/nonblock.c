// SPDX-License-Identifier: Apache-2.0
// A standard descriptor, used without ever waiting for the process at its other end.
#include "nonblock.h"

#include "socket_io.h"

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

// A description of our own, or -errno.
static int reopen(int old_fd, int access)
{
	int fd, flags = access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", old_fd);
	fd = open(path, flags);
	// The terminal of another user (su). tcgetsid succeeds if it controls our session: then /dev/tty is the same one.
	if (fd < 0 && tcgetsid(old_fd) >= 0)
		fd = open("/dev/tty", flags);
	return fd < 0 ? -errno : fd;
}

// A file that can only be read must not become one that can be written.
static bool may_reopen(int old_fd, int access)
{
	int flags = fcntl(old_fd, F_GETFL);
	struct stat st;

	return (access == O_RDONLY || access == O_WRONLY) && flags >= 0 && !(flags & O_PATH) &&
	       ((flags & O_ACCMODE) == O_RDWR || (flags & O_ACCMODE) == access) && fstat(old_fd, &st) == 0 &&
	       (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode));
}

static int serve_reopen(struct broker_call *call)
{
	const int *access = call->in;

	if (!call->in_fd || !may_reopen(*call->in_fd, *access))
		return -EINVAL;
	call->fds[0] = reopen(*call->in_fd, *access);
	call->nfds = call->fds[0] >= 0;
	return call->nfds > 0 ? 0 : call->fds[0];
}

const struct broker_op nonblock_reopen_op = { .name = "reopen", .in_size = sizeof(int), .serve = serve_reopen };

static int ask_broker(int std_fd, int access)
{
	struct broker_call call = { .in = &access, .in_fd = &std_fd };
	int rc;

	// What the operation checks first is not in question for our own descriptors.
	if (!broker_is_connected())
		return reopen(std_fd, access);
	rc = broker_call(&nonblock_reopen_op, &call);
	return rc < 0 ? rc : call.fds[0];
}

static void open_with(struct nonblock *nb, int std_fd, int access, int (*open_once_more)(int, int))
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

void nonblock_open(struct nonblock *nb, int std_fd, int access)
{
	open_with(nb, std_fd, access, reopen);
}

static int open_nothing(int std_fd, int access)
{
	(void)std_fd;
	(void)access;
	return -EPERM;
}

void nonblock_use(struct nonblock *nb, int std_fd)
{
	open_with(nb, std_fd, O_WRONLY, open_nothing);
}

void nonblock_open_by_broker(struct nonblock *nb, int std_fd, int access)
{
	open_with(nb, std_fd, access, ask_broker);
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
		return socket_receive(nb->fd, buf, len, MSG_DONTWAIT);
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
		return socket_send(nb->fd, buf, len, MSG_DONTWAIT);
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
