// SPDX-License-Identifier: Apache-2.0
/*
 * control_socket.h - the keeper's socket for the verbs (control.h): who connects, what they ask.
 *
 * The socket is in the state directory, which only root may enter, so its clients are trusted: bounds are there against
 * mistakes.
 */
#ifndef PMVM_OCI_CONTROL_SOCKET_H
#define PMVM_OCI_CONTROL_SOCKET_H

#include "control.h"
#include "frame.h"
#include "loop.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTROL_CLIENTS_MAX 128u

struct json_object;
struct control_socket;

struct control_client {
	struct control_socket *control;
	int fd; /* -1: the place is free */
	struct wire_reader reader;
	struct loop_source source;
	bool is_busy;      /* a request is under way: the next one waits */
	uint64_t serial;   /* of this connection: an answer for the one before in this place is dropped */
	uint64_t exec_idx; /* of the process that it has started; 0: none */
};

struct control_ops {
	/* A request, borrowed. The owner answers it by control_answer or control_refuse, now or later. */
	void (*request)(void *owner, struct control_client *client, struct json_object *request);
	/* It has closed its connection. */
	void (*gone)(void *owner, struct control_client *client);
};

struct control_socket {
	struct loop *loop; /* NULL: not open */
	const struct control_ops *ops;
	void *owner;
	int fd;
	struct loop_source listener;
	uint64_t last_serial;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

/* *control is all zeros; control_close is legal afterwards in any case. */
int control_open(struct control_socket *control, const char *state_dir, struct loop *loop,
                 const struct control_ops *ops, void *owner, struct vpmem_error *err);
void control_close(struct control_socket *control);

/* Who waits for an answer; the client may have gone meanwhile. */
struct control_ticket {
	struct control_client *client;
	uint64_t serial;
};
struct control_ticket control_ticket(struct control_client *client);
/* NULL: it has gone. */
struct control_client *control_client_of(struct control_ticket ticket);

/* {"ok": ok}; takes ok, NULL: an empty object. */
void control_answer(struct control_ticket ticket, struct json_object *ok);
void control_refuse(struct control_ticket ticket, const char *error);
/* A message that is no answer, which is taken, with a descriptor, borrowed, or -1. 0 or -errno. */
int control_tell(struct control_client *client, struct json_object *message, int fd);

#endif
