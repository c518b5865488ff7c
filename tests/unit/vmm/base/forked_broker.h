// SPDX-License-Identifier: Apache-2.0
/*
 * forked_broker.h - a broker for tests, in a process of its own: what a module asks of it is done there.
 */
#ifndef FORKED_BROKER_H
#define FORKED_BROKER_H

#include "broker.h"

/* From now on calls go to it. It permits what `permit` adds (permit.h), in its process; NULL: nothing. */
void forked_broker_start(const struct broker_op *const *ops, size_t nops, void (*permit)(void));
/* Ends it, and fails unless it ends by itself. How many calls it has served. */
unsigned forked_broker_stop(void);

/* The hint of a path below `dir` that is not permitted. */
#define FORKED_BROKER_HINT(dir) \
	"the sandbox permits files below the directories of the command line only: start with -sandbox on,dir=" dir

#endif
