// SPDX-License-Identifier: Apache-2.0
/*
 * listener.h - a socket that listens, most often in the file system, and the peers that connect to it.
 *
 * The path appears when the socket listens already, so a second program with the same path never finds a socket that
 * is about to be served. A socket that nobody serves is replaced. At the end the path is removed if it still names
 * our socket.
 *
 * When npeers_max are connected, the next ones wait in the kernel's queue, or are turned away. When the process has no
 * descriptor left for a peer, they wait, and it is tried again every second.
 *
 * All calls and callbacks run under the machine lock, in the main thread.
 */
#ifndef PMVM_LISTENER_H
#define PMVM_LISTENER_H

#include "loop.h"

#include <vpmem.h>

#include <stdbool.h>
#include <sys/types.h>

struct listener;

struct listener_config {
	const char *path; /* copied; of a socket that listens already: its name in messages */
	bool listens;     /* `fd` listens already, on a non-blocking socket, which listener_open takes on success */
	int fd;
	const char *module;  /* for messages, borrowed */
	mode_t mode;         /* of the socket; the umask takes more away */
	unsigned npeers_max; /* at a time */
	bool turn_away;      /* those beyond; false: they wait */
	/* A peer, on a non-blocking socket, which the callback takes. -errno: it could not, and the caller closes it. */
	int (*accepted)(void *owner, int fd);
	void *owner;
};

/* -EADDRINUSE: another program serves the path, or it is no socket. On failure nothing is left behind. */
int listener_open(const struct listener_config *cfg, struct loop *loop, struct listener **out, struct vpmem_error *err);
/* NULL is allowed. */
void listener_close(struct listener *l);

/* A peer that was taken has left. */
void listener_peer_left(struct listener *l);

#endif
