// SPDX-License-Identifier: Apache-2.0
/*
 * top_sampler.h - a thread that samples machines again and again, and hands over the newest view.
 */
#ifndef PMVM_TOP_SAMPLER_H
#define PMVM_TOP_SAMPLER_H

#include "top_view.h"

#include <pthread.h>

struct top_sampler {
	struct machines *machines; /* the thread's */
	unsigned interval_ms;
	pthread_t thread;
	pthread_mutex_t lock;  /* guards what follows */
	pthread_cond_t awaken; /* with the lock: `ends` or `hurries` has become true */
	bool ends, hurries;
	struct top_view *newest; /* NULL: it was taken */
};

/* 0 or -errno. Borrows machines until the end. */
int top_sampler_start(struct top_sampler *s, struct machines *machines, unsigned interval_ms);
/* The newest view since the last call, which the caller owns; NULL: there is no new one. */
struct top_view *top_sampler_take(struct top_sampler *s);
/* The next sample begins now. */
void top_sampler_hurry(struct top_sampler *s);
/* Waits for a sample that is under way: machines.timeout_ms at most. */
void top_sampler_stop(struct top_sampler *s);

#endif
