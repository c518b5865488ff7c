// SPDX-License-Identifier: Apache-2.0
// A peer that is connected to: at once, or in the event loop and again whenever it has gone.
#include "peers_internal.h"

#include "error.h"
#include "log.h"
#include "monotonic.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 10000u
#define CONNECT_STEP_MS 10

static void connect_failed(struct peers *p, int error)
{
	if (!p->failed)
		log_guest("%s: %s: cannot connect: %s", peers_module(p), p->name, strerror(error));
	p->failed = true;
	if (p->reconnect_ms > 0)
		loop_arm(p->loop, &p->again, p->reconnect_ms);
}

static int end_connect(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

void peers_on_connecting(void *owner, short revents)
{
	struct peers *p = owner;
	int fd = p->connecting.fd, rc = end_connect(fd);

	(void)revents;
	loop_set_events(p->loop, &p->connecting, 0);
	p->connecting.fd = -1;
	if (rc == 0) {
		peers_take(p, fd);
		return;
	}
	close(fd);
	connect_failed(p, -rc);
}

void peers_connect_again(struct peers *p)
{
	int fd, rc = inet_connect(&p->addr, &fd, &p->is_denied);

	if (rc == 0) {
		peers_take(p, fd);
	} else if (rc == -EINPROGRESS) {
		p->connecting.fd = fd;
		loop_set_events(p->loop, &p->connecting, POLLOUT);
	} else {
		connect_failed(p, -rc);
	}
}

static int await_connect(int fd, uint64_t deadline_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	uint64_t now = monotonic_ms();
	int n = poll(&poll_fd, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);

	if (n == 0)
		return -ETIMEDOUT;
	return n < 0 ? -errno : end_connect(fd);
}

// While the machine is built: the other side has to be there.
static int connect_now(struct peers *p)
{
	uint64_t deadline_ms = monotonic_ms() + CONNECT_MS;
	int fd, rc;

	// A listening socket in the file system whose queue is full says EAGAIN.
	while ((rc = inet_connect(&p->addr, &fd, &p->is_denied)) == -EAGAIN && monotonic_ms() < deadline_ms)
		poll(NULL, 0, CONNECT_STEP_MS);
	if (rc == -EINPROGRESS) {
		rc = await_connect(fd, deadline_ms);
		if (rc < 0)
			close(fd);
	}
	if (rc == 0)
		peers_take(p, fd);
	return rc;
}

int peers_connect(struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err)
{
	const char *where = cfg->path ? cfg->path : p->name + strlen("tcp:");
	int rc = 0;

	p->reconnect_ms = cfg->reconnect_ms;
	if (cfg->async || cfg->reconnect_ms > 0) {
		peers_connect_again(p);
		rc = p->is_denied ? -EACCES : 0;
	} else {
		rc = connect_now(p);
	}
	if (rc == 0)
		return 0;
	error_set(err, rc, "Failed to connect to '%s': %s", where, strerror(-rc));
	error_hint(err, "start the program that listens there first, or use server=on, or reconnect=SECONDS");
	peers_hint_denied(p, cfg, err);
	return rc;
}
