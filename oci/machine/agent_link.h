// SPDX-License-Identifier: Apache-2.0
/*
 * agent_link.h - the keeper's end of the protocol with the agent in the guest (docs/containers-protocol.md).
 *
 * The agent connects to the keeper: first the control connection, then one for each stream. The guest is hostile. What it
 * sends is bounded in size, number and time: a connection that does not say what it is within 10 s is closed, as is one
 * more when LINK_STRANGERS_MAX have not said so yet. An answer that nobody waits for, a second control connection, or what
 * is no frame at all, ends the link.
 *
 * A process of the container can connect as well, as vsock knows no namespaces. So the agent sends a token with its hello,
 * before there is a container, and each further connection has to bring it; one without it is closed, and changes nothing.
 */
#ifndef PMVM_OCI_AGENT_LINK_H
#define PMVM_OCI_AGENT_LINK_H

#include "frame.h"
#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_VERSION 2
#define LINK_STRANGERS_MAX 8u
#define LINK_REQUESTS_MAX 64u /* as many as the agent takes */
#define LINK_TOKEN_MAX 64u    /* bytes */

struct json_object;

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
	uint32_t cid; /* the only one that may connect; 0: not vsock, anybody */
	int listener_fd, control_fd;
	bool is_lost;
	struct loop_source listener, control;
	struct wire_reader reader;
	char token[LINK_TOKEN_MAX + 1]; /* of the agent; "": it has not said hello */
	struct link_stranger strangers[LINK_STRANGERS_MAX];
	struct loop_timer timer; /* the next deadline */
	struct link_request *requests;
	unsigned nrequests;
	uint64_t last_id;
};

/* Takes listener_fd, also on failure. *link is all zeros; link_close is legal afterwards in any case. */
int link_open(struct agent_link *link, int listener_fd, uint32_t cid, struct loop *loop, const struct link_ops *ops,
              void *owner);
void link_close(struct agent_link *link);

/*
 * Sends {"id": N, "do": verb} with the members of `arguments` (taken, NULL: none). `answered` is called once, from the
 * event loop or at once: with the answer, or with an error after timeout_ms.
 */
void link_ask(struct agent_link *link, const char *verb, struct json_object *arguments, unsigned timeout_ms,
              link_answered *answered, void *owner);

#endif
