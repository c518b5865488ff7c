// SPDX-License-Identifier: Apache-2.0
/*
 * chardev.h - character devices: null, stdio, file, socket, pty, ringbuf. The back end is what the user asked for; it is
 * opened once, listed by its id, and has one front end at a time.
 *
 * A back end has a front end (a serial port, or a session of the monitor). Bytes that arrive are handed to
 * the front end only when it has room for them; until then a few are kept here, because of the escapes
 * among them, and the rest stays in the kernel, so nothing is lost. Bytes to send go into the queue of the
 * stream (stream.h). A guest's output is limited: while CHARDEV_OUT_MAX bytes wait, chardev_write takes none, and
 * `writable` is called when there is room again. An answer of the monitor is queued whole by chardev_queue,
 * and its front end takes no request while too much waits.
 *
 * A multiplexed back end (-nographic, mux=on) has two: a device, and a monitor. Ctrl-a c switches
 * the input from one to the other; what was typed for one waits there while the other has the input. The
 * output of both goes to the terminal as it comes.
 *
 * A socket's peer that has closed, or that only sends no more, had a right to what it sent: its input is
 * delivered before it is reported as gone. Only what it can no longer read is dropped.
 *
 * A device as the user of a chardev that its property names by id:
 *
 *   - chardev_find, then chardev_claim(chr, CHARDEV_DEVICE), which refuses a second user with QEMU's text; before it is
 *     destroyed, chardev_set_front with an empty front end, and chardev_release;
 *   - chardev_set_front: from here on `receive` gets what arrives, never more than `room` said. `connection` is called at
 *     once if there is a peer, and whenever one comes or goes: the port's open and close events. A back end without peers
 *     (stdio, file, null, ringbuf) counts as connected;
 *   - chardev_write: what it does not take stays with the device, until `writable`. Without a peer all is dropped;
 *   - chardev_accept when there is room again after `room` said 0, for example when the guest added buffers;
 *   - chardev_set_open when the guest opens or closes the port, for query-chardev.
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

/* Who uses a chardev. */
enum chardev_use { CHARDEV_DEVICE, CHARDEV_MONITOR };

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

/* The character before a command on a multiplexed back end, for all of them; Ctrl-a at first. Before any is opened. */
void chardev_set_escape(uint8_t byte);

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
/* The monitor is ready for `focus`: without a device it gets the input. */
void chardev_choose_focus(struct chardev *chr);

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

/* false: a socket or a pty without a peer. */
bool chardev_connected(const struct chardev *chr);

/*
 * For a user that needs the descriptors: it serves several peers at a time, each on a chardev of its own (chardev_adopt),
 * or speaks a protocol that passes descriptors (vhost-user). It takes each peer of a socket or pty, on a descriptor that
 * never blocks; one that is there already at once, and what that one has sent before may be lost. -errno: it could not,
 * and the descriptor is closed. For each that was taken and has left, the user calls chardev_peer_left. NULL: none is
 * taken any more.
 */
void chardev_set_acceptor(struct chardev *chr, int (*acceptor)(void *owner, int fd), void *owner);
void chardev_peer_left(struct chardev *chr);
/* A socket or a pty. */
bool chardev_has_peers(const struct chardev *chr);
/* Another peer may come when the one that is there has left. */
bool chardev_expects_peers(const struct chardev *chr);

/* ---- the chardevs of a machine, by id (chardev_list.c) ------------------------------------------- */

struct chardev_list {
	struct chardev *first; /* NULL: empty */
};

/* chardev_open, into the list. -EEXIST: the id is taken. */
int chardev_list_add(struct chardev_list *list, const struct chardev_config *cfg, struct loop *loop,
                     void (*quit)(void *owner), void *owner, struct chardev **out, struct vpmem_error *err);
/* Closes it, although it may be in use. */
void chardev_list_remove(struct chardev_list *list, struct chardev *chr);
/* Closes all. */
void chardev_list_close(struct chardev_list *list);
/* chardev_keep for all. */
void chardev_list_keep(struct chardev_list *list);
/* Some chardev has wait=on, and no peer has come to it yet. */
bool chardev_list_is_awaited(const struct chardev_list *list);
/* NULL: there is none. */
struct chardev *chardev_find(const struct chardev_list *list, const char *id);
/* Those with an id, in the order of their creation; from NULL to NULL. */
struct chardev *chardev_next(const struct chardev_list *list, const struct chardev *chr);

/* One user at a time; with mux=on, one device and one monitor. -EBUSY, with QEMU's text. */
int chardev_claim(struct chardev *chr, enum chardev_use use, struct vpmem_error *err);
void chardev_release(struct chardev *chr, enum chardev_use use);
bool chardev_is_busy(const struct chardev *chr);

const char *chardev_id(const struct chardev *chr);
enum chardev_kind chardev_kind(const struct chardev *chr);
/* Escape sequences switch between two users: chardev_set_monitor, not chardev_set_front, is for the monitor. */
bool chardev_is_mux(const struct chardev *chr);
/* The file of a pty, or NULL. */
const char *chardev_pty(const struct chardev *chr);
/* QEMU's file name: "disconnected:unix:PATH,server=on". */
void chardev_filename(const struct chardev *chr, char *buf, size_t size);
/* The front end is ready: it is there, and its guest has opened it if it is one that the guest opens. */
bool chardev_is_open(const struct chardev *chr);
void chardev_set_open(struct chardev *chr, bool open);

/* Of a ringbuf: removes up to len bytes, the oldest, and returns how many. */
size_t chardev_ring_read(struct chardev *chr, uint8_t *buf, size_t len);

#endif
