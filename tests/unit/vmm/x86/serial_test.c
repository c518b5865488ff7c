// SPDX-License-Identifier: Apache-2.0
// Tests of the 16550A: registers, interrupts, FIFOs, loopback, and that no byte is lost in either direction.
#include "serial.h"

#include <linux/serial_reg.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_chardev.h"
#include "memory_map.h"

#define MUCH ((size_t)MIB)
#define NO_INTERRUPT (0xc0 | UART_IIR_NO_INT)

static struct io_space pio;
static struct chardev chr;
static struct serial *serial;
static bool irq;
static unsigned nrising, nwaits;
static size_t drained_by_wait; /* 0: the machine stops */

static void set_irq(void *owner, bool level)
{
	assert_ptr_equal(owner, &pio);
	assert_int_not_equal(level, irq);
	irq = level;
	nrising += level;
}

static bool wait_writable(void *owner)
{
	assert_ptr_equal(owner, &pio);
	nwaits++;
	if (drained_by_wait == 0)
		return false;
	fake_chardev_drain(&chr, drained_by_wait);
	return true;
}

static uint8_t in(unsigned reg)
{
	return (uint8_t)io_read(&pio, COM1_PORT + reg, 1);
}

static void out(unsigned reg, unsigned val)
{
	io_write(&pio, COM1_PORT + reg, 1, val);
}

static int setup(void **state)
{
	struct serial_config cfg = {
		.chr = &chr,
		.set_irq = set_irq,
		.wait_writable = wait_writable,
		.owner = &pio,
	};

	(void)state;
	io_clear(&pio);
	chr = (struct chardev) { .out = malloc(MUCH), .out_size = MUCH, .out_room = MUCH };
	irq = false;
	nrising = nwaits = 0;
	drained_by_wait = 0;
	assert_int_equal(serial_create(&cfg, &serial), 0);
	assert_int_equal(serial_attach(serial, &pio, COM1_PORT), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serial_destroy(serial);
	assert_null(chr.front.room); /* the back end, which lives on, does not call it any more */
	free(chr.out);
	return 0;
}

static void enable_fifos(unsigned trigger_bits)
{
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT | trigger_bits);
}

static void arrives(const char *text)
{
	chr.in = (const uint8_t *)text;
	chr.in_len = strlen(text);
	fake_chardev_deliver(&chr);
}

/* ---- registers */

