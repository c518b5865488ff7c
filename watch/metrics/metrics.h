// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.h - what the samples of all machines are as metrics. docs/metrics.md lists them.
 */
#ifndef PMVM_METRICS_H
#define PMVM_METRICS_H

#include "exposition.h"

struct machines;

/* Writes all metrics of the last sample. */
void metrics_write(struct exposition *e, const struct machines *machines);

#endif
