// SPDX-License-Identifier: Apache-2.0
/*
 * frame.h - JSON objects as frames of a stream socket.
 *
 * A frame is a length, 4 bytes in little-endian order, and that many bytes of JSON, which are one object. It carries what
 * pmvm-oci and the agent of a guest say to each other (docs/containers-protocol.md), and what two processes of pmvm-oci
 * say. Each end may be hostile to the other: a length beyond WIRE_FRAME_MAX, a text that is no JSON (json_parse.h: strict,
 * with bounds for its depth and its members), a value that is no object, or a stream that ends within a frame is
 * -EBADMSG, and the connection is of no more use.
 *
 * Descriptors are stream sockets, blocking or not, and borrowed. No function takes more bytes from the socket than its
 * frame has, so raw bytes may follow one. No function raises SIGPIPE.
 */
#ifndef PMVM_OCI_FRAME_H
#define PMVM_OCI_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <vpmem.h>

enum { WIRE_AGENT_VERSION = 4 };           /* of what the agent and pmvm-oci say to each other */
enum { WIRE_FRAME_MAX = 1 << 20 };         /* bytes of JSON */
enum { WIRE_SEND_TIMEOUT_MS = 10 * 1000 }; /* for the peer to take one frame */

struct json_object;

/*
 * Sends the whole frame, and waits for a peer that is slow. -EMSGSIZE: too long, and nothing was sent. -ETIMEDOUT: the
 * peer does not read; as after every other error, a part of the frame may have been sent. -EPIPE, -ECONNRESET: it is gone.
 */
int wire_send(int fd, struct json_object *message, struct vpmem_error *err);

/* A frame that has come in part. All zeros is a reader at the start of a frame. */
struct wire_reader {
	uint8_t head[4];
	size_t nhead;      /* of these */
	char *text;        /* of the frame, with a place for a NUL; NULL while the head is not complete */
	size_t len, ntext; /* bytes of the frame; those that came */
};

/*
 * Reads what has come, without waiting. 1: *message is a frame, which the caller owns. 0: more has to come. -EPIPE: the
 * peer closed the connection between two frames. -EBADMSG: see above. -ENOMEM. Others: of recv(2).
 */
int wire_read(struct wire_reader *reader, int fd, struct json_object **message, struct vpmem_error *err);
/* Drops what came in part; the reader is at the start of a frame. */
void wire_reader_fini(struct wire_reader *reader);

/* Waits for one frame. 0: the caller owns *message. -ETIMEDOUT: not within timeout_ms (-1: wait without end). As above. */
int wire_receive(int fd, int timeout_ms, struct json_object **message, struct vpmem_error *err);

#endif
