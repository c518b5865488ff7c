// SPDX-License-Identifier: Apache-2.0
/*
 * agent_link.h - the keeper's end of the protocol with the agent in the guest (docs/containers-protocol.md).
 *
 * The agent connects to the keeper: first the control connection, then one for each stream. The guest is hostile. What it
 * sends is bounded in size, number and time: a connection that does not say what it is within 10 s is closed, as is one
 * more when LINK_STRANGERS_MAX have not said so yet. An answer that nobody waits for, a second control connection, or what
 * is no frame at all, ends the link.
 *
 * A process of the container can connect as well, as vsock knows no namespaces. So the agent says by the control
 * connection from which port it connects next, a port that it has and no other process can have. A connection from
 * another port is closed at once, so it takes nobody's place. Each also has to bring the token that the agent has sent
 * with its hello, before there was a container: by then the agent may have given the port up.
 */
#ifndef PMVM_OCI_AGENT_LINK_H
#define PMVM_OCI_AGENT_LINK_H

#include "frame.h"
#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_STRANGERS_MAX 8u
#define LINK_EXPECTED_MAX 32u /* ports */
#define LINK_REQUESTS_MAX 64u /* as many as the agent takes */
#define LINK_TOKEN_MAX 64u    /* bytes */

struct json_object;
struct transport;

struct link_ops {
	/* The control connection is there. */
	void (*hello)(void *owner);
	/* A stream of a process, which the owner takes: 0, or -errno and it is closed. */
	int (*stream)(void *owner, const char *process, const char *which, int fd);
	void (*exited)(void *owner, const char *process, int status);
	/* The link is of no more use. Requests under way were answered with an error before. */
	void (*lost)(void *owner, const char *why);
};

/* ok: what the agent answered, borrowed. NULL: it failed, or did not answer, and error says why. */
typedef void link_answered(void *owner, struct json_object *ok, const char *error);

struct link_stranger {
	struct agent_link *link;
	int fd; /* -1: the place is free */
	struct wire_reader reader;
	struct loop_source source;
	uint64_t deadline_ms;
};

struct link_request {
	uint64_t id;
	uint64_t deadline_ms;
	char verb[16];
	link_answered *answered;
	void *owner;
	struct link_request *next;
};

struct agent_link {
	struct loop *loop; /* NULL: not open */
	const struct link_ops *ops;
	void *owner;
	const struct transport *transport;
	int control_fd;
	bool is_lost;
	struct loop_source listener, control;
	struct wire_reader reader;
	char token[LINK_TOKEN_MAX + 1];       /* of the agent; "": it has not said hello */
	uint32_t expected[LINK_EXPECTED_MAX]; /* ports from which the agent connects, the oldest first */
	unsigned nexpected;
	struct link_stranger strangers[LINK_STRANGERS_MAX];
	struct loop_timer timer; /* the next deadline */
	struct link_request *requests;
	unsigned nrequests;
	uint64_t last_id;
};

/*
 * Borrows the transport, which lives as long as the link, and takes its listener_fd, also on failure. *link is all
 * zeros; link_close is legal afterwards in any case.
 */
int link_open(struct agent_link *link, const struct transport *transport, struct loop *loop, const struct link_ops *ops,
              void *owner);
void link_close(struct agent_link *link);

/*
 * Sends {"id": N, "do": verb} with the members of `arguments` (taken, NULL: none). `answered` is called once, from the
 * event loop or at once: with the answer, or with an error after timeout_ms.
 */
void link_ask(struct agent_link *link, const char *verb, struct json_object *arguments, unsigned timeout_ms,
              link_answered *answered, void *owner);

#endif
