// SPDX-License-Identifier: Apache-2.0
/*
 * term.h - the terminal on standard input: raw while the guest owns it, as it was when the program ends.
 */
#ifndef PMVM_TERM_H
#define PMVM_TERM_H

#include <stdbool.h>

/*
 * Puts the terminal on standard input into raw mode; does nothing if it is no terminal. With signals,
 * Ctrl-c, Ctrl-z and Ctrl-\ keep their meaning. Also arranges that a fatal signal (SIGSEGV, SIGABRT, ...)
 * puts the terminal back before the process dies, and that SIGCONT makes it raw again. Main thread.
 */
int term_raw(bool signals);

/* Puts the terminal back. Safe in a signal handler, and when term_raw was never called. */
void term_restore(void);

#endif
