// SPDX-License-Identifier: Apache-2.0
/*
 * serial_ports_fuzz.c - the console device: any bytes of guest memory, descriptors and rings of every queue, control
 * messages, resets, stops, ports that come and go, and users that take little, hang up, and have input.
 *
 * What holds: a chain is returned once; besides the one that a port reads, none stays with the device; a user gets data only
 * while it is connected and the machine runs; no more bytes of guest memory change than were returned, besides used rings;
 * the event loop comes to rest.
 */
#include "fake_log.h"
#include "fuzz.h"
#include "serial_rig.h"

#include <string.h>

#define STEPS_MAX 300u
#define NUSERS 4u
#define TURNS_MAX 20000u

static struct serial_rig rig;
static uint8_t before[SERIAL_RIG_RAM_SIZE];
static struct serial_rig_user users[NUSERS];
static unsigned noutstanding[VIRTIO_DEVICE_QUEUES_MAX];
static uint64_t given;
static bool is_emergency;

static unsigned queue_of(const struct virtq *q)
{
	const struct virtq *first = rig.serial->queues;

	// Not one of the device: a copy by which it looks ahead.
	return q >= first && q < first + rig.ops->nqueues(rig.serial) ? (unsigned)(q - first) :
	                                                                VIRTIO_DEVICE_QUEUES_MAX;
}

int __real_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	int rc = __real_virtq_pop(q, chain);
	unsigned idx = queue_of(q);

	if (rc == 0 && idx < VIRTIO_DEVICE_QUEUES_MAX)
		CHECK(++noutstanding[idx] == 1);
	return rc;
}

void __real_virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	unsigned idx = queue_of(q);

	CHECK(idx < VIRTIO_DEVICE_QUEUES_MAX && noutstanding[idx]-- == 1);
	CHECK(idx % 2 == 0 || len == 0);
	given += len;
	__real_virtq_push(q, head, len);
}

// ---- checks

static bool is_used_ring(uint64_t off)
{
	return off < VIRTIO_DEVICE_QUEUES_MAX * SERIAL_RIG_QUEUE_AREA &&
	       off % SERIAL_RIG_QUEUE_AREA >= SERIAL_RIG_USED_OFF;
}

static void check_memory(void)
{
	const uint64_t block = 256;
	uint64_t nchanged = 0;

	for (uint64_t i = 0; i < SERIAL_RIG_RAM_SIZE; i += block)
		for (uint64_t k = i; memcmp(rig.ram + i, before + i, block) != 0 && k < i + block; k++)
			nchanged += rig.ram[k] != before[k] && !is_used_ring(k);
	CHECK(nchanged <= given);
}

static void check_user(struct serial_rig_user *user)
{
	CHECK(is_emergency || (user->port->host_connected && !rig.serial->paused));
	user->ngot = 0;
	if (user->room % 7 == 3)
		virtio_serial_port_connect(user->port, false);
	else if (user->room % 7 == 5)
		virtio_serial_port_writable(user->port);
}

// ---- steps

static struct serial_rig_user *take_user(struct input *in)
{
	return &users[take8(in) % NUSERS];
}

static uint64_t take_gpa(struct input *in)
{
	uint32_t val = take32(in);

	return val & 1u << 31 ? input_take(in, 8) : SERIAL_RIG_GPA + val % SERIAL_RIG_RAM_SIZE;
}

static uint16_t take_queue(struct input *in)
{
	return (uint16_t)(take8(in) % 12);
}

static void write_memory(struct input *in)
{
	uint32_t off = take32(in) % SERIAL_RIG_RAM_SIZE;

	for (uint8_t n = take8(in); n > 0 && off < SERIAL_RIG_RAM_SIZE; n--)
		rig.ram[off++] = take8(in);
}

static void write_desc(struct input *in)
{
	uint16_t queue_idx = take_queue(in);
	uint8_t idx = take8(in);
	uint64_t gpa = take_gpa(in);
	uint32_t len = take32(in) & (idx & 0x80 ? UINT32_MAX : 0xffff);
	uint8_t flags = take8(in);

	serial_rig_desc(&rig, queue_idx, idx, gpa, len, flags, take8(in) % (SERIAL_RIG_QUEUE_SIZE + 1));
}

