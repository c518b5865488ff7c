// SPDX-License-Identifier: Apache-2.0
/*
 * serial_fuzz.c - the serial port: register accesses of any width, input that arrives, output that the other side
 * takes at its own pace.
 *
 * What holds: no byte that the guest sends is lost, doubled or reordered, and the interrupt line only changes.
 */
#include "fake_chardev.h"
#include "fuzz.h"
#include "serial.h"

#include <linux/serial_reg.h>
#include <string.h>

#define PORT 0x3f8u
#define STEPS_MAX 2000u
#define OUT_SIZE 65536u

static struct {
	struct chardev chr;
	struct serial *serial;
	struct io_space pio;
	bool level, can_wait, stopped;
	uint8_t sent[OUT_SIZE], out[OUT_SIZE];
	size_t nsent;
} m;

static void set_irq(void *owner, bool level)
{
	(void)owner;
	CHECK(level != m.level);
	m.level = level;
}

/* The other side takes some, or the machine stops. */
static bool wait_writable(void *owner)
{
	(void)owner;
	if (m.can_wait)
		m.chr.out_room += 3;
	else
		m.stopped = true;
	return m.can_wait;
}

static uint8_t reg(unsigned off)
{
	return (uint8_t)io_read(&m.pio, PORT + off, 1);
}

/* What a write to the data register sends, as the guest sees the port. */
static void note_sent(unsigned off, uint64_t val)
{
	uint8_t lcr = reg(UART_LCR), mcr = reg(UART_MCR);

	if (off == 0 && !(lcr & UART_LCR_DLAB) && !(mcr & UART_MCR_LOOP) && m.nsent < OUT_SIZE)
		m.sent[m.nsent++] = (uint8_t)val;
}

static void access_port(struct input *in)
{
	unsigned how = take8(in), off = how & 7, width = 1u << (how >> 3 & 3);

	if (how & 0x80) {
		uint64_t val = input_take(in, width);

		note_sent(off, val);
		io_write(&m.pio, PORT + off, width, val);
	} else {
		io_read(&m.pio, PORT + off, width);
	}
}

static void step(struct input *in)
{
	switch (take8(in) % 6) {
	case 0:
	case 1:
		access_port(in);
		break;
	case 2: {
		struct input bytes = input_slice(in, take8(in) % 64);

		m.chr.in = bytes.data;
		m.chr.in_len = bytes.len;
		fake_chardev_deliver(&m.chr);
		break;
	}
	case 3:
		fake_chardev_drain(&m.chr, take8(in) % 32);
		break;
	case 4:
		m.can_wait = take8(in) & 1;
		m.chr.room_in_write = take8(in) % 8;
		break;
	case 5:
		serial_reset(m.serial);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { .data = data, .len = len };
	struct serial_config cfg = { .chr = &m.chr, .set_irq = set_irq, .wait_writable = wait_writable };

	memset(&m.chr, 0, sizeof(m.chr));
	m.chr.out = m.out;
	m.chr.out_size = OUT_SIZE;
	m.nsent = 0;
	m.level = m.stopped = false;
	m.can_wait = true;
	io_clear(&m.pio);
	CHECK(serial_create(&cfg, &m.serial) == 0);
	CHECK(serial_attach(m.serial, &m.pio, PORT) == 0);
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		step(&in);
	/* All that was sent arrives once the other side takes it. */
	m.chr.room_in_write = 0;
	fake_chardev_drain(&m.chr, OUT_SIZE);
	CHECK(m.chr.out_len == m.nsent && memcmp(m.out, m.sent, m.nsent) == 0);
	serial_destroy(m.serial);
	return 0;
}
