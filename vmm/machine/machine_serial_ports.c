// SPDX-License-Identifier: Apache-2.0
// virtio-serial-pci, and the ports on its bus: virtconsole and virtserialport, each with a character device.
#include "error.h"
#include "machine.h"
#include "virtio_serial.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_PAUSE_MS 1000u /* between two events of a port, as in QEMU */

static_assert(SERIAL_PORTS_MAX == VIRTIO_SERIAL_PORTS_MAX && SERIAL_PORT_NAME_MAX == VIRTIO_SERIAL_NAME_MAX,
              "the configuration accepts what the device has");
static_assert(VIRTIO_SERIAL_ANY_PORT == UINT32_MAX, "the default of nr");

// ---- the controller

static int serial_create_device(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct serial_device_config *cfg = device_config_as(dev->cfg, &virtio_serial_pci_model);
	const struct virtio_serial_options opts = {
		.pci = *pci,
		.mem = &dev->machine->gmem,
		.max_ports = cfg->max_ports,
		.no_emergency_write = !cfg->emergency_write,
		.no_event_idx = !cfg->dev.event_idx,
		.no_indirect_desc = !cfg->dev.indirect_desc,
		.no_ring_reset = !cfg->dev.queue_reset,
	};

	return virtio_serial_create(&opts, &dev->vp, err);
}

const struct device_kind virtio_serial_pci_kind = {
	.model = &virtio_serial_pci_model,
	.size = sizeof(struct device),
	.create = serial_create_device,
};

// ---- a port

struct port {
	struct device dev;
	struct virtio_serial_port *port;
	struct chardev *chr; /* NULL: none */
	bool is_console;
	/* VSERPORT_CHANGE: the state, and whether it changed since the last event, after which there is a pause. */
	bool open, changed;
	struct loop_timer pause;
};

static const struct port_config *config_of(const struct port *port)
{
	return (const struct port_config *)port->dev.cfg;
}

// ---- events

static void report(struct port *port)
{
	port->changed = false;
	machine_event_send(port->dev.machine, &(struct machine_event) { .kind = MACHINE_EVENT_VSERPORT_CHANGE,
	                                                                .device = port->dev.cfg->id,
	                                                                .open = port->open });
	loop_arm(&port->dev.machine->loop, &port->pause, EVENT_PAUSE_MS);
}

static void on_pause_end(void *owner)
{
	struct port *port = owner;

	if (port->changed)
		report(port);
}

// ---- the guest's side

// What a console's back end does not take at once is lost, as in QEMU: Linux waits for it with a spin lock held.
static size_t on_output(void *owner, const uint8_t *buf, size_t len)
{
	struct port *port = owner;
	size_t taken = port->chr ? chardev_write(port->chr, buf, len) : len;

	return port->is_console ? len : taken;
}

static void on_guest_open(void *owner, bool open)
{
	struct port *port = owner;

	port->open = open;
	port->changed = true;
	if (port->chr && !port->is_console)
		chardev_set_open(port->chr, open);
	if (port->dev.cfg->id && port->pause.deadline_ms == 0)
		report(port);
}

static void on_readable(void *owner)
{
	struct port *port = owner;

	if (port->chr)
		chardev_accept(port->chr);
}

static const struct virtio_serial_port_ops port_ops = {
	.output = on_output,
	.guest_open = on_guest_open,
	.readable = on_readable,
};

// ---- the character device's side

static size_t front_room(void *owner)
{
	return virtio_serial_port_room(((struct port *)owner)->port);
}

static void front_receive(void *owner, const uint8_t *buf, size_t len)
{
	virtio_serial_port_input(((struct port *)owner)->port, buf, len);
}

static void front_writable(void *owner)
{
	virtio_serial_port_writable(((struct port *)owner)->port);
}

// A console is always open for its guest: what it writes while nobody is there goes nowhere.
static void front_connection(void *owner, bool connected)
{
	struct port *port = owner;

	if (!port->is_console)
		virtio_serial_port_connect(port->port, connected);
}

