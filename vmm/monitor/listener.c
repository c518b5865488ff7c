// SPDX-License-Identifier: Apache-2.0
// A monitor's socket: every client that connects gets a session of its own.
#include "error.h"
#include "listen.h"
#include "log.h"
#include "monitor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE_MS 1000u
#define SETTLE_ROUNDS 2u /* of the loop: in the first it sees who has hung up, at its end their places are free */

static void serve(struct listener *l, int fd)
{
	struct chardev *chr = NULL;
	int rc = chardev_adopt(fd, l->path, l->mon->loop, &chr);

	if (rc < 0)
		close(fd);
	else
		rc = session_start(l->mon, l->face, chr, false, l);
	if (rc < 0)
		log_guest("monitor: %s: cannot serve a client: %s", l->path, strerror(-rc));
	else
		l->awaited = false;
}

// Leaves the clients in the kernel's queue until on_pause_end.
static void pause_for(struct listener *l, unsigned delay_ms)
{
	loop_set_events(l->mon->loop, &l->source, 0);
	loop_arm(l->mon->loop, &l->pause, delay_ms);
}

static void on_connect(void *owner, short revents)
{
	struct listener *l = owner;
	int fd;

	(void)revents;
	// Those who left before this client came may not have been noticed yet.
	if (l->nclients == LISTENER_CLIENTS_MAX && !l->settled) {
		l->settle_rounds = SETTLE_ROUNDS;
		pause_for(l, 0);
		return;
	}
	l->settled = false;
	fd = accept4(l->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		// The client stays in the kernel's queue, and would wake us again and again.
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_guest("monitor: %s: cannot accept a client: %s", l->path, strerror(errno));
			pause_for(l, PAUSE_MS);
		}
		return;
	}
	if (l->nclients < LISTENER_CLIENTS_MAX) {
		serve(l, fd);
		return;
	}
	log_guest("monitor: %s: a client is turned away: %u are connected", l->path, l->nclients);
	close(fd);
}

static void on_pause_end(void *owner)
{
	struct listener *l = owner;

	if (l->settle_rounds > 0) {
		if (--l->settle_rounds > 0) {
			loop_arm(l->mon->loop, &l->pause, 0);
			return;
		}
		l->settled = true;
	}
	loop_set_events(l->mon->loop, &l->source, POLLIN);
}

int listener_open(struct monitor *mon, const struct session_face *face, const struct chardev_config *cfg,
                  struct vpmem_error *err)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc = l ? 0 : error_set(err, -ENOMEM, "out of memory"), fd = -1;

	if (rc < 0)
		return rc;
	*l = (struct listener) {
		.mon = mon,
		.face = face,
		.path = strdup(cfg->path),
		.awaited = cfg->wait,
		.source = { .fd = -1, .events = POLLIN, .ready = on_connect, .owner = l },
		.pause = { .expired = on_pause_end, .owner = l },
	};
	rc = l->path ? listen_unix(l->path, (int)LISTENER_CLIENTS_MAX, &fd, err) :
	               error_set(err, -ENOMEM, "out of memory");
	if (rc < 0) {
		free(l->path);
		free(l);
		return rc;
	}
	l->source.fd = fd;
	rc = loop_add(mon->loop, &l->source);
	rc = rc ? rc : loop_add_timer(mon->loop, &l->pause);
	if (rc < 0) {
		listener_close(l);
		return error_set(err, rc, "cannot set up monitor: %s", strerror(-rc));
	}
	l->next = mon->listeners;
	mon->listeners = l;
	return 0;
}

void listener_close(struct listener *l)
{
	loop_del(l->mon->loop, &l->source);
	loop_del_timer(l->mon->loop, &l->pause);
	close(l->source.fd);
	unlink(l->path);
	free(l->path);
	free(l);
}
