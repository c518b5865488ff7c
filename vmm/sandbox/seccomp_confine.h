// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp_confine.h - limits a thread to the system calls that its kind needs (seccomp_list.h).
 *
 * The main thread is confined while it is the only one: every later thread inherits that, and is confined further by the
 * program of its own kind (thread.h). The broker process is forked before, and has the program of its kind alone. A
 * forbidden call ends the process by SIGSYS, after a message that names the thread and the call. Nothing that was
 * acknowledged is lost by that: a flush is answered after its fdatasync.
 *
 * abort of the C library, which a failed assertion or a damaged heap or stack calls, sends a signal, which no kind may.
 * So its first forbidden call is reported as that, and ends the process by SIGABRT: by a pipe whose owner the kernel
 * signals when something is written into it (F_SETSIG). With SECCOMP_LOG it ends by SIGSEGV, the last means of glibc.
 */
#ifndef PMVM_SECCOMP_CONFINE_H
#define PMVM_SECCOMP_CONFINE_H

#include "thread.h"

enum seccomp_mode {
	SECCOMP_OFF,  /* before seccomp_set_up: no thread is confined */
	SECCOMP_KILL, /* a forbidden call ends the process */
	SECCOMP_LOG,  /* it is made, and the kernel's log names it */
};

struct seccomp_info {
	const char *name; /* of the kind: "vcpu" */
	unsigned ncalls;  /* that this kind may make, with some arguments */
};

/* NULL: there are programs for this build. Otherwise why there are none: a sanitizer, another processor. */
const char *seccomp_missing(void);

/*
 * Handles SIGSYS, and has every later thread confine itself (thread_set_confine). This process is not forked any more, and
 * has one thread, which does not block SIGABRT, and which seccomp_confine(THREAD_MAIN) then confines. `before_end` is
 * called after the message, in the thread that made the call and with its limits: to restore a terminal. It may be NULL.
 * -ENOSYS: seccomp_missing. Otherwise 0 or -errno. Once.
 */
int seccomp_set_up(enum seccomp_mode mode, void (*before_end)(void));

/*
 * Confines the calling thread, for good. For main and the broker needs no_new_privs. A thread_confine (thread.h). 0 or
 * -errno; -EINVAL: the kernel has no seccomp, or is older than 4.14.
 */
int seccomp_confine(enum thread_kind kind);

/* For query-sandbox. */
enum seccomp_mode seccomp_get_mode(void);
const struct seccomp_info *seccomp_get_info(enum thread_kind kind);

#endif