static void is_as_new_after_reset(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(in(UART_IER), 0);
		assert_int_equal(in(UART_IIR), UART_IIR_NO_INT);
		assert_int_equal(in(UART_LCR), 0);
		assert_int_equal(in(UART_MCR), 0);
		assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
		assert_int_equal(in(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
		assert_int_equal(in(UART_SCR), 0);
		assert_int_equal(in(UART_RX), 0);
		assert_false(irq);

		enable_fifos(UART_FCR_TRIGGER_14);
		out(UART_MCR, UART_MCR_RTS | UART_MCR_LOOP);
		out(UART_SCR, 0x55);
		out(UART_LCR, UART_LCR_WLEN8);
		out(UART_IER, 0xff);
		out(UART_TX, 'x');
		assert_true(irq);
		serial_reset(serial);
	}
}

static void keeps_what_is_written(void **state)
{
	(void)state;
	out(UART_SCR, 0xa5);
	assert_int_equal(in(UART_SCR), 0xa5);
	out(UART_IER, 0xff);
	assert_int_equal(in(UART_IER), 0x0f);
	out(UART_MCR, 0xff);
	assert_int_equal(in(UART_MCR), 0x1f);
	out(UART_LCR, 0x1b);
	assert_int_equal(in(UART_LCR), 0x1b);
	out(UART_LSR, 0);
	out(UART_MSR, 0);
	assert_int_equal(in(UART_LSR)&UART_LSR_THRE, UART_LSR_THRE);
}

static void dlab_shows_the_divisor(void **state)
{
	(void)state;
	out(UART_IER, 0x03);
	out(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(UART_DLL, 0x34);
	out(UART_DLM, 0x12);
	assert_int_equal(in(UART_DLL), 0x34);
	assert_int_equal(in(UART_DLM), 0x12);
	out(UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(UART_IER), 0x03);
	assert_int_equal(chr.out_len, 0);
	out(UART_LCR, UART_LCR_DLAB);
	assert_int_equal(in(UART_DLL), 0x34);
}

/* What Linux does to tell a 16550A from older chips. */
static void is_a_16550a(void **state)
{
	(void)state;
	out(UART_FCR, 0);
	assert_int_equal(in(UART_IIR) >> 6, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(UART_IIR) >> 6, 3);
}

static void wide_accesses_are_several(void **state)
{
	(void)state;
	io_write(&pio, COM1_PORT + UART_LCR, 4, 0x00000b1b); /* LCR, MCR */
	assert_int_equal(in(UART_LCR), 0x1b);
	assert_int_equal(in(UART_MCR), 0x0b);
	assert_int_equal(io_read(&pio, COM1_PORT + UART_LCR, 2), 0x0b1b);
	assert_int_equal(io_read(&pio, COM1_PORT, 8), UINT64_C(0x00b0600b1b010000));
}

static void loopback_joins_output_and_input(void **state)
{
	(void)state;
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(in(UART_MSR)&0xf0, UART_MSR_DCD | UART_MSR_CTS); /* Linux's test */
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
	assert_int_equal(in(UART_MSR)&0xf0, UART_MSR_RI | UART_MSR_DSR);
	out(UART_TX, 'a');
	assert_int_equal(in(UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
	out(UART_TX, 'b'); /* overruns without FIFOs */
	assert_int_equal(in(UART_LSR)&UART_LSR_OE, UART_LSR_OE);
	assert_int_equal(in(UART_LSR)&UART_LSR_OE, 0);
	assert_int_equal(in(UART_RX), 'a');
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
	assert_int_equal(chr.out_len, 0);
	out(UART_IER, UART_IER_RDI);
	arrives("x"); /* the line is disconnected */
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
	out(UART_MCR, 0);
	assert_int_equal(in(UART_RX), 'x');
}

static void loopback_overrun_is_a_line_status_interrupt(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_MCR, UART_MCR_LOOP);
	for (unsigned i = 0; i < 17; i++)
		out(UART_TX, 'a' + i);
	out(UART_IER, UART_IER_RLSI | UART_IER_RDI);
	assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_RLSI);
	assert_int_equal(in(UART_LSR)&UART_LSR_OE, UART_LSR_OE);
	assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_RDI);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(in(UART_RX), 'a' + i);
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
}

static void modem_lines_that_change_interrupt(void **state)
{
	(void)state;
	out(UART_IER, UART_IER_MSI);
	out(UART_MCR, UART_MCR_LOOP);
	assert_true(irq);
	assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_MSI);
	assert_int_equal(in(UART_MSR), UART_MSR_DCTS | UART_MSR_DDSR | UART_MSR_DDCD);
	assert_false(irq);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	assert_false(irq); /* RI counts only when it ends */
	out(UART_MCR, UART_MCR_LOOP);
	assert_int_equal(in(UART_MSR), UART_MSR_TERI);
}

/* ---- sending */

static void sends_at_once(void **state)
{
	(void)state;
	out(UART_TX, 'h');
	out(UART_TX, 'i');
	assert_memory_equal(chr.out, "hi", 2);
	assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

static void empty_transmitter_interrupts_once(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_IER, UART_IER_THRI); /* enabling it while empty raises it */
	assert_true(irq);
	assert_int_equal(in(UART_IIR), 0xc0 | UART_IIR_THRI);
	assert_false(irq); /* reading clears it */
	assert_int_equal(in(UART_IIR), NO_INTERRUPT);
	out(UART_IER, UART_IER_THRI); /* it was enabled already */
	assert_false(irq);
	out(UART_TX, 'x');
	assert_true(irq);
	assert_int_equal(in(UART_IIR), 0xc0 | UART_IIR_THRI);
	out(UART_IER, 0);
	out(UART_IER, UART_IER_THRI);
	assert_true(irq);
	out(UART_IER, 0);
	assert_false(irq);
}

