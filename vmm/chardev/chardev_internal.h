// SPDX-License-Identifier: Apache-2.0
/*
 * chardev_internal.h - what chardev.c (peers, output), chardev_input.c and chardev_open.c (back ends) share.
 */
#ifndef PMVM_CHARDEV_INTERNAL_H
#define PMVM_CHARDEV_INTERNAL_H

#include "chardev.h"
#include "outfile.h"
#include "peers.h"
#include "ringbuf.h"
#include "stream.h"

#define READ_AHEAD 256u
#define GONE_READS 4u /* of READ_AHEAD bytes, for a peer that has left, in one turn of the loop */
#define RAW_MAX 4096u /* what a peer that has left may have sent */

/* A front end, and the input that waits for room in it. */
struct chardev_side {
	struct chardev_front front;
	size_t nkept;
	uint8_t kept[256];
};
enum { SIDE_DEVICE = CHARDEV_DEVICE, SIDE_MONITOR = CHARDEV_MONITOR, NSIDES };

struct chardev {
	struct chardev *next; /* in its list */
	char *id;             /* NULL: it cannot be named */
	enum chardev_kind kind;
	const char *name; /* for messages: "stdio" or the path */
	char *path;       /* file, socket */
	struct loop *loop;
	bool claimed[NSIDES]; /* by a user; without mux one of them at a time */
	struct chardev_side sides[NSIDES];
	unsigned focus; /* the side that gets input */
	void (*quit)(void *owner);
	void *quit_owner;

	struct stream stream;
	struct peers *peers; /* of a socket or a pty; NULL: a socket that was adopted */
	struct ringbuf ring;
	int (*acceptor)(void *owner, int fd); /* takes each peer in our place; NULL: there is none */
	void *acceptor_owner;
	bool awaited;                /* wait=on, and no peer has come yet */
	struct loop_timer sort_more; /* mux: the main thread shall process the input */
	bool mux;                    /* Ctrl-a escapes are taken from the input */
	bool escaped;                /* the last byte was Ctrl-a */
	bool open;                   /* for query-chardev: the front end is ready */
	bool is_local;               /* the peer is a process of this host: the end of its life shows */
	bool connected;              /* a socket or a pty with a peer */
	bool input_ended;            /* the peer sends no more; what it had sent may still wait */
	struct outfile file;         /* of kind file */
	struct outfile log;          /* what is sent goes there as well */
	char *logfile;               /* its path; NULL: there is none */
	int log_fd;                  /* -1: there is none, or writing failed */
	size_t nleft_over;           /* bytes that were read after the peer had left */
	size_t nraw;                 /* bytes that were read, and not yet given to a side */
	uint8_t raw[RAW_MAX];

	pthread_cond_t drained; /* bytes were written out; with the machine lock */
};

extern const struct stream_ops chardev_stream_ops;

/* A peer, on a descriptor that never blocks, which the chardev takes. 0: it always does. */
int chardev_connect(struct chardev *chr, int fd);
void chardev_disconnect(struct chardev *chr);
/* Output was taken: wakes what waits for room. before: the bytes that were pending; SIZE_MAX: any number. */
void chardev_made_room(struct chardev *chr, size_t before);

/* Its other side comes and goes. Adopted sockets are of this kind. */
static inline bool chardev_is_peer_kind(const struct chardev *chr)
{
	return chr->kind == CHARDEV_SOCKET || chr->kind == CHARDEV_PTY;
}

/* ---- chardev_input.c */

/* Gives the bytes that were read to the front ends, as far as they have room. */
void chardev_process_input(struct chardev *chr);
/* For chardev_stream_ops. */
void chardev_on_readable(void *owner, short revents);
/* The peer is gone: what it had sent is kept as far as it fits, and the next one can come. */
void chardev_lose_peer(struct chardev *chr);

#endif
