// SPDX-License-Identifier: Apache-2.0
// A thread that samples machines again and again.
#include "top_sampler.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static void wait_for_next(struct top_sampler *s)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += s->interval_ms / 1000;
	end.tv_nsec += s->interval_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	while (!s->ends && !s->hurries && pthread_cond_timedwait(&s->awaken, &s->lock, &end) != ETIMEDOUT)
		;
	s->hurries = false;
}

static void *run(void *owner)
{
	struct top_sampler *s = owner;

	pthread_mutex_lock(&s->lock);
	while (!s->ends) {
		struct top_view *view;

		pthread_mutex_unlock(&s->lock);
		machines_sample(s->machines);
		view = top_view_create(s->machines);
		pthread_mutex_lock(&s->lock);
		if (view) {
			top_view_free(s->newest);
			s->newest = view;
		}
		wait_for_next(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int top_sampler_start(struct top_sampler *s, struct machines *machines, unsigned interval_ms)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	int rc;

	*s = (struct top_sampler) { .machines = machines, .interval_ms = interval_ms };
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->awaken, &attr);
	pthread_condattr_destroy(&attr);
	// Signals are for the main thread: that a terminal has another size ends its wait for a key.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return 0;
	pthread_cond_destroy(&s->awaken);
	pthread_mutex_destroy(&s->lock);
	return -rc;
}

struct top_view *top_sampler_take(struct top_sampler *s)
{
	struct top_view *view;

	pthread_mutex_lock(&s->lock);
	view = s->newest;
	s->newest = NULL;
	pthread_mutex_unlock(&s->lock);
	return view;
}

static void awaken(struct top_sampler *s, bool *flag)
{
	pthread_mutex_lock(&s->lock);
	*flag = true;
	pthread_cond_signal(&s->awaken);
	pthread_mutex_unlock(&s->lock);
}

void top_sampler_hurry(struct top_sampler *s)
{
	awaken(s, &s->hurries);
}

void top_sampler_stop(struct top_sampler *s)
{
	awaken(s, &s->ends);
	pthread_join(s->thread, NULL);
	top_view_free(s->newest);
	pthread_cond_destroy(&s->awaken);
	pthread_mutex_destroy(&s->lock);
}
