// SPDX-License-Identifier: Apache-2.0
/*
 * agent_link_internal.h - what the two parts of the link share: agent_link.c has the control connection and the
 * requests, agent_stranger.c the connections that have not said what they are.
 */
#ifndef PMVM_OCI_AGENT_LINK_INTERNAL_H
#define PMVM_OCI_AGENT_LINK_INTERNAL_H

#include "agent_link.h"

/* agent_link.c: the link is of no more use. The owner hears of it once. */
__attribute__((format(printf, 2, 3))) void link_lose(struct agent_link *link, const char *fmt, ...);
/* The timer, for the next deadline. */
void link_arm(struct agent_link *link);
/* Takes the descriptor as the control connection. */
void link_use_control(struct agent_link *link, int fd);
/* Serves one message of the control connection. False: there is none, or the link is lost. */
bool link_read_control(struct agent_link *link);

/* A member of a message; NULL, false: it is missing or of another type. */
const char *link_string(struct json_object *object, const char *name);
bool link_number(struct json_object *object, const char *name, int64_t *number);

/* agent_stranger.c */
int strangers_open(struct agent_link *link, int listener_fd);
void strangers_close(struct agent_link *link);
/* The agent connects from this port next. */
void strangers_expect(struct agent_link *link, uint32_t port);
/* The earliest, in monotonic_ms; 0: there is no stranger. */
uint64_t strangers_deadline(const struct agent_link *link);
void strangers_expire(struct agent_link *link, uint64_t now_ms);

#endif
