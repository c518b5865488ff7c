// SPDX-License-Identifier: Apache-2.0
/*
 * serial.c - the registers of a 16550A UART, as in National Semiconductor's PC16550D data sheet.
 *
 * The line has no speed: a byte is on its way as soon as the back end takes it. There are no breaks, and no
 * parity or framing errors; an overrun is possible in loopback only.
 */
#include "serial_internal.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>

#define NREGISTERS 8u

#define IIR_FIFOS_ENABLED 0xc0u
#define FCR_TRIGGER_SHIFT 6u
#define MCR_MASK 0x1fu
#define MSR_LINES 0xf0u
#define MSR_DELTA_SHIFT 4u

/* ---- registers */

/* The modem lines: in loopback our own outputs, otherwise a peer that is always connected and ready. */
static uint8_t modem_lines(const struct serial *s)
{
	uint8_t lines = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	lines |= s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	lines |= s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	lines |= s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	lines |= s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return lines;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t id = serial_interrupt_id(s);

	if (id == UART_IIR_THRI)
		s->thre_pending = false;
	return (uint8_t)(id | (s->fifos_enabled ? IIR_FIFOS_ENABLED : 0));
}

static uint8_t read_lsr(struct serial *s)
{
	unsigned lsr = 0;

	lsr |= s->rx.len > 0 ? UART_LSR_DR : 0;
	lsr |= s->overrun ? UART_LSR_OE : 0;
	lsr |= s->tx.len == 0 ? UART_LSR_THRE | UART_LSR_TEMT : 0;
	s->overrun = false;
	return (uint8_t)lsr;
}

static uint8_t read_msr(struct serial *s)
{
	uint8_t msr = modem_lines(s) | s->msr_delta;

	s->msr_delta = 0;
	return msr;
}

static uint8_t read_register(struct serial *s, unsigned reg)
{
	switch (reg) {
	case UART_RX:
		return s->lcr & UART_LCR_DLAB ? s->divisor_low : serial_read_data(s);
	case UART_IER:
		return s->lcr & UART_LCR_DLAB ? s->divisor_high : s->ier;
	case UART_IIR:
		return read_iir(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return read_lsr(s);
	case UART_MSR:
		return read_msr(s);
	case UART_SCR:
		return s->scr;
	default:
		return 0xff;
	}
}

static void write_ier(struct serial *s, uint8_t val)
{
	/* Enabling the interrupt while the transmitter is empty raises it. Linux tests this. */
	if (!(s->ier & UART_IER_THRI) && (val & UART_IER_THRI) && s->tx.len == 0)
		s->thre_pending = true;
	s->ier = val & (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI);
}

/*
 * Clearing the transmit FIFO, by its bit or by changing the mode, clears nothing: on a line without speed
 * these bytes have already been sent.
 */
static void write_fcr(struct serial *s, uint8_t val)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };
	bool enabled = val & UART_FCR_ENABLE_FIFO;

	if (enabled != s->fifos_enabled || (val & UART_FCR_CLEAR_RCVR)) {
		s->rx.len = 0;
		s->overrun = false;
	}
	s->fifos_enabled = enabled;
	if (enabled)
		s->rx_trigger = triggers[val >> FCR_TRIGGER_SHIFT];
}

static void write_mcr(struct serial *s, uint8_t val)
{
	uint8_t before = modem_lines(s), changed;

	s->mcr = val & MCR_MASK;
	changed = before ^ modem_lines(s);
	if (changed & UART_MSR_RI && modem_lines(s) & UART_MSR_RI)
		changed &= (uint8_t)~UART_MSR_RI; /* TERI is the trailing edge only */
	s->msr_delta = (uint8_t)(s->msr_delta | (changed & MSR_LINES) >> MSR_DELTA_SHIFT);
}

static void write_register(struct serial *s, unsigned reg, uint8_t val)
{
	switch (reg) {
	case UART_TX:
		if (s->lcr & UART_LCR_DLAB)
			s->divisor_low = val;
		else
			serial_write_data(s, val);
		break;
	case UART_IER:
		if (s->lcr & UART_LCR_DLAB)
			s->divisor_high = val;
		else
			write_ier(s, val);
		break;
	case UART_FCR:
		write_fcr(s, val);
		break;
	case UART_LCR:
		s->lcr = val;
		break;
	case UART_MCR:
		write_mcr(s, val);
		break;
	case UART_SCR:
		s->scr = val;
		break;
	default:
		break;
	}
}

/* A wide access is split into one for each register, as on the 8-bit bus. */
static uint64_t serial_read(void *owner, uint64_t off, unsigned width)
{
	struct serial *s = owner;
	uint64_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint64_t)read_register(s, (unsigned)off + i) << (8 * i);
	serial_update_irq(s);
	serial_ask_for_input(s);
	return val;
}

static void serial_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct serial *s = owner;

	for (unsigned i = 0; i < width; i++)
		write_register(s, (unsigned)off + i, (uint8_t)(val >> (8 * i)));
	serial_update_irq(s);
	serial_ask_for_input(s);
}

/* ---- life */

void serial_reset(struct serial *s)
{
	s->rx.len = 0;
	s->fifos_enabled = false;
	s->rx_trigger = 1;
	s->ier = s->lcr = s->mcr = s->scr = 0;
	s->divisor_low = 12; /* 9600 baud */
	s->divisor_high = 0;
	s->msr_delta = 0;
	s->overrun = false;
	s->thre_pending = false;
	serial_update_irq(s);
}

int serial_create(const struct serial_config *cfg, struct serial **out)
{
	struct serial *s = calloc(1, sizeof(*s));
	const struct chardev_front front = {
		.room = serial_room,
		.receive = serial_receive,
		.writable = serial_writable,
		.owner = s,
	};

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	serial_reset(s);
	chardev_set_front(cfg->chr, &front);
	*out = s;
	return 0;
}

int serial_attach(struct serial *s, struct io_space *pio, uint16_t port)
{
	const struct io_region region = {
		.name = "serial",
		.base = port,
		.size = NREGISTERS,
		.read = serial_read,
		.write = serial_write,
		.owner = s,
	};

	return io_add(pio, &region);
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	chardev_set_front(s->cfg.chr, &(struct chardev_front) { .owner = NULL });
	free(s->held);
	free(s);
}
