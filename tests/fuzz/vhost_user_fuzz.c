// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_fuzz.c - the answers of a vhost-user back end, its own requests, and what it sends or ends at any moment, while
 * a driver starts and resets the device, memory comes and goes, and back ends follow each other.
 *
 * There is no other process: the front end's sendmsg is wrapped, and the answer, good or not, is in its socket when it
 * returns. A wait for what does not come ends at once, as if the time had passed.
 *
 * What holds: the device never runs without a connection; a call ends; when the device is gone, nothing is left.
 */
#include "fuzz.h"
#include "vhost_rig.h"
#include "vhost_user_device.h"
#include "vhost_user_link.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS_MAX 60u
#define NQUEUES 2u
#define OTHER_GPA UINT64_C(0x40000000)
#define CONFIG 0x5000u

static struct input *input;
static int peer_fd, channel_fd;
static uint64_t now_ms;
static bool has_other;

/* ---- time ------------------------------------------------------------------------------------------------------ */

uint64_t __wrap_monotonic_ms(void);
uint64_t __wrap_monotonic_ms(void)
{
	return now_ms;
}

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int rc = __real_poll(fds, n, 0);

	if (rc == 0 && timeout_ms > 0)
		now_ms += (uint64_t)timeout_ms;
	return rc;
}

/* ---- the back end ---------------------------------------------------------------------------------------------------- */

struct message {
	struct vhost_user_header header;
	uint8_t payload[sizeof(struct vhost_user_config_payload)];
};

static void end_peer(void)
{
	if (peer_fd >= 0)
		close(peer_fd);
	peer_fd = -1;
}

static void put(const void *bytes, size_t len)
{
	if (peer_fd >= 0)
		(void)!send(peer_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool wants_answer(const struct vhost_user_header *header)
{
	switch (header->request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_INFLIGHT_FD:
		return true;
	default:
		return header->flags & VHOST_USER_NEED_REPLY;
	}
}

static uint64_t good_number(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return UINT64_MAX;
	case VHOST_USER_GET_QUEUE_NUM:
		return NQUEUES;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		return 8;
	default:
		return 0;
	}
}

/* Bits that spoil a good answer, one by one. */
enum {
	SPOIL_REQUEST = 1,
	SPOIL_FLAGS = 2,
	SPOIL_SIZE = 4,
	SPOIL_PAYLOAD = 8,
	SPOIL_LENGTH = 16,
	SPOIL_END = 32,
	SPOIL_FDS = 64
};

ssize_t __real_sendmsg(int fd, const struct msghdr *hdr, int flags);

/* With descriptors, up to two. */
static void put_with_fds(const void *bytes, size_t len, unsigned nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(2 * sizeof(int))];
	} control = {
		.align = { .cmsg_len = CMSG_LEN(nfds * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
	};
	const int fds[2] = { peer_fd, peer_fd };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = len };
	const struct msghdr hdr = { .msg_iov = &iov,
		                    .msg_iovlen = 1,
		                    .msg_control = &control,
		                    .msg_controllen = CMSG_SPACE(nfds * sizeof(int)) };

	memcpy(CMSG_DATA(&control.align), fds, nfds * sizeof(int));
	if (peer_fd >= 0 && len > 0)
		(void)!__real_sendmsg(peer_fd, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void answer(struct message *msg)
{
	bool is_inflight = msg->header.request == VHOST_USER_GET_INFLIGHT_FD;
	uint8_t spoil = take8(input);
	uint64_t number = good_number(msg->header.request);
	size_t len;

	msg->header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	/* These echo what they were asked. */
	if (is_inflight) {
		msg->payload[0] = 1; /* its size is not 0 */
	} else if (msg->header.request != VHOST_USER_GET_VRING_BASE && msg->header.request != VHOST_USER_GET_CONFIG) {
		memcpy(msg->payload, &number, sizeof(number));
		msg->header.size = sizeof(number);
	}
	len = sizeof(msg->header) + msg->header.size;
	if (spoil & SPOIL_PAYLOAD)
		for (unsigned i = 0; i < msg->header.size && i < 16; i++)
			msg->payload[i] = take8(input);
	if (spoil & SPOIL_REQUEST)
		msg->header.request = take32(input);
	if (spoil & SPOIL_FLAGS)
		msg->header.flags = take32(input);
	if (spoil & SPOIL_SIZE)
		msg->header.size = take32(input);
	if (spoil & SPOIL_LENGTH)
		len = take16(input) % (sizeof(*msg) + 1);
	if (is_inflight || spoil & SPOIL_FDS)
		put_with_fds(msg, len, spoil & SPOIL_FDS ? take8(input) % 3 : 1);
	else
		put(msg, len);
	if (spoil & SPOIL_END)
		end_peer();
}

static void take_channel(const struct msghdr *hdr)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr);
	int fd;

	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	if (channel_fd >= 0)
		close(channel_fd);
	channel_fd = dup(fd);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *hdr, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *hdr, int flags)
{
	size_t len = hdr->msg_iov[0].iov_len;
	struct message msg = { .payload = { 0 } };

	(void)fd, (void)flags;
	CHECK(len >= sizeof(msg.header) && len <= sizeof(msg));
	memcpy(&msg, hdr->msg_iov[0].iov_base, len);
	CHECK(msg.header.size == len - sizeof(msg.header));
	if (peer_fd < 0) {
		errno = EPIPE;
		return -1;
	}
	if (msg.header.request == VHOST_USER_SET_BACKEND_REQ_FD)
		take_channel(hdr);
	if (wants_answer(&msg.header))
		answer(&msg);
	return (ssize_t)len;
}

