// SPDX-License-Identifier: Apache-2.0
/*
 * worker_probe.c - sees what the device's worker does.
 */
#include "worker_probe.h"

#include "virtq.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);

void __real_virtq_kicks_on(struct virtq *q);
void __wrap_virtq_kicks_on(struct virtq *q);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *mem, size_t size);
void *__wrap_realloc(void *mem, size_t size);

static atomic_int probed_fd = -1;
static atomic_uint nreads, nallocs;
#define MARK (UINT64_C(1) << 32) /* a kick that is none of the driver's */
static atomic_bool mark_is_read;
static atomic_uint mark_nreads; /* how many reads there were when the one that got it began, with it */
static void (*_Atomic kicks_on_hook)(void *opaque);
static void *kicks_on_opaque;

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	// The worker may be in its first read when the probe is set.
	unsigned number = fd == atomic_load(&probed_fd) ? atomic_fetch_add(&nreads, 1) + 1 : atomic_load(&nreads);
	ssize_t rc = __real_read(fd, buf, len);

	if (fd == atomic_load(&probed_fd) && rc == sizeof(uint64_t) && *(uint64_t *)buf >= MARK) {
		atomic_store(&mark_nreads, number);
		atomic_store(&mark_is_read, true);
	}
	return rc;
}

void __wrap_virtq_kicks_on(struct virtq *q)
{
	void (*hook)(void *) = atomic_exchange(&kicks_on_hook, NULL);

	if (hook)
		hook(kicks_on_opaque);
	__real_virtq_kicks_on(q);
}

void worker_before_kicks_on(void (*hook)(void *opaque), void *opaque)
{
	kicks_on_opaque = opaque;
	atomic_store(&kicks_on_hook, hook);
}

void *__wrap_malloc(size_t size)
{
	atomic_fetch_add(&nallocs, 1);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	atomic_fetch_add(&nallocs, 1);
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *mem, size_t size)
{
	atomic_fetch_add(&nallocs, 1);
	return __real_realloc(mem, size);
}

unsigned worker_nallocs(void)
{
	return atomic_load(&nallocs);
}

void worker_probe(struct vpmem_device *dev)
{
	atomic_store(&probed_fd, vpmem_queue_kick_efd(dev, 0));
}

unsigned worker_nreads(void)
{
	return atomic_load(&nreads);
}

/*
 * What is written to an eventfd is added, so the read that returns the mark returns all earlier kicks as well. Once the
 * next read has begun, the worker has handled everything, and waits.
 */
bool worker_settle(struct vpmem_device *dev)
{
	static const uint64_t mark = MARK;

	atomic_store(&mark_is_read, false);
	if (write(vpmem_queue_kick_efd(dev, 0), &mark, sizeof(mark)) != sizeof(mark))
		return false;
	for (unsigned i = 0; i < WAIT_MS * 5; i++) {
		if (atomic_load(&mark_is_read) && worker_nreads() != atomic_load(&mark_nreads))
			return true;
		nanosleep(&(struct timespec) { .tv_nsec = 200000 }, NULL);
	}
	return false;
}
