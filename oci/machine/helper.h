// SPDX-License-Identifier: Apache-2.0
/*
 * helper.h - a program that the keeper starts: pmvm, virtiofsd. It ends with the keeper, whatever ends that.
 *
 * Its standard input is /dev/null. What it prints comes here by a pipe, and the last part of it is kept: it is the reason
 * when the program ends early. (child.h of base is for a process with threads and guest memory, which must not fork.)
 */
#ifndef PMVM_OCI_HELPER_H
#define PMVM_OCI_HELPER_H

#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <vpmem.h>

#define HELPER_TAIL_SIZE 1024u

struct helper {
	const char *name;
	pid_t pid;  /* 0: there is none, or it was waited for */
	int pid_fd; /* readable when it has ended */
	int status; /* of waitpid; valid once pid is 0 */
	struct loop *loop;
	struct loop_source exited, output;
	char tail[HELPER_TAIL_SIZE]; /* of what it printed */
	size_t tail_len;
	void (*ended)(void *owner);
	void *owner;
};

struct helper_options {
	const char *name;        /* for messages; lives as long as the helper */
	const char *const *argv; /* ends with NULL; argv[0] is an absolute path */
	const int *fds;          /* what it inherits, with the same numbers; -1 is left out */
	size_t nfds;
	/* Runs in the new process before the program does. 0, or -errno with *err. May be NULL. */
	int (*prepare)(void *owner, struct vpmem_error *err);
	void *prepare_owner;
	bool outlives_us; /* it is not killed when this process ends; helper_abandon */
	/* It has ended. From the event loop. */
	void (*ended)(void *owner);
	void *owner;
};

/* *helper is all zeros. Waits until the program runs. helper_end is legal afterwards in any case. */
int helper_start(struct helper *helper, const struct helper_options *opts, struct loop *loop, struct vpmem_error *err);

/* The last line that it printed and that is no hint, else what ended it. In size bytes; returns buf. */
const char *helper_last_words(struct helper *helper, char *buf, size_t size);
/* After it: the hint of err is the one that follows these words, if there is any. */
void helper_last_hint(const struct helper *helper, struct vpmem_error *err);

/* Lets one run on that outlives this process: nobody waits for its end any more. */
void helper_abandon(struct helper *helper);

/* Gives it wait_ms to end by itself, then SIGKILL. Waits for its end, without `ended`. */
void helper_end(struct helper *helper, unsigned wait_ms);

#endif
