// SPDX-License-Identifier: Apache-2.0
/*
 * worker_probe.h - sees what the device's worker does, by calls that the linker wraps (-Wl,--wrap=...):
 * read(2) of its eventfd, so that a test can say "nothing happened" without guessing how long to wait;
 * virtq_kicks_on, to let the driver do something at the worst moment; malloc and its kin, to count them.
 */
#ifndef TEST_WORKER_PROBE_H
#define TEST_WORKER_PROBE_H

#include "driver.h"

/* Looks at this device's worker from now on. */
void worker_probe(struct vpmem_device *dev);
/* How often the worker has begun to wait for a kick. */
unsigned worker_nreads(void);
/* Returns when the worker has looked at everything that came before the call, and waits again. */
bool worker_settle(struct vpmem_device *dev);

/* Calls this once, just before the worker asks for kicks: after it has read the available ring for the last time. */
void worker_before_kicks_on(void (*hook)(void *opaque), void *opaque);

/* Allocations made by the code under test and the tests so far. */
unsigned worker_nallocs(void);

#endif
