// SPDX-License-Identifier: Apache-2.0
/*
 * fake_backing.c - a memory backend without a file, whose syncs can fail or be held.
 */
#include "fake_backing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define HELD_S 100

struct vpmem_backing {
	uint64_t size;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned nsyncs; /* begun */
	unsigned fail_from, hold_from, released;
	int error;
	bool timed_out;
};

struct vpmem_backing *fake_backing_create(uint64_t size)
{
	struct vpmem_backing *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->size = size;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	return b;
}

void fake_backing_destroy(struct vpmem_backing *b)
{
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void set(struct vpmem_backing *b, unsigned *what, unsigned val)
{
	pthread_mutex_lock(&b->lock);
	*what = val;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

void fake_backing_fail(struct vpmem_backing *b, unsigned nth, int error)
{
	pthread_mutex_lock(&b->lock);
	b->fail_from = nth;
	b->error = error;
	pthread_mutex_unlock(&b->lock);
}

void fake_backing_hold(struct vpmem_backing *b, unsigned nth)
{
	set(b, &b->hold_from, nth);
}

void fake_backing_release(struct vpmem_backing *b, unsigned nth)
{
	set(b, &b->released, nth);
}

/* Waits for a change, not later than end. False when it is over. Under the lock. */
static bool wait_change(struct vpmem_backing *b, const struct timespec *end)
{
	return pthread_cond_timedwait(&b->changed, &b->lock, end) != ETIMEDOUT;
}

static struct timespec deadline(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += HELD_S;
	return end;
}

bool fake_backing_wait_held(struct vpmem_backing *b, unsigned nth)
{
	struct timespec end = deadline();
	bool held;

	pthread_mutex_lock(&b->lock);
	while (b->nsyncs < nth && wait_change(b, &end))
		;
	held = b->nsyncs == nth && b->hold_from && nth >= b->hold_from && b->released < nth;
	pthread_mutex_unlock(&b->lock);
	return held;
}

unsigned fake_backing_nsyncs(struct vpmem_backing *b)
{
	unsigned nsyncs;

	pthread_mutex_lock(&b->lock);
	nsyncs = b->nsyncs;
	pthread_mutex_unlock(&b->lock);
	return nsyncs;
}

bool fake_backing_timed_out(struct vpmem_backing *b)
{
	bool timed_out;

	pthread_mutex_lock(&b->lock);
	timed_out = b->timed_out;
	pthread_mutex_unlock(&b->lock);
	return timed_out;
}

int vpmem_backing_sync(struct vpmem_backing *b)
{
	struct timespec end = deadline();
	unsigned nth;
	int rc;

	pthread_mutex_lock(&b->lock);
	nth = ++b->nsyncs;
	pthread_cond_broadcast(&b->changed);
	while (b->hold_from && nth >= b->hold_from && b->released < nth) {
		if (!wait_change(b, &end)) {
			b->timed_out = true;
			break;
		}
	}
	rc = b->error && nth >= b->fail_from ? b->error : 0;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *b)
{
	return b->size;
}

const char *vpmem_backing_id(const struct vpmem_backing *b)
{
	(void)b;
	return "mem1";
}

const char *vpmem_backing_path(const struct vpmem_backing *b)
{
	(void)b;
	return "fake.img";
}
