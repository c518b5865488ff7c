// SPDX-License-Identifier: Apache-2.0
/* net_thread_test.c - a network card whose back end is a thread of this process, on the transport: start, stop, faults, the link. */
#include "net_worker.h"
#include "vhost_net.h"
#include "vhost_rig.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define RX 0u
#define TX 1u
#define FRAME_LEN 60u
#define BUF_GPA(queue, n) (RAM_GPA + 0x80000u + 0x20000u * (queue) + 0x1000u * (n))
#define WAIT_MS 100000

static struct vhost_rig *r;
static struct net_worker *worker;
static int own, peer, wake_efd;
static uint8_t buffer[2048];
static ssize_t buffer_len;
static uint16_t avail_idx[2];

/* ---- a port: each datagram of a pair of sockets is a frame */

static int poll_fd(void *port)
{
	(void)port;
	return own;
}

static void set_wake_efd(void *port, int efd)
{
	(void)port;
	wake_efd = efd;
}

static const uint8_t *next(void *port, size_t *len)
{
	(void)port;
	if (buffer_len <= 0)
		buffer_len = recv(own, buffer, sizeof(buffer), MSG_DONTWAIT);
	*len = (size_t)buffer_len;
	return buffer_len > 0 ? buffer : NULL;
}

static void drop(void *port)
{
	(void)port;
	buffer_len = 0;
}

static int send_frame(void *port, const struct iovec *iov, unsigned niov, size_t len)
{
	(void)port, (void)len;
	return writev(own, iov, (int)niov) < 0 && errno == EAGAIN ? -EAGAIN : 0;
}

static bool flush(void *port)
{
	(void)port;
	return true;
}

static void hung_up(void *port, int fd)
{
	(void)port, (void)fd;
}

/* ---- the card */

static int setup(void **state)
{
	const struct net_worker_options opts = {
		.name = "net1",
		.port = { .poll_fd = poll_fd,
		          .set_wake_efd = set_wake_efd,
		          .next = next,
		          .drop = drop,
		          .send = send_frame,
		          .flush = flush,
		          .hung_up = hung_up },
	};
	struct net_worker_options with_mem = opts;
	struct vhost_net_options cfg;
	struct vhost_backend *backend;
	int fds[2];

	(void)state;
	r = vhost_rig_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	own = fds[0];
	peer = fds[1];
	buffer_len = 0;
	memset(avail_idx, 0, sizeof(avail_idx));
	with_mem.mem = &r->mem;
	assert_int_equal(net_worker_create(&with_mem, &worker, NULL), 0);
	backend = net_worker_backend(worker);
	cfg = (struct vhost_net_options) {
		.pci = vhost_rig_place(r),
		.mem = &r->mem,
		.queue_size = 256,
		.tap = { .npairs = 1 },
		.backends = { .list = &backend, .features = net_worker_features() },
	};
	assert_int_equal(vhost_net_create(&cfg, &r->vp, NULL), 0);
	probe(r);
	return 0;
}

static int teardown(void **state)
{
	struct virtio_pci *vp = r->vp;

	(void)state;
	/* The device goes first, as in the machine. */
	virtio_pci_unplug(vp);
	virtio_pci_destroy(vp);
	r->vp = NULL;
	net_worker_destroy(worker);
	assert_int_equal(wake_efd, -1);
	close(own);
	close(peer);
	vhost_rig_free(r);
	return 0;
}

static uint8_t *hva(uint64_t gpa)
{
	return r->ram + (gpa - RAM_GPA);
}

static void store(uint64_t gpa, uint64_t val, unsigned len)
{
	memcpy(hva(gpa), &val, len);
}

/* One buffer for each frame, of this length. */
static void offer(unsigned queue, uint32_t len)
{
	uint16_t slot = avail_idx[queue] % QUEUE_SIZE;
	uint64_t desc = QUEUE_GPA(queue) + 16u * slot, avail = QUEUE_GPA(queue) + AVAIL_OFF;

	store(desc, BUF_GPA(queue, slot), 8);
	store(desc + 8, len, 4);
	store(desc + 12, queue == RX ? 2 : 0, 2);
	store(avail + 4 + 2u * slot, slot, 2);
	__atomic_store_n((uint16_t *)(void *)hva(avail + 2), ++avail_idx[queue], __ATOMIC_RELEASE);
	assert_int_equal(eventfd_write(fake_vm_ioeventfd(&r->rig.fake, r->regs + NOTIFY + 4 * queue), 1), 0);
}

static uint16_t used_idx(unsigned queue)
{
	return __atomic_load_n((const uint16_t *)(const void *)hva(QUEUE_GPA(queue) + USED_OFF + 2), __ATOMIC_ACQUIRE);
}

static void wait_used(unsigned queue, uint16_t idx)
{
	for (unsigned i = 0; i < WAIT_MS && used_idx(queue) != idx; i++)
		usleep(1000);
	assert_int_equal(used_idx(queue), idx);
}

