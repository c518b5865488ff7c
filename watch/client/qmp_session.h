// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_session.h - one conversation with one monitor: connect to its socket, send all commands at once, take the answers.
 *
 * Nothing here waits. The caller polls the descriptor of each session and calls qmp_session_serve until the session has
 * ended, or until the caller's patience has: so a peer that hangs delays no other one.
 *
 * The peer is not trusted. What is not JSON, not QMP, or beyond a limit ends the session with an error.
 *
 * A session is for one sample: the next one connects again, so a machine that was restarted needs no special care.
 */
#ifndef PMVM_QMP_SESSION_H
#define PMVM_QMP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define QMP_COMMANDS_MAX 16u
#define QMP_VALUE_SIZE_MAX (4u << 20) /* bytes of one message */
#define QMP_VALUE_TOKENS_MAX \
	(1u << 17)                /* brackets, ':' and ',' of one: an empty object is 3 bytes of text, 200 of memory */
#define QMP_BYTES_MAX (16u << 20) /* of all messages of a session */
#define QMP_DEPTH_MAX 32

struct json_object;
struct json_tokener;

struct qmp_command {
	const char *name;
	const char *arguments; /* JSON; NULL: none */
};

enum qmp_state {
	QMP_CONNECTS, /* the peer's queue of connections is full: to be served again after a pause */
	QMP_GREETING, /* waits for the greeting */
	QMP_ANSWERS,  /* has sent the commands */
	QMP_DONE,     /* has all answers */
	QMP_FAILED,   /* see error */
};

struct qmp_session {
	enum qmp_state state;
	int fd;         /* -1: none */
	bool writes;    /* not all commands are sent: poll for POLLOUT also */
	pid_t peer_pid; /* the process that listens; 0: unknown */
	const char *path;
	const struct qmp_command *commands;
	unsigned ncommands, nanswered;
	bool answered[QMP_COMMANDS_MAX];
	struct json_object *answers[QMP_COMMANDS_MAX]; /* NULL: an error, or no answer yet */
	char error[128];
	/* of the text that is being sent and received */
	char *out;
	size_t out_len, out_off;
	struct json_tokener *parser;
	size_t value_len, value_tokens, received_len;
};

/* Begins; borrows path and commands (at most QMP_COMMANDS_MAX) until the end. A failure is the state QMP_FAILED. */
void qmp_session_start(struct qmp_session *s, const char *path, const struct qmp_command *commands, unsigned ncommands);

/* Continues as far as possible without waiting, but by one read at most. */
void qmp_session_serve(struct qmp_session *s);

static inline bool qmp_session_is_over(const struct qmp_session *s)
{
	return s->state == QMP_DONE || s->state == QMP_FAILED;
}

/* Ends the session as failed, unless it is over. */
void qmp_session_fail(struct qmp_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Closes the descriptor and frees the rest; the answers that the caller has not taken (set to NULL) also. */
void qmp_session_end(struct qmp_session *s);

#endif
