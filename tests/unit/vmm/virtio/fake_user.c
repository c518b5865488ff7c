// SPDX-License-Identifier: Apache-2.0
// A vhost-user back end in a thread, which misbehaves on request.
#include "fake_user.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BIT(n) (UINT64_C(1) << (n))
#define MOMENT_MS 20

/* ---- time ------------------------------------------------------------------------------------------------------ */

static _Atomic uint64_t skipped_ms;
static _Atomic bool hangs; /* the fake will not send any more */

uint64_t __real_monotonic_ms(void);
uint64_t __wrap_monotonic_ms(void);
uint64_t __wrap_monotonic_ms(void)
{
	return __real_monotonic_ms() + skipped_ms;
}

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int rc;

	/* On a loaded machine an answer may take its time. */
	do
		rc = __real_poll(fds, n, timeout_ms > MOMENT_MS ? MOMENT_MS : timeout_ms);
	while (rc == 0 && timeout_ms > MOMENT_MS && !hangs);
	if (rc == 0 && timeout_ms > MOMENT_MS)
		skipped_ms += (uint64_t)timeout_ms;
	return rc;
}

/* ---- messages ----------------------------------------------------------------------------------------------------- */

struct message {
	uint32_t unused; /* so that the payload follows the header at once */
	struct vhost_user_header header;
	union {
		uint64_t u64;
		struct vhost_user_vring vring;
		struct vhost_user_vring_addr addr;
		struct vhost_user_memory memory;
		struct vhost_user_one_region one;
		struct vhost_user_config_payload config;
		struct vhost_user_inflight inflight;
	} payload;
	int fds[VHOST_USER_FDS_MAX];
	unsigned nfds;
};

_Static_assert(offsetof(struct message, payload) == offsetof(struct message, header) + 12, "as on the wire");

static bool receive_all(int fd, void *buf, size_t len)
{
	return len == 0 || recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static bool receive(struct fake_user *fake, struct message *msg)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VHOST_USER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &msg->header, .iov_len = sizeof(msg->header) };
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *cmsg;

	memset(msg, 0, sizeof(*msg));
	if (recvmsg(fake->fd, &hdr, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(msg->header))
		return false;
	cmsg = CMSG_FIRSTHDR(&hdr);
	if (cmsg) {
		msg->nfds = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(msg->fds, CMSG_DATA(cmsg), msg->nfds * sizeof(int));
	}
	return msg->header.size <= sizeof(msg->payload) && receive_all(fake->fd, &msg->payload, msg->header.size);
}

