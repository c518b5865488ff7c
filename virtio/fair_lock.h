// SPDX-License-Identifier: Apache-2.0
/*
 * fair_lock.h - the lock of a device that has a worker thread, which hands it over.
 *
 * The worker releases the lock only to take it again, within nanoseconds when it has nothing slow to do in between. A
 * plain mutex would let it win every time: a guest that keeps the ring filled would keep all others out, among them a
 * vCPU that holds the machine lock. So the other threads count themselves before they wait (nasked) and when they release
 * the lock (nserved). Whenever the worker has taken the lock, it first waits until the lock was released as often as it
 * had been asked for by then. While a thread waits, nserved is less than nasked: so between two holds of the worker at
 * least one other thread has the lock. Which one is not decided here, a mutex keeps no order: a later one may be first,
 * and each time another hold of the worker may follow. None of this is a system call unless a thread really waits.
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

/* The worker, of which there is one. If other threads asked for the lock before, as many as did get it first. */
void fair_lock_worker_take(struct fair_lock *lock);
void fair_lock_worker_release(struct fair_lock *lock);
/* The worker ends one hold and begins the next. If other threads ask for the lock, at least one gets it in between. */
void fair_lock_hand_over(struct fair_lock *lock);

#endif
