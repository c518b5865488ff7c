// SPDX-License-Identifier: Apache-2.0
/*
 * worker_probe.h - sees when the device's worker waits: read(2) of its eventfd is wrapped by the linker
 * (-Wl,--wrap=read), so a test can say "nothing happened" without guessing how long to wait.
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

#endif
