// SPDX-License-Identifier: Apache-2.0
/*
 * pmem_lock.c - the device's lock, and how the worker hands it over.
 *
 * The worker releases the lock only to take it again, within nanoseconds when it has no sync to do. A plain mutex
 * would let it win every time: a guest that keeps the ring filled would keep all others out. So the other threads count
 * themselves before they wait (nasked) and when they release the lock (nserved). Whenever the worker has taken the lock,
 * it first waits until the lock was released as often as it had been asked for by then. While a thread waits, nserved
 * is less than nasked: so between two holds of the worker at least one other thread has the lock. Which one is not
 * decided here, a mutex keeps no order: a later one may be first, and each time another hold of the worker may follow.
 * None of this is a system call unless a thread really waits.
 */
#include "pmem.h"

void pmem_lock(struct vpmem_device *dev)
{
	atomic_fetch_add(&dev->nasked, 1);
	pthread_mutex_lock(&dev->lock);
}

void pmem_unlock(struct vpmem_device *dev)
{
	dev->nserved++;
	if (dev->hands_over)
		pthread_cond_signal(&dev->served);
	pthread_mutex_unlock(&dev->lock);
}

void pmem_hand_over(struct vpmem_device *dev)
{
	unsigned asked = atomic_load(&dev->nasked);

	dev->hands_over = true;
	while ((int)(asked - dev->nserved) > 0)
		pthread_cond_wait(&dev->served, &dev->lock);
	dev->hands_over = false;
}

void pmem_worker_lock(struct vpmem_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	pmem_hand_over(dev);
}

void pmem_worker_unlock(struct vpmem_device *dev)
{
	pthread_mutex_unlock(&dev->lock);
}
