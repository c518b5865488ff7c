// SPDX-License-Identifier: Apache-2.0
/*
 * fake_backing.h - a memory backend without a file, linked in place of libvpmem/backing.c, whose syncs can be
 * made to fail, or be held at a place where a test wants to look around.
 *
 * Syncs are counted from 1, since the last fake_backing_create.
 */
#ifndef TEST_FAKE_BACKING_H
#define TEST_FAKE_BACKING_H

#include <vpmem.h>

struct vpmem_backing *fake_backing_create(uint64_t size);
void fake_backing_destroy(struct vpmem_backing *b);

/* Syncs from the n-th on return this -errno; 0 ends it. */
void fake_backing_fail(struct vpmem_backing *b, unsigned nth, int error);
/* Syncs n-th and later are held until they are released, one by one. 0: none (and all that are held go on). */
void fake_backing_hold(struct vpmem_backing *b, unsigned nth);
/* Waits until the n-th sync has begun and is held. False if that takes too long. */
bool fake_backing_wait_held(struct vpmem_backing *b, unsigned nth);
/* Lets the n-th sync, and those before it, go on. */
void fake_backing_release(struct vpmem_backing *b, unsigned nth);

unsigned fake_backing_nsyncs(struct vpmem_backing *b);
/* A sync was held for so long that it gave up: the test is wrong, or the device waited for it. */
bool fake_backing_timed_out(struct vpmem_backing *b);

#endif
