// SPDX-License-Identifier: Apache-2.0
/*
 * worker_probe.c - sees when the device's worker waits.
 */
#include "worker_probe.h"

#include <time.h>
#include <unistd.h>

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);

static atomic_int probed_fd = -1;
static atomic_uint nreads;

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	if (fd == atomic_load(&probed_fd))
		atomic_fetch_add(&nreads, 1);
	return __real_read(fd, buf, len);
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
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
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
