// SPDX-License-Identifier: Apache-2.0
/*
 * broker_fuzz.c - what a machine that was taken over sends to its broker: messages of any bytes, or well-formed ones with
 * any values, with names inside and outside the one directory that is permitted, and with descriptors.
 *
 * What holds: every message gets one answer. A descriptor in it names a file of the permitted directory or one that has
 * no name. Nothing outside that directory changes, no file in it is removed that it did not create, and no descriptor
 * remains. /dev/net/tun and /dev/vhost-* are fake.
 */
#include "broker_process.h"
#include "broker_rig.h"
#include "chardev_pty.h"
#include "file_id.h"
#include "fuzz.h"
#include "host_memory.h"
#include "inet.h"
#include "listen.h"
#include "machine_broker.h"
#include "machine_file.h"
#include "machine_rng.h"
#include "net_dgram.h"
#include "net_remote.h"
#include "nonblock.h"
#include "outfile.h"
#include "tap.h"
#include "vhost_kernel.h"
#include "vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGES_MAX 24u
#define MESSAGE_SIZE 12000u /* more than the longest that is well-formed */

/* Relative to the permitted directory. Others are links and paths that leave it. */
static const char *const names[] = {
	"x",
	"file",
	"socket",
	"sub/x",
	"sub",
	"link",
	"dir-link/secret",
	"dir-link/new",
	"dangling",
	"../outside/new",
	/* That leaves no room for a longer name beside it. */
	"./././././././././././././././././././././././././././././././././././././././././././././././socket",
	"../outside/socket",
	"",
};
#define NNAMES (sizeof(names) / sizeof(names[0]))

static int machine_fd = -1, broker_fd;

/* The real one would change the root directory and the user of this process. */
static int serve_settle(struct broker_call *call)
{
	for (unsigned i = 0; i < BROKER_STRINGS; i++)
		CHECK(!call->strings[i] || strlen(call->strings[i]) < BROKER_STRING_SIZE);
	return -EPERM;
}

static struct broker_op settle_op;

/* In an order of their own, so that seeds keep their meaning. */
static const struct broker_op *const ops[] = {
	&file_id_unlink_op,
	&nonblock_reopen_op,
	&chardev_pty_op,
	&inet_connect_op,
	&inet_listen_op,
	&listen_unix_op,
	&outfile_open_op,
	&net_dgram_bind_op,
	&tap_queue_op,
	&vhost_kernel_open_op,
	&vhost_kernel_regions_max_op,
	&vhost_user_channel_op,
	&host_memory_available_op,
	&host_memory_memfd_op,
	&rng_random_open_op,
	&settle_op,
	&broker_report_op,
	&machine_file_open_op,
	&machine_file_remove_op,
	&net_remote_connect_op,
};
#define NOPS ((unsigned)(sizeof(ops) / sizeof(ops[0])))

// ---- messages

struct message {
	uint8_t bytes[MESSAGE_SIZE];
	size_t len;
	int fds[3];
	unsigned nfds;
};

static void put(struct message *msg, const void *bytes, size_t len)
{
	if (len > sizeof(msg->bytes) - msg->len)
		len = sizeof(msg->bytes) - msg->len;
	if (len > 0)
		memcpy(msg->bytes + msg->len, bytes, len);
	msg->len += len;
}

/* One of the names, its absolute path, or any bytes. */
static const char *take_name(struct input *in, char buf[PATH_MAX])
{
	uint8_t which = take8(in);
	struct input any;

	if (which < NNAMES)
		snprintf(buf, PATH_MAX, "%s", names[which]);
	else if (which < 2 * NNAMES)
		snprintf(buf, PATH_MAX, "%s/%s", broker_rig_dir, names[which - NNAMES]);
	else {
		any = input_slice(in, which);
		snprintf(buf, PATH_MAX, "%.*s", (int)any.len, any.len > 0 ? (const char *)any.data : "");
	}
	return buf;
}

static void put_address(struct message *msg, struct input *in)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct inet_addr addr = { .len = sizeof(un) };
	char buf[PATH_MAX];

	strncpy(un.sun_path, take_name(in, buf), sizeof(un.sun_path) - 1);
	memcpy(&addr.addr, &un, sizeof(un));
	put(msg, &addr, sizeof(addr));
}

/* Any bytes; those that an operation of this size is likely to need. */
static void put_struct(struct message *msg, struct input *in, const struct broker_op *op, const char *name, bool apt)
{
	uint8_t zeros[BROKER_DATA_MAX] = { 0 };
	size_t end = msg->len + op->in_size;
	struct file_id id = { .dev = 0 };
	struct input any;

	if (apt && op == &file_id_unlink_op) {
		(void)file_id_at(AT_FDCWD, name, &id);
		put(msg, &id, sizeof(id));
	} else if (apt && op->in_size >= sizeof(struct inet_addr)) {
		put_address(msg, in);
	}
	any = input_slice(in, end - msg->len);
	put(msg, any.data, any.len);
	put(msg, zeros, end - msg->len);
}

