// SPDX-License-Identifier: Apache-2.0
/*
 * ready.h - what a process that was started says once to the command that waits for it: it is ready, or why it is not.
 */
#ifndef PMVM_OCI_READY_H
#define PMVM_OCI_READY_H

struct vpmem_error;

/*
 * Sends {"ok":{}}, or {"error":"text"} with a "hint" where error has one. Closes *ready_fd, a socket, and sets it to -1;
 * with -1 it does nothing. A command that has gone is not an error.
 */
void ready_report(int *ready_fd, const struct vpmem_error *error);
/* {"ok":{"note":"text"}}: it is ready, and text is for --debug. */
void ready_report_note(int *ready_fd, const char *note);

#endif
