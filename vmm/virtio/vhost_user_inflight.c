// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_inflight.c - the requests that a back end has begun and not answered (INFLIGHT_SHMFD). It notes them in a
 * shared file that it makes itself; the next one gets this file, and does again what the former one did not finish.
 */
#include "vhost_user.h"

#include <errno.h>
#include <unistd.h>

#define ANSWER_MIN offsetof(struct vhost_user_inflight, padding)

void vhost_user_forget_inflight(struct vhost_user *vu)
{
	if (vu->inflight_fd >= 0)
		close(vu->inflight_fd);
	vu->inflight_fd = -1;
}

static int get_file(struct vhost_user *vu)
{
	const struct vhost_user_inflight ask = { .nqueues = vu->inflight.nqueues,
		                                 .queue_size = vu->inflight.queue_size };
	struct vhost_user_inflight answer;
	const struct vhost_user_message msg = { .request = VHOST_USER_GET_INFLIGHT_FD,
		                                .payload = &ask,
		                                .size = sizeof(ask),
		                                .answer_fd = &vu->inflight_fd };
	int rc = vhost_user_ask(&vu->link, &msg, &answer, ANSWER_MIN, sizeof(answer));

	vu->backend.failed = vhost_user_request_name(msg.request);
	if (rc < 0)
		return rc;
	vu->inflight.size = answer.size;
	vu->inflight.off = answer.off;
	/* Its own word for an error. */
	if (answer.size == 0) {
		vhost_user_forget_inflight(vu);
		return -EREMOTEIO;
	}
	if (vu->inflight_fd < 0)
		return vhost_user_garbage(&vu->link, "the back end notes its requests in no file");
	return 0;
}

int vhost_user_start_inflight(struct vhost_user *vu)
{
	const struct vhost_user_message msg = { .request = VHOST_USER_SET_INFLIGHT_FD,
		                                .payload = &vu->inflight,
		                                .size = sizeof(vu->inflight),
		                                .fds = &vu->inflight_fd,
		                                .nfds = 1 };
	int rc = 0;

	if (!vhost_user_has(vu, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	if (vu->inflight_fd < 0)
		rc = get_file(vu);
	return rc ? rc : vhost_user_call(vu, &msg);
}
