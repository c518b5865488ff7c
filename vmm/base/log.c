// SPDX-License-Identifier: Apache-2.0
// Messages for people on standard error.
#include "log.h"

#include "monotonic.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_MESSAGES 10u
#define LIMIT_WINDOW_MS 10000u

#define WAIT_MS 100

static bool is_writable(int wait_ms)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&fd, 1, wait_ms) == 1;
}

static _Atomic unsigned nlost;

// One write per line, so that lines of several threads do not mix.
static void write_line(const char *prefix, const char *fmt, va_list args)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "pmvm: %s", prefix);

	vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, args);
	fprintf(stderr, "%s\n", line);
}

// Somebody may hold a lock, or be what SIGTERM waits for: a pipe that is full and that nobody reads must not stop him.
static void print_line(const char *prefix, const char *fmt, va_list args)
{
	unsigned lost;

	if (!is_writable(WAIT_MS)) {
		atomic_fetch_add(&nlost, 1);
		return;
	}
	lost = atomic_exchange(&nlost, 0);
	if (lost > 0)
		fprintf(stderr, "pmvm: %u messages were lost: nobody read standard error\n", lost);
	write_line(prefix, fmt, args);
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("", fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("warning: ", fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("", fmt, args);
	va_end(args);
}

// Two threads that race on one limit print a line too many or too few, nothing worse: the fields are
// accessed atomically, one by one.
void log_guest_at(struct log_limit *limit, const char *fmt, ...)
{
	uint64_t now = monotonic_ms();
	uint64_t start = __atomic_load_n(&limit->window_start_ms, __ATOMIC_RELAXED);
	va_list args;

	// A guest must not be able to fill a pipe that nobody reads, and stop us there, or hold us up at each message.
	if (!is_writable(0)) {
		__atomic_fetch_add(&limit->nskipped, 1, __ATOMIC_RELAXED);
		return;
	}
	if (start == 0 || now - start >= LIMIT_WINDOW_MS) {
		unsigned nskipped = __atomic_exchange_n(&limit->nskipped, 0, __ATOMIC_RELAXED);

		__atomic_store_n(&limit->window_start_ms, now, __ATOMIC_RELAXED);
		__atomic_store_n(&limit->nprinted, 0, __ATOMIC_RELAXED);
		if (nskipped > 0)
			log_info("%u messages like the next one were left out", nskipped);
	}
	if (__atomic_fetch_add(&limit->nprinted, 1, __ATOMIC_RELAXED) >= LIMIT_MESSAGES) {
		__atomic_fetch_add(&limit->nskipped, 1, __ATOMIC_RELAXED);
		return;
	}
	va_start(args, fmt);
	print_line("", fmt, args);
	va_end(args);
}
