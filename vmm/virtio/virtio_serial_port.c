// SPDX-License-Identifier: Apache-2.0
// Ports of virtio-serial-pci: data both ways, and that they come and go.
#include "error.h"
#include "guest_access.h"
#include "virtio_serial_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_console.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 4096u
/* In one turn of a port. */
#define TURN_MAX (4 * CHUNK_SIZE) /* bytes */
#define TURN_CHAINS_MAX 128u
#define ROOM_MAX 4096u /* bytes; as in QEMU */
#define ROOM_CHAINS_MAX 16u

static struct virtq *output_queue(const struct virtio_serial_port *port)
{
	return &port->serial->queues[virtio_serial_output_queue(port->nr)];
}

static bool output_is_live(const struct virtio_serial_port *port)
{
	return virtio_serial_queue_live(port->serial, virtio_serial_output_queue(port->nr));
}

// ---- output: from the guest

static void end_chain(struct virtio_serial_port *port)
{
	virtq_push(output_queue(port), port->chain.head, 0);
	port->has_chain = false;
}

// The next readable buffer, of the chain that was begun or of the next one. False: there is none now.
static bool next_buffer(struct virtio_serial_port *port, unsigned *nchains)
{
	struct virtio_serial *serial = port->serial;
	struct virtq *q = output_queue(port);
	int rc;

	for (;;) {
		if (!port->has_chain) {
			if (*nchains == TURN_CHAINS_MAX || virtio_serial_available(serial, q) == 0 ||
			    !virtio_serial_pop(serial, q, &port->chain))
				return false;
			port->has_chain = true;
			++*nchains;
		}
		do
			rc = virtq_chain_next(&port->chain, &port->buf);
		while (rc > 0 && port->buf.writable);
		port->off = 0;
		if (rc > 0)
			return true;
		if (rc == -EPROTO) {
			virtio_guest_fault(&serial->virtio, q->fault);
			return false;
		}
		end_chain(port);
	}
}

// Offers the next bytes of the buffer, and returns how many were taken; 0: none, or the chain is gone.
static uint32_t offer(struct virtio_serial_port *port)
{
	uint8_t chunk[CHUNK_SIZE];
	uint32_t len = port->buf.len - port->off, taken;

	len = len < CHUNK_SIZE ? len : CHUNK_SIZE;
	for (uint32_t i = 0; i < len; i++)
		chunk[i] = guest_load8(port->buf.hva + port->off + i);
	port->throttled = true;
	taken = (uint32_t)port->ops->output(port->owner, chunk, len);
	// The host's side may have closed meanwhile.
	if (!port->has_chain)
		return 0;
	if (taken == len)
		port->throttled = false;
	port->off += taken;
	return taken;
}

static void serve_output(struct virtio_serial_port *port)
{
	uint32_t done = 0, taken = 1;
	unsigned nchains = 0;

	if (port->serving || !output_is_live(port))
		return;
	port->serving = true;
	while (done < TURN_MAX && taken > 0 && !port->throttled) {
		if ((!port->has_chain || port->off == port->buf.len) && !next_buffer(port, &nchains))
			break;
		taken = offer(port);
		done += taken;
	}
	port->serving = false;
	// A chain that is wholly read goes back at once: the guest may wait for it.
	if (port->has_chain && port->off == port->buf.len && port->chain.ended && output_is_live(port))
		end_chain(port);
	virtio_serial_publish(port->serial, virtio_serial_output_queue(port->nr));
	if (done >= TURN_MAX || nchains == TURN_CHAINS_MAX)
		virtio_serial_kick(port->serial);
}

// QEMU's discard_vq_data: nobody is there who could read it.
static void discard_output(struct virtio_serial_port *port)
{
	struct virtio_serial *serial = port->serial;
	struct virtq *q = output_queue(port);
	unsigned n;

	port->throttled = false;
	port->drop = port->serial->paused;
	if (!output_is_live(port))
		return;
	if (port->has_chain)
		end_chain(port);
	for (n = virtio_serial_available(serial, q); n > 0; n--) {
		struct virtq_chain chain;

		if (!virtio_serial_pop(serial, q, &chain))
			return;
		virtq_push(q, chain.head, 0);
	}
	virtio_serial_publish(serial, virtio_serial_output_queue(port->nr));
	// Asks for a notification, now that the queue is empty.
	if (virtio_serial_available(serial, q) > 0)
		virtio_serial_kick(serial);
}

