// SPDX-License-Identifier: Apache-2.0
// A socket that listens, and the peers that connect to it.
#include "listener.h"

#include "error.h"
#include "file_id.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE_MS 1000u
#define SETTLE_ROUNDS 2u /* of the loop: in the first it sees who has hung up, at its end their places are free */

struct listener {
	struct listener_config cfg;
	struct loop *loop;
	char *path;
	struct file_id id; /* of the socket that the path names */
	unsigned npeers;
	unsigned settle_rounds; /* of the loop, until it is known which peers have left */
	bool settled;           /* it is known: the peer that waits is one too many */
	struct loop_source source;
	struct loop_timer pause; /* armed: peers wait in the kernel's queue */
};

static bool is_full(const struct listener *l)
{
	return l->npeers == l->cfg.npeers_max;
}

static void pause_for(struct listener *l, unsigned delay_ms)
{
	loop_set_events(l->loop, &l->source, 0);
	loop_arm(l->loop, &l->pause, delay_ms);
}

static void resume(struct listener *l)
{
	if (l->pause.deadline_ms == 0 && (l->cfg.turn_away || !is_full(l)))
		loop_set_events(l->loop, &l->source, POLLIN);
}

static void serve(struct listener *l, int fd)
{
	int rc;

	// First: the peer may be found to have left before the callback returns.
	l->npeers++;
	if (is_full(l) && !l->cfg.turn_away)
		loop_set_events(l->loop, &l->source, 0);
	rc = l->cfg.accepted(l->cfg.owner, fd);
	if (rc == 0)
		return;
	log_guest("%s: %s: cannot serve a client: %s", l->cfg.module, l->path, strerror(-rc));
	close(fd);
	listener_peer_left(l);
}

// A peer that cannot be accepted stays in the kernel's queue, and would wake the loop again and again.
static void on_accept_failed(struct listener *l, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return;
	log_guest("%s: %s: cannot accept a client: %s", l->cfg.module, l->path, strerror(error));
	pause_for(l, PAUSE_MS);
}

static void on_connect(void *owner, short revents)
{
	struct listener *l = owner;
	int fd;

	(void)revents;
	if (is_full(l) && !l->cfg.turn_away)
		return;
	// Peers that left before this one came may not have been noticed yet.
	if (is_full(l) && !l->settled) {
		l->settle_rounds = SETTLE_ROUNDS;
		pause_for(l, 0);
		return;
	}
	l->settled = false;
	fd = accept4(l->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		on_accept_failed(l, errno);
		return;
	}
	if (!is_full(l)) {
		serve(l, fd);
		return;
	}
	log_guest("%s: %s: a client is turned away: %u are connected", l->cfg.module, l->path, l->npeers);
	close(fd);
}

static void on_pause_end(void *owner)
{
	struct listener *l = owner;

	if (l->settle_rounds > 0) {
		if (--l->settle_rounds > 0) {
			loop_arm(l->loop, &l->pause, 0);
			return;
		}
		l->settled = true;
	}
	resume(l);
}

void listener_peer_left(struct listener *l)
{
	l->npeers--;
	resume(l);
}

static int start(struct listener *l, struct vpmem_error *err)
{
	int backlog = l->cfg.npeers_max > 1 ? (int)l->cfg.npeers_max : 1, rc = 0;

	if (!l->cfg.listens)
		rc = listen_unix(l->path, l->cfg.mode, backlog, &l->source.fd, &l->id, err);
	if (rc < 0)
		return rc;
	rc = loop_add(l->loop, &l->source);
	rc = rc ? rc : loop_add_timer(l->loop, &l->pause);
	if (rc < 0)
		return error_set(err, rc, "cannot listen on %s: %s", l->path, strerror(-rc));
	if (l->cfg.listens)
		l->source.fd = l->cfg.fd;
	return 0;
}

int listener_open(const struct listener_config *cfg, struct loop *loop, struct listener **out, struct vpmem_error *err)
{
	struct listener *l = calloc(1, sizeof(*l));
	char *path = strdup(cfg->path);
	int rc;

	if (!l || !path) {
		free(l);
		free(path);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*l = (struct listener) {
		.cfg = *cfg,
		.loop = loop,
		.path = path,
		.source = { .fd = -1, .events = POLLIN, .ready = on_connect, .owner = l },
		.pause = { .expired = on_pause_end, .owner = l },
	};
	rc = start(l, err);
	if (rc < 0)
		listener_close(l);
	else
		*out = l;
	return rc;
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	loop_del(l->loop, &l->source);
	loop_del_timer(l->loop, &l->pause);
	if (l->source.fd >= 0 && !l->cfg.listens)
		file_id_unlink(&l->id, l->path);
	if (l->source.fd >= 0)
		close(l->source.fd);
	free(l->path);
	free(l);
}
