// SPDX-License-Identifier: Apache-2.0
/*
 * thread.h - how pmvm's threads begin.
 *
 * Each has a kind, which says what it may do, and a name for lists of threads. Signals are the main thread's: all others
 * block them, but for those that a thread brings upon itself, and the one of its options. The worker of a pmem device is made by libvpmem
 * (virtio_pmem.c).
 */
#ifndef PMVM_THREAD_H
#define PMVM_THREAD_H

#include "printf_like.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/types.h>

enum thread_kind {
	THREAD_MAIN,
	THREAD_VCPU,
	THREAD_FLUSH,  /* of a pmem device */
	THREAD_REAPER, /* of an ejected device */
	THREAD_WORKER, /* of any other device */
	THREAD_BROKER, /* the only one of the broker process */
};
#define THREAD_KINDS 6u

#define THREAD_NAME_SIZE 16u /* what the kernel keeps of a name, with its end */

/* What confines a thread to what its kind needs, called in it before its first work. Returns 0 or -errno. */
typedef int thread_confine(enum thread_kind kind);
/* NULL, as at the start: threads are not confined. To be called before there are threads. */
void thread_set_confine(thread_confine *confine);
thread_confine *thread_get_confine(void);

struct thread_options {
	enum thread_kind kind;
	bool detached; /* nobody joins it */
	int signo;     /* what thread_signal sends, and the thread does not block; 0: none */
	void (*run)(void *opaque);
	void *opaque;
};

/* The starter provides it. The thread uses it before it runs its own function, and not after that. */
struct thread {
	pthread_t id;      /* to join it */
	_Atomic pid_t tid; /* the kernel's number of it; 0: it has not begun */
	struct thread_options opts;
	char name[THREAD_NAME_SIZE];
	sem_t begun; /* `rc` is known: 0 if it is confined */
	int rc;
};

/*
 * Starts a thread with a small stack. `name` is printf's; what is longer than the kernel keeps is left out. Waits until
 * the thread is confined; one that cannot be ends without having run, and that is the error. Returns 0 or -errno.
 */
PRINTF_LIKE(3, 4) int thread_start(struct thread *t, const struct thread_options *opts, const char *name, ...);

/*
 * Sends it a signal, unless it has not begun: what it is to see in that case has to be written before, and is then read
 * after its number was. It has not ended. Its number is that of the moment, where pthread_kill would ask the kernel for
 * this process as well.
 */
void thread_signal(const struct thread *t, int signo);

/* This process; known since thread_set_confine, if threads are confined. */
pid_t thread_process_id(void);

#endif
