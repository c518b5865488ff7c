// SPDX-License-Identifier: Apache-2.0
// The lock of a device that has a worker thread.
#include "fair_lock.h"

#include <stdatomic.h>

void fair_lock_init(struct fair_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_cond_init(&lock->served, NULL);
	lock->nasked = lock->nserved = 0;
	lock->hands_over = false;
}

void fair_lock_destroy(struct fair_lock *lock)
{
	pthread_cond_destroy(&lock->served);
	pthread_mutex_destroy(&lock->mutex);
}

void fair_lock_take(struct fair_lock *lock)
{
	atomic_fetch_add(&lock->nasked, 1);
	pthread_mutex_lock(&lock->mutex);
}

void fair_lock_release(struct fair_lock *lock)
{
	lock->nserved++;
	if (lock->hands_over)
		pthread_cond_signal(&lock->served);
	pthread_mutex_unlock(&lock->mutex);
}

void fair_lock_hand_over(struct fair_lock *lock)
{
	unsigned asked = atomic_load(&lock->nasked);

	lock->hands_over = true;
	while ((int)(asked - lock->nserved) > 0)
		pthread_cond_wait(&lock->served, &lock->mutex);
	lock->hands_over = false;
}

void fair_lock_worker_take(struct fair_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
	fair_lock_hand_over(lock);
}

void fair_lock_worker_release(struct fair_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}
