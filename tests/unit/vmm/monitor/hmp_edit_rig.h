// SPDX-License-Identifier: Apache-2.0
// A line editor with a terminal before it: what the tests of hmp_edit.c share.
#ifndef PMVM_HMP_EDIT_RIG_H
#define PMVM_HMP_EDIT_RIG_H

#include "hmp_edit_internal.h"
#include "hmp_edit_terminal.h"

extern struct hmp_edit_rig {
	struct hmp_edit *edit;
	struct terminal terminal;
	unsigned columns;  /* what the client says that the terminal has; 0: unknown */
	char lines[65536]; /* each with a newline */
	char shown[1 << 20];
	size_t nlines, nshown;
} f;

/* Keeps lines and output in `f`; completes device_add, device_del and quit. */
extern const struct hmp_edit_client rig_client;

/* An editor in f.edit that shows its prompt on a terminal of 80 columns. For cmocka. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* The same on a terminal of another width, which the editor knows. */
void rig_restart(unsigned columns);

/* Each call compares the terminal with the line. */
void type_bytes(const void *bytes, size_t len);
void type(const char *text);
/* The same, a byte at a time: nothing may depend on how a network splits it. */
void type_slowly(const char *text);
/* Compares the lines so far, and forgets them. */
void lines_are(const char *want);
/* Compares all output so far, and forgets it. */
void shown_is(const char *want);
/* Compares the row of the cursor, which '|' marks. */
void row_is(const char *want);

#endif
