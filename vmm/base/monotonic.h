// SPDX-License-Identifier: Apache-2.0
/*
 * monotonic.h - the clock of deadlines and durations: CLOCK_MONOTONIC, which nobody sets.
 */
#ifndef PMVM_MONOTONIC_H
#define PMVM_MONOTONIC_H

#include <stdint.h>

uint64_t monotonic_ns(void);
uint64_t monotonic_ms(void);

#endif
