// SPDX-License-Identifier: Apache-2.0
/*
 * chardev.h - character device back ends: stdio, file:PATH, null, unix:PATH,server=on.
 *
 * A back end has a front end (a serial port, or a client of the monitor). Bytes that arrive are handed to
 * the front end only when it has room for them; until then a few are kept here, for the sake of the
 * escapes among them, and the rest stays in the kernel, so nothing is lost. Bytes to send go into a buffer
 * that is written out at each end of line, when it has grown, or a few milliseconds later; when it is full,
 * chardev_write takes fewer bytes and the front end is told by `writable` when there is room again.
 *
 * A multiplexed back end (-nographic, mon:stdio) has two: the serial port, and the monitor. Ctrl-a c hands
 * the input from one to the other; what was typed for one waits there while the other has the input. The
 * output of both goes to the terminal as it comes.
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

/* Writes out what is buffered (waiting a second at most), closes, removes the socket. NULL is allowed. */
void chardev_close(struct chardev *chr);

void chardev_set_front(struct chardev *chr, const struct chardev_front *front);

/* The second front end of a multiplexed back end; an empty one takes the monitor away again. */
void chardev_set_monitor(struct chardev *chr, const struct chardev_front *front);

/* Takes as many bytes as fit, 0 to len, and returns how many. A socket without a peer takes all and drops them. */
size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len);

/* The front end has room again after `room` said 0. */
void chardev_accept(struct chardev *chr);

/* Bytes that were taken and are not written out yet. */
size_t chardev_pending(const struct chardev *chr);

/* Writes out what is buffered, waiting timeout_ms at most. true: nothing is left. */
bool chardev_drain(struct chardev *chr, unsigned timeout_ms);

/* Ends the connection now, with what is buffered; on stdio, input ends and output is discarded. */
void chardev_hang_up(struct chardev *chr);

/* Sleeps, with the machine lock released, until bytes were written out or chardev_interrupt was called. */
void chardev_wait(struct chardev *chr);
void chardev_interrupt(struct chardev *chr);

/* false: a socket to which nobody has connected yet. */
bool chardev_connected(const struct chardev *chr);

#endif
