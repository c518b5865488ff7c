// SPDX-License-Identifier: Apache-2.0
/*
 * fair_lock.h - the lock of a device that has a worker thread, which hands it over.
 *
 * The worker releases the lock only to take it again, within nanoseconds. A plain mutex would let it win every time: a
 * guest that keeps the ring filled would keep all others out, among them a vCPU that holds the machine lock. So the other
 * threads count themselves before they wait and when they release the lock. Whenever the worker has taken the lock, it
 * first waits until the lock was released as often as it had been asked for by then. So between two holds of the worker
 * at least one waiting thread has it; which one is not decided here, because a mutex keeps no order. None of this is a
 * system call unless a thread really waits.
 */
#ifndef VIRTIO_FAIR_LOCK_H
#define VIRTIO_FAIR_LOCK_H

#include <pthread.h>
#include <stdbool.h>

struct fair_lock {
	pthread_mutex_t mutex; /* guards what follows, and whatever the device says */
	pthread_cond_t served;
	_Atomic unsigned nasked; /* times that somebody else began to ask for the lock */
	unsigned nserved;        /* times that somebody else had it */
	bool hands_over;         /* the worker waits for nserved */
};

void fair_lock_init(struct fair_lock *lock);
void fair_lock_destroy(struct fair_lock *lock);

/* Any thread but the worker. */
void fair_lock_take(struct fair_lock *lock);
void fair_lock_release(struct fair_lock *lock);

/* The worker, of which there is one. */
void fair_lock_worker_take(struct fair_lock *lock);
void fair_lock_worker_release(struct fair_lock *lock);

#endif
