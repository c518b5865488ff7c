// SPDX-License-Identifier: Apache-2.0
/*
 * child.h - a program that this process starts and ends, such as passt or virtiofsd.
 *
 * It has one socket, as its descriptor CHILD_SOCKET_FD, and nothing on standard input. What it prints comes here by a pipe,
 * line by line. Its end is noticed by the event loop, whatever caused it.
 *
 * All of it runs under the machine lock, and all but child_end in the main thread.
 */
#ifndef PMVM_CHILD_H
#define PMVM_CHILD_H

#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_SOCKET_FD 3
#define CHILD_OUTPUT_SIZE 512u /* a longer line is divided */

struct child {
	char *name;
	pid_t pid;         /* 0: there is none, or it was waited for */
	int pid_fd;        /* readable when it has ended */
	struct loop *loop; /* NULL: it is not watched */
	struct loop_source exited, output;
	char text[CHILD_OUTPUT_SIZE]; /* of its output: a line that is not complete yet */
	size_t text_len;
	const char *consequence;
	void (*ended)(void *owner);
	void *owner;
};

struct child_options {
	const char *name;        /* for messages, "netdev n0: passt"; copied */
	const char *const *argv; /* ends with NULL; a name without a slash is searched for in PATH */
	int socket_fd;           /* borrowed */
	const char *consequence; /* of its end, for the log: "the guest has no link any more"; it lives for ever */
	/* It has ended by itself, which the log says. Main thread, from the event loop. May be NULL. */
	void (*ended)(void *owner);
	void *owner;
};

/* Starts it. *child is all zeros; child_end is legal afterwards in any case. -errno: -ENOENT if there is no such program. */
int child_start(struct child *child, const struct child_options *opts);

/* Reads what it has printed. The bytes; 0: it has closed its output, as at its end; -EAGAIN: there is nothing now. */
ssize_t child_read(struct child *child);
/* The first line, without its end; NULL: none is complete. It stays valid until it is dropped. */
char *child_line(struct child *child);
void child_drop_line(struct child *child);
/* What is complete goes to the log. */
void child_log_lines(struct child *child);

/* From now on its output goes to the log, and its end is reported. -errno: the event loop cannot. */
int child_watch(struct child *child, struct loop *loop);
/*
 * SIGTERM, after 2 s SIGKILL; waits for its end, without `ended`. One that this process may not kill, because it became
 * another user since, has 2 s to end by itself; then it is left, and the log says so. Legal for one that was not started,
 * or has ended.
 */
void child_end(struct child *child);

#endif
