// SPDX-License-Identifier: Apache-2.0
/*
 * error.h - fills a struct vpmem_error: the text of an error, and a hint that names the next step.
 *
 * A function that can fail takes `struct vpmem_error *err` last and returns 0 or -errno. The function that
 * knows the name of the object sets the text; its callers only return the code. Errors that a user's input
 * causes use QEMU's text where QEMU has one.
 */
#ifndef PMVM_ERROR_H
#define PMVM_ERROR_H

#include "printf_like.h"

#include <vpmem.h>

/* Fills err (may be NULL), without a hint, and returns rc: a failing function ends in `return error_set(...)`. */
int error_set(struct vpmem_error *err, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Adds the next step to an error that was set. err may be NULL. */
void error_hint(struct vpmem_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