/* Returns the front end's socket. */
static int new_peer(void)
{
	int fds[2];

	end_peer();
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	peer_fd = fds[1];
	return fds[0];
}

/* ---- steps --------------------------------------------------------------------------------------------------------------- */

static void change_memory(struct vhost_rig *r)
{
	const struct vm_memory_region region = { .gpa = OTHER_GPA, .size = 4096, .hva = r->window, .fd = peer_fd };

	if (has_other)
		vm_memory_del(&r->rig.fake.vm, OTHER_GPA, 4096);
	has_other = !has_other && vm_memory_add_region(&r->rig.fake.vm, &region, false) == 0;
}

static void send_bytes(int fd)
{
	uint8_t bytes[16];
	uint8_t n = take8(input) % sizeof(bytes);

	for (unsigned i = 0; i < n; i++)
		bytes[i] = take8(input);
	if (fd >= 0)
		(void)!send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void report_change(void)
{
	const struct vhost_user_header header = { .request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		                                  .flags = VHOST_USER_VERSION | (take8(input) & 8) };

	if (channel_fd >= 0)
		(void)!send(channel_fd, &header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void turn(struct vhost_rig *r, struct vhost_user_device *dev)
{
	struct vhost_user_state state;

	loop_turn(r);
	state = vhost_user_device_state(dev);
	CHECK(state.connected || !state.running);
	CHECK(!state.running || (status(r) & NEEDS_RESET) == 0);
	if (!state.connected && take8(input) & 1)
		(void)vhost_user_device_connect(dev, new_peer());
}

static void step(struct vhost_rig *r, struct vhost_user_device *dev)
{
	switch (take8(input) % 12) {
	case 0:
		start(r, 0, NQUEUES);
		break;
	case 1:
		wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		break;
	case 2:
		change_memory(r);
		break;
	case 3:
		wr(r, CONFIG + take8(input) % 64, 1u << take8(input) % 4, take32(input));
		break;
	case 4:
		send_bytes(peer_fd);
		break;
	case 5:
		send_bytes(channel_fd);
		break;
	case 6:
		report_change();
		break;
	case 7:
		end_peer();
		break;
	case 8:
		virtio_pci_set_paused(r->vp, take8(input) & 1);
		break;
	case 9:
		vhost_user_device_expect(dev, take8(input) & 1);
		break;
	default:
		turn(r, dev);
	}
}

static void run(struct vhost_rig *r, const struct vhost_user_options *opts)
{
	const struct virtio_pci_config place = vhost_rig_place(r);
	struct vhost_user_device *dev;

	if (vhost_user_device_open(opts, new_peer(), &dev, NULL) || vhost_user_device_plug(dev, &place, &r->vp, NULL))
		return;
	probe(r);
	for (unsigned i = 0; i < STEPS_MAX && input->len > 0; i++)
		step(r, dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { .data = data, .len = len };
	struct vhost_rig *r = vhost_rig_new();
	struct vhost_user_options opts = {
		.model = "vhost-user-device-pci",
		.device_id = 2,
		.nqueues = NQUEUES,
		.queue_size = 128,
		.features = UINT64_MAX,
		.config_size = 60,
		.backend_config = true,
		.writable_size = 60,
		.always_writable = true,
		.mem = &r->mem,
	};

	input = &in;
	peer_fd = channel_fd = -1;
	now_ms = 1;
	has_other = false;
	opts.resumes = take8(&in) & 1;
	run(r, &opts);
	if (has_other)
		change_memory(r);
	/* The last messages of the front end have nobody to answer them. */
	end_peer();
	if (channel_fd >= 0)
		close(channel_fd);
	channel_fd = -1;
	vhost_rig_free(r);
	return 0;
}