static void take_request(struct message *msg, struct input *in, uint8_t how)
{
	uint32_t header[4] = { how & 0x1f };
	char name[PATH_MAX], second[PATH_MAX];
	uint8_t sizes = take8(in);

	take_name(in, name);
	header[1] = sizes & 1 ? 0 : (uint32_t)strlen(name) + 1;
	take_name(in, second);
	header[2] = sizes & 2 ? (uint32_t)strlen(second) + 1 : 0;
	if (sizes & 4)
		header[1] += take8(in);
	put(msg, header, sizeof(header));
	if (header[0] < NOPS)
		put_struct(msg, in, ops[header[0]], name, how & 0x20);
	if (!(sizes & 1))
		put(msg, name, strlen(name) + 1);
	if (sizes & 2)
		put(msg, second, strlen(second) + 1);
}

static void take_message(struct message *msg, struct input *in)
{
	uint8_t how = take8(in), fds = take8(in);
	struct input any;

	msg->len = 0;
	msg->nfds = fds & 3;
	for (unsigned i = 0; i < msg->nfds; i++)
		msg->fds[i] = broker_rig_fds[(fds >> (2 + 2 * i)) & 3];
	if ((how & 0xc0) == 0x40) {
		msg->fds[0] = broker_rig_fds[4];
		msg->nfds += msg->nfds == 0;
	}
	if (!(how & 0x80)) {
		take_request(msg, in, how);
		return;
	}
	any = input_slice(in, take16(in) % MESSAGE_SIZE);
	put(msg, any.data, any.len);
	if (how & 0x40) {
		memset(msg->bytes + msg->len, 0, sizeof(msg->bytes) - msg->len);
		msg->len = sizeof(msg->bytes);
	}
}

static void send_it(const struct message *msg)
{
	struct iovec iov = { .iov_base = (void *)msg->bytes, .iov_len = msg->len };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(msg->fds))];
	} control;
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (msg->nfds > 0) {
		hdr.msg_control = control.bytes;
		hdr.msg_controllen = CMSG_SPACE(msg->nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(msg->nfds * sizeof(int));
		memcpy(CMSG_DATA(c), msg->fds, msg->nfds * sizeof(int));
	}
	CHECK(sendmsg(machine_fd, &hdr, MSG_NOSIGNAL) == (ssize_t)msg->len);
}

/* Of the permitted directory, or without a name: sockets, pipes, memory, terminals, the fakes. */
static void check_descriptor(int fd)
{
	static const char *const others[] = {
		"socket:", "pipe:", "/memfd:", "/dev/ptmx", "/dev/pts/ptmx", "/dev/null", "anon_inode:[eventfd]"
	};
	char target[PATH_MAX];
	bool is_known;

	broker_rig_target(fd, target);
	is_known = broker_rig_is_below(target);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		is_known |= strncmp(target, others[i], strlen(others[i])) == 0;
	CHECK(is_known);
	close(fd);
}

static void check_answer(void)
{
	static uint8_t bytes[8 + BROKER_DATA_MAX + 1];
	struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)
	};
	ssize_t len = recvmsg(machine_fd, &hdr, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = len < 0 ? NULL : CMSG_FIRSTHDR(&hdr);
	int32_t result;
	int fd;

	CHECK(len >= 8 && len <= 8 + (ssize_t)BROKER_DATA_MAX && !(hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)));
	memcpy(&result, bytes, sizeof(result));
	CHECK(result <= 0 && (result == 0 || !c));
	for (size_t i = 0; c && i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		check_descriptor(fd);
	}
	CHECK(recv(machine_fd, bytes, 1, 0) < 0 && errno == EAGAIN);
}

static bool is_fuzzed(const struct broker_op *op)
{
	unsigned i = 0;

	while (i < NOPS && ops[i] != op)
		i++;
	return i < NOPS || op == &broker_settle_op;
}

static void check_ops(void)
{
	settle_op = broker_settle_op;
	settle_op.serve = serve_settle;
	for (unsigned i = 0; i < machine_broker_nops; i++)
		CHECK(is_fuzzed(machine_broker_ops[i]));
}

static void make_sockets(void)
{
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	machine_fd = fds[0];
	broker_fd = fds[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct message msg;
	struct input in = { .data = data, .len = len };
	unsigned nfds;

	if (machine_fd < 0) {
		broker_rig_set_up();
		check_ops();
		make_sockets();
	}
	broker_rig_fill();
	nfds = broker_rig_count_fds();
	for (unsigned i = 0; i < MESSAGES_MAX && in.len > 0; i++) {
		take_message(&msg, &in);
		/* An empty message cannot be told from the end of the machine. */
		if (msg.len == 0)
			continue;
		send_it(&msg);
		CHECK(broker_serve(broker_fd, ops, NOPS) == 0);
		check_answer();
	}
	CHECK(broker_rig_count_fds() == nfds);
	broker_rig_check_files();
	return 0;
}
