// SPDX-License-Identifier: Apache-2.0
/*
 * error.c - fills a struct vpmem_error.
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int err_fail(struct vpmem_error *err, int rc, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return rc;
	errno = -rc;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	err->hint[0] = '\0';
	return rc;
}

void err_hint(struct vpmem_error *err, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
}
