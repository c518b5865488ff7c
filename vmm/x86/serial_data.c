// SPDX-License-Identifier: Apache-2.0
// The two directions of the UART, between its FIFOs and the character device, and the interrupts that they cause.
#include "serial_internal.h"

#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>

/* A stop interrupts one instruction of each vCPU, which KVM repeats 1024 times at most: 64 vCPUs. */
#define HELD_MAX (64u * 1024)

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
uint8_t serial_interrupt_id(const struct serial *s)
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

void serial_update_irq(struct serial *s)
{
	bool level = serial_interrupt_id(s) != UART_IIR_NO_INT;

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

size_t serial_room(void *owner)
{
	struct serial *s = owner;
	unsigned room = is_ready(s) ? rx_room(s) : 0;

	if (room == 0)
		s->starved = true;
	return room;
}

void serial_receive(void *owner, const uint8_t *buf, size_t len)
{
	struct serial *s = owner;

	for (size_t i = 0; i < len && rx_room(s) > 0; i++)
		fifo_push(&s->rx, buf[i]);
	serial_update_irq(s);
}

/* Not for each byte that the guest reads, so that the back end fills the FIFO with one system call. */
void serial_ask_for_input(struct serial *s)
{
	if (!s->starved || !is_ready(s) || s->rx.len > 0)
		return;
	s->starved = false;
	chardev_accept(s->cfg.chr);
}

uint8_t serial_read_data(struct serial *s)
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

void serial_writable(void *owner)
{
	struct serial *s = owner;

	transmit(s);
	serial_update_irq(s);
}

static void loop_back(struct serial *s, uint8_t byte)
{
	if (rx_room(s) > 0)
		fifo_push(&s->rx, byte);
	else
		s->overrun = true;
	s->thre_pending = true;
}

void serial_write_data(struct serial *s, uint8_t byte)
{
	s->thre_pending = false;
	if (s->mcr & UART_MCR_LOOP) {
		loop_back(s, byte);
		return;
	}
	/* Other vCPUs may change everything while this one waits. */
	while (s->nheld > 0 || s->tx.len >= fifo_depth(s)) {
		serial_update_irq(s);
		if (!s->cfg.wait_writable(s->cfg.owner)) {
			hold(s, byte);
			return;
		}
		transmit(s);
	}
	fifo_push(&s->tx, byte);
	transmit(s);
}
