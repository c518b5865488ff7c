// SPDX-License-Identifier: Apache-2.0
// The event loop of the main thread.
#include "loop.h"

#include "array.h"
#include "monotonic.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int loop_init(struct loop *loop, pthread_mutex_t *lock)
{
	*loop = (struct loop) { .lock = lock, .wake_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return loop->wake_efd < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	if (loop->wake_efd >= 0)
		close(loop->wake_efd);
	loop->wake_efd = -1;
	free(loop->sources);
	free(loop->timers);
	loop->sources = NULL;
	loop->timers = NULL;
	loop->nsources = loop->nplaces = loop->ntimers = 0;
}

void loop_wake(struct loop *loop)
{
	// A full counter means that a wake-up is pending already.
	if (eventfd_write(loop->wake_efd, 1) < 0)
		assert(errno == EAGAIN);
}

// Under the lock, so the loop either sleeps already or serves everything before it does.
static void changed(struct loop *loop)
{
	if (loop->sleeps)
		loop_wake(loop);
}

int loop_add(struct loop *loop, struct loop_source *source)
{
	if (loop->nsources == LOOP_SOURCES_MAX)
		return -ENOSPC;
	if (array_room(&loop->sources, loop->nplaces, sizeof(loop->sources[0])) < 0)
		return -ENOMEM;
	loop->sources[loop->nplaces++] = source;
	loop->nsources++;
	changed(loop);
	return 0;
}

void loop_del(struct loop *loop, struct loop_source *source)
{
	for (unsigned i = 0; i < loop->nplaces; i++) {
		if (loop->sources[i] == source) {
			loop->sources[i] = NULL;
			loop->nsources--;
			return;
		}
	}
}

void loop_set_events(struct loop *loop, struct loop_source *source, short events)
{
	if (source->events == events)
		return;
	source->events = events;
	changed(loop);
}

int loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
	if (loop->ntimers == LOOP_SOURCES_MAX)
		return -ENOSPC;
	if (array_room(&loop->timers, loop->ntimers, sizeof(loop->timers[0])) < 0)
		return -ENOMEM;
	loop->timers[loop->ntimers++] = timer;
	return 0;
}

void loop_del_timer(struct loop *loop, struct loop_timer *timer)
{
	for (unsigned i = 0; i < loop->ntimers; i++) {
		if (loop->timers[i] == timer) {
			loop->timers[i] = loop->timers[--loop->ntimers];
			return;
		}
	}
}

void loop_arm(struct loop *loop, struct loop_timer *timer, unsigned delay_ms)
{
	timer->deadline_ms = monotonic_ms() + delay_ms;
	changed(loop);
}

static int next_timeout_ms(const struct loop *loop)
{
	uint64_t now = monotonic_ms(), wait = INT_MAX;
	bool any = false;

	for (unsigned i = 0; i < loop->ntimers; i++) {
		uint64_t deadline = loop->timers[i]->deadline_ms;
		uint64_t left = deadline > now ? deadline - now : 0;

		if (deadline != 0 && left < wait) {
			wait = left;
			any = true;
		}
	}
	return any ? (int)wait : -1;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = monotonic_ms();

	for (unsigned i = 0; i < loop->ntimers; i++) {
		struct loop_timer *timer = loop->timers[i];

		if (timer->deadline_ms != 0 && timer->deadline_ms <= now) {
			timer->deadline_ms = 0;
			timer->expired(timer->owner);
		}
	}
}

static void close_gaps(struct loop *loop)
{
	unsigned n = 0;

	for (unsigned i = 0; i < loop->nplaces; i++)
		if (loop->sources[i])
			loop->sources[n++] = loop->sources[i];
	loop->nplaces = n;
}

int loop_once(struct loop *loop)
{
	struct pollfd fds[LOOP_SOURCES_MAX + 1];
	uint16_t places[LOOP_SOURCES_MAX];
	nfds_t nfds = 0;
	eventfd_t count;
	int timeout_ms, nready, saved_errno;

	close_gaps(loop);
	for (unsigned i = 0; i < loop->nplaces; i++) {
		const struct loop_source *source = loop->sources[i];

		if (source->fd < 0 || source->events == 0)
			continue;
		places[nfds] = (uint16_t)i;
		fds[nfds++] = (struct pollfd) { .fd = source->fd, .events = source->events };
	}
	fds[nfds] = (struct pollfd) { .fd = loop->wake_efd, .events = POLLIN };
	timeout_ms = next_timeout_ms(loop);

	loop->sleeps = true;
	pthread_mutex_unlock(loop->lock);
	nready = poll(fds, nfds + 1, timeout_ms);
	saved_errno = errno;
	pthread_mutex_lock(loop->lock);
	loop->sleeps = false;

	if (nready < 0)
		return saved_errno == EINTR ? 0 : -saved_errno;
	if (fds[nfds].revents)
		(void)eventfd_read(loop->wake_efd, &count);
	for (nfds_t i = 0; i < nfds; i++) {
		struct loop_source *source = loop->sources[places[i]];
		short revents = fds[i].revents;

		// A callback may remove sources, also its neighbours, or let them wait for something else.
		if (!source || source->fd != fds[i].fd || source->events == 0)
			continue;
		revents &= (short)(source->events | POLLERR | POLLHUP | POLLNVAL);
		if (revents)
			source->ready(source->owner, revents);
	}
	run_timers(loop);
	return 0;
}