/* Passes the same descriptor, as any other would do. */
static void send_with_fd(int socket_fd, const void *buf, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { .align = {
			      .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	sendmsg(socket_fd, &hdr, MSG_NOSIGNAL);
}

static void ask(struct fake_user *fake, uint32_t request, uint32_t flags)
{
	const struct vhost_user_header header = { .request = request, .flags = VHOST_USER_VERSION | flags };

	send(fake->channel_fd, &header, sizeof(header), MSG_NOSIGNAL);
}

/* A change of the configuration; false: it is not acknowledged. */
static bool reports_change(struct fake_user *fake)
{
	const struct timeval patience = { .tv_sec = 10 };
	uint8_t reply[sizeof(struct vhost_user_header) + sizeof(uint64_t)];

	setsockopt(fake->channel_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ask(fake, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_NEED_REPLY);
	return receive_all(fake->channel_fd, reply, sizeof(reply));
}

static void close_channel(struct fake_user *fake)
{
	close(fake->channel_fd);
	fake->channel_fd = -1;
}

static void reply(struct fake_user *fake, const struct message *msg, const void *payload, uint32_t size)
{
	enum fake_user_how how = msg->header.request == fake->bad ? fake->how : FAKE_USER_FINE;
	struct message answer = { .header = { .request = msg->header.request,
		                              .flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		                              .size = size } };
	size_t len = sizeof(answer.header) + size;

	memcpy(&answer.payload, payload, size);
	switch (how) {
	case FAKE_USER_OTHER_REQUEST:
		answer.header.request++;
		break;
	case FAKE_USER_NO_REPLY_FLAG:
		answer.header.flags = VHOST_USER_VERSION;
		break;
	case FAKE_USER_VERSION:
		answer.header.flags = 2 | VHOST_USER_REPLY;
		break;
	case FAKE_USER_SHORT:
		answer.header.size = size - 1;
		len--;
		break;
	case FAKE_USER_LONG:
		answer.header.size = UINT32_MAX;
		break;
	case FAKE_USER_HALF:
		len = sizeof(answer.header) / 2;
		hangs = true;
		break;
	case FAKE_USER_VALUE:
		memset(&answer.payload, 0xff, size);
		break;
	case FAKE_USER_WITH_FD:
		send_with_fd(fake->fd, &answer.header, len, fake->fd);
		return;
	case FAKE_USER_HANG:
		hangs = true;
		return;
	case FAKE_USER_ASKS:
		if (!reports_change(fake))
			return;
		break;
	case FAKE_USER_ASKS_NONSENSE:
		ask(fake, 99, 0);
		return;
	case FAKE_USER_CLOSES_CHANNEL:
		close_channel(fake);
		hangs = true;
		return;
	default:
		break;
	}
	send(fake->fd, &answer.header, len, MSG_NOSIGNAL);
}

static void reply_u64(struct fake_user *fake, const struct message *msg, uint64_t val)
{
	reply(fake, msg, &val, sizeof(val));
}

/* ---- what it does ---------------------------------------------------------------------------------------------------- */

static void remove_region(struct fake_user *fake, const struct vhost_user_region *region)
{
	for (unsigned i = 0; i < fake->nregions; i++) {
		if (fake->regions[i].gpa == region->gpa && fake->regions[i].size == region->size) {
			fake->regions[i] = fake->regions[--fake->nregions];
			return;
		}
	}
	fake->nfds_wrong++;
}

static void add_region(struct fake_user *fake, const struct vhost_user_region *region)
{
	if (fake->nregions < FAKE_USER_REGIONS)
		fake->regions[fake->nregions++] = *region;
}

static void set_table(struct fake_user *fake, const struct message *msg)
{
	fake->nregions = 0;
	fake->nfds_wrong += msg->nfds != msg->payload.memory.nregions;
	for (unsigned i = 0; i < msg->payload.memory.nregions && i < VHOST_USER_FDS_MAX; i++)
		add_region(fake, &msg->payload.memory.regions[i]);
}

static void set_fd(struct fake_user *fake, const struct message *msg)
{
	struct fake_user_ring *ring = &fake->rings[msg->payload.u64 % FAKE_USER_QUEUES];

	fake->nfds_wrong += msg->nfds != 1;
	if (msg->header.request == VHOST_USER_SET_VRING_KICK)
		ring->kick = true;
	else if (msg->header.request == VHOST_USER_SET_VRING_CALL)
		ring->call = true;
	else
		ring->err = true;
}

/* A file of its own, which is a new one each time. */
static void reply_inflight(struct fake_user *fake, const struct message *msg)
{
	struct message answer = { .header = { .request = msg->header.request,
		                              .flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		                              .size = sizeof(answer.payload.inflight) },
		                  .payload = { .inflight = { .size = 4096, .off = 8 } } };
	size_t len = sizeof(answer.header) + sizeof(answer.payload.inflight);
	int fd = memfd_create("inflight", MFD_CLOEXEC);

	fake->asked = msg->payload.inflight;
	if (fake->bad == msg->header.request && fake->how == FAKE_USER_NO_ROOM)
		answer.payload.inflight.size = 0;
	if (fake->bad == msg->header.request && fake->how == FAKE_USER_LONG)
		answer.header.size = UINT32_MAX;
	if (fake->bad == msg->header.request && fake->how == FAKE_USER_HALF)
		len = 6;
	hangs = hangs || len == 6;
	if (fake->bad == msg->header.request && fake->how == FAKE_USER_NO_FILE)
		send(fake->fd, &answer.header, len, MSG_NOSIGNAL);
	else
		send_with_fd(fake->fd, &answer.header, len, fd);
	close(fd);
}

static void take_inflight(struct fake_user *fake, const struct message *msg)
{
	struct stat st = { .st_ino = 0 };

	fake->nfds_wrong += msg->nfds != 1;
	fake->inflight = msg->payload.inflight;
	fstat(msg->fds[0], &st);
	fake->inflight_file = st.st_ino;
}

/* A request that has an answer of its own. */
static bool answer(struct fake_user *fake, const struct message *msg)
{
	struct vhost_user_vring vring = { .idx = msg->payload.vring.idx, .num = fake->stop_base };
	struct vhost_user_config_payload config = msg->payload.config;

	switch (msg->header.request) {
	case VHOST_USER_GET_FEATURES:
		reply_u64(fake, msg, fake->features);
		return true;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		reply_u64(fake, msg, fake->protocol_features);
		return true;
	case VHOST_USER_GET_QUEUE_NUM:
		reply_u64(fake, msg, fake->nqueues);
		return true;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		reply_u64(fake, msg, fake->nslots);
		return true;
	case VHOST_USER_GET_VRING_BASE:
		fake->rings[vring.idx % FAKE_USER_QUEUES].kick = false;
		reply(fake, msg, &vring, sizeof(vring));
		return true;
	case VHOST_USER_GET_INFLIGHT_FD:
		reply_inflight(fake, msg);
		return true;
	case VHOST_USER_GET_CONFIG:
		memcpy(config.bytes, fake->config, sizeof(config.bytes));
		if (fake->bad == VHOST_USER_GET_CONFIG && fake->how == FAKE_USER_REFUSE)
			reply(fake, msg, &config, 0);
		else
			reply(fake, msg, &config, msg->header.size);
		return true;
	default:
		return false;
	}
}

static void take(struct fake_user *fake, struct message *msg)
{
	struct fake_user_ring *ring = &fake->rings[msg->payload.vring.idx % FAKE_USER_QUEUES];

	switch (msg->header.request) {
	case VHOST_USER_SET_FEATURES:
		fake->set_features = msg->payload.u64;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		fake->set_protocol_features = msg->payload.u64;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		set_table(fake, msg);
		break;
	case VHOST_USER_ADD_MEM_REG:
		fake->nfds_wrong += msg->nfds != 1;
		add_region(fake, &msg->payload.one.region);
		break;
	case VHOST_USER_REM_MEM_REG:
		remove_region(fake, &msg->payload.one.region);
		break;
	case VHOST_USER_SET_VRING_NUM:
		ring->num = msg->payload.vring.num;
		break;
	case VHOST_USER_SET_VRING_BASE:
		ring->base = msg->payload.vring.num;
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		ring->enabled = msg->payload.vring.num;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		ring->addr = msg->payload.addr;
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		set_fd(fake, msg);
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		fake->channel_fd = msg->fds[0];
		msg->nfds = 0;
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		take_inflight(fake, msg);
		break;
	case VHOST_USER_NET_SET_MTU:
		fake->mtu = msg->payload.u64;
		break;
	case VHOST_USER_SEND_RARP:
		fake->rarp = msg->payload.u64;
		break;
	case VHOST_USER_SET_CONFIG:
		fake->written = msg->payload.config;
		break;
	default:
		break;
	}
}

static bool is_refused(const struct fake_user *fake, const struct message *msg)
{
	const struct vhost_user_vring *vring = &msg->payload.vring;

	return msg->header.request == VHOST_USER_SET_VRING_ENABLE &&
	       (vring->num ? fake->refuses_enable : fake->refuses_disable) & 1u << vring->idx % FAKE_USER_QUEUES;
}

static bool serve(struct fake_user *fake, struct message *msg)
{
	bool refused, is_bad = msg->header.request == fake->bad;

	fake->log[fake->nlog++ % FAKE_USER_LOG] = msg->header.request;
	if (is_bad && fake->how == FAKE_USER_CLOSE)
		return false;
	if (answer(fake, msg))
		return true;
	refused = is_refused(fake, msg);
	if (!refused)
		take(fake, msg);
	if (msg->header.flags & VHOST_USER_NEED_REPLY)
		reply_u64(fake, msg, refused || (is_bad && fake->how == FAKE_USER_REFUSE));
	return true;
}

/* false: it never does. */
static bool reads_on(struct fake_user *fake, enum fake_user_how how)
{
	struct pollfd end = { .fd = fake->fd };

	if (how == FAKE_USER_READS_LATE)
		usleep(5 * MOMENT_MS * 1000);
	if (how != FAKE_USER_STOPS_READING)
		return true;
	hangs = true;
	__real_poll(&end, 1, -1);
	return false;
}

static void *thread_main(void *arg)
{
	struct fake_user *fake = arg;
	struct message msg;
	bool goes_on = true;

	while (goes_on && receive(fake, &msg)) {
		enum fake_user_how how;

		pthread_mutex_lock(&fake->lock);
		/* Before the answer, after which the test may change it. */
		how = msg.header.request == fake->bad ? fake->how : FAKE_USER_FINE;
		goes_on = serve(fake, &msg);
		pthread_mutex_unlock(&fake->lock);
		for (unsigned i = 0; i < msg.nfds; i++)
			close(msg.fds[i]);
		goes_on = goes_on && reads_on(fake, how);
	}
	shutdown(fake->fd, SHUT_RDWR);
	return NULL;
}

/* ---- life --------------------------------------------------------------------------------------------------------------- */

void fake_user_init(struct fake_user *fake)
{
	*fake = (struct fake_user) {
		.features = BIT(32) | BIT(30) | BIT(29) | BIT(28) | 0xffff,
		.protocol_features = ~UINT64_C(0),
		.nqueues = FAKE_USER_QUEUES,
		.nslots = FAKE_USER_REGIONS,
		.config_size = VHOST_USER_CONFIG_MAX,
		.channel_fd = -1,
		.fd = -1,
	};
	pthread_mutex_init(&fake->lock, NULL);
}

int fake_user_start(struct fake_user *fake)
{
	int fds[2];

	hangs = false;
	fake->nlog = fake->nregions = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fake->fd = fds[1];
	fake->started = true;
	assert_int_equal(pthread_create(&fake->thread, NULL, thread_main, fake), 0);
	return fds[0];
}

void fake_user_end(struct fake_user *fake)
{
	if (!fake->started)
		return;
	shutdown(fake->fd, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->fd);
	if (fake->channel_fd >= 0)
		close_channel(fake);
	fake->fd = -1;
	fake->started = false;
}

void fake_user_be_bad(struct fake_user *fake, enum vhost_user_request request, enum fake_user_how how)
{
	pthread_mutex_lock(&fake->lock);
	fake->bad = request;
	fake->how = how;
	pthread_mutex_unlock(&fake->lock);
}

unsigned fake_user_count(struct fake_user *fake, enum vhost_user_request request)
{
	unsigned n = 0;

	pthread_mutex_lock(&fake->lock);
	for (unsigned i = 0; i < fake->nlog && i < FAKE_USER_LOG; i++)
		n += fake->log[i] == request;
	pthread_mutex_unlock(&fake->lock);
	return n;
}
