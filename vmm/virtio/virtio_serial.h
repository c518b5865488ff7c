// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_serial.h - virtio-serial-pci: the console device of the virtio specification (section 5.3), in this process.
 *
 * The device is a controller with places for ports. A port is a pair of virtqueues, and a user on the host, which has the
 * other end: this file knows no character devices. Ports come and go while the guest runs; the guest learns of them by
 * control messages (VIRTIO_CONSOLE_F_MULTIPORT). With max_ports=1 there are no control messages, and port 0 is always
 * open.
 *
 * Data goes in two directions, each with its own flow control:
 *
 *   - Output: the user's `output` gets what the guest wrote. What it does not take stays in the guest's buffer, until
 *     virtio_serial_port_writable. While the host's side is closed, it is dropped.
 *   - Input: the user asks virtio_serial_port_room how many bytes the guest has buffers for, and gives at most so many to
 *     virtio_serial_port_input. After the answer 0, `readable` says that it may ask again.
 *
 * Control messages to the guest wait as bits of each port until the guest has a buffer for them: no guest makes them grow,
 * and none is lost. A state that changes twice meanwhile is reported once.
 *
 * All calls and callbacks run under the machine lock. What the guest asks for is done in the event loop, in bounded turns.
 */
#ifndef PMVM_VIRTIO_SERIAL_H
#define PMVM_VIRTIO_SERIAL_H

#include "virtio_pci.h"

#define VIRTIO_SERIAL_PORTS_MAX 31u       /* two queues each, and two for control messages: VIRTIO_DEVICE_QUEUES_MAX */
#define VIRTIO_SERIAL_NAME_MAX 255u       /* bytes */
#define VIRTIO_SERIAL_ANY_PORT UINT32_MAX /* QEMU's VIRTIO_CONSOLE_BAD_ID */

struct virtio_serial_options {
	struct virtio_pci_config
		pci;            /* where and how it is plugged, with the loop; ops, device and window are filled here */
	const struct gmem *mem; /* guest memory; borrowed for the life of the device */
	uint32_t max_ports;     /* 1 to VIRTIO_SERIAL_PORTS_MAX */
	bool no_emergency_write, no_event_idx, no_indirect_desc, no_ring_reset;
};

/* Creates the device, without ports, and plugs it in. On failure nothing is left behind. */
int virtio_serial_create(const struct virtio_serial_options *opts, struct virtio_pci **out, struct vpmem_error *err);

struct virtio_serial_port;

/* The user of a port. No callback may add or remove a port. */
struct virtio_serial_port_ops {
	/*
	 * The guest wrote: takes up to len bytes, and returns how many. Fewer: the rest waits until virtio_serial_port_writable,
	 * which may be called from within.
	 */
	size_t (*output)(void *owner, const uint8_t *buf, size_t len);
	/* The guest opened or closed the port. A guest that is reset closes it. */
	void (*guest_open)(void *owner, bool open);
	/* The guest has new buffers, after there was no room. */
	void (*readable)(void *owner);
};

struct virtio_serial_port_options {
	uint32_t nr;      /* or VIRTIO_SERIAL_ANY_PORT: 0 for the first console, then the first free one from 1 */
	const char *name; /* which the guest sees in sysfs; NULL: none; copied; up to VIRTIO_SERIAL_NAME_MAX */
	bool console;     /* hvcN in the guest; only a console may be port 0 */
	const struct virtio_serial_port_ops *ops; /* borrowed */
	void *owner;
};

/* -EINVAL, -ENOSPC, with QEMU's text: the number is out of range or taken, or all are. */
int virtio_serial_port_add(struct virtio_pci *vp, const struct virtio_serial_port_options *opts,
                           struct virtio_serial_port **out, struct vpmem_error *err);
/* Before the device is destroyed. Data that waits is dropped. */
void virtio_serial_port_remove(struct virtio_serial_port *port);
uint32_t virtio_serial_port_nr(const struct virtio_serial_port *port);

/* The host's side of the port opens or closes; it is closed at first. Closing drops output that waits. */
void virtio_serial_port_connect(struct virtio_serial_port *port, bool connected);
void virtio_serial_port_writable(struct virtio_serial_port *port);
size_t virtio_serial_port_room(struct virtio_serial_port *port);
void virtio_serial_port_input(struct virtio_serial_port *port, const uint8_t *buf, size_t len);

#endif
