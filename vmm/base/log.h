// SPDX-License-Identifier: Apache-2.0
/*
 * log.h - messages for people, on standard error.
 *
 * A message reads `<module>: <object>: <what failed>: <values>: <strerror>`, lower case, no full stop.
 * Messages that a guest, or a client of the monitor, can cause are limited in rate: at most 10 per call site in
 * 10 seconds, then one line that says how many were left out. They are left out as well while nobody reads
 * standard error, so that they stop nothing.
 */
#ifndef PMVM_LOG_H
#define PMVM_LOG_H

#include "printf_like.h"

#include <stdint.h>

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
