// SPDX-License-Identifier: Apache-2.0
/*
 * serial.h - a 16550A UART on a character device.
 *
 * No byte is lost in either direction. Input is taken from the back end only as far as the receive FIFO has
 * room, and only while the guest is ready for it: it has enabled the receive interrupt or raised RTS. (Earlier
 * input would be lost when the guest's driver clears the FIFO at its start.) Output that the back end
 * cannot take stays in the transmitter, which then shows "not empty". Linux waits 10 ms for the transmitter
 * and then writes anyway; once the FIFO is full as well, that vCPU waits in `wait_writable`.
 *
 * All functions run under the machine lock.
 */
#ifndef PMVM_SERIAL_H
#define PMVM_SERIAL_H

#include "chardev.h"
#include "io.h"

#include <stdbool.h>

struct serial;

struct serial_config {
	struct chardev *chr; /* borrowed */
	void (*set_irq)(void *owner, bool level);
	/*
	 * Blocks a vCPU's thread, with the machine lock released, until `writable` may have been called.
	 * False: the machine stops; the byte is kept, and leaves when there is room.
	 */
	bool (*wait_writable)(void *owner);
	void *owner;
};

int serial_create(const struct serial_config *cfg, struct serial **out);
int serial_attach(struct serial *serial, struct io_space *pio, uint16_t port);
/* Resets registers and receive FIFO. Output that waits for the back end is kept. */
void serial_reset(struct serial *serial);
/* NULL is allowed. */
void serial_destroy(struct serial *serial);

#endif
