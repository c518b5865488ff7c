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

/*
 * This one of them was ignored by the parent process when signals_set_up was called, so that it does not end the program.
 * SIGTERM always does.
 */
bool signals_is_ignored(int signo);

/* A sandbox refuses the question: from now on the answer is that of this moment. */
void signals_remember_ignored(void);

/* One of the signals that end the program has arrived: it is read from the signalfd, which never blocks. */
bool signals_end_pending(int signal_fd);

#endif
