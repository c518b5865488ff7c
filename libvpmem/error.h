// SPDX-License-Identifier: Apache-2.0
/*
 * error.h - how a failing function of the library says why.
 */
#ifndef VPMEM_ERROR_H
#define VPMEM_ERROR_H

#include <vpmem.h>

#define PRINTF_LIKE(fmt_idx, arg_idx) __attribute__((format(printf, fmt_idx, arg_idx)))

/*
 * Fills err (may be NULL) with a text and no hint, and returns rc, so that a function can end in
 * `return err_fail(err, -EINVAL, ...)`. "%m" prints what rc means.
 */
int err_fail(struct vpmem_error *err, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Adds the next step to an error that was filled. */
void err_hint(struct vpmem_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
