// SPDX-License-Identifier: Apache-2.0
/*
 * chardev.h - character device back ends: stdio, file:PATH, null, unix:PATH,server=on.
 *
 * A back end has a front end (a serial port, or a session of the monitor). Bytes that arrive are handed to
 * the front end only when it has room for them; until then a few are kept here, because of the escapes
 * among them, and the rest stays in the kernel, so nothing is lost. Bytes to send go into the queue of the
 * stream (stream.h). A guest's output is limited: while CHARDEV_OUT_MAX bytes wait, chardev_write takes none, and
 * `writable` is called when there is room again. An answer of the monitor is queued whole by chardev_queue,
 * and its front end takes no request while too much waits.
 *
 * A multiplexed back end (-nographic, mon:stdio) has two: the serial port, and the monitor. Ctrl-a c switches
 * the input from one to the other; what was typed for one waits there while the other has the input. The
 * output of both goes to the terminal as it comes.
 *
 * A socket's peer that has closed, or that only sends no more, had a right to what it sent: its input is
 * delivered before it is reported as gone. Only what it can no longer read is dropped.
 *
 * All calls and callbacks run under the machine lock.
 */
#ifndef PMVM_CHARDEV_H
#define PMVM_CHARDEV_H

#include "chardev_config.h"
#include "loop.h"

#include <vpmem.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARDEV_OUT_MAX 16384u

struct chardev;

struct chardev_front {
	/* How many bytes `receive` can take now. */
	size_t (*room)(void *owner);
	void (*receive)(void *owner, const uint8_t *buf, size_t len);
	/* There is room to write again. */
	void (*writable)(void *owner);
	/*
	 * A socket's peer has come, or gone; both may be noticed inside chardev_write. May be NULL. The back end
	 * must not be closed from within.
	 */
	void (*connection)(void *owner, bool connected);
	/*
	 * A socket's peer sends no more, and all that it sent was delivered; it may still read. May be NULL, may be
	 * called more than once. The back end must not be closed from within.
	 */
	void (*input_ended)(void *owner);
	/* Multiplexed: input goes to this front end from now on, or no longer. May be NULL. */
	void (*focus)(void *owner, bool focused);
	void *owner;
};

/*
 * Opens the back end. A file is created, or kept as it is, until chardev_keep; a socket is bound and
 * listens. `quit` is called when a person types Ctrl-a x. stdio makes the terminal raw.
 */
int chardev_open(const struct chardev_config *cfg, struct loop *loop, void (*quit)(void *owner), void *owner,
                 struct chardev **out, struct vpmem_error *err);

/*
 * A back end that is one connected, non-blocking socket: takes it, on success. It never listens; once the
 * peer has gone it stays silent. `name` is for messages and borrowed. -ENOMEM, -ENOSPC.
 */
int chardev_adopt(int fd, const char *name, struct loop *loop, struct chardev **out);

/* The start succeeded: a created file stays, an existing one is emptied. */
void chardev_keep(struct chardev *chr);

/* Writes out what is queued (waiting a second at most), closes, removes the socket. NULL is allowed. */
void chardev_close(struct chardev *chr);

void chardev_set_front(struct chardev *chr, const struct chardev_front *front);

/* The second front end of a multiplexed back end; an empty one takes the monitor away again. */
void chardev_set_monitor(struct chardev *chr, const struct chardev_front *front);

/* Takes as many bytes as fit, 0 to len, and returns how many. A socket without a peer takes all and drops them. */
size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len);
/* Takes all bytes, beyond CHARDEV_OUT_MAX as well: for what is limited elsewhere. -ENOMEM: none. */
int chardev_queue(struct chardev *chr, const uint8_t *buf, size_t len);

/* The front end has room again after `room` said 0. */
void chardev_accept(struct chardev *chr);

/* Bytes that are queued and not written out yet. */
size_t chardev_pending(const struct chardev *chr);

/* Writes out what is queued, waiting timeout_ms at most. true: nothing is pending. */
bool chardev_drain(struct chardev *chr, unsigned timeout_ms);

/* Ends the connection now, and drops what is queued; on stdio, input ends and output is discarded. */
void chardev_hang_up(struct chardev *chr);

/* Sleeps, with the machine lock released, until bytes were written out or chardev_interrupt was called. */
void chardev_wait(struct chardev *chr);
void chardev_interrupt(struct chardev *chr);

/* false: a socket to which nobody has connected yet. */
bool chardev_connected(const struct chardev *chr);

#endif
