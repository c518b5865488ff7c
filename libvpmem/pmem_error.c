// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_error.c - the sticky error of a pmem device: a sync that failed makes every later flush fail, until an operator
 * clears the error (docs/flush-path.md).
 */
#include "pmem.h"

#include <errno.h>
#include <time.h>

int vpmem_device_error(const struct vpmem_device *dev)
{
	return atomic_load(&dev->error);
}

int vpmem_device_clear_error(struct vpmem_device *dev, uint64_t nsync_errors)
{
	bool is_known;

	/* A failure that is counted and not yet kept waits for this lock, and is kept behind us. */
	fair_lock_take(&dev->lock);
	is_known = vpmem_device_stats(dev).sync_errors == nsync_errors;
	if (is_known)
		atomic_store(&dev->error, 0);
	fair_lock_release(&dev->lock);
	return is_known ? 0 : -EAGAIN;
}

void vpmem_device_set_error(struct vpmem_device *dev, int rc)
{
	/* The time first: a reader that sees the error also sees its time. */
	atomic_store(&dev->error_time, time(NULL));
	atomic_store(&dev->error, rc);
}

void vpmem_device_release(struct vpmem_device *dev)
{
	fair_lock_take(&dev->lock);
	dev->held = false;
	pthread_cond_broadcast(&dev->released);
	fair_lock_release(&dev->lock);
}