static void reading_another_source_leaves_the_transmitters(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_IER, UART_IER_THRI | UART_IER_RDI);
	arrives("a");
	assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_RDI);
	assert_int_equal(in(UART_RX), 'a');
	assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_THRI);
	assert_false(irq);
}

static void full_back_end_shows_in_the_line_status(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_IER, UART_IER_THRI);
	in(UART_IIR);
	chr.out_room = 1;
	out(UART_TX, 'a');
	assert_true(irq);
	out(UART_TX, 'b');
	assert_int_equal(in(UART_LSR), 0);
	assert_false(irq);
	out(UART_IER, 0);
	out(UART_IER, UART_IER_THRI);
	assert_false(irq); /* it is not empty */
	fake_chardev_drain(&chr, 1);
	assert_true(irq);
	assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_memory_equal(chr.out, "ab", 2);
}

static void full_transmitter_holds_the_writer(void **state)
{
	(void)state;
	enable_fifos(0);
	chr.out_room = 0;
	for (unsigned i = 0; i < 16; i++)
		out(UART_TX, 'a' + i);
	assert_int_equal(nwaits, 0);
	drained_by_wait = 3;
	out(UART_TX, 'q');
	assert_int_equal(nwaits, 1);
	fake_chardev_drain(&chr, 100);
	assert_int_equal(chr.out_len, 17);
	assert_memory_equal(chr.out, "abcdefghijklmnopq", 17);
}

static void without_fifos_the_second_byte_waits(void **state)
{
	(void)state;
	chr.out_room = 0;
	drained_by_wait = 1;
	out(UART_TX, 'a');
	assert_int_equal(nwaits, 0);
	out(UART_TX, 'b');
	assert_int_equal(nwaits, 1);
	assert_memory_equal(chr.out, "a", 1);
}

static void a_stop_loses_no_byte_and_keeps_their_order(void **state)
{
	(void)state;
	enable_fifos(0);
	chr.out_room = 0;
	/* One string instruction of which the first 16 bytes fit: a stop ends the wait for the others. */
	for (char c = 'A'; c < 'A' + 40; c++)
		out(UART_TX, (uint8_t)c);
	assert_int_equal(nwaits, 24);
	assert_int_equal(chr.out_len, 0);
	/* It goes on: what comes next waits behind them. */
	drained_by_wait = 100;
	out(UART_TX, '!');
	fake_chardev_drain(&chr, 100);
	assert_int_equal(chr.out_len, 41);
	for (int i = 0; i < 40; i++)
		assert_int_equal(chr.out[i], 'A' + i);
	assert_int_equal(chr.out[40], '!');
}

/* A guest whose console nobody reads, and which resets itself over and over, fills no more than a bounded room. */
static void many_stops_fill_a_bounded_room(void **state)
{
	const size_t held_max = 64 * 1024;

	(void)state;
	enable_fifos(0);
	chr.out_room = 0;
	for (unsigned life = 0; life < 100; life++) {
		for (unsigned i = 0; i < 1024; i++)
			out(UART_TX, life < 64 ? 'a' : 'b');
		serial_reset(serial);
		enable_fifos(0);
	}
	fake_chardev_drain(&chr, MUCH);
	assert_int_equal(chr.out_len, 16 + held_max);
	/* What came first is kept. */
	for (size_t i = 0; i < held_max; i++)
		assert_int_equal(chr.out[i], 'a');
	/* Then all is as new. */
	out(UART_TX, '!');
	assert_int_equal(chr.out_len, 16 + held_max + 1);
	assert_int_equal(chr.out[16 + held_max], '!');
}

static void a_byte_that_was_held_is_not_overtaken(void **state)
{
	(void)state;
	chr.out_room = 0;
	out(UART_TX, 'a');
	out(UART_TX, 'b');
	/* There is room in the FIFO now, but not before the byte that is held. */
	enable_fifos(0);
	out(UART_TX, 'c');
	fake_chardev_drain(&chr, 100);
	assert_int_equal(chr.out_len, 3);
	assert_memory_equal(chr.out, "abc", 3);
}

