// SPDX-License-Identifier: Apache-2.0
/*
 * log.h - messages for people, on standard error.
 *
 * A message reads `<module>: <object>: <what failed>: <values>: <strerror>`, lower case, no full stop.
 * Control characters in it are replaced, so that a name that a guest or a client chose cannot act on the terminal.
 *
 * Messages that a guest, or a client of the monitor, can cause are limited in rate: at most 10 per call site in
 * 10 seconds, then one line that says how many were left out. Warnings are limited to 50 in 10 seconds.
 *
 * No function here waits for a reader of standard error: the caller may hold a lock that all others need. What does
 * not fit is dropped, and the next message that fits is preceded by the number of those that were lost. Only an error,
 * a warning or an info waits for a reader that is slow, 100 ms at most, and not again while messages are lost.
 * There is one exception: before a write to a terminal that belongs to another user and does not control our session,
 * or to such a pipe under an older kernel, there can only be a poll (nonblock.h). That write may wait for a reader.
 *
 * Where standard error is the journal of systemd (JOURNAL_STREAM names it), a line begins with its priority: 3 for an
 * error, 4 for a warning and for what a guest or a client causes, 6 for an info.
 *
 * Any thread may call these functions, with or without locks.
 */
#ifndef PMVM_LOG_H
#define PMVM_LOG_H

#include "printf_like.h"

#include <stdbool.h>
#include <stdint.h>

/* Uses what standard error is now: call it after descriptor 2 was replaced. The first message does it otherwise. */
void log_open(void);
/* Before descriptors are closed that nobody named: that of the log is one. The next message opens it again. */
void log_close(void);
/*
 * As log_open, for the last time: nothing is opened later, which a sandbox would refuse. After this, log_open uses a new
 * descriptor 2 as it is.
 */
void log_open_for_good(void);

/* Each line begins with the time, in UTC: -msg timestamp=on. */
void log_set_timestamps(bool on);

void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2); /* "warning: ..." as QEMU prints it */
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);

struct log_limit {
	uint64_t window_start_ms;
	unsigned nprinted, nskipped;
};
void log_guest_at(struct log_limit *limit, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* For what a guest, or a client of the monitor, does wrong: rate-limited per call site. */
#define log_guest(...)                                  \
	do {                                            \
		static struct log_limit log_limit_;     \
		log_guest_at(&log_limit_, __VA_ARGS__); \
	} while (0)

#endif
