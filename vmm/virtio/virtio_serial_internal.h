// SPDX-License-Identifier: Apache-2.0
/* virtio_serial_internal.h - the console device, shared by its files. */
#ifndef PMVM_VIRTIO_SERIAL_INTERNAL_H
#define PMVM_VIRTIO_SERIAL_INTERNAL_H

#include "loop.h"
#include "virtio.h"
#include "virtio_serial.h"

/* Control messages that wait for a buffer of the guest, as bits of a place; sent in this order. */
enum {
	SERIAL_SEND_REMOVE = 1u << 0,
	SERIAL_SEND_ADD = 1u << 1,
	SERIAL_SEND_CONSOLE = 1u << 2,
	SERIAL_SEND_NAME = 1u << 3,
	SERIAL_SEND_OPEN = 1u << 4, /* or closed: what is so when it is sent */
};

struct virtio_serial;

struct virtio_serial_port {
	struct virtio_serial *serial;
	uint32_t nr;
	char *name; /* NULL: none */
	bool console;
	const struct virtio_serial_port_ops *ops;
	void *owner;

	bool host_connected;
	bool guest_connected; /* the guest has it open */
	bool guest_ready;     /* the guest said PORT_READY */
	bool starved;         /* the last answer to `room` was 0 */
	bool throttled;       /* the user took less than it was offered */
	/* The chain of the guest's output that is being read; it was popped, and is pushed when it is read. */
	bool has_chain, serving;
	struct virtq_chain chain;
	struct virtq_buf buf;
	uint32_t off; /* in buf */
	bool drop;    /* the host's side closed while the machine was stopped: output of before waits */
};

struct virtio_serial {
	struct virtio_pci *pci; /* the transport; it owns this device once it is plugged */
	char *name;             /* for messages */
	uint32_t max_ports;
	struct virtio virtio;
	struct virtq *queues;
	struct loop *loop;
	struct loop_source kick; /* one eventfd for all queues */
	bool plugged;            /* kick is in the loop */
	bool paused;
	bool guest_ready; /* the guest said DEVICE_READY */
	/* By number. A place is reported as removed after its port has gone. */
	struct {
		struct virtio_serial_port *port;
		unsigned pending; /* SERIAL_SEND_ */
		/* The chain that a port was reading when it went, while the machine was stopped. */
		bool owes_chain;
		uint16_t owed_head;
	} places[VIRTIO_SERIAL_PORTS_MAX];
};

static inline uint16_t virtio_serial_input_queue(uint32_t nr)
{
	return (uint16_t)(nr == 0 ? 0 : 2 * nr + 2);
}

static inline uint16_t virtio_serial_output_queue(uint32_t nr)
{
	return (uint16_t)(virtio_serial_input_queue(nr) + 1);
}

/* Whether the device may access the queue now. */
bool virtio_serial_queue_live(struct virtio_serial *serial, uint16_t queue_idx);
/* The chains that are available; 0 asks the driver for a notification, or the guest broke the specification. */
unsigned virtio_serial_available(struct virtio_serial *serial, struct virtq *q);
/* Takes the next one. False: the guest broke the specification. */
bool virtio_serial_pop(struct virtio_serial *serial, struct virtq *q, struct virtq_chain *chain);
/* Writes as much as the chain has room for, and returns how much that was, or -errno of virtq_chain_next. */
int64_t virtio_serial_fill(struct virtq_chain *chain, const uint8_t *bytes, size_t len);
/* Shows the driver what was pushed. */
void virtio_serial_publish(struct virtio_serial *serial, uint16_t queue_idx);
/* A driver runs that knows one port only: it did not negotiate VIRTIO_CONSOLE_F_MULTIPORT. */
bool virtio_serial_is_single(const struct virtio_serial *serial);
/* There is more to do in the event loop. */
void virtio_serial_kick(struct virtio_serial *serial);

extern const struct virtio_device_ops virtio_serial_ops;

/* virtio_serial_port.c: one turn for a port; the guest opens or closes it; the guest was reset */
void virtio_serial_port_serve(struct virtio_serial_port *port);
void virtio_serial_port_guest_open(struct virtio_serial_port *port, bool open);
void virtio_serial_port_reset(struct virtio_serial_port *port);
/* Returns the chain that a port which has gone left at this place. */
void virtio_serial_port_settle(struct virtio_serial *serial, uint32_t nr);

/* virtio_serial_control.c: messages of the guest, in one bounded turn; and those to the guest */
void virtio_serial_control_serve(struct virtio_serial *serial);
void virtio_serial_control_send(struct virtio_serial *serial);
/* Adds SERIAL_SEND_ bits to a place, and sends what can be sent. */
void virtio_serial_control_post(struct virtio_serial *serial, uint32_t nr, unsigned pending);

#endif