static void nothing_sent_is_taken_back(void **state)
{
	(void)state;
	enable_fifos(0);
	chr.out_room = 0;
	out(UART_TX, 'a');
	out(UART_TX, 'b');
	enable_fifos(0);
	out(UART_FCR, 0);
	serial_reset(serial);
	assert_int_equal(in(UART_LSR), 0);
	fake_chardev_drain(&chr, 100);
	assert_memory_equal(chr.out, "ab", 2);
	assert_int_equal(chr.out_len, 2);
}

static void writable_may_come_from_inside_a_write(void **state)
{
	(void)state;
	enable_fifos(0);
	chr.out_room = 2;
	chr.room_in_write = 2;
	for (unsigned i = 0; i < 26; i++)
		out(UART_TX, 'a' + i);
	assert_int_equal(chr.out_len, 26);
	assert_memory_equal(chr.out, "abcdefghijklmnopqrstuvwxyz", 26);

	chr.out_room = chr.room_in_write = 0;
	for (unsigned i = 0; i < 7; i++)
		out(UART_TX, 'A' + i);
	chr.room_in_write = 2;
	fake_chardev_drain(&chr, 2);
	assert_int_equal(chr.out_len, 33);
	assert_memory_equal(chr.out + 26, "ABCDEFG", 7);
}

/* ---- receiving */

static void received_data_interrupts(void **state)
{
	(void)state;
	enable_fifos(UART_FCR_TRIGGER_4);
	out(UART_IER, UART_IER_RDI);
	assert_false(irq);
	arrives("abcd");
	assert_true(irq);
	assert_int_equal(in(UART_IIR), 0xc0 | UART_IIR_RDI);
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, UART_LSR_DR);
	assert_int_equal(in(UART_RX), 'a');
	assert_int_equal(in(UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT); /* below the trigger level */
	assert_int_equal(in(UART_RX), 'b');
	assert_int_equal(in(UART_RX), 'c');
	assert_true(irq);
	assert_int_equal(in(UART_RX), 'd');
	assert_false(irq);
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
	assert_int_equal(in(UART_IIR), NO_INTERRUPT);
}

static void takes_input_only_as_far_as_it_has_room(void **state)
{
	(void)state;
	out(UART_IER, UART_IER_RDI);
	arrives("abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(chr.in_len, 25);
	assert_int_equal(in(UART_RX), 'a');
	assert_int_equal(in(UART_RX), 'b');
	enable_fifos(0); /* throws away the c */
	assert_int_equal(chr.in_len, 26 - 3 - 16);
	assert_int_equal(in(UART_RX), 'd');
}

static void asks_for_more_when_the_fifo_is_empty(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_IER, UART_IER_RDI);
	arrives("0123456789abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(chr.front.room(chr.front.owner), 0);
	chr.naccepts = 0;
	for (unsigned i = 0; i < 15; i++)
		in(UART_RX);
	assert_int_equal(chr.naccepts, 0);
	assert_int_equal(in(UART_RX), 'f');
	assert_int_equal(chr.naccepts, 1);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(in(UART_RX), 'g' + i);
	assert_int_equal(chr.naccepts, 2);
	in(UART_LSR); /* there was room for more all the time */
	assert_int_equal(chr.naccepts, 2);
}

/* A driver clears the FIFO when it starts: what was typed before must not be in it. */
static void early_input_waits_for_the_driver(void **state)
{
	(void)state;
	arrives("early");
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
	enable_fifos(0);
	in(UART_RX);
	out(UART_IER, UART_IER_THRI);
	assert_int_equal(chr.in_len, 5);
	out(UART_IER, UART_IER_RDI);
	assert_int_equal(chr.in_len, 0);
	assert_int_equal(in(UART_RX), 'e');
}

static void rts_is_enough_for_a_guest_that_polls(void **state)
{
	(void)state;
	arrives("x");
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, UART_LSR_DR);
	assert_int_equal(in(UART_RX), 'x');
	assert_false(irq);
}

static void clearing_the_receive_fifo_clears_it(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_IER, UART_IER_RDI);
	arrives("abc");
	out(UART_FCR, UART_FCR_ENABLE_FIFO); /* alone this clears nothing */
	assert_true(irq);
	enable_fifos(0);
	assert_false(irq);
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
}

/* ---- much of it */

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 131 + i / 251);
}