void virtio_serial_port_writable(struct virtio_serial_port *port)
{
	if (!port->throttled)
		return;
	port->throttled = false;
	// Within `output`, or while the machine is stopped, the turn or the end of the stop goes on with it.
	serve_output(port);
}

// ---- input: to the guest

static bool input_is_open(const struct virtio_serial_port *port)
{
	return port->guest_connected && virtio_serial_queue_live(port->serial, virtio_serial_input_queue(port->nr));
}

// The room in the chain that is next, without taking it. -EPROTO as virtq_chain_next.
static int64_t chain_room(struct virtq *q)
{
	struct virtq_chain chain;
	struct virtq_buf buf;
	uint64_t room = 0;
	int rc = virtq_pop(q, &chain);

	while (rc == 0 && room < ROOM_MAX) {
		int more = virtq_chain_next(&chain, &buf);

		if (more == 1)
			room += buf.writable ? buf.len : 0;
		else if (more == -EPROTO)
			rc = -EPROTO;
		else
			break;
	}
	return rc < 0 ? rc : (int64_t)(room < ROOM_MAX ? room : ROOM_MAX);
}

size_t virtio_serial_port_room(struct virtio_serial_port *port)
{
	struct virtio_serial *serial = port->serial;
	uint16_t queue_idx = virtio_serial_input_queue(port->nr);
	// A copy: the driver's buffers stay where they are, and it may take them back.
	struct virtq ahead;
	size_t room = 0;
	unsigned n;

	port->starved = true;
	if (!input_is_open(port))
		return 0;
	n = virtio_serial_available(serial, &serial->queues[queue_idx]);
	ahead = serial->queues[queue_idx];
	for (unsigned i = 0; i < n && i < ROOM_CHAINS_MAX && room < ROOM_MAX; i++) {
		int64_t more = chain_room(&ahead);

		if (more < 0) {
			virtio_guest_fault(&serial->virtio, ahead.fault);
			return 0;
		}
		room += (size_t)more;
	}
	port->starved = room == 0;
	return room < ROOM_MAX ? room : ROOM_MAX;
}

// A driver that took buffers away since it was asked loses what does not fit.
void virtio_serial_port_input(struct virtio_serial_port *port, const uint8_t *buf, size_t len)
{
	struct virtio_serial *serial = port->serial;
	uint16_t queue_idx = virtio_serial_input_queue(port->nr);
	struct virtq *q = &serial->queues[queue_idx];
	struct virtq_chain chain;

	if (!input_is_open(port))
		return;
	for (unsigned i = 0; i < ROOM_CHAINS_MAX && len > 0 && virtio_serial_available(serial, q) > 0; i++) {
		int64_t done = virtio_serial_pop(serial, q, &chain) ? virtio_serial_fill(&chain, buf, len) : -EINVAL;

		if (!virtio_serial_queue_live(serial, queue_idx))
			return;
		if (done == -EPROTO) {
			virtio_guest_fault(&serial->virtio, q->fault);
			return;
		}
		virtq_push(q, chain.head, done < 0 ? 0 : (uint32_t)done);
		buf += done < 0 ? 0 : done;
		len -= done < 0 ? 0 : (size_t)done;
	}
	virtio_serial_publish(serial, queue_idx);
}

// ---- open and closed

void virtio_serial_port_serve(struct virtio_serial_port *port)
{
	if (!port->host_connected || port->drop)
		discard_output(port);
	else if (!port->throttled)
		serve_output(port);
	if (port->starved && input_is_open(port)) {
		port->starved = false;
		port->ops->readable(port->owner);
	}
}

void virtio_serial_port_guest_open(struct virtio_serial_port *port, bool open)
{
	if (port->guest_connected == open)
		return;
	port->guest_connected = open;
	port->ops->guest_open(port->owner, open);
	if (open)
		virtio_serial_kick(port->serial);
}

void virtio_serial_port_connect(struct virtio_serial_port *port, bool connected)
{
	if (port->host_connected == connected)
		return;
	port->host_connected = connected;
	if (!connected)
		discard_output(port);
	if (port->guest_ready)
		virtio_serial_control_post(port->serial, port->nr, SERIAL_SEND_OPEN);
}

