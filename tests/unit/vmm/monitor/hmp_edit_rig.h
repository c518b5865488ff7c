// SPDX-License-Identifier: Apache-2.0
// A line editor with a person before it: what the tests of hmp_edit.c share, with libedit and without.
#ifndef PMVM_HMP_EDIT_RIG_H
#define PMVM_HMP_EDIT_RIG_H

#include "hmp_edit.h"

extern struct hmp_edit_rig {
	struct hmp_edit *edit;
	char lines[65536]; /* each with a newline */
	char shown[1 << 20];
	size_t nlines, nshown;
} f;

/* Keeps lines and what is shown in `f`; completes device_add, device_del and quit. */
extern const struct hmp_edit_client rig_client;

/* An editor in f.edit that shows its prompt. For cmocka. */
int rig_setup(void **state);
int rig_teardown(void **state);

void type(const char *text);
/* The same, a byte at a time: nothing may depend on how a network cuts it. */
void type_slowly(const char *text);
/* Compares the lines so far, and forgets them. */
void lines_are(const char *want);
/* Compares all that has been shown, and forgets it. */
void shown_is(const char *want);
/* Whatever is typed, there is a line at the end. */
void garbage_does_no_harm(void **state);

#endif
