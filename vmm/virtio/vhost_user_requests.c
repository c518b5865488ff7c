// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_requests.c - the back end's own channel: it reports that its configuration has changed. There is no other
 * message, because nothing else was negotiated.
 */
#include "socket_io.h"
#include "vhost_user.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_MAX 16u /* that are served in one turn */

static void answer(struct vhost_user *vu, const struct vhost_user_header *request)
{
	const struct {
		struct vhost_user_header header;
		uint64_t result;
	} __attribute__((packed)) reply = {
		.header = { .request = request->request,
		            .flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		            .size = sizeof(reply.result) },
	};

	if (!(request->flags & VHOST_USER_NEED_REPLY))
		return;
	/* A back end that does not read its answers has no room for them one day. */
	if (socket_send(vu->requests.fd, &reply, sizeof(reply), MSG_DONTWAIT) != sizeof(reply))
		(void)vhost_user_garbage(&vu->link, "the back end does not read the answers to its own requests");
}

static void serve(struct vhost_user *vu)
{
	struct vhost_user_header request;

	memcpy(&request, vu->request_buf, sizeof(request));
	vu->nrequest = 0;
	if (request.request != VHOST_USER_BACKEND_CONFIG_CHANGE_MSG || request.size != 0 ||
	    (request.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION) {
		(void)vhost_user_garbage(&vu->link, "the back end makes request %u with %u bytes", request.request,
		                         request.size);
		return;
	}
	answer(vu, &request);
	vu->config_changed(vu);
}

/* It makes no requests any more. If it has ended, the link says so as well. */
static void end_channel(struct vhost_user *vu)
{
	vu->link.other_fd = -1;
	if (vu->watched)
		loop_set_events(vu->loop, &vu->requests, 0);
}

static void read_requests(void *owner)
{
	struct vhost_user *vu = owner;

	for (unsigned i = 0; i < REQUESTS_MAX && vhost_user_is_connected(vu); i++) {
		ssize_t n = socket_receive(vu->requests.fd, vu->request_buf + vu->nrequest,
		                           sizeof(vu->request_buf) - vu->nrequest, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			end_channel(vu);
		if (n <= 0)
			return;
		vu->nrequest += (unsigned)n;
		if (vu->nrequest == sizeof(vu->request_buf))
			serve(vu);
	}
}

static void on_ready(void *owner, short revents)
{
	struct vhost_user *vu = owner;

	(void)revents;
	/* Once the link has ended, its own source is what counts. */
	if (vhost_user_is_connected(vu))
		read_requests(vu);
	else
		loop_set_events(vu->loop, &vu->requests, 0);
}

static int serve_channel(struct broker_call *call)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, call->fds) < 0)
		return -errno;
	call->nfds = 2;
	return 0;
}

const struct broker_op vhost_user_channel_op = { .name = "socketpair", .serve = serve_channel };

int vhost_user_requests_open(struct vhost_user *vu)
{
	struct vhost_user_message msg = { .request = VHOST_USER_SET_BACKEND_REQ_FD, .nfds = 1 };
	struct broker_call call = { .in = NULL };
	int rc = broker_call(&vhost_user_channel_op, &call);

	if (rc < 0) {
		vu->backend.failed = "socketpair";
		return rc;
	}
	msg.fds = &call.fds[1];
	rc = vhost_user_call(vu, &msg);
	close(call.fds[1]);
	if (rc) {
		close(call.fds[0]);
		return rc;
	}
	vu->requests = (struct loop_source) { .fd = call.fds[0], .events = POLLIN, .ready = on_ready, .owner = vu };
	vu->nrequest = 0;
	vu->link.other_fd = call.fds[0];
	vu->link.other_ready = read_requests;
	vu->link.owner = vu;
	return 0;
}

void vhost_user_requests_close(struct vhost_user *vu)
{
	if (vu->requests.fd < 0)
		return;
	close(vu->requests.fd);
	vu->requests.fd = -1;
	vu->link.other_fd = -1;
}
