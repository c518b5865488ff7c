// SPDX-License-Identifier: Apache-2.0
// A port whose connection comes and goes.
#include "net_link.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

// The descriptor is polled here only while no worker does so.
static void watch(void *owner)
{
	struct net_link *link = owner;
	int fd = net_port_has_worker(&link->port) ? -1 : link->fd;

	if (fd == link->idle.fd)
		return;
	loop_set_events(link->loop, &link->idle, 0);
	link->idle.fd = fd;
	loop_set_events(link->loop, &link->idle, fd >= 0 ? POLLRDHUP : 0);
}

void net_link_disconnect(struct net_link *link)
{
	int fd = link->fd;

	net_port_set_fd(&link->port, -1);
	link->fd = -1;
	watch(link);
	if (fd >= 0)
		close(fd);
}

static void end(struct net_link *link)
{
	const char *why = net_port_why_lost(&link->port);

	net_link_disconnect(link);
	link->ended(link->owner, why);
}

static void on_lost(void *owner, short revents)
{
	struct net_link *link = owner;
	eventfd_t count;

	(void)revents;
	(void)!eventfd_read(link->lost.fd, &count);
	// It may be about a connection before this one.
	if (link->fd >= 0 && net_port_poll_fd(&link->port) < 0)
		end(link);
}

static void on_idle(void *owner, short revents)
{
	(void)revents;
	end(owner);
}

void net_link_connect(struct net_link *link, int fd)
{
	link->fd = fd;
	net_port_set_fd(&link->port, fd);
	watch(link);
}

int net_link_open(struct net_link *link, struct loop *loop, void (*ended)(void *owner, const char *why), void *owner)
{
	int rc;

	*link = (struct net_link) { .loop = loop, .ended = ended, .owner = owner, .fd = -1 };
	link->lost = (struct loop_source) { .fd = -1, .events = POLLIN, .ready = on_lost, .owner = link };
	link->idle = (struct loop_source) { .fd = -1, .ready = on_idle, .owner = link };
	rc = net_port_init(&link->port, NET_PORT_STREAM);
	if (rc < 0)
		return rc;
	link->port.owner = link;
	link->port.worker_changed = watch;
	link->lost.fd = link->port.lost_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->lost.fd < 0)
		return -errno;
	rc = loop_add(loop, &link->lost);
	return rc ? rc : loop_add(loop, &link->idle);
}

void net_link_close(struct net_link *link)
{
	if (!link->loop)
		return;
	net_link_disconnect(link);
	loop_del(link->loop, &link->lost);
	loop_del(link->loop, &link->idle);
	if (link->lost.fd >= 0)
		close(link->lost.fd);
	net_port_fini(&link->port);
	link->loop = NULL;
}
