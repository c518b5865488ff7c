// SPDX-License-Identifier: Apache-2.0
/*
 * top_lines.h - a view as lines of text: a title, then each machine with its devices below it.
 */
#ifndef PMVM_TOP_LINES_H
#define PMVM_TOP_LINES_H

#include "top_view.h"

#define TOP_WIDTH_MIN 80u  /* a narrower terminal shows the left part of the lines */
#define TOP_WIDTH_MAX 400u /* a wider one has a margin */

/* A line that is a machine (device NULL) or one of its devices. */
struct top_row {
	const struct top_machine *machine;
	const struct top_device *device;
};

/* The rows that are not hidden, from `first` on. Returns how many there are of n at most; *total counts all. */
unsigned top_rows(const struct top_view *view, unsigned first, struct top_row *rows, unsigned n, unsigned *total);

/* Both fill buf with at most width bytes and a NUL; width is at most TOP_WIDTH_MAX, buf has room for it. */
void top_line(const struct top_row *row, unsigned width, char *buf);
void top_title(unsigned width, char *buf);

/* Something that an operator should see: the machine is down or stopped by a fault, the device failed. */
bool top_row_is_bad(const struct top_row *row);

/* "1.5G", "512M", "-": 5 characters at most. */
void top_size(uint64_t bytes, char buf[8]);
/* "12us", "1.5ms", "2.0s", "-": 6 characters at most. */
void top_duration(double seconds, char buf[16]);
/* "0.5", "120", "12k", "-": 7 characters at most. */
void top_rate(double per_s, char buf[16]);

#endif
