// SPDX-License-Identifier: Apache-2.0
// The messages of vhost-user on a socket: sent, answered in a bounded time, and checked.
#include "vhost_user_link.h"

#include "monotonic.h"
#include "socket_io.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const names[] = {
	[VHOST_USER_GET_FEATURES] = "VHOST_USER_GET_FEATURES",
	[VHOST_USER_SET_FEATURES] = "VHOST_USER_SET_FEATURES",
	[VHOST_USER_SET_OWNER] = "VHOST_USER_SET_OWNER",
	[VHOST_USER_SET_MEM_TABLE] = "VHOST_USER_SET_MEM_TABLE",
	[VHOST_USER_SET_VRING_NUM] = "VHOST_USER_SET_VRING_NUM",
	[VHOST_USER_SET_VRING_ADDR] = "VHOST_USER_SET_VRING_ADDR",
	[VHOST_USER_SET_VRING_BASE] = "VHOST_USER_SET_VRING_BASE",
	[VHOST_USER_GET_VRING_BASE] = "VHOST_USER_GET_VRING_BASE",
	[VHOST_USER_SET_VRING_KICK] = "VHOST_USER_SET_VRING_KICK",
	[VHOST_USER_SET_VRING_CALL] = "VHOST_USER_SET_VRING_CALL",
	[VHOST_USER_SET_VRING_ERR] = "VHOST_USER_SET_VRING_ERR",
	[VHOST_USER_GET_PROTOCOL_FEATURES] = "VHOST_USER_GET_PROTOCOL_FEATURES",
	[VHOST_USER_SET_PROTOCOL_FEATURES] = "VHOST_USER_SET_PROTOCOL_FEATURES",
	[VHOST_USER_GET_QUEUE_NUM] = "VHOST_USER_GET_QUEUE_NUM",
	[VHOST_USER_SET_VRING_ENABLE] = "VHOST_USER_SET_VRING_ENABLE",
	[VHOST_USER_SEND_RARP] = "VHOST_USER_SEND_RARP",
	[VHOST_USER_NET_SET_MTU] = "VHOST_USER_NET_SET_MTU",
	[VHOST_USER_SET_BACKEND_REQ_FD] = "VHOST_USER_SET_BACKEND_REQ_FD",
	[VHOST_USER_GET_CONFIG] = "VHOST_USER_GET_CONFIG",
	[VHOST_USER_SET_CONFIG] = "VHOST_USER_SET_CONFIG",
	[VHOST_USER_GET_INFLIGHT_FD] = "VHOST_USER_GET_INFLIGHT_FD",
	[VHOST_USER_SET_INFLIGHT_FD] = "VHOST_USER_SET_INFLIGHT_FD",
	[VHOST_USER_GET_MAX_MEM_SLOTS] = "VHOST_USER_GET_MAX_MEM_SLOTS",
	[VHOST_USER_ADD_MEM_REG] = "VHOST_USER_ADD_MEM_REG",
	[VHOST_USER_REM_MEM_REG] = "VHOST_USER_REM_MEM_REG",
};

const char *vhost_user_request_name(enum vhost_user_request request)
{
	return names[request];
}

/* ---- the end of a link ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void end(struct vhost_user_link *link, enum vhost_user_end how,
                                                      const char *fmt, va_list args)
{
	if (link->end != VHOST_USER_OPEN)
		return;
	link->end = how;
	vsnprintf(link->why, sizeof(link->why), fmt, args);
	if (link->loop)
		loop_arm(link->loop, &link->ended, 0);
}

int vhost_user_garbage(struct vhost_user_link *link, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end(link, VHOST_USER_GARBAGE, fmt, args);
	va_end(args);
	return -EPROTO;
}

__attribute__((format(printf, 4, 5))) static int fail(struct vhost_user_link *link, enum vhost_user_end how, int rc,
                                                      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end(link, how, fmt, args);
	va_end(args);
	return rc;
}

static int closed(struct vhost_user_link *link)
{
	return fail(link, VHOST_USER_CLOSED, -ECONNRESET, "the back end has closed the connection");
}

/* ---- waiting ------------------------------------------------------------------------------------------------- */

static int await(struct vhost_user_link *link, short events)
{
	uint64_t now = monotonic_ms();
	struct pollfd poll_fds[] = { { .fd = link->fd, .events = events }, { .fd = link->other_fd, .events = POLLIN } };
	int rc;

	if (now >= link->deadline_ms)
		return fail(link, VHOST_USER_HUNG, -ETIMEDOUT, "the back end does not answer");
	rc = poll(poll_fds, 2, (int)(link->deadline_ms - now));
	if (rc < 0 && errno != EINTR)
		return fail(link, VHOST_USER_CLOSED, -errno, "cannot wait for the back end: %s", strerror(errno));
	if (rc > 0 && poll_fds[1].revents)
		link->other_ready(link->owner);
	return link->end == VHOST_USER_OPEN ? 0 : -EPROTO;
}

static bool may_come_later(int error)
{
	return error == EAGAIN || error == EINTR;
}

union one_fd {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int))];
};

/* Takes the first descriptor that comes. For another one there is no room: the kernel drops it. */
static ssize_t receive_with_fd(int socket_fd, void *buf, size_t len, int *fd)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	union one_fd control;
	/* Not CMSG_SPACE, which has room for two. */
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))
	};
	ssize_t n = recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS && cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return n;
}

