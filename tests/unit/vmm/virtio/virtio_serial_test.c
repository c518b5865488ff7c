// SPDX-License-Identifier: Apache-2.0
// The console device: control messages, data both ways with flow control, and guests that break every rule.
#include "fake_log.h"
#include "serial_rig.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

#define ALL SERIAL_RIG_ALL_FEATURES
#define ANY VIRTIO_SERIAL_ANY_PORT
#define TURNS 100u

static struct serial_rig *rig;
static struct serial_rig_user user, other;
static struct vpmem_error err;

static int setup(void **state)
{
	(void)state;
	fake_log_clear();
	rig = aligned_alloc(4096, sizeof(*rig));
	serial_rig_init(rig, VIRTIO_SERIAL_PORTS_MAX);
	user = other = (struct serial_rig_user) { .port = NULL };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (user.port)
		virtio_serial_port_remove(user.port);
	if (other.port)
		virtio_serial_port_remove(other.port);
	serial_rig_fini(rig);
	free(rig);
	return 0;
}

static bool needs_reset(void)
{
	return rig->ops->status(rig->serial) & VIRTIO_STATUS_NEEDS_RESET;
}

// ---- control messages

static uint64_t control_gpa[256];
static unsigned ncontrol, ntaken;

/* Buffers for n messages of the device. */
static void give_control(unsigned n)
{
	while (n-- > 0)
		control_gpa[ncontrol++ % 256] = serial_rig_buffer(rig, 2, 64, true);
	(void)serial_rig_run(rig, TURNS);
}

/* The next message is this one; event -1: there is none. */
static void expect(uint32_t id, int event, unsigned value, const char *text)
{
	int64_t len = serial_rig_used(rig, 2, NULL);
	const uint8_t *msg;

	if (event < 0) {
		assert_int_equal(len, -1);
		return;
	}
	assert_int_equal(len, 8 + (text ? strlen(text) + 1 : 0));
	msg = serial_rig_hva(rig, control_gpa[ntaken++ % 256]);
	assert_int_equal((uint32_t)msg[0] | (uint32_t)msg[1] << 8 | (uint32_t)msg[2] << 16 | (uint32_t)msg[3] << 24,
	                 id);
	assert_int_equal(msg[4] | msg[5] << 8, event);
	assert_int_equal(msg[6] | msg[7] << 8, value);
	if (text)
		assert_string_equal((const char *)msg + 8, text);
}

static void start(void)
{
	ncontrol = ntaken = 0;
	serial_rig_start(rig, ALL);
}

