// SPDX-License-Identifier: Apache-2.0
/*
 * serial.c - the registers of a 16550A UART, as in National Semiconductor's PC16550D data sheet.
 *
 * The line has no speed: a byte is on its way as soon as the back end takes it. There are no breaks, and no
 * parity or framing errors; an overrun is possible in loopback only.
 */
#include "serial.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>

#define FIFO_SIZE 16u
/* A stop interrupts one instruction of each vCPU, which KVM repeats 1024 times at most: 64 vCPUs. */
#define HELD_MAX (64u * 1024)
#define NREGISTERS 8u

#define IIR_FIFOS_ENABLED 0xc0u
#define FCR_TRIGGER_SHIFT 6u
#define MCR_MASK 0x1fu
#define MSR_LINES 0xf0u
#define MSR_DELTA_SHIFT 4u

struct fifo {
	uint8_t bytes[FIFO_SIZE];
	unsigned len;
};

struct serial {
	struct serial_config cfg;
	struct fifo rx, tx;
	/* Bytes behind the FIFO: written while the machine was being stopped, when no vCPU can wait for room. */
	uint8_t *held;
	size_t nheld;
	bool fifos_enabled;
	unsigned rx_trigger;
	uint8_t ier, lcr, mcr, scr;
	uint8_t divisor_low, divisor_high;
	uint8_t msr_delta;
	bool overrun;
	bool thre_pending; /* the transmitter became empty, and the guest has not read that yet */
	bool transmitting; /* inside chardev_write */
	bool irq_level;
	bool starved; /* `room` returned 0, and the back end waits for chardev_accept */
};

static void fifo_push(struct fifo *fifo, uint8_t byte)
{
	fifo->bytes[fifo->len++] = byte;
}

static void fifo_drop(struct fifo *fifo, unsigned n)
{
	fifo->len -= n;
	memmove(fifo->bytes, fifo->bytes + n, fifo->len);
}

/* ---- interrupts */

/* The sources in their order of priority. */
static uint8_t interrupt_id(const struct serial *s)
{
	if ((s->ier & UART_IER_RLSI) && s->overrun)
		return UART_IIR_RLSI;
	/* The timeout comes at once: the line is idle as soon as there is no more input. */
	if ((s->ier & UART_IER_RDI) && s->rx.len > 0)
		return s->fifos_enabled && s->rx.len < s->rx_trigger ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI;
	if ((s->ier & UART_IER_THRI) && s->thre_pending)
		return UART_IIR_THRI;
	if ((s->ier & UART_IER_MSI) && s->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_irq(struct serial *s)
{
	bool level = interrupt_id(s) != UART_IIR_NO_INT;

	if (level == s->irq_level)
		return;
	s->irq_level = level;
	s->cfg.set_irq(s->cfg.owner, level);
}

/* ---- receiving */

static unsigned fifo_depth(const struct serial *s)
{
	return s->fifos_enabled ? FIFO_SIZE : 1;
}

static bool is_ready(const struct serial *s)
{
	return !(s->mcr & UART_MCR_LOOP) && ((s->ier & UART_IER_RDI) || (s->mcr & UART_MCR_RTS));
}

static unsigned rx_room(const struct serial *s)
{
	return s->rx.len < fifo_depth(s) ? fifo_depth(s) - s->rx.len : 0;
}

static size_t front_room(void *owner)
{
	struct serial *s = owner;
	unsigned room = is_ready(s) ? rx_room(s) : 0;

	if (room == 0)
		s->starved = true;
	return room;
}

static void front_receive(void *owner, const uint8_t *buf, size_t len)
{
	struct serial *s = owner;

	for (size_t i = 0; i < len && rx_room(s) > 0; i++)
		fifo_push(&s->rx, buf[i]);
	update_irq(s);
}

/* Not for each byte that the guest reads, so that the back end fills the FIFO with one system call. */
static void ask_for_input(struct serial *s)
{
	if (!s->starved || !is_ready(s) || s->rx.len > 0)
		return;
	s->starved = false;
	chardev_accept(s->cfg.chr);
}

static uint8_t read_data(struct serial *s)
{
	uint8_t byte = s->rx.bytes[0];

	if (s->rx.len == 0)
		return 0;
	fifo_drop(&s->rx, 1);
	return byte;
}

/* ---- transmitting */

/*
 * A byte that the guest has already written is not lost by a stop: it is sent when the machine continues. A guest
 * that resets itself repeatedly while its console is not read gets no more room than that.
 */
static void hold(struct serial *s, uint8_t byte)
{
	if (!s->held)
		s->held = malloc(HELD_MAX);
	if (s->held && s->nheld < HELD_MAX)
		s->held[s->nheld++] = byte;
}

static void refill(struct serial *s)
{
	size_t n = 0;

	while (n < s->nheld && s->tx.len < FIFO_SIZE)
		fifo_push(&s->tx, s->held[n++]);
	if (n == 0)
		return;
	s->nheld -= n;
	memmove(s->held, s->held + n, s->nheld);
	if (s->nheld > 0)
		return;
	free(s->held);
	s->held = NULL;
}

/* The back end may call `writable` from within chardev_write: then the loop notices that there is room. */
static void transmit(struct serial *s)
{
	size_t taken;

	if (s->transmitting || s->tx.len == 0)
		return;
	s->transmitting = true;
	do {
		taken = chardev_write(s->cfg.chr, s->tx.bytes, s->tx.len);
		fifo_drop(&s->tx, (unsigned)taken);
		refill(s);
	} while (taken > 0 && s->tx.len > 0);
	s->transmitting = false;
	if (s->tx.len == 0)
		s->thre_pending = true;
}

static void front_writable(void *owner)
{
	struct serial *s = owner;

	transmit(s);
	update_irq(s);
}

static void loop_back(struct serial *s, uint8_t byte)
{
	if (rx_room(s) > 0)
		fifo_push(&s->rx, byte);
	else
		s->overrun = true;
	s->thre_pending = true;
}

static void write_data(struct serial *s, uint8_t byte)
{
	s->thre_pending = false;
	if (s->mcr & UART_MCR_LOOP) {
		loop_back(s, byte);
		return;
	}
	/* Other vCPUs may change everything while this one waits. */
	while (s->nheld > 0 || s->tx.len >= fifo_depth(s)) {
		update_irq(s);
		if (!s->cfg.wait_writable(s->cfg.owner)) {
			hold(s, byte);
			return;
		}
		transmit(s);
	}
	fifo_push(&s->tx, byte);
	transmit(s);
}

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
	uint8_t id = interrupt_id(s);

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
		return s->lcr & UART_LCR_DLAB ? s->divisor_low : read_data(s);
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
			write_data(s, val);
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
	update_irq(s);
	ask_for_input(s);
	return val;
}

static void serial_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	struct serial *s = owner;

	for (unsigned i = 0; i < width; i++)
		write_register(s, (unsigned)off + i, (uint8_t)(val >> (8 * i)));
	update_irq(s);
	ask_for_input(s);
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
	update_irq(s);
}

int serial_create(const struct serial_config *cfg, struct serial **out)
{
	struct serial *s = calloc(1, sizeof(*s));
	const struct chardev_front front = {
		.room = front_room,
		.receive = front_receive,
		.writable = front_writable,
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