void virtio_serial_port_reset(struct virtio_serial_port *port)
{
	port->has_chain = port->throttled = port->guest_ready = port->drop = false;
	virtio_serial_port_guest_open(port, false);
}

// ---- life

void virtio_serial_port_settle(struct virtio_serial *serial, uint32_t nr)
{
	uint16_t queue_idx = virtio_serial_output_queue(nr);

	if (!serial->places[nr].owes_chain || !virtio_serial_queue_live(serial, queue_idx))
		return;
	serial->places[nr].owes_chain = false;
	virtq_push(&serial->queues[queue_idx], serial->places[nr].owed_head, 0);
	virtio_serial_publish(serial, queue_idx);
}

static uint32_t free_number(const struct virtio_serial *serial, bool console)
{
	uint32_t nr = console && !serial->places[0].port ? 0 : 1;

	while (nr < serial->max_ports && serial->places[nr].port)
		nr++;
	return nr;
}

static int choose_number(const struct virtio_serial *serial, const struct virtio_serial_port_options *opts,
                         uint32_t *nr, struct vpmem_error *err)
{
	bool any = opts->nr == VIRTIO_SERIAL_ANY_PORT;

	*nr = any ? free_number(serial, opts->console) : opts->nr;
	if (any && *nr >= serial->max_ports) {
		error_set(err, -ENOSPC, "virtio-serial-bus: Maximum port limit for this device reached");
		error_hint(err, "the device has room for %" PRIu32 " ports, of which the first is for a virtconsole%s",
		           serial->max_ports,
		           serial->max_ports < VIRTIO_SERIAL_PORTS_MAX ? ": give it a higher max_ports" : "");
		return -ENOSPC;
	}
	if (*nr >= serial->max_ports)
		return error_set(err, -EINVAL,
		                 "virtio-serial-bus: Out-of-range port id specified, max. allowed: %" PRIu32,
		                 serial->max_ports - 1);
	if (serial->places[*nr].port) {
		error_set(err, -EEXIST, "virtio-serial-bus: A port already exists at id %" PRIu32, *nr);
		error_hint(err, "leave nr out for the first free number");
		return -EEXIST;
	}
	if (*nr > 0 || opts->console)
		return 0;
	error_set(
		err, -EINVAL,
		"Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility.");
	error_hint(err, "leave nr out for the first free number");
	return -EINVAL;
}

int virtio_serial_port_add(struct virtio_pci *vp, const struct virtio_serial_port_options *opts,
                           struct virtio_serial_port **out, struct vpmem_error *err)
{
	struct virtio_serial *serial = virtio_pci_device(vp, &virtio_serial_ops);
	struct virtio_serial_port *port;
	uint32_t nr;
	int rc = choose_number(serial, opts, &nr, err);

	if (rc)
		return rc;
	port = calloc(1, sizeof(*port));
	if (!port || (opts->name && !(port->name = strdup(opts->name)))) {
		free(port);
		return error_set(err, -ENOMEM, "out of memory");
	}
	port->serial = serial;
	port->nr = nr;
	port->console = opts->console;
	port->ops = opts->ops;
	port->owner = opts->owner;
	serial->places[nr].port = port;
	*out = port;
	// A driver without control messages cannot say that it opens a port.
	port->guest_connected = nr == 0 && virtio_serial_is_single(serial);
	if (serial->guest_ready)
		virtio_serial_control_post(serial, nr, SERIAL_SEND_ADD);
	return 0;
}

void virtio_serial_port_remove(struct virtio_serial_port *port)
{
	struct virtio_serial *serial = port->serial;
	unsigned pending = serial->places[port->nr].pending;
	// A port that the guest knows of, and not only one that came since.
	bool known = serial->guest_ready && (!(pending & SERIAL_SEND_ADD) || pending & SERIAL_SEND_REMOVE);

	discard_output(port);
	if (port->has_chain) {
		serial->places[port->nr].owes_chain = true;
		serial->places[port->nr].owed_head = port->chain.head;
		virtio_serial_kick(serial);
	}
	serial->places[port->nr].port = NULL;
	serial->places[port->nr].pending = 0;
	if (known)
		virtio_serial_control_post(serial, port->nr, SERIAL_SEND_REMOVE);
	free(port->name);
	free(port);
}

uint32_t virtio_serial_port_nr(const struct virtio_serial_port *port)
{
	return port->nr;
}
