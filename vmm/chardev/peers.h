// SPDX-License-Identifier: Apache-2.0
/*
 * peers.h - where the peers of a character device come from: a socket that listens, one that connects and does so again
 * after the end of a connection, a descriptor that was passed, or the program that opens a pseudo terminal.
 *
 * Nothing waits for a peer, with one exception: while the machine is built, a socket that connects without reconnect=
 * waits for the answer of the other side, CONNECT_MS at most, so that the start fails if there is nobody.
 *
 * All calls and callbacks run under the machine lock, in the main thread; peers_left in any thread.
 */
#ifndef PMVM_PEERS_H
#define PMVM_PEERS_H

#include "chardev_config.h"
#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <vpmem.h>

struct peers;

struct peers_config {
	const struct chardev_config *chardev; /* a socket or a pty; borrowed during the call */
	const char *module;                   /* for messages, borrowed; NULL: that of a chardev */
	/* A peer, on a descriptor that never blocks, which the callback takes. -errno: it could not. */
	int (*accepted)(void *owner, int fd);
	void *owner;
};

/* Nobody is handed over before peers_begin. On failure nothing is left behind. */
int peers_open(const struct peers_config *cfg, struct loop *loop, struct peers **out, struct vpmem_error *err);
/* Hands over a peer that is there already. */
void peers_begin(struct peers *p);
/* Another one may come when the one that was taken has left. */
bool peers_are_expected(const struct peers *p);
/* A peer that was taken has left. */
void peers_left(struct peers *p);
/* NULL is allowed. */
void peers_close(struct peers *p);

/* As QEMU writes it: "unix:PATH,server=on", "tcp:127.0.0.1:4444", "pty:/dev/pts/3". */
const char *peers_name(const struct peers *p);
/* The path of a pty, or NULL. */
const char *peers_pty(const struct peers *p);

#endif
