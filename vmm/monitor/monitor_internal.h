// SPDX-License-Identifier: Apache-2.0
/*
 * monitor_internal.h - what monitor.c (the whole), session.c (a client) and listener.c (a socket) share.
 */
#ifndef PMVM_MONITOR_INTERNAL_H
#define PMVM_MONITOR_INTERNAL_H

#include "chardev.h"
#include "session.h"

#define LISTENER_CLIENTS_MAX 16u

struct listener;

struct session {
	struct session *next;
	struct monitor *mon;
	struct listener *listener; /* NULL: stdio, or the console */
	const struct session_face *face;
	void *state;         /* the face's */
	struct chardev *chr; /* owned, unless mux: then it is the console's */
	bool mux, stdio;
	bool in_callback; /* input or focus of the face runs, in the main thread */
	bool hanging_up;  /* no more input; over when all was sent, or linger_ms is past */
	bool over;        /* to be freed by the event loop */
	bool moving;      /* inside chardev_write */
	uint64_t linger_ms;
	struct loop_timer again; /* the main thread is to take input, or to look whether all was sent */
	uint8_t *out;            /* bytes that the chardev has not taken yet */
	size_t out_start, out_len, out_size;
};

/* A monitor's socket. */
struct listener {
	struct listener *next;
	struct monitor *mon;
	const struct session_face *face;
	char *path;
	bool awaited; /* wait=on, and nobody has come yet */
	unsigned nclients;
	unsigned settle_rounds; /* of the loop, until who has left is known */
	bool settled;           /* it is: who comes now is one too many */
	struct loop_source source;
	struct loop_timer pause; /* no places or no descriptors are left: try again later */
};

struct monitor {
	struct machine *machine;
	struct loop *loop;
	struct session *sessions;
	struct listener *listeners;
	struct loop_timer reap;
};

/*
 * Starts a session on a chardev, which it takes, also on failure, unless mux. -ENOMEM, -ENOSPC.
 */
int session_start(struct monitor *mon, const struct session_face *face, struct chardev *chr, bool mux,
                  struct listener *listener);
/* Writes out what the client takes within timeout_ms. true: nothing is left. */
bool session_drain(struct session *s, unsigned timeout_ms);
/* Ends it without a word. */
void session_drop(struct session *s);
/* Closes the face and frees everything. */
void session_free(struct session *s);

int listener_open(struct monitor *mon, const struct session_face *face, const struct chardev_config *cfg,
                  struct vpmem_error *err);
/* Removes the socket. Its sessions are gone already. */
void listener_close(struct listener *l);

#endif
