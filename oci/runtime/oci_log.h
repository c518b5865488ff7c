// SPDX-License-Identifier: Apache-2.0
/*
 * oci_log.h - where the messages of a command go: to standard error for people, and to --log for engines, as a line of text
 * or of JSON that ends with the message an engine shows.
 */
#ifndef PMVM_OCI_LOG_H
#define PMVM_OCI_LOG_H

#include "printf_like.h"

#include <stdbool.h>
#include <vpmem.h>

struct oci_log {
	const char *path; /* --log; NULL: standard error only */
	bool is_json;     /* --log-format json */
	bool is_debug;    /* --debug */
};

/* At first nothing but standard error. The structure is copied; its path is borrowed. */
void oci_log_use(const struct oci_log *log);
/* Creates the file. -errno: it cannot be written. */
int oci_log_check(struct vpmem_error *err);

/* One message; newlines in it become spaces. A file that cannot be written is reported on standard error. */
void oci_log_error(const struct vpmem_error *err);
void oci_log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void oci_log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2); /* only with --debug */

#endif