/* A guest as Linux: fills the FIFO when it is empty, else polls a while and then writes anyway. */
static void prints_a_mib_on_a_slow_back_end(void **state)
{
	unsigned npolls = 0;

	(void)state;
	enable_fifos(0);
	chr.out_room = 0;
	drained_by_wait = 1;
	for (size_t i = 0; i < MUCH;) {
		bool empty = in(UART_LSR)&UART_LSR_THRE;

		if (npolls++ % 3 == 0)
			fake_chardev_drain(&chr, i % 7);
		if (!empty && npolls % 5)
			continue;
		for (unsigned n = 0; n < (empty ? 16 : 1) && i < MUCH; n++, i++)
			out(UART_TX, pattern(i));
	}
	fake_chardev_drain(&chr, MUCH);
	assert_true(nwaits > 1000);
	assert_int_equal(chr.out_len, MUCH);
	for (size_t i = 0; i < MUCH; i++)
		assert_int_equal(chr.out[i], pattern(i));
}

/* A guest that reads when it is interrupted, as much as there is or only some of it. */
static void takes_a_mib_pasted_at_once(void **state)
{
	uint8_t *pasted = malloc(MUCH);
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < MUCH; i++)
		pasted[i] = pattern(i);
	chr.in = pasted;
	chr.in_len = MUCH;
	enable_fifos(UART_FCR_TRIGGER_8);
	out(UART_IER, UART_IER_RDI | UART_IER_RLSI);
	fake_chardev_deliver(&chr);
	while (irq) {
		uint8_t iir = in(UART_IIR)&0x0f;

		assert_true(iir == UART_IIR_RDI || iir == UART_IIR_RX_TIMEOUT);
		for (size_t some = 1 + n % 40; some > 0 && (in(UART_LSR)&UART_LSR_DR); some--)
			assert_int_equal(in(UART_RX), pattern(n++));
		fake_chardev_deliver(&chr);
	}
	assert_int_equal(n, MUCH);
	assert_int_equal(chr.in_len, 0);
	free(pasted);
}

/* The line is edge-triggered at the I/O APIC: a driver that serves all sources must see a new edge for each new one. */
static void every_new_event_is_a_new_edge(void **state)
{
	(void)state;
	enable_fifos(0);
	out(UART_IER, UART_IER_RDI | UART_IER_THRI);
	for (unsigned i = 0; i < 10; i++) {
		nrising = 0;
		out(UART_TX, 'x');
		arrives("y");
		while ((in(UART_IIR)&0x0f) != UART_IIR_NO_INT)
			if (in(UART_LSR)&UART_LSR_DR)
				in(UART_RX);
		assert_false(irq);
		assert_true(nrising >= 1 || i == 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(is_as_new_after_reset),
		TEST(keeps_what_is_written),
		TEST(dlab_shows_the_divisor),
		TEST(is_a_16550a),
		TEST(wide_accesses_are_several),
		TEST(loopback_joins_output_and_input),
		TEST(loopback_overrun_is_a_line_status_interrupt),
		TEST(modem_lines_that_change_interrupt),
		TEST(sends_at_once),
		TEST(empty_transmitter_interrupts_once),
		TEST(reading_another_source_leaves_the_transmitters),
		TEST(full_back_end_shows_in_the_line_status),
		TEST(full_transmitter_holds_the_writer),
		TEST(without_fifos_the_second_byte_waits),
		TEST(a_stop_loses_no_byte_and_keeps_their_order),
		TEST(a_byte_that_was_held_is_not_overtaken),
		TEST(many_stops_fill_a_bounded_room),
		TEST(nothing_sent_is_taken_back),
		TEST(writable_may_come_from_inside_a_write),
		TEST(received_data_interrupts),
		TEST(takes_input_only_as_far_as_it_has_room),
		TEST(asks_for_more_when_the_fifo_is_empty),
		TEST(early_input_waits_for_the_driver),
		TEST(rts_is_enough_for_a_guest_that_polls),
		TEST(clearing_the_receive_fifo_clears_it),
		TEST(prints_a_mib_on_a_slow_back_end),
		TEST(takes_a_mib_pasted_at_once),
		TEST(every_new_event_is_a_new_edge),
	};

	return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