/* fd: NULL, or where a descriptor goes. */
static int receive(struct vhost_user_link *link, void *buf, size_t len, int *fd)
{
	size_t done = 0;

	while (done < len) {
		uint8_t *at = (uint8_t *)buf + done;
		ssize_t n = fd && *fd < 0 ? receive_with_fd(link->fd, at, len - done, fd) :
		                            socket_receive(link->fd, at, len - done, MSG_DONTWAIT);
		int rc = 0;

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || !may_come_later(errno))
			return closed(link);
		else
			rc = await(link, POLLIN);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
};

static void attach_fds(struct msghdr *msg, union control *control, const struct vhost_user_message *message)
{
	struct cmsghdr *cmsg = &control->align;

	if (message->nfds == 0)
		return;
	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(message->nfds * sizeof(int));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(message->nfds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), message->fds, message->nfds * sizeof(int));
}

/* The descriptors go with the first byte. */
static int transmit(struct vhost_user_link *link, const struct vhost_user_message *message, const uint8_t *bytes,
                    size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { .iov_base = (uint8_t *)bytes + done, .iov_len = len - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		union control control;
		ssize_t n;
		int rc = 0;

		if (done == 0)
			attach_fds(&msg, &control, message);
		n = sendmsg(link->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EPIPE || errno == ECONNRESET)
			return closed(link);
		else if (may_come_later(errno))
			rc = await(link, POLLOUT);
		else
			return fail(link, VHOST_USER_CLOSED, -errno, "cannot send to the back end: %s",
			            strerror(errno));
		if (rc)
			return rc;
	}
	return 0;
}

static int send_request(struct vhost_user_link *link, const struct vhost_user_message *message)
{
	const struct vhost_user_header header = {
		.request = message->request,
		.flags = VHOST_USER_VERSION | (message->need_reply ? VHOST_USER_NEED_REPLY : 0),
		.size = message->size,
	};
	uint8_t bytes[sizeof(header) + sizeof(struct vhost_user_config_payload)];

	static_assert(sizeof(struct vhost_user_config_payload) >= sizeof(struct vhost_user_memory),
	              "the largest payload");
	assert(message->size <= sizeof(bytes) - sizeof(header) && message->nfds <= VHOST_USER_FDS_MAX);
	if (link->end != VHOST_USER_OPEN)
		return -ENOTCONN;
	memcpy(bytes, &header, sizeof(header));
	if (message->size > 0)
		memcpy(bytes + sizeof(header), message->payload, message->size);
	return transmit(link, message, bytes, sizeof(header) + message->size);
}

static int receive_answer(struct vhost_user_link *link, const struct vhost_user_message *message, void *answer,
                          uint32_t min, uint32_t max)
{
	enum vhost_user_request request = message->request;
	struct vhost_user_header header;
	int rc = receive(link, &header, sizeof(header), message->answer_fd);

	if (rc)
		return rc;
	if (header.request != request)
		return vhost_user_garbage(link, "the back end answers %s with request %u", names[request],
		                          header.request);
	if ((header.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION || !(header.flags & VHOST_USER_REPLY))
		return vhost_user_garbage(link, "the back end answers %s with flags 0x%x", names[request],
		                          header.flags);
	if (header.size < min || header.size > max)
		return vhost_user_garbage(link, "the back end answers %s with %u bytes", names[request], header.size);
	rc = receive(link, answer, header.size, NULL);
	return rc ? rc : (int)header.size;
}

int vhost_user_ask(struct vhost_user_link *link, const struct vhost_user_message *message, void *answer, uint32_t min,
                   uint32_t max)
{
	int *fd = message->answer_fd, rc = send_request(link, message);

	if (rc == 0)
		rc = receive_answer(link, message, answer, min, max);
	if (rc < 0 && fd && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

int vhost_user_send(struct vhost_user_link *link, const struct vhost_user_message *message)
{
	uint64_t result = 0;
	int rc;

	if (!message->need_reply)
		return send_request(link, message);
	rc = vhost_user_ask(link, message, &result, sizeof(result), sizeof(result));
	if (rc < 0)
		return rc;
	return result == 0 ? 0 : -EREMOTEIO;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

void vhost_user_link_open(struct vhost_user_link *link, int fd)
{
	*link = (struct vhost_user_link) { .fd = fd, .other_fd = -1 };
}

void vhost_user_link_close(struct vhost_user_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	if (link->end == VHOST_USER_OPEN)
		link->end = VHOST_USER_CLOSED;
}

void vhost_user_link_begin(struct vhost_user_link *link, unsigned timeout_ms)
{
	link->deadline_ms = monotonic_ms() + timeout_ms;
}

void vhost_user_link_examine(struct vhost_user_link *link)
{
	uint8_t byte;
	ssize_t n;

	if (link->end != VHOST_USER_OPEN)
		return;
	/* Another thread may have taken the answer that was reported here. */
	n = socket_receive(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0)
		(void)vhost_user_garbage(link, "the back end sends what nobody asked for");
	else if (n == 0 || !may_come_later(errno))
		(void)closed(link);
}
