// SPDX-License-Identifier: Apache-2.0
// Control messages of virtio-serial-pci (virtio specification, section 5.3.6.2), both ways.
#include "guest_access.h"
#include "log.h"
#include "virtio_serial_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <linux/virtio_console.h>
#include <string.h>

#define TO_GUEST 2u /* queues */
#define TO_DEVICE 3u
#define HEADER_SIZE 8u /* struct virtio_console_control: le32 id, le16 event, le16 value */
#define BATCH_MAX 64u

struct message {
	uint32_t id;
	uint16_t event, value;
};

static_assert(sizeof(struct virtio_console_control) == HEADER_SIZE, "a control message");

// ---- to the guest

// False: the guest has no buffer now.
static bool send(struct virtio_serial *serial, const struct message *msg, const char *text)
{
	uint8_t bytes[HEADER_SIZE + VIRTIO_SERIAL_NAME_MAX + 1];
	struct virtq *q = &serial->queues[TO_GUEST];
	struct virtq_chain chain;
	size_t len = HEADER_SIZE;
	int64_t done;

	if (virtio_serial_available(serial, q) == 0 || !virtio_serial_pop(serial, q, &chain))
		return false;
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(msg->id >> 8 * i);
	for (unsigned i = 0; i < 2; i++) {
		bytes[4 + i] = (uint8_t)(msg->event >> 8 * i);
		bytes[6 + i] = (uint8_t)(msg->value >> 8 * i);
	}
	if (text) {
		memcpy(bytes + len, text, strlen(text) + 1);
		len += strlen(text) + 1;
	}
	done = virtio_serial_fill(&chain, bytes, len);
	if (done == -EPROTO) {
		virtio_guest_fault(&serial->virtio, q->fault);
		return false;
	}
	virtq_push(q, chain.head, done < 0 ? 0 : (uint32_t)done);
	return true;
}

// The lowest of the bits that wait at this place.
static bool send_next(struct virtio_serial *serial, uint32_t nr)
{
	const struct virtio_serial_port *port = serial->places[nr].port;
	unsigned pending = serial->places[nr].pending, bit = pending & -pending;
	struct message msg = { .id = nr, .value = 1 };
	const char *text = NULL;

	switch (bit) {
	case SERIAL_SEND_REMOVE:
		msg.event = VIRTIO_CONSOLE_PORT_REMOVE;
		break;
	case SERIAL_SEND_ADD:
		msg.event = VIRTIO_CONSOLE_PORT_ADD;
		break;
	case SERIAL_SEND_CONSOLE:
		msg.event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case SERIAL_SEND_NAME:
		msg.event = VIRTIO_CONSOLE_PORT_NAME;
		text = port->name;
		break;
	default:
		msg.event = VIRTIO_CONSOLE_PORT_OPEN;
		msg.value = port->host_connected;
		break;
	}
	if (!send(serial, &msg, text))
		return false;
	serial->places[nr].pending &= ~bit;
	return true;
}

static bool has_control(struct virtio_serial *serial)
{
	return virtio_has_feature(&serial->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

void virtio_serial_control_send(struct virtio_serial *serial)
{
	bool more = has_control(serial) && virtio_serial_queue_live(serial, TO_GUEST), any = false;

	for (uint32_t nr = 0; nr < serial->max_ports && more; nr++)
		while (more && serial->places[nr].pending) {
			more = send_next(serial, nr);
			any |= more;
		}
	if (any)
		virtio_serial_publish(serial, TO_GUEST);
}

void virtio_serial_control_post(struct virtio_serial *serial, uint32_t nr, unsigned pending)
{
	serial->places[nr].pending |= pending;
	virtio_serial_control_send(serial);
}

// ---- of the guest

static void device_ready(struct virtio_serial *serial, const struct message *msg)
{
	if (msg->value == 0) {
		log_guest("%s: the guest failed to add the device", serial->name);
		return;
	}
	serial->guest_ready = true;
	for (uint32_t nr = 0; nr < serial->max_ports; nr++)
		if (serial->places[nr].port)
			serial->places[nr].pending |= SERIAL_SEND_ADD;
}

static void port_ready(struct virtio_serial_port *port, const struct message *msg)
{
	unsigned pending = port->host_connected ? SERIAL_SEND_OPEN : 0;

	if (msg->value == 0) {
		log_guest("%s: the guest failed to add port %" PRIu32, port->serial->name, port->nr);
		return;
	}
	port->guest_ready = true;
	if (port->console)
		pending |= SERIAL_SEND_CONSOLE;
	if (port->name)
		pending |= SERIAL_SEND_NAME;
	port->serial->places[port->nr].pending |= pending;
}

static void handle(struct virtio_serial *serial, const struct message *msg)
{
	struct virtio_serial_port *port = msg->id < serial->max_ports ? serial->places[msg->id].port : NULL;

	if (msg->event == VIRTIO_CONSOLE_DEVICE_READY) {
		device_ready(serial, msg);
	} else if (!port) {
		// Also of a port that has just gone.
		log_guest("%s: a control message for port %" PRIu32 ", which does not exist", serial->name, msg->id);
	} else if (msg->event == VIRTIO_CONSOLE_PORT_READY) {
		port_ready(port, msg);
	} else if (msg->event == VIRTIO_CONSOLE_PORT_OPEN) {
		virtio_serial_port_guest_open(port, msg->value != 0);
	}
}

// What is longer than the header is not looked at; what is shorter is ignored, as in QEMU.
static int read_message(struct virtq_chain *chain, struct message *msg, bool *complete)
{
	uint8_t bytes[HEADER_SIZE];
	struct virtq_buf buf;
	uint32_t len = 0;
	int rc = 0;

	while (len < HEADER_SIZE && (rc = virtq_chain_next(chain, &buf)) > 0)
		for (uint32_t i = 0; !buf.writable && i < buf.len && len < HEADER_SIZE; i++)
			bytes[len++] = guest_load8(buf.hva + i);
	*msg = (struct message) { 0 };
	*complete = len == HEADER_SIZE;
	if (!*complete)
		return rc;
	*msg = (struct message) { .id = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
		                        (uint32_t)bytes[3] << 24,
		                  .event = (uint16_t)(bytes[4] | bytes[5] << 8),
		                  .value = (uint16_t)(bytes[6] | bytes[7] << 8) };
	return 0;
}

void virtio_serial_control_serve(struct virtio_serial *serial)
{
	struct virtq *q = &serial->queues[TO_DEVICE];
	unsigned n = 0;

	if (!has_control(serial) || !virtio_serial_queue_live(serial, TO_DEVICE))
		return;
	while (n < BATCH_MAX && virtio_serial_available(serial, q) > 0) {
		struct virtq_chain chain;
		struct message msg;
		bool complete;

		if (!virtio_serial_pop(serial, q, &chain))
			return;
		if (read_message(&chain, &msg, &complete) == -EPROTO) {
			virtio_guest_fault(&serial->virtio, q->fault);
			return;
		}
		virtq_push(q, chain.head, 0);
		n++;
		if (complete)
			handle(serial, &msg);
	}
	if (n > 0)
		virtio_serial_publish(serial, TO_DEVICE);
	if (n == BATCH_MAX)
		virtio_serial_kick(serial);
}