/* A port on a driver that runs and has it open. */
static void start_open_port(void)
{
	assert_int_equal(serial_rig_add(rig, &user, ANY, false, "n", &err), 0);
	virtio_serial_port_connect(user.port, true);
	start();
	give_control(8);
	serial_rig_control(rig, ANY, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serial_rig_control(rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_control(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	expect(1, VIRTIO_CONSOLE_PORT_NAME, 1, "n");
	expect(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	assert_true(user.open);
}

static void ports_are_announced_in_qemus_order(void **state)
{
	(void)state;
	assert_int_equal(serial_rig_add(rig, &user, ANY, true, NULL, &err), 0);
	assert_int_equal(serial_rig_add(rig, &other, 7, false, "org.x", &err), 0);
	assert_int_equal(virtio_serial_port_nr(user.port), 0);
	virtio_serial_port_connect(user.port, true);
	start();
	give_control(8);
	expect(0, -1, 0, NULL);
	serial_rig_control(rig, ANY, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	expect(7, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	expect(0, -1, 0, NULL);
	serial_rig_control(rig, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
	expect(0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	serial_rig_control(rig, 7, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(7, VIRTIO_CONSOLE_PORT_NAME, 1, "org.x");
	expect(0, -1, 0, NULL);
	virtio_serial_port_connect(other.port, true);
	expect(7, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	virtio_serial_port_connect(other.port, false);
	expect(7, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
	assert_true(rig->ninterrupts > 0);
}

static void messages_wait_for_buffers_and_do_not_grow(void **state)
{
	(void)state;
	start_open_port();
	// Eight buffers were given, and three used.
	for (unsigned i = 0; i < 5; i++)
		virtio_serial_port_connect(user.port, i % 2);
	for (unsigned i = 0; i < 5; i++)
		expect(1, VIRTIO_CONSOLE_PORT_OPEN, i % 2, NULL);
	for (unsigned i = 0; i < 1001; i++)
		virtio_serial_port_connect(user.port, !(i % 2));
	expect(0, -1, 0, NULL);
	give_control(4);
	expect(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	expect(0, -1, 0, NULL);
}

static void a_port_that_goes_and_comes_is_reported(void **state)
{
	(void)state;
	start_open_port();
	virtio_serial_port_remove(user.port);
	user.port = NULL;
	expect(1, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
	assert_int_equal(serial_rig_add(rig, &user, ANY, false, NULL, &err), 0);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	// Three buffers are left.
	for (unsigned i = 0; i < 3; i++) {
		virtio_serial_port_remove(user.port);
		assert_int_equal(serial_rig_add(rig, &user, 1, false, NULL, &err), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		expect(1, i % 2 ? VIRTIO_CONSOLE_PORT_ADD : VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
	// What the guest never knew is not reported.
	give_control(1);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	// What it knows is taken back first.
	for (unsigned i = 0; i < 3; i++) {
		virtio_serial_port_remove(user.port);
		assert_int_equal(serial_rig_add(rig, &user, 1, false, NULL, &err), 0);
	}
	give_control(4);
	expect(1, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	expect(0, -1, 0, NULL);
}

static void numbers_are_qemus(void **state)
{
	static const struct {
		uint32_t nr;
		bool console;
		const char *text;
	} cases[] = {
		{ 0, false, "Port number 0 on virtio-serial devices reserved for virtconsole" },
		{ 3, true, "virtio-serial-bus: A port already exists at id 3" },
		{ 31, true, "virtio-serial-bus: Out-of-range port id specified, max. allowed: 30" },
		{ UINT32_MAX - 1, false, "virtio-serial-bus: Out-of-range port id specified, max. allowed: 30" },
	};
	static struct serial_rig_user all[VIRTIO_SERIAL_PORTS_MAX];
	unsigned n = 0;

	(void)state;
	assert_int_equal(serial_rig_add(rig, &user, 3, false, NULL, &err), 0);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_true(serial_rig_add(rig, &other, cases[i].nr, cases[i].console, NULL, &err) < 0);
		assert_non_null(strstr(err.text, cases[i].text));
	}
	while (serial_rig_add(rig, &all[n], ANY, false, NULL, &err) == 0)
		n++;
	// Place 0 stays for a console.
	assert_int_equal(n, VIRTIO_SERIAL_PORTS_MAX - 2);
	assert_string_equal(err.text, "virtio-serial-bus: Maximum port limit for this device reached");
	assert_int_equal(serial_rig_add(rig, &all[n], ANY, true, NULL, &err), 0);
	assert_int_equal(virtio_serial_port_nr(all[n].port), 0);
	for (unsigned i = 0; i <= n; i++)
		virtio_serial_port_remove(all[i].port);
	other.port = NULL;
}

static void a_reset_closes_and_forgets(void **state)
{
	(void)state;
	start_open_port();
	user.room = 0;
	serial_rig_buffer(rig, 5, 100, false);
	(void)serial_rig_run(rig, TURNS);
	serial_rig_reset(rig);
	assert_int_equal(user.nclosed, 1);
	user.room = SIZE_MAX;
	virtio_serial_port_writable(user.port);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 0);
	assert_int_equal(virtio_serial_port_room(user.port), 0);
	start();
	give_control(4);
	expect(0, -1, 0, NULL);
	serial_rig_control(rig, ANY, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
}

static void a_driver_without_control_messages_has_port_0_open(void **state)
{
	(void)state;
	assert_int_equal(serial_rig_add(rig, &user, ANY, true, NULL, &err), 0);
	virtio_serial_port_connect(user.port, true);
	serial_rig_start(rig, SERIAL_RIG_SINGLE);
	assert_true(user.open);
	(void)serial_rig_buffer(rig, 1, 5, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 5);
	// Queue 2 is data of nobody.
	(void)serial_rig_buffer(rig, 3, 8, false);
	(void)serial_rig_run(rig, TURNS);
	assert_false(needs_reset());
	// One that comes later is open as well.
	virtio_serial_port_remove(user.port);
	assert_int_equal(serial_rig_add(rig, &user, ANY, true, NULL, &err), 0);
	(void)serial_rig_buffer(rig, 0, 9, true);
	assert_int_equal(virtio_serial_port_room(user.port), 9);
}

// ---- output

static void output_arrives_whole_and_its_buffers_go_back(void **state)
{
	uint64_t gpa = SERIAL_RIG_DATA + 0x10000;
	uint16_t head;

	(void)state;
	start_open_port();
	for (unsigned i = 0; i < 10000; i++)
		serial_rig_hva(rig, gpa)[i] = (uint8_t)(i * 7);
	// Three buffers, one of which is not for reading.
	serial_rig_desc(rig, 5, 3, gpa, 6000, SERIAL_RIG_NEXT, 4);
	serial_rig_desc(rig, 5, 4, gpa, 64, SERIAL_RIG_NEXT | SERIAL_RIG_WRITE, 5);
	serial_rig_desc(rig, 5, 5, gpa + 6000, 4000, 0, 0);
	serial_rig_offer(rig, 5, 3);
	assert_int_equal(serial_rig_run(rig, TURNS), 1);
	assert_int_equal(user.ngot, 10000);
	assert_memory_equal(user.got, serial_rig_hva(rig, gpa), 10000);
	assert_int_equal(serial_rig_used(rig, 5, &head), 0);
	assert_int_equal(head, 3);
}

static void what_is_not_taken_waits_in_the_guest(void **state)
{
	uint64_t gpa[2];

	(void)state;
	start_open_port();
	user.room = 7;
	for (unsigned i = 0; i < 2; i++) {
		gpa[i] = serial_rig_buffer(rig, 5, 10, false);
		memset(serial_rig_hva(rig, gpa[i]), (int)('a' + i), 10);
	}
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 7);
	assert_int_equal(serial_rig_used(rig, 5, NULL), -1);
	// More notifications change nothing.
	rig->ops->queue_kick(rig->serial, 5);
	assert_int_equal(serial_rig_run(rig, TURNS), 1);
	assert_int_equal(user.ngot, 7);
	user.room = SIZE_MAX;
	virtio_serial_port_writable(user.port);
	assert_int_equal(user.ngot, 20);
	assert_memory_equal(user.got, "aaaaaaaaaabbbbbbbbbb", 20);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
}

static void a_turn_is_bounded(void **state)
{
	(void)state;
	start_open_port();
	for (unsigned i = 0; i < SERIAL_RIG_QUEUE_SIZE; i++) {
		serial_rig_desc(rig, 5, i, SERIAL_RIG_DATA, SERIAL_RIG_DATA_SIZE, 0, 0);
		serial_rig_offer(rig, 5, (uint16_t)i);
	}
	assert_int_equal(serial_rig_run(rig, 1), 1);
	assert_int_equal(user.ngot, 4 * 4096);
	assert_int_equal(serial_rig_run(rig, 1), 1);
	assert_int_equal(user.ngot, 8 * 4096);
}

static void nobody_is_there(void **state)
{
	(void)state;
	start_open_port();
	user.room = 3;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	virtio_serial_port_connect(user.port, false);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(user.ngot, 3);
	// The next one that comes gets what is written from then on.
	virtio_serial_port_connect(user.port, true);
	user.room = SIZE_MAX;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 13);
}

static void hang_up(struct serial_rig_user *u)
{
	virtio_serial_port_connect(u->port, false);
}

static void make_room(struct serial_rig_user *u)
{
	u->room = SIZE_MAX;
	virtio_serial_port_writable(u->port);
}

static void the_user_hangs_up_or_makes_room_within_its_call(void **state)
{
	(void)state;
	start_open_port();
	user.room = 4;
	user.within = make_room;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 10);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	user.within = hang_up;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 20);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(serial_rig_used(rig, 5, NULL), -1);
}

static void a_ring_reset_forgets_the_request(void **state)
{
	const struct virtq_regs regs = {
		.size = SERIAL_RIG_QUEUE_SIZE,
		.desc_gpa = SERIAL_RIG_GPA + 5 * SERIAL_RIG_QUEUE_AREA,
		.driver_gpa = SERIAL_RIG_GPA + 5 * SERIAL_RIG_QUEUE_AREA + SERIAL_RIG_AVAIL_OFF,
		.device_gpa = SERIAL_RIG_GPA + 5 * SERIAL_RIG_QUEUE_AREA + SERIAL_RIG_USED_OFF
	};

	(void)state;
	start_open_port();
	user.room = 3;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	rig->ops->queue_reset(rig->serial, 5);
	user.room = SIZE_MAX;
	virtio_serial_port_writable(user.port);
	assert_int_equal(user.ngot, 3);
	memset(serial_rig_hva(rig, regs.driver_gpa), 0, SERIAL_RIG_QUEUE_AREA - SERIAL_RIG_AVAIL_OFF);
	rig->avail_idx[5] = rig->used_idx[5] = 0;
	rig->ops->queue_set(rig->serial, 5, &regs);
	rig->ops->queue_enable(rig->serial, 5);
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 13);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(serial_rig_used(rig, 5, NULL), -1);
}

// ---- input

static void input_fills_what_there_is_room_for(void **state)
{
	static const uint8_t text[] = "0123456789abcdef";
	uint64_t gpa[2];

	(void)state;
	start_open_port();
	assert_int_equal(virtio_serial_port_room(user.port), 0);
	assert_int_equal(user.nreadable, 0);
	for (unsigned i = 0; i < 2; i++)
		gpa[i] = serial_rig_buffer(rig, 4, 6, true);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.nreadable, 1);
	assert_int_equal(virtio_serial_port_room(user.port), 12);
	virtio_serial_port_input(user.port, text, 4);
	assert_int_equal(serial_rig_used(rig, 4, NULL), 4);
	assert_memory_equal(serial_rig_hva(rig, gpa[0]), "0123", 4);
	assert_int_equal(virtio_serial_port_room(user.port), 6);
	// More than there is room for: the driver took it back.
	virtio_serial_port_input(user.port, text, 16);
	assert_int_equal(serial_rig_used(rig, 4, NULL), 6);
	assert_memory_equal(serial_rig_hva(rig, gpa[1]), "012345", 6);
	// Nobody asked in vain since: no news.
	(void)serial_rig_buffer(rig, 4, 6, true);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.nreadable, 1);
	// Closed: no room.
	serial_rig_control(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(virtio_serial_port_room(user.port), 0);
	serial_rig_control(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(user.nreadable, 2);
}

static void room_is_bounded_and_useless_buffers_have_none(void **state)
{
	(void)state;
	start_open_port();
	serial_rig_desc(rig, 4, 0, SERIAL_RIG_DATA, SERIAL_RIG_DATA_SIZE, SERIAL_RIG_WRITE, 0);
	serial_rig_offer(rig, 4, 0);
	assert_int_equal(virtio_serial_port_room(user.port), 4096);
	serial_rig_reset(rig);
	virtio_serial_port_remove(user.port);
	start_open_port();
	serial_rig_desc(rig, 4, 0, SERIAL_RIG_DATA, 100, 0, 0);
	serial_rig_offer(rig, 4, 0);
	assert_int_equal(virtio_serial_port_room(user.port), 0);
	virtio_serial_port_input(user.port, (const uint8_t *)"x", 1);
	assert_int_equal(serial_rig_used(rig, 4, NULL), 0);
	assert_false(needs_reset());
}

static void a_stopped_machine_is_left_alone(void **state)
{
	(void)state;
	start_open_port();
	(void)serial_rig_buffer(rig, 4, 6, true);
	rig->ops->set_paused(rig->serial, true);
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	virtio_serial_port_input(user.port, (const uint8_t *)"x", 1);
	assert_int_equal(virtio_serial_port_room(user.port), 0);
	assert_int_equal(user.ngot, 0);
	assert_int_equal(serial_rig_used(rig, 4, NULL), -1);
	expect(0, -1, 0, NULL);
	rig->ops->set_paused(rig->serial, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 10);
	assert_int_equal(user.nreadable, 1);
}

static void what_happens_to_a_port_during_a_stop_is_made_up_for(void **state)
{
	(void)state;
	start_open_port();
	user.room = 3;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	// The next client does not get what was for the one before.
	rig->ops->set_paused(rig->serial, true);
	virtio_serial_port_connect(user.port, false);
	virtio_serial_port_connect(user.port, true);
	user.room = SIZE_MAX;
	rig->ops->set_paused(rig->serial, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 3);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	expect(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	// The buffer of a port that goes is returned.
	user.room = 3;
	(void)serial_rig_buffer(rig, 5, 10, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(user.ngot, 6);
	rig->ops->set_paused(rig->serial, true);
	virtio_serial_port_remove(user.port);
	user.port = NULL;
	assert_int_equal(serial_rig_used(rig, 5, NULL), -1);
	rig->ops->set_paused(rig->serial, false);
	(void)serial_rig_run(rig, TURNS);
	assert_int_equal(serial_rig_used(rig, 5, NULL), 0);
	assert_int_equal(serial_rig_used(rig, 5, NULL), -1);
}

static void emergency_bytes_go_to_the_console(void **state)
{
	static const uint8_t word[4] = { 'A', 1, 2, 3 }, nothing[4];

	(void)state;
	rig->ops->config_write(rig->serial, 8, word, 4);
	assert_int_equal(serial_rig_add(rig, &other, ANY, false, NULL, &err), 0);
	assert_int_equal(serial_rig_add(rig, &user, 5, true, NULL, &err), 0);
	rig->ops->config_write(rig->serial, 8, word, 4);
	rig->ops->config_write(rig->serial, 8, nothing, 4);
	rig->ops->config_write(rig->serial, 9, word, 3);
	rig->ops->config_write(rig->serial, 4, word, 4);
	rig->ops->config_write(rig->serial, 8, word, 1);
	assert_int_equal(user.ngot, 2);
	assert_memory_equal(user.got, "AA", 2);
	assert_int_equal(other.ngot, 0);
}

// ---- guests that break the rules

static void odd_control_messages_do_nothing(void **state)
{
	(void)state;
	start_open_port();
	serial_rig_control(rig, 1, VIRTIO_CONSOLE_PORT_READY, 0);
	serial_rig_control(rig, ANY, VIRTIO_CONSOLE_DEVICE_READY, 0);
	serial_rig_control(rig, 31, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serial_rig_control(rig, UINT32_MAX, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_control(rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	for (unsigned event = 7; event < 20; event++)
		serial_rig_control(rig, 1, (uint16_t)event, 1);
	for (uint32_t len = 1; len < 8; len++)
		(void)serial_rig_buffer(rig, 3, len, false);
	(void)serial_rig_buffer(rig, 3, 8, true);
	(void)serial_rig_run(rig, TURNS);
	for (unsigned i = 0; i < 3 + 18 + 8; i++)
		assert_int_equal(serial_rig_used(rig, 3, NULL), i < 29 ? 0 : -1);
	expect(0, -1, 0, NULL);
	assert_false(needs_reset());
	assert_int_equal(user.nopened, 1);
}

static void too_many_messages_are_served_in_turns(void **state)
{
	(void)state;
	start_open_port();
	for (unsigned i = 0; i < 1000; i++)
		serial_rig_control(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, i % 2);
	assert_int_equal(user.nopened, 501);
	assert_false(needs_reset());
}

/* On every queue, each break of the specification ends in DEVICE_NEEDS_RESET, and in nothing else. */
static void broken_rings_need_a_reset(void **state)
{
	(void)state;
	for (uint16_t queue_idx = 2; queue_idx < 6; queue_idx++) {
		for (unsigned how = 0; how < 5; how++) {
			uint64_t avail = SERIAL_RIG_GPA + queue_idx * SERIAL_RIG_QUEUE_AREA + SERIAL_RIG_AVAIL_OFF;
			unsigned flags = queue_idx % 2 ? 0 : SERIAL_RIG_WRITE;
			uint16_t head = (uint16_t)(rig->avail_idx[queue_idx] % SERIAL_RIG_QUEUE_SIZE);

			start_open_port();
			// Those of the control queue that are there are used up.
			for (unsigned i = 0; i < 5 && queue_idx == 2; i++)
				virtio_serial_port_connect(user.port, i % 2);
			head = (uint16_t)(rig->avail_idx[queue_idx] % SERIAL_RIG_QUEUE_SIZE);
			serial_rig_desc(rig, queue_idx, head, SERIAL_RIG_DATA, 64, flags, 0);
			if (how == 0)
				serial_rig_desc(rig, queue_idx, head, 0xfffffffffffff000, 64, flags, 0);
			if (how == 1)
				serial_rig_desc(rig, queue_idx, head, SERIAL_RIG_DATA, 1,
				                SERIAL_RIG_NEXT | (queue_idx % 2 ? SERIAL_RIG_WRITE : 0), head);
			if (how == 2)
				head = SERIAL_RIG_QUEUE_SIZE;
			serial_rig_offer(rig, queue_idx, head);
			if (how == 3)
				serial_rig_hva(rig, avail)[3] = 0x80;
			if (how == 4)
				serial_rig_desc(rig, queue_idx, head, SERIAL_RIG_DATA, 1,
				                SERIAL_RIG_NEXT | (queue_idx % 2 ? SERIAL_RIG_WRITE : 0), 999);
			(void)serial_rig_run(rig, TURNS);
			(void)virtio_serial_port_room(user.port);
			virtio_serial_port_input(user.port, (const uint8_t *)"x", 1);
			virtio_serial_port_connect(user.port, !user.port->host_connected);
			(void)serial_rig_run(rig, TURNS);
			if (!needs_reset())
				fail_msg("queue %u, break %u: no reset is asked for", queue_idx, how);
			assert_int_equal(user.ngot, 0);
			assert_true(rig->nconfig_interrupts > 0);
			virtio_serial_port_connect(user.port, true);
			serial_rig_reset(rig);
			virtio_serial_port_remove(user.port);
			user.port = NULL;
		}
	}
}

static void the_driver_sees_its_registers(void **state)
{
	struct virtio_select select = { .queue_idx = 2 };
	struct virtio_registers regs = { 0 };
	struct serial_rig *single = aligned_alloc(4096, sizeof(*single));

	(void)state;
	assert_int_equal(rig->ops->nqueues(rig->serial), 64);
	rig->ops->read(rig->serial, &select, &regs);
	assert_int_equal(regs.features & 7, 1u << VIRTIO_CONSOLE_F_MULTIPORT | 1u << VIRTIO_CONSOLE_F_EMERG_WRITE);
	assert_int_equal(regs.queue.size, 32);
	assert_int_equal(regs.config[4], 31);
	serial_rig_init(single, 1);
	assert_int_equal(single->ops->nqueues(single->serial), 2);
	single->ops->read(single->serial, &select, &regs);
	assert_int_equal(regs.features & 7, 1u << VIRTIO_CONSOLE_F_EMERG_WRITE);
	serial_rig_fini(single);
	free(single);
	serial_rig = rig;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports_are_announced_in_qemus_order),
		TEST(messages_wait_for_buffers_and_do_not_grow),
		TEST(a_port_that_goes_and_comes_is_reported),
		TEST(numbers_are_qemus),
		TEST(a_reset_closes_and_forgets),
		TEST(a_driver_without_control_messages_has_port_0_open),
		TEST(output_arrives_whole_and_its_buffers_go_back),
		TEST(what_is_not_taken_waits_in_the_guest),
		TEST(a_turn_is_bounded),
		TEST(nobody_is_there),
		TEST(the_user_hangs_up_or_makes_room_within_its_call),
		TEST(a_ring_reset_forgets_the_request),
		TEST(input_fills_what_there_is_room_for),
		TEST(room_is_bounded_and_useless_buffers_have_none),
		TEST(a_stopped_machine_is_left_alone),
		TEST(what_happens_to_a_port_during_a_stop_is_made_up_for),
		TEST(emergency_bytes_go_to_the_console),
		TEST(odd_control_messages_do_nothing),
		TEST(too_many_messages_are_served_in_turns),
		TEST(broken_rings_need_a_reset),
		TEST(the_driver_sees_its_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
