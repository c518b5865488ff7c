// SPDX-License-Identifier: Apache-2.0
// The text of an error, and the hint that goes with it.
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct vpmem_error *err, int rc, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return rc;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	err->hint[0] = '\0';
	return rc;
}

void error_hint(struct vpmem_error *err, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
}
