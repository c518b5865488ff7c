// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_out.h - the output of a line of HMP, collected before it is sent. hmp_printf (command.h) appends.
 */
#ifndef PMVM_HMP_OUT_H
#define PMVM_HMP_OUT_H

#include "command.h"
#include "text.h"

/* An all-zero struct is empty. Lines end "\r\n". After text.failed (out of memory) the rest is missing. */
struct hmp_out {
	struct text text;
};

/* Appends text as hmp_printf does: "\n" becomes "\r\n". */
void hmp_out_append(struct hmp_out *out, const char *text, size_t len);
/* Appends an error: its text, and its next step as a line of its own. */
void hmp_out_error(struct hmp_out *out, const struct vpmem_error *err);

#endif
