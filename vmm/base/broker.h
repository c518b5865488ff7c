// SPDX-License-Identifier: Apache-2.0
/*
 * broker.h - operations that a sandboxed machine leaves to another process: to open a file by its name, to make a socket.
 *
 * The broker is a second process of pmvm, forked before the sandbox is entered. It has the rights of the user who started
 * pmvm, serves one request after the other, and ends with the machine. An operation is a function with plain data and at
 * most two strings as arguments, and plain data and descriptors as results. broker_call runs it in this process while
 * there is no broker, and in the broker afterwards, so its callers need not know.
 *
 * The broker does not trust the machine. A request has the size that its operation says, and its strings end; everything
 * else in it is checked by the operation (`serve`), which also asks permit.h before it uses a path or an address.
 */
#ifndef PMVM_BROKER_H
#define PMVM_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmem.h>

#define BROKER_STRINGS 2u
#define BROKER_STRING_SIZE 4096u /* with its end: PATH_MAX */
#define BROKER_DATA_MAX 2048u    /* of a struct, each way */
#define BROKER_FDS_MAX 2u

struct broker_call {
	const void *in;                      /* op->in_size bytes, aligned for any type */
	const char *strings[BROKER_STRINGS]; /* NULL: none */
	const int *in_fd;                    /* a descriptor for the operation, borrowed; NULL: none */
	void *out;               /* op->out_size bytes, all zeros before `serve`; valid if the result is 0 or less */
	int fds[BROKER_FDS_MAX]; /* descriptors of the result, the caller's; none if it is below 0 */
	unsigned nfds;
	bool is_denied; /* the result is below 0 because the broker does not permit this path or address */
};

struct broker_op {
	const char *name;
	size_t in_size, out_size;
	/* 0 or -errno. It sets *out, fds and nfds; on failure it leaves no descriptor open. */
	int (*serve)(struct broker_call *call);
};

/*
 * 0 or -errno, that of the operation; -EPIPE: the broker has ended. It waits for the operation. Any thread; calls of
 * several threads are served in turn.
 */
int broker_call(const struct broker_op *op, struct broker_call *call);

/* If the call was denied, a hint replaces that of the error: which option permits the path. */
void broker_hint(const struct broker_call *call, const char *path, struct vpmem_error *err);

/* From now on calls go to the broker at the other end of this socket (SOCK_SEQPACKET), which is taken. -1: to nobody. */
void broker_connect(int fd, const struct broker_op *const *ops, size_t nops);

/* Calls go to a broker; otherwise operations are served here. */
bool broker_is_connected(void);

/*
 * In the broker: serves one request. 0; -EPIPE: the machine has ended; another -errno: the socket cannot be used. A
 * request that is malformed is answered with -EBADMSG.
 */
int broker_serve(int fd, const struct broker_op *const *ops, size_t nops);

#endif
