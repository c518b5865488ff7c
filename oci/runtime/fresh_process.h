// SPDX-License-Identifier: Apache-2.0
/*
 * fresh_process.h - frees a process of what it inherits from an engine: descriptors that leaked, blocked and ignored
 * signals.
 */
#ifndef PMVM_OCI_FRESH_PROCESS_H
#define PMVM_OCI_FRESH_PROCESS_H

/* All signals have their default action, and none is blocked. */
void fresh_process_signals(void);
/* Opens 0, 1 and 2 where they are closed, and closes all others: at the start of a program. */
void fresh_process_descriptors(void);

#endif
