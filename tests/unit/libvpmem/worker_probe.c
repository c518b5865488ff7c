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
static void (*_Atomic kicks_on_hook)(void *opaque);
static void *kicks_on_opaque;

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	if (fd == atomic_load(&probed_fd))
		atomic_fetch_add(&nreads, 1);
	return __real_read(fd, buf, len);
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

static bool wait_reads(unsigned n)
{
	for (unsigned i = 0; i < WAIT_MS * 5; i++) {
		if (worker_nreads() - n < 1u << 31)
			return true;
		nanosleep(&(struct timespec) { .tv_nsec = 200000 }, NULL);
	}
	return false;
}

bool worker_settle(struct vpmem_device *dev)
{
	/*
	 * After a first kick the worker begins to wait at least once more; but it may do so with an older
	 * kick still to be seen, if it was busy just now. After the second it has seen all of them.
	 */
	for (int i = 0; i < 2; i++) {
		unsigned before = worker_nreads();

		vpmem_queue_kick(dev, 0);
		if (!wait_reads(before + 1))
			return false;
	}
	return true;
}
