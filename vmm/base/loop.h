// SPDX-License-Identifier: Apache-2.0
/*
 * loop.h - the event loop of the main thread: descriptors and one-shot timers, by poll(2).
 *
 * The flush path never comes here; the loop serves consoles, monitors, signals and requests of the vCPUs: a
 * dozen descriptors, some hundred when every monitor has all its clients. poll (unlike epoll) also takes
 * regular files.
 *
 * The loop holds the machine lock except while it sleeps. All functions but loop_wake are called with that lock
 * held, from any thread. A loop that sleeps is woken to see what they change; one that does not sees it anyway.
 */
#ifndef PMVM_LOOP_H
#define PMVM_LOOP_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOURCES_MAX 512u /* 8 monitors with 16 clients need two sources, and three timers, each */

struct loop_source {
	int fd;       /* borrowed; -1: not polled */
	short events; /* POLLIN, POLLOUT; 0: the source rests */
	void (*ready)(void *owner, short revents);
	void *owner;
};

struct loop_timer {
	uint64_t deadline_ms; /* of monotonic_ms; 0: not armed */
	void (*expired)(void *owner);
	void *owner;
};

struct loop {
	pthread_mutex_t *lock; /* the machine lock; borrowed */
	int wake_efd;
	bool sleeps;                /* in poll(2), with the lock released */
	unsigned nsources, ntimers; /* at most LOOP_SOURCES_MAX of each */
	unsigned nplaces;           /* of the sources; what was removed since the last sleep left a NULL */
	struct loop_source **sources;
	struct loop_timer **timers;
};

int loop_init(struct loop *loop, pthread_mutex_t *lock);
void loop_fini(struct loop *loop);

/* Borrows the source until loop_del. -ENOSPC: too many. -ENOMEM. */
int loop_add(struct loop *loop, struct loop_source *source);
void loop_del(struct loop *loop, struct loop_source *source);
void loop_set_events(struct loop *loop, struct loop_source *source, short events);

/* Borrows the timer until loop_del_timer. Errors as above. */
int loop_add_timer(struct loop *loop, struct loop_timer *timer);
void loop_del_timer(struct loop *loop, struct loop_timer *timer);
/* Expires once, in delay_ms from now; arming an armed timer moves it. */
void loop_arm(struct loop *loop, struct loop_timer *timer, unsigned delay_ms);

/* Ends a sleep of the loop, the next one if it is awake now. Any thread, with or without the lock. */
void loop_wake(struct loop *loop);

/* Sleeps until something happens and serves it. Returns 0 or -errno of poll. Lock held on entry and return. */
int loop_once(struct loop *loop);

#endif