static void connect_front(struct port *port)
{
	const struct chardev_front front = {
		.room = front_room,
		.receive = front_receive,
		.writable = front_writable,
		.connection = front_connection,
		.owner = port,
	};

	if (!port->chr)
		return;
	if (port->is_console)
		virtio_serial_port_connect(port->port, true);
	chardev_set_front(port->chr, &front);
	if (!port->is_console)
		chardev_set_open(port->chr, port->open);
}

static int claim_chardev(struct port *port, struct vpmem_error *err)
{
	const char *id = config_of(port)->chardev, *model = port->dev.cfg->model->props->name;

	if (!id)
		return 0;
	port->chr = chardev_find(&port->dev.machine->chardevs, id);
	if (!port->chr) {
		error_set(err, -EINVAL, "Property '%s.chardev' can't find value '%.200s'", model, id);
		error_hint(err, "it names a character device: chardev-add makes one");
		return -EINVAL;
	}
	if (chardev_claim(port->chr, CHARDEV_DEVICE, err) == 0)
		return 0;
	error_set(err, -EBUSY, "Property '%s.chardev' can't take value '%s': Device '%s' is in use", model, id, id);
	error_hint(err, "every port needs a character device of its own");
	return -EBUSY;
}

// ---- life

static bool is_port(const struct device *dev)
{
	return dev->cfg->model == &virtconsole_model || dev->cfg->model == &virtserialport_model;
}

static int check_name(struct port *port, struct vpmem_error *err)
{
	struct machine *m = port->dev.machine;
	const char *name = config_of(port)->name, *other;

	for (unsigned i = 0; i < m->ndevices && name; i++) {
		other = is_port(m->devices[i]) ? config_of((struct port *)m->devices[i])->name : NULL;
		if (other && strcmp(other, name) == 0)
			return error_set(err, -EEXIST, "virtio-serial-bus: A port already exists by name %s", name);
	}
	return 0;
}

static int add_port(struct port *port, struct vpmem_error *err)
{
	const struct virtio_serial_port_options opts = {
		.nr = config_of(port)->nr,
		.name = config_of(port)->name,
		.console = port->is_console,
		.ops = &port_ops,
		.owner = port,
	};

	return virtio_serial_port_add(port->dev.parent->vp, &opts, &port->port, err);
}

static int port_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	struct port *port = (struct port *)dev;
	int rc = check_name(port, err);

	(void)pci;
	port->is_console = dev->cfg->model == &virtconsole_model;
	port->pause = (struct loop_timer) { .expired = on_pause_end, .owner = port };
	if (rc == 0)
		rc = claim_chardev(port, err);
	if (rc < 0)
		return rc;
	rc = loop_add_timer(&dev->machine->loop, &port->pause);
	if (rc < 0)
		error_set(err, rc, "%s: %s", dev->cfg->model->props->name, strerror(-rc));
	else
		rc = add_port(port, err);
	if (rc == 0) {
		connect_front(port);
		return 0;
	}
	loop_del_timer(&dev->machine->loop, &port->pause);
	if (port->chr)
		chardev_release(port->chr, CHARDEV_DEVICE);
	return rc;
}

static void port_left(struct device *dev)
{
	struct port *port = (struct port *)dev;

	if (port->chr) {
		chardev_set_front(port->chr, &(struct chardev_front) { .owner = NULL });
		chardev_release(port->chr, CHARDEV_DEVICE);
	}
	virtio_serial_port_remove(port->port);
	loop_del_timer(&dev->machine->loop, &port->pause);
}

static bool port_number(const struct device *dev, const char *prop, uint64_t *val)
{
	if (strcmp(prop, "nr") != 0)
		return false;
	*val = virtio_serial_port_nr(((const struct port *)dev)->port);
	return true;
}

const struct device_kind virtconsole_kind = {
	.model = &virtconsole_model,
	.size = sizeof(struct port),
	.create = port_create,
	.left = port_left,
	.number = port_number,
};

const struct device_kind virtserialport_kind = {
	.model = &virtserialport_model,
	.size = sizeof(struct port),
	.create = port_create,
	.left = port_left,
	.number = port_number,
};
