// SPDX-License-Identifier: Apache-2.0
/*
 * signals.h - which signals end the program, and which must not.
 *
 * SIGTERM, SIGINT and SIGHUP end it in order: they are blocked in every thread and read from a signalfd. One that the
 * parent process ignores (nohup, trap '' INT, `&` in a script) comes as well and ends nothing. SIGPIPE and SIGXFSZ are blocked as well and
 * nobody reads them: the call that caused one fails with EPIPE or EFBIG, and its caller reports that.
 */
#ifndef PMVM_SIGNALS_H
#define PMVM_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/*
 * Sets the signal mask to exactly these, and returns the first three in *ending. To be called before there are threads,
 * which inherit the mask.
 */
void signals_set_up(sigset_t *ending);

/* This one of them was ignored by the parent process, so that it does not end the program. SIGTERM always does. */
bool signals_is_ignored(int signo);

/* One of the signals that end the program has arrived and was not read yet. */
bool signals_end_pending(void);

#endif
