// SPDX-License-Identifier: Apache-2.0
/* peers_internal.h - the state of struct peers, shared by its files. */
#ifndef PMVM_PEERS_INTERNAL_H
#define PMVM_PEERS_INTERNAL_H

#include "inet.h"
#include "peers.h"

struct peers {
	int (*accepted)(void *owner, int fd);
	void *owner;
	struct loop *loop;
	const char *module; /* NULL: a chardev's */
	char *name;
	struct listener *listener; /* NULL: it connects, or it is a pty */
	bool begun;
	int waiting_fd; /* a peer that is there already, before peers_begin; -1: none */

	struct inet_addr addr; /* to connect to, of any family */
	unsigned reconnect_ms; /* 0: one connection, and no other */
	bool failed;           /* the last attempt to connect failed, and that was logged */
	bool is_denied;        /* because the sandbox does not permit the address */
	struct loop_source connecting;
	struct loop_timer again; /* connects, or examines the pty */

	int pty_fd; /* -1: no pty */
	char *pty_path;
};

static inline const char *peers_module(const struct peers *p)
{
	return p->module ? p->module : "chardev";
}

/* peers.c: a peer is there. Takes the descriptor. */
void peers_take(struct peers *p, int fd);
/* After an error of which the sandbox may be the reason. */
void peers_hint_denied(const struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err);

/* peers_connect.c: to p->addr, now or, if cfg says so, later. The callback is for p->connecting. */
int peers_connect(struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err);
void peers_connect_again(struct peers *p);
void peers_on_connecting(void *owner, short revents);

#endif
