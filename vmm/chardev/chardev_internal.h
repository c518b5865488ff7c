// SPDX-License-Identifier: Apache-2.0
/*
 * chardev_internal.h - what chardev.c (bytes) and chardev_open.c (descriptors) share.
 */
#ifndef PMVM_CHARDEV_INTERNAL_H
#define PMVM_CHARDEV_INTERNAL_H

#include "chardev.h"

/* A front end, and what was typed for it. */
struct chardev_side {
	struct chardev_front front;
	size_t nkept; /* bytes that wait for room in the front end */
	uint8_t kept[256];
};
enum { SIDE_SERIAL, SIDE_MONITOR, NSIDES };

struct chardev {
	enum chardev_kind kind;
	const char *name; /* for messages: "stdio" or the path */
	char *path;       /* file, unix */
	struct loop *loop;
	struct chardev_side sides[NSIDES];
	unsigned focus; /* the side that gets input */
	void (*quit)(void *owner);
	void *quit_owner;

	struct loop_source in, outs, listen;
	struct loop_timer write_out; /* armed while bytes wait for the end of their line */
	struct loop_timer sort_more; /* mux: the main thread is to look at the input */
	bool mux;                    /* Ctrl-a escapes are taken from the input */
	bool escaped;                /* the last byte was Ctrl-a */
	size_t nraw;                 /* bytes that were read, and not yet given to a side */
	uint8_t raw[256];
	bool out_blocked;   /* the descriptor takes nothing now: waiting for POLLOUT */
	bool discard;       /* writing failed for good */
	bool created;       /* the file is new: removed unless kept */
	bool restore_flags; /* the descriptor is shared with others: give O_NONBLOCK back */

	pthread_cond_t drained;    /* bytes were written out; with the machine lock */
	size_t out_start, out_len; /* ring buffer */
	uint8_t out[16384];
};

int chardev_attach(struct chardev *chr);
void chardev_detach(struct chardev *chr);
void chardev_write_out(struct chardev *chr);
void chardev_connected_to(struct chardev *chr, int fd);
void chardev_disconnect(struct chardev *chr);

#endif
