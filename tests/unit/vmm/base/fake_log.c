// SPDX-License-Identifier: Apache-2.0
// A log that keeps its lines.
#include "fake_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char fake_log_text[4096];

void fake_log_clear(void)
{
	fake_log_text[0] = '\0';
}

static void keep(const char *prefix, const char *fmt, va_list args)
{
	size_t len = strlen(fake_log_text);
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, args);
	snprintf(fake_log_text + len, sizeof(fake_log_text) - len, "%s%s\n", prefix, line);
}

#define KEEP(prefix)                     \
	do {                             \
		va_list args;            \
		va_start(args, fmt);     \
		keep(prefix, fmt, args); \
		va_end(args);            \
	} while (0)

void log_error(const char *fmt, ...)
{
	KEEP("error: ");
}

void log_warn(const char *fmt, ...)
{
	KEEP("warning: ");
}

void log_info(const char *fmt, ...)
{
	KEEP("");
}

void log_guest_at(struct log_limit *limit, const char *fmt, ...)
{
	(void)limit;
	KEEP("guest: ");
}
