// SPDX-License-Identifier: Apache-2.0
// The receiver of datagrams at a path.
#include "net_remote.h"

#include "monotonic.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#define TRY_AGAIN_MS 1000u

// ---- the operation

static bool option_is(int fd, int option, int value)
{
	int got = -1;
	socklen_t size = sizeof(got);

	return getsockopt(fd, SOL_SOCKET, option, &got, &size) == 0 && got == value;
}

// A stream could wait for its other end.
static bool is_apt(const int *fd)
{
	return fd && option_is(*fd, SO_DOMAIN, AF_UNIX) && option_is(*fd, SO_TYPE, SOCK_DGRAM);
}

static int serve_connect(struct broker_call *call)
{
	const struct inet_addr *addr = call->in;
	int rc = inet_check(addr);

	if (rc < 0)
		return rc;
	if (addr->addr.ss_family != AF_UNIX || !is_apt(call->in_fd))
		return -EINVAL;
	return connect(*call->in_fd, (const struct sockaddr *)&addr->addr, addr->len) < 0 ? -errno : 0;
}

const struct broker_op net_remote_connect_op = {
	.name = "connect datagrams",
	.in_size = sizeof(struct inet_addr),
	.serve = serve_connect,
};

// ---- the sender

static int connect_fd(struct net_remote *remote, int fd, struct broker_call *call)
{
	int rc;

	*call = (struct broker_call) { .in = &remote->addr, .in_fd = &fd };
	rc = broker_call(&net_remote_connect_op, call);
	call->in_fd = NULL;
	if (rc == 0)
		remote->connected_fd = fd;
	return rc;
}

static void connect_any(struct net_remote *remote, struct broker_call *call)
{
	remote->next_try_ms = monotonic_ms() + TRY_AGAIN_MS;
	if (connect_fd(remote, remote->fd, call) == -EPERM)
		(void)connect_fd(remote, remote->bound_fd, call);
}

static bool connect_again(struct net_remote *remote)
{
	struct broker_call call;

	if (monotonic_ms() >= remote->next_try_ms)
		connect_any(remote, &call);
	return remote->connected_fd >= 0;
}

int net_remote_open(struct net_remote *remote, const struct inet_addr *addr, int fd, int bound_fd,
                    struct broker_call *call)
{
	*remote = (struct net_remote) { .addr = *addr, .fd = fd, .bound_fd = bound_fd, .connected_fd = -1 };
	connect_any(remote, call);
	return call->is_denied ? -EACCES : 0;
}

void net_remote_close(struct net_remote *remote)
{
	if (remote->fd >= 0)
		close(remote->fd);
	remote->fd = remote->bound_fd = remote->connected_fd = -1;
}

// EPERM: the receiver has connected itself to a socket meanwhile.
static bool is_gone(int error)
{
	return error == ECONNREFUSED || error == ENOTCONN || error == EPIPE || error == ECONNRESET || error == EPERM;
}

void net_remote_send(struct net_remote *remote, const struct msghdr *msg)
{
	if (remote->connected_fd < 0 && !connect_again(remote))
		return;
	if (sendmsg(remote->connected_fd, msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || !is_gone(errno))
		return;
	remote->connected_fd = -1;
	if (connect_again(remote))
		(void)!sendmsg(remote->connected_fd, msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}
