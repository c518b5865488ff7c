// SPDX-License-Identifier: Apache-2.0
// Calls to the broker, and how it receives them. A message is a header, the struct of the operation, and the strings.
#include "broker.h"

#include "error.h"
#include "log.h"
#include "permit.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
	uint32_t op_idx;
	uint32_t string_sizes[BROKER_STRINGS]; /* with their ends; 0: none */
	uint32_t pad;
};

struct reply {
	int32_t result;
	uint32_t is_denied;
};

#define MESSAGE_MAX (sizeof(struct request) + BROKER_DATA_MAX + BROKER_STRINGS * BROKER_STRING_SIZE)

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(BROKER_FDS_MAX * sizeof(int))];
};

// ---- messages

static void put_fds(struct msghdr *msg, union control *control, const int *fds, unsigned nfds)
{
	struct cmsghdr *header;

	if (nfds == 0)
		return;
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	header = CMSG_FIRSTHDR(msg);
	*header = (struct cmsghdr) { .cmsg_len = CMSG_LEN(nfds * sizeof(int)),
		                     .cmsg_level = SOL_SOCKET,
		                     .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(header), fds, nfds * sizeof(int));
}

// SOCK_SEQPACKET sends a message as a whole or not at all.
static int send_message(int fd, const struct msghdr *msg)
{
	while (sendmsg(fd, msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

static void close_all(const int *fds, unsigned nfds)
{
	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
}

// The bytes of a message, with its descriptors; -EPIPE at the end; -EBADMSG: it was too long, or was not received whole.
static ssize_t receive(int fd, struct msghdr *msg, int fds[BROKER_FDS_MAX], unsigned *nfds)
{
	union control control;
	ssize_t len;

	*nfds = 0;
	msg->msg_control = control.bytes;
	msg->msg_controllen = sizeof(control);
	do
		len = recvmsg(fd, msg, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len == 0 || errno == ECONNRESET ? -EPIPE : -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		// One header at most: the kernel puts all descriptors of a message into one.
		*nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
	}
	if (!(msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return len;
	close_all(fds, *nfds);
	*nfds = 0;
	return -EBADMSG;
}

// ---- the machine's side

static struct {
	pthread_mutex_t lock; // one call at a time
	int fd;
	const struct broker_op *const *ops;
	size_t nops;
} broker = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

void broker_connect(int fd, const struct broker_op *const *ops, size_t nops)
{
	if (broker.fd >= 0)
		close(broker.fd);
	broker.fd = fd;
	broker.ops = ops;
	broker.nops = nops;
}

bool broker_is_connected(void)
{
	return broker.fd >= 0;
}

static uint32_t index_of(const struct broker_op *op)
{
	size_t i = 0;

	while (i < broker.nops && broker.ops[i] != op)
		i++;
	assert(i < broker.nops);
	return (uint32_t)i;
}

static int ask(const struct broker_op *op, const struct broker_call *call)
{
	struct request request = { .op_idx = index_of(op) };
	struct iovec iov[2 + BROKER_STRINGS] = {
		{ .iov_base = &request, .iov_len = sizeof(request) },
		{ .iov_base = (void *)call->in, .iov_len = op->in_size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 + BROKER_STRINGS };
	union control control;

	for (unsigned i = 0; i < BROKER_STRINGS; i++) {
		size_t size = call->strings[i] ? strlen(call->strings[i]) + 1 : 0;

		if (size > BROKER_STRING_SIZE)
			return -ENAMETOOLONG;
		request.string_sizes[i] = (uint32_t)size;
		iov[2 + i] = (struct iovec) { .iov_base = (void *)call->strings[i], .iov_len = size };
	}
	put_fds(&msg, &control, call->in_fd, call->in_fd ? 1 : 0);
	return send_message(broker.fd, &msg);
}

static int hear(const struct broker_op *op, struct broker_call *call)
{
	struct reply reply;
	struct iovec iov[] = {
		{ .iov_base = &reply, .iov_len = sizeof(reply) },
		{ .iov_base = call->out, .iov_len = op->out_size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t len = receive(broker.fd, &msg, call->fds, &call->nfds);

	if (len < 0)
		return (int)len;
	if ((size_t)len < sizeof(reply) + op->out_size || reply.result > 0 || (reply.result < 0 && call->nfds > 0)) {
		close_all(call->fds, call->nfds);
		call->nfds = 0;
		return -EBADMSG;
	}
	call->is_denied = reply.is_denied;
	return reply.result;
}

static int serve_here(const struct broker_op *op, struct broker_call *call)
{
	if (op->out_size > 0)
		memset(call->out, 0, op->out_size);
	return op->serve(call);
}

int broker_call(const struct broker_op *op, struct broker_call *call)
{
	int rc;

	call->nfds = 0;
	call->is_denied = false;
	if (broker.fd < 0)
		return serve_here(op, call);
	pthread_mutex_lock(&broker.lock);
	rc = ask(op, call);
	if (rc == 0)
		rc = hear(op, call);
	pthread_mutex_unlock(&broker.lock);
	if (rc == -EPIPE)
		log_guest("sandbox: the broker has ended: %s is not possible any more", op->name);
	return rc;
}

void broker_hint(const struct broker_call *call, const char *path, struct vpmem_error *err)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!call->is_denied)
		return;
	if (!path)
		error_hint(err,
		           "the sandbox permits the addresses of the command line only: start with -sandbox on,net=on");
	else if (!slash)
		error_hint(err, "the sandbox does not permit the working directory: start with -sandbox on,dir=.");
	else
		error_hint(err,
		           "the sandbox permits files below the directories of the command line only: start with "
		           "-sandbox on,dir=%.*s",
		           slash == path ? 1 : (int)(slash - path), path);
}

// ---- the broker's side

// The strings begin at `bytes`, and must fill the rest of the message.
static bool take_strings(const struct request *request, const char *bytes, size_t len, struct broker_call *call)
{
	for (unsigned i = 0; i < BROKER_STRINGS; i++) {
		size_t size = request->string_sizes[i];

		if (size > len || size > BROKER_STRING_SIZE)
			return false;
		if (size == 0)
			continue;
		if (memchr(bytes, '\0', size) != bytes + size - 1)
			return false;
		call->strings[i] = bytes;
		bytes += size;
		len -= size;
	}
	return len == 0;
}

// NULL: the message is malformed.
static const struct broker_op *parse(const char *bytes, size_t len, struct broker_call *call,
                                     const struct broker_op *const *ops, size_t nops)
{
	const struct broker_op *op;
	struct request request;

	if (len < sizeof(request))
		return NULL;
	memcpy(&request, bytes, sizeof(request));
	if (request.op_idx >= nops)
		return NULL;
	op = ops[request.op_idx];
	if (len - sizeof(request) < op->in_size)
		return NULL;
	call->in = bytes + sizeof(request);
	return take_strings(&request, bytes + sizeof(request) + op->in_size, len - sizeof(request) - op->in_size,
	                    call) ?
	               op :
	               NULL;
}

static int answer(int fd, const struct reply *reply, const struct broker_call *call, size_t out_size)
{
	struct iovec iov[] = {
		{ .iov_base = (void *)reply, .iov_len = sizeof(*reply) },
		{ .iov_base = call->out, .iov_len = out_size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	union control control;

	put_fds(&msg, &control, call->fds, call->nfds);
	return send_message(fd, &msg);
}

int broker_serve(int fd, const struct broker_op *const *ops, size_t nops)
{
	static alignas(max_align_t) char message[MESSAGE_MAX], out[BROKER_DATA_MAX];
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(message) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int in_fds[BROKER_FDS_MAX], rc;
	struct reply reply = { .result = -EBADMSG };
	struct broker_call call = { .out = out };
	const struct broker_op *op = NULL;
	unsigned nin_fds;
	ssize_t len = receive(fd, &msg, in_fds, &nin_fds);

	if (len < 0 && len != -EBADMSG)
		return (int)len;
	if (len > 0)
		op = parse(message, (size_t)len, &call, ops, nops);
	if (op) {
		call.in_fd = nin_fds > 0 ? &in_fds[0] : NULL;
		permit_clear_denied();
		reply.result = serve_here(op, &call);
		reply.is_denied = reply.result < 0 && permit_was_denied();
	}
	rc = answer(fd, &reply, &call, op ? op->out_size : 0);
	close_all(call.fds, call.nfds);
	close_all(in_fds, nin_fds);
	return rc;
}
