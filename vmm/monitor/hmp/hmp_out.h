// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_out.h - text that HMP gathers before it is sent. hmp_printf (command.h) appends.
 */
#ifndef PMVM_HMP_OUT_H
#define PMVM_HMP_OUT_H

#include "command.h"

#include <stddef.h>

struct hmp_out {
	char *text; /* len bytes and a NUL; NULL while empty. Lines end "\r\n" */
	size_t len, cap;
	bool failed; /* out of memory: what was appended since is missing */
};

void hmp_out_init(struct hmp_out *out);
void hmp_out_free(struct hmp_out *out);
/* Appends text as hmp_printf does: "\n" becomes "\r\n". */
void hmp_out_append(struct hmp_out *out, const char *text, size_t len);

#endif
