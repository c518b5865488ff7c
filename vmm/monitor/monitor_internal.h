// SPDX-License-Identifier: Apache-2.0
/*
 * monitor_internal.h - what monitor.c (the whole) and session.c (a client) share.
 */
#ifndef PMVM_MONITOR_INTERNAL_H
#define PMVM_MONITOR_INTERNAL_H

#include "chardev.h"
#include "session.h"

struct monitor_chardev;

struct session {
	struct session *next;
	struct monitor *mon;
	struct monitor_chardev *source; /* the client is one of its peers; NULL: it is the chardev itself */
	const struct front_end *front_end;
	void *state;         /* the front end's */
	struct chardev *chr; /* owned if there is a source */
	bool mux;
	bool in_callback; /* input or focus of the front end runs, in the main thread */
	bool hanging_up;  /* no more input; over when all was sent, or linger_ms is past */
	bool over;        /* to be freed by the event loop */
	uint64_t linger_ms;
	size_t linger_pending;   /* bytes that were not sent yet when linger_ms was set */
	struct loop_timer again; /* the main thread shall take input, or check whether all was sent */
};

/* A chardev that the monitor uses. */
struct monitor_chardev {
	struct monitor_chardev *next;
	struct monitor *mon;
	const struct front_end *front_end;
	struct chardev *chr;
};

struct monitor {
	struct machine *machine;
	struct loop *loop;
	struct session *sessions;
	struct monitor_chardev *sources;
	struct loop_timer reap;
};

/* Starts a session on a chardev, which it takes if there is a source; on failure as well. -ENOMEM, -ENOSPC. */
int session_start(struct monitor *mon, const struct front_end *front_end, struct chardev *chr,
                  struct monitor_chardev *source);
/* Writes out what the client takes within timeout_ms. true: nothing is pending. */
bool session_drain(struct session *s, unsigned timeout_ms);
/* Ends it at once; what is pending is dropped. */
void session_drop(struct session *s);
/* Closes the front end and frees everything. */
void session_free(struct session *s);

#endif
