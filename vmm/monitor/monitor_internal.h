// SPDX-License-Identifier: Apache-2.0
/*
 * monitor_internal.h - what monitor.c (the whole) and session.c (a client) share.
 */
#ifndef PMVM_MONITOR_INTERNAL_H
#define PMVM_MONITOR_INTERNAL_H

#include "chardev.h"
#include "listener.h"
#include "session.h"

#define SOCKET_CLIENTS_MAX 16u /* of one socket of the monitor */

struct monitor_socket;

struct session {
	struct session *next;
	struct monitor *mon;
	struct monitor_socket *socket; /* NULL: stdio, or the console */
	const struct front_end *front_end;
	void *state;         /* the front end's */
	struct chardev *chr; /* owned, unless mux: then it is the console's */
	bool mux, stdio;
	bool in_callback; /* input or focus of the front end runs, in the main thread */
	bool hanging_up;  /* no more input; over when all was sent, or linger_ms is past */
	bool over;        /* to be freed by the event loop */
	uint64_t linger_ms;
	size_t linger_pending;   /* bytes that were not sent yet when linger_ms was set */
	struct loop_timer again; /* the main thread shall take input, or check whether all was sent */
};

/* A monitor's socket. */
struct monitor_socket {
	struct monitor_socket *next;
	struct monitor *mon;
	const struct front_end *front_end;
	struct listener *listener;
	bool awaited; /* wait=on, and nobody has connected yet */
};

struct monitor {
	struct machine *machine;
	struct loop *loop;
	struct session *sessions;
	struct monitor_socket *sockets;
	struct loop_timer reap;
};

/* Starts a session on a chardev, which it takes, unless mux; on failure as well. -ENOMEM, -ENOSPC. */
int session_start(struct monitor *mon, const struct front_end *front_end, struct chardev *chr, bool mux,
                  struct monitor_socket *socket);
/* Writes out what the client takes within timeout_ms. true: nothing is pending. */
bool session_drain(struct session *s, unsigned timeout_ms);
/* Ends it at once; what is pending is dropped. */
void session_drop(struct session *s);
/* Closes the front end and frees everything. */
void session_free(struct session *s);

#endif
