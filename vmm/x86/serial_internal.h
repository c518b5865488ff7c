// SPDX-License-Identifier: Apache-2.0
/* serial_internal.h - the state of the UART, shared by its files. */
#ifndef PMVM_SERIAL_INTERNAL_H
#define PMVM_SERIAL_INTERNAL_H

#include "serial.h"

#include <stdbool.h>
#include <stdint.h>

#define FIFO_SIZE 16u

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

/* serial_data.c: what interrupts now, UART_IIR_*, and the line that follows it. */
uint8_t serial_interrupt_id(const struct serial *s);
void serial_update_irq(struct serial *s);
/* The data register. A write may wait, and other vCPUs then change the registers. */
uint8_t serial_read_data(struct serial *s);
void serial_write_data(struct serial *s, uint8_t byte);
/* After an access of the guest: there may be room again for what the back end has. */
void serial_ask_for_input(struct serial *s);
/* For struct chardev_front. */
size_t serial_room(void *owner);
void serial_receive(void *owner, const uint8_t *buf, size_t len);
void serial_writable(void *owner);

#endif