static void add_or_remove(struct input *in)
{
	struct serial_rig_user *user = take_user(in);
	uint8_t how = take8(in);
	uint32_t nr = how & 0x40 ? VIRTIO_SERIAL_ANY_PORT : how % 8;
	struct vpmem_error err;

	if (user->port) {
		virtio_serial_port_remove(user->port);
		user->port = NULL;
	} else if (serial_rig_add(&rig, user, nr, how & 0x80, how & 0x20 ? "name" : NULL, &err) == 0) {
		user->room = take16(in);
		user->within = check_user;
	} else {
		user->port = NULL;
	}
}

static void input(struct input *in)
{
	static const uint8_t data[8192];
	struct serial_rig_user *user = take_user(in);
	size_t len = take16(in) % sizeof(data), room;

	if (!user->port)
		return;
	room = virtio_serial_port_room(user->port);
	CHECK(room <= 4096);
	// More than there is room for, now and then.
	virtio_serial_port_input(user->port, data, len & 1 || len < room ? len : room);
}

static void user_step(struct input *in)
{
	struct serial_rig_user *user = take_user(in);
	uint8_t how = take8(in);

	if (!user->port)
		return;
	if (how & 2)
		user->room = take16(in);
	if (how & 4)
		virtio_serial_port_writable(user->port);
	if (how & 8)
		virtio_serial_port_connect(user->port, how & 1);
}

static void restart(struct input *in)
{
	serial_rig_reset(&rig);
	memset(noutstanding, 0, sizeof(noutstanding));
	if (take8(in) & 3) {
		serial_rig_start(&rig, SERIAL_RIG_ALL_FEATURES & ~(uint64_t)(take8(in) & 6));
		memcpy(before, rig.ram, sizeof(before));
	}
}

static void reset_queue(struct input *in)
{
	uint16_t queue_idx = take_queue(in);

	if (queue_idx >= rig.ops->nqueues(rig.serial) || !virtio_has_feature(&rig.serial->virtio, VIRTIO_F_RING_RESET))
		return;
	rig.ops->queue_reset(rig.serial, queue_idx);
	noutstanding[queue_idx] = 0;
}

static void step(struct input *in)
{
	uint8_t bytes[4];

	memcpy(before, rig.ram, sizeof(before));
	given = 0;
	switch (take8(in) % 14) {
	case 0:
		write_memory(in);
		return;
	case 1:
		write_desc(in);
		return;
	case 2:
		serial_rig_offer(&rig, take_queue(in), take16(in) % (SERIAL_RIG_QUEUE_SIZE + 1));
		return;
	case 3: {
		uint16_t queue_idx = take_queue(in);

		(void)serial_rig_buffer(&rig, queue_idx, 1u + take16(in) % 0x400, queue_idx % 2 == 0);
		return;
	}
	case 4: {
		uint32_t id = take8(in) % 9;
		uint16_t event = take8(in) % 9;

		serial_rig_control(&rig, id, event, take8(in) & 1);
		return;
	}
	case 5:
	case 6:
		CHECK(serial_rig_run(&rig, TURNS_MAX) < TURNS_MAX);
		break;
	case 7:
		add_or_remove(in);
		break;
	case 8:
		input(in);
		break;
	case 9:
		user_step(in);
		break;
	case 10:
		rig.ops->set_paused(rig.serial, take8(in) & 1);
		break;
	case 11:
		restart(in);
		return;
	case 12:
		reset_queue(in);
		return;
	case 13:
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = take8(in);
		is_emergency = true;
		rig.ops->config_write(rig.serial, take8(in) % 9, bytes, sizeof(bytes));
		is_emergency = false;
		break;
	}
	check_memory();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { .data = data, .len = len };

	fake_log_clear();
	memset(noutstanding, 0, sizeof(noutstanding));
	memset(users, 0, sizeof(users));
	serial_rig_init(&rig, take8(&in) & 1 ? 1 : 5);
	serial_rig_start(&rig, SERIAL_RIG_ALL_FEATURES);
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		step(&in);
	for (unsigned i = 0; i < NUSERS; i++)
		if (users[i].port)
			virtio_serial_port_remove(users[i].port);
	serial_rig_fini(&rig);
	return 0;
}
