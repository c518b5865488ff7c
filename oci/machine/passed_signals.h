// SPDX-License-Identifier: Apache-2.0
/*
 * passed_signals.h - the signals that the process of a container passes on to the container.
 */
#ifndef PMVM_OCI_PASSED_SIGNALS_H
#define PMVM_OCI_PASSED_SIGNALS_H

#include "loop.h"

#include <vpmem.h>

/*
 * Blocks them, and adds their signalfd to the loop as *source, whose ready and owner are set: SIGWINCH for the size of a
 * terminal, and those that would end the process. What an engine has ignored or blocked does not count. -errno with *err.
 */
int passed_signals_watch(struct loop *loop, struct loop_source *source, struct vpmem_error *err);

#endif
