// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_link.h - the messages of vhost-user (QEMU: docs/interop/vhost-user.rst) on a connected Unix socket.
 *
 * This side is the front end: it sends requests, some with descriptors, and the back end answers some of them. A request
 * and its answer are one call here, which waits, but never beyond the link's deadline. Whatever the back end sends is
 * checked: the request that it answers, the flags, the size. Descriptors that come with an answer are dropped by the
 * kernel, but for the one of an answer that has one.
 *
 * After the first failure the link is ended: nothing is sent or received any more, and a timer of the event loop expires.
 * The socket is closed by vhost_user_link_close only.
 *
 * Numbers are in the byte order of the host, as the protocol has it.
 */
#ifndef PMVM_VHOST_USER_LINK_H
#define PMVM_VHOST_USER_LINK_H

#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_FDS_MAX 8u
#define VHOST_USER_CONFIG_MAX 256u

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
};

/* Of the back end, on the socket of SET_BACKEND_REQ_FD. */
#define VHOST_USER_BACKEND_CONFIG_CHANGE_MSG 2u

#define VHOST_USER_VERSION 0x1u
#define VHOST_USER_VERSION_MASK 0x3u
#define VHOST_USER_REPLY 0x4u
#define VHOST_USER_NEED_REPLY 0x8u

struct vhost_user_header {
	uint32_t request, flags;
	uint32_t size; /* of what follows */
};
_Static_assert(sizeof(struct vhost_user_header) == 12, "on the wire");

/* Payloads. */
struct vhost_user_vring {
	uint32_t idx, num;
};
struct vhost_user_vring_addr {
	uint32_t idx, flags;
	uint64_t desc, used, avail, log;
};
struct vhost_user_region {
	uint64_t gpa, size, hva, fd_off;
};
struct vhost_user_memory {
	uint32_t nregions, padding;
	struct vhost_user_region regions[VHOST_USER_FDS_MAX];
};
struct vhost_user_one_region {
	uint64_t padding;
	struct vhost_user_region region;
};
struct vhost_user_config_payload {
	uint32_t off, size, flags;
	uint8_t bytes[VHOST_USER_CONFIG_MAX];
};
struct vhost_user_inflight {
	uint64_t size, off; /* of a shared file */
	uint16_t nqueues, queue_size;
	uint32_t padding; /* back ends want it, although the protocol does not have it */
};
#define VHOST_USER_CONFIG_HEADER offsetof(struct vhost_user_config_payload, bytes)
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40 && sizeof(struct vhost_user_one_region) == 40 &&
                       offsetof(struct vhost_user_memory, regions) == 8 && VHOST_USER_CONFIG_HEADER == 12 &&
                       sizeof(struct vhost_user_inflight) == 24,
               "on the wire");

/* How a link ended. */
enum vhost_user_end {
	VHOST_USER_OPEN,    /* it has not */
	VHOST_USER_CLOSED,  /* by the back end, or never opened */
	VHOST_USER_HUNG,    /* no answer, or nothing read, up to the deadline */
	VHOST_USER_GARBAGE, /* an answer that is none */
};

struct vhost_user_link {
	int fd; /* owned; -1: none */
	enum vhost_user_end end;
	char why[112];        /* how it ended, for people */
	uint64_t deadline_ms; /* of monotonic_ms: no call waits longer */
	/* While an answer is awaited, the back end may need an answer of ours: called when this one is readable. -1: none. */
	int other_fd;
	void (*other_ready)(void *owner);
	void *owner;
	/* Expires in the event loop when the link has ended, in whichever thread that was. NULL: nobody watches it. */
	struct loop *loop;
	struct loop_timer ended;
};

struct vhost_user_message {
	enum vhost_user_request request;
	bool need_reply; /* REPLY_ACK was negotiated: an answer says whether it worked */
	const void *payload;
	uint32_t size;
	const int *fds; /* borrowed */
	unsigned nfds;  /* up to VHOST_USER_FDS_MAX */
	/* -1 before; then the descriptor that came with a good answer, which is the caller's. NULL: none is taken. */
	int *answer_fd;
};

/* Takes a connected socket, which never blocks. */
void vhost_user_link_open(struct vhost_user_link *link, int fd);
/* Legal for one that is closed. Afterwards it is VHOST_USER_CLOSED, if it did not end otherwise before. */
void vhost_user_link_close(struct vhost_user_link *link);

/* From now on, calls may take timeout_ms all together. */
void vhost_user_link_begin(struct vhost_user_link *link, unsigned timeout_ms);

/*
 * Sends; with need_reply, waits for the answer as well. 0, or -errno: -EREMOTEIO is an answer that says no, after
 * which the link goes on. After any other error it has ended: -ECONNRESET, -ETIMEDOUT, -EPROTO, -EMFILE...
 */
int vhost_user_send(struct vhost_user_link *link, const struct vhost_user_message *message);
/* Sends, and waits for an answer of min to max bytes, whose size is returned, or -errno as above. */
int vhost_user_ask(struct vhost_user_link *link, const struct vhost_user_message *message, void *answer, uint32_t min,
                   uint32_t max);

/* Ends the link. Returns -EPROTO. */
int vhost_user_garbage(struct vhost_user_link *link, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The socket was reported as readable, or hung up, between two calls: nothing may come then. */
void vhost_user_link_examine(struct vhost_user_link *link);

/* "VHOST_USER_SET_FEATURES" */
const char *vhost_user_request_name(enum vhost_user_request request);

#endif
