// SPDX-License-Identifier: Apache-2.0
/*
 * net_fuzz.c - a network card in process, between two that are hostile: any bytes of guest memory, descriptors and rings on one
 * side, any bytes on a stream or any datagrams on the other; connections end and begin, the device stops and is reset.
 *
 * What holds: after each turn all chains that were taken were returned, and the driver sees them; the other side gets whole frames with
 * lengths that a frame can have, however slowly it reads; a turn moves a bounded number of frames.
 */
#include "fake_log.h"
#include "fuzz.h"
#include "net_port.h"
#include "net_rig.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEPS_MAX 300u
#define TURNS_MAX 8u
#define DATA_ROOM (RIG_RAM_SIZE - (RIG_DATA - RIG_RAM_GPA))

static struct net_rig rig;
static struct net_port port;
static int own, peer;
static bool is_stream;

/* What the other side has read of a frame. */
static uint8_t prefix[NET_LENGTH_SIZE];
static size_t prefix_len, body_left;

// ---- the other side

static void connect_peer(void)
{
	int fds[2];

	CHECK(socketpair(AF_UNIX, (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	own = fds[0];
	peer = fds[1];
	net_port_set_fd(&port, own);
	prefix_len = body_left = 0;
}

static void disconnect_peer(void)
{
	net_port_set_fd(&port, -1);
	close(own);
	close(peer);
}

static void parse(const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n = body_left < len ? body_left : len;

		body_left -= n;
		bytes += n;
		len -= n;
		if (body_left > 0 || len == 0)
			continue;
		prefix[prefix_len++] = *bytes++;
		len--;
		if (prefix_len < NET_LENGTH_SIZE)
			continue;
		prefix_len = 0;
		body_left = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 | prefix[3];
		CHECK(body_left >= NET_FRAME_MIN && body_left <= NET_FRAME_MAX);
	}
}

static void peer_reads(struct input *in)
{
	static uint8_t buf[NET_FRAME_MAX + 1];
	size_t room = is_stream ? take16(in) : sizeof(buf);
	ssize_t n = read(peer, buf, room);

	if (n <= 0)
		return;
	if (is_stream)
		parse(buf, (size_t)n);
	else
		CHECK(n >= (ssize_t)NET_FRAME_MIN && n <= (ssize_t)NET_FRAME_MAX);
}

static void peer_writes(struct input *in)
{
	struct input bytes = input_slice(in, take8(in));

	(void)!send(peer, bytes.data, bytes.len, MSG_NOSIGNAL);
}

static void peer_sends_frame(struct input *in)
{
	static uint8_t buf[4 + 0x4000];
	size_t len = take16(in) % 0x4000u;

	buf[0] = buf[1] = 0;
	buf[2] = (uint8_t)(len >> 8);
	buf[3] = (uint8_t)len;
	(void)!send(peer, is_stream ? buf : buf + 4, is_stream ? len + 4 : len, MSG_NOSIGNAL);
}

// ---- the guest

/* In RAM, or anywhere. */
static uint64_t take_gpa(struct input *in)
{
	uint32_t val = take32(in);

	return val & 1u << 31 ? input_take(in, 8) : RIG_RAM_GPA + val % RIG_RAM_SIZE;
}

static void write_memory(struct input *in)
{
	uint32_t off = take32(in) % RIG_RAM_SIZE;

	for (uint8_t n = take8(in); n > 0 && off < RIG_RAM_SIZE; n--)
		rig.ram[off++] = take8(in);
}

static void write_desc(struct input *in)
{
	uint8_t where = take8(in);
	uint64_t gpa = take_gpa(in);
	uint32_t len = take32(in);
	uint8_t flags = take8(in);

	net_rig_desc(&rig, where & 0x80 ? RIG_INDIRECT : RIG_DESC(where & 1), (where >> 1) % 32, gpa, len, flags,
	             take8(in));
}

/* As a good driver makes it. */
static void good_chain(struct input *in)
{
	unsigned queue = take8(in) & 1;
	uint16_t head = take8(in) % RIG_QUEUE_SIZE;
	uint32_t off = take32(in) % DATA_ROOM, len = take16(in) + 1u;

	if (len > DATA_ROOM - off)
		len = DATA_ROOM - off;
	net_rig_desc(&rig, RIG_DESC(queue), head, RIG_DATA + off, len, queue == NET_RX ? RIG_WRITE : 0, 0);
	net_rig_offer(&rig, queue, head);
}

// ---- the worker

static void serve(struct input *in)
{
	struct net_wait wait;
	bool more = true;

	if (take8(in) & 1)
		rig.worker.rx_starved = rig.worker.tx_blocked = false;
	for (unsigned i = 0; i < TURNS_MAX && more; i++) {
		uint16_t avail[2] = { rig.worker.queues[0].avail_idx, rig.worker.queues[1].avail_idx };

		more = net_rig_serve(&rig, &wait);
		for (unsigned k = 0; k < 2 && rig.worker.running; k++) {
			const struct virtq *q = &rig.worker.queues[k];

			CHECK(q->avail_idx == q->used_idx && q->used_idx == q->published_idx);
			CHECK((uint16_t)(q->avail_idx - avail[k]) <= NET_BATCH_FRAMES * RIG_QUEUE_SIZE);
		}
	}
	CHECK(!rig.worker.running || !rig.worker.rx_starved || !(wait.port_events & POLLIN));
	if (wait.port_fd >= 0 && wait.port_events == 0)
		net_port_hung_up(&port, wait.port_fd);
}

static void step(struct input *in)
{
	switch (take8(in) % 14) {
	case 0:
		write_memory(in);
		break;
	case 1:
		write_desc(in);
		break;
	case 2:
		net_rig_offer(&rig, take8(in) & 1, take16(in));
		break;
	case 3:
	case 4:
		good_chain(in);
		break;
	case 5:
	case 6:
	case 7:
		serve(in);
		break;
	case 8:
		peer_writes(in);
		break;
	case 9:
		peer_sends_frame(in);
		break;
	case 10:
		peer_reads(in);
		break;
	case 11:
		shutdown(peer, take8(in) % 3);
		break;
	case 12:
		disconnect_peer();
		connect_peer();
		break;
	case 13:
		net_worker_set_discard(&rig.worker, take8(in) & 1);
		if (rig.worker.running || take8(in) & 1)
			net_rig_restart(&rig, !rig.worker.running || take8(in) & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { .data = data, .len = len };
	uint8_t setup = take8(&in);
	uint64_t features = (setup & 2 ? UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF : 0) |
	                    (setup & 4 ? UINT64_C(1) << VIRTIO_F_INDIRECT_DESC : 0) |
	                    (setup & 8 ? UINT64_C(1) << VIRTIO_F_EVENT_IDX : 0);

	fake_log_clear();
	is_stream = setup & 1;
	net_rig_init(&rig, features);
	CHECK(net_port_init(&port, is_stream ? NET_PORT_STREAM : NET_PORT_DATAGRAM) == 0);
	rig.worker.port = (struct net_worker_port) { .poll_fd = net_port_poll_fd,
		                                     .set_wake_efd = net_port_set_wake_efd,
		                                     .next = net_port_next,
		                                     .drop = net_port_drop,
		                                     .send = net_port_send,
		                                     .flush = net_port_flush,
		                                     .hung_up = net_port_hung_up,
		                                     .port = &port };
	connect_peer();
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		step(&in);
	disconnect_peer();
	net_port_fini(&port);
	net_rig_fini(&rig);
	return 0;
}