static ssize_t peer_reads(uint8_t *buf, size_t size)
{
	struct pollfd fd = { .fd = peer, .events = POLLIN };

	(void)poll(&fd, 1, WAIT_MS);
	return recv(peer, buf, size, MSG_DONTWAIT);
}

static void peer_sends(unsigned n)
{
	uint8_t frame[FRAME_LEN] = { 1, 2, 3, 4, 5, 6 };

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(send(peer, frame, sizeof(frame), 0), sizeof(frame));
}

/* A frame each way. */
static void check_traffic(void)
{
	uint16_t sent = used_idx(TX), received = used_idx(RX);
	uint8_t buf[256];

	offer(TX, 12 + FRAME_LEN);
	assert_int_equal(peer_reads(buf, sizeof(buf)), FRAME_LEN);
	wait_used(TX, (uint16_t)(sent + 1));
	offer(RX, 2048);
	peer_sends(1);
	wait_used(RX, (uint16_t)(received + 1));
}

static void begin(void)
{
	/* The worker may still be at an earlier driver's rings. */
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	memset(r->ram, 0, sizeof(r->ram));
	memset(avail_idx, 0, sizeof(avail_idx));
	start(r, BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_STATUS), 3);
}

static void frames_pass_while_the_driver_runs(void **state)
{
	(void)state;
	assert_true(offered_features(r) & BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_false(offered_features(r) &
	             (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_MQ)));
	/* What comes before the driver waits for it. */
	peer_sends(1);
	begin();
	offer(RX, 2048);
	wait_used(RX, 1);
	check_traffic();
}

/* After a reset nothing of the guest's memory is touched, and the next driver begins anew. */
static void a_reset_stops_it(void **state)
{
	static uint8_t before[RAM_SIZE];

	(void)state;
	begin();
	check_traffic();
	offer(RX, 2048);
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	memcpy(before, r->ram, sizeof(before));
	peer_sends(5);
	usleep(20000);
	assert_memory_equal(before, r->ram, sizeof(before));
	begin();
	for (unsigned i = 0; i < 5; i++)
		offer(RX, 2048);
	wait_used(RX, 5);
	check_traffic();
}

static void stop_and_cont_lose_nothing(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 10; i++) {
		virtio_pci_set_paused(r->vp, true);
		peer_sends(1);
		offer(TX, 12 + FRAME_LEN);
		offer(RX, 2048);
		virtio_pci_set_paused(r->vp, false);
		wait_used(TX, (uint16_t)(i + 1));
		wait_used(RX, (uint16_t)(i + 1));
	}
}

static void a_broken_queue_needs_a_reset(void **state)
{
	(void)state;
	begin();
	check_traffic();
	/* Further ahead than the ring is long. */
	avail_idx[TX] = (uint16_t)(avail_idx[TX] + QUEUE_SIZE + 1);
	offer(TX, 12 + FRAME_LEN);
	for (unsigned i = 0; i < WAIT_MS && !(status(r) & NEEDS_RESET); i++) {
		loop_turn(r);
		usleep(1000);
	}
	assert_true(status(r) & NEEDS_RESET);
	begin();
	check_traffic();
}

static void a_link_that_is_down_drops_frames(void **state)
{
	uint8_t byte;

	(void)state;
	begin();
	check_traffic();
	vhost_net_set_link(r->vp, false);
	net_worker_set_discard(worker, true);
	offer(RX, 2048);
	peer_sends(5);
	for (unsigned i = 0; i < WAIT_MS && recv(own, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0; i++)
		usleep(1000);
	assert_int_equal(recv(own, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	assert_int_equal(used_idx(RX), 1);
	net_worker_set_discard(worker, false);
	vhost_net_set_link(r->vp, true);
	peer_sends(1);
	wait_used(RX, 2);
}

/* Resets at any moment, from the thread that has the machine lock, while frames come and go. */
static void resets_under_traffic(void **state)
{
	static const uint8_t frame[FRAME_LEN];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		begin();
		for (unsigned k = 0; k < 8; k++) {
			offer(RX, 2048);
			offer(TX, 12 + FRAME_LEN);
			(void)!send(peer, frame, sizeof(frame), 0);
		}
		if (i % 2)
			wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		while (recv(peer, (uint8_t[100]) { 0 }, 100, MSG_DONTWAIT) > 0)
			;
	}
	wr(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frames_pass_while_the_driver_runs), TEST(a_reset_stops_it),
		TEST(stop_and_cont_lose_nothing),        TEST(a_broken_queue_needs_a_reset),
		TEST(a_link_that_is_down_drops_frames),  TEST(resets_under_traffic),
	};

	return cmocka_run_group_tests_name("net_thread", tests, NULL, NULL);
}
