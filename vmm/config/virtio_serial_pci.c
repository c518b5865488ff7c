// SPDX-License-Identifier: Apache-2.0
// virtio-serial-pci, and virtconsole and virtserialport on its bus: their properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SERIAL_BUS "virtio-serial-bus"

// ---- the controller

#define SERIAL(field) offsetof(struct serial_device_config, field)

static const struct prop virtio_serial_pci_props[] = {
	{ .name = "class",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "0",
	  .only = "0|1920",
	  .why = "the class is 0x0780, communication: leave it out" },
	{ .name = "emergency-write",
	  .type = PROP_BOOL,
	  .offset = SERIAL(emergency_write),
	  .def = "on",
	  .help = "A byte that the guest writes to the configuration goes to the console" },
	{ .name = "ioeventfd",
	  .type = PROP_BOOL,
	  .offset = PROP_NOWHERE,
	  .def = "on",
	  .only = "on",
	  .help = "on/off",
	  .why = "a notification is an ioeventfd wherever there is one: leave it out" },
	{ .name = "max_ports",
	  .type = PROP_UINT32,
	  .offset = SERIAL(max_ports),
	  .def = "31",
	  .help = "Places for ports; the first one is for a virtconsole" },
	{ .name = "vectors",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "2",
	  .only = "2|4294967295",
	  .why = "one vector for the configuration, one for the virtqueues: leave it out" },
};

const struct prop_class virtio_serial_pci_class = {
	.name = "virtio-serial-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = virtio_serial_pci_props,
	.nprops = sizeof(virtio_serial_pci_props) / sizeof(virtio_serial_pci_props[0]),
};

static int check_serial(struct device_config *dev, struct vpmem_error *err)
{
	const struct serial_device_config *cfg = device_config_as(dev, &virtio_serial_pci_model);

	if (cfg->max_ports == 0)
		return error_set(err, -EINVAL, "Maximum number of serial ports not specified");
	if (cfg->max_ports <= SERIAL_PORTS_MAX)
		return 0;
	error_set(err, -EINVAL, "maximum ports supported: %u", SERIAL_PORTS_MAX);
	error_hint(err, "a second virtio-serial-pci has room for as many");
	return -EINVAL;
}

static const char *const virtio_props[] = { "emergency-write", "event_idx",   "indirect_desc",
	                                    "max_ports",       "queue_reset", NULL };

const struct device_model virtio_serial_pci_model = {
	.props = &virtio_serial_pci_class,
	.config_size = sizeof(struct serial_device_config),
	.category = "Input",
	.alias = "virtio-serial",
	.description = "Controller of console ports: virtconsole, virtserialport",
	.virtio_name = "virtio-serial-device",
	.virtio_props = virtio_props,
	.child_bus = SERIAL_BUS,
	.check = check_serial,
};

// ---- the ports

#define PORT(field) offsetof(struct port_config, field)

static const struct prop port_props[] = {
	{ .name = "chardev", .type = PROP_STR, .offset = PORT(chardev), .help = "ID of a chardev to use as a backend" },
	{ .name = "name", .type = PROP_STR, .offset = PORT(name) },
	{ .name = "nr", .type = PROP_UINT32, .offset = PORT(nr), .def = "4294967295" },
};

const struct prop_class virtconsole_class = {
	.name = "virtconsole",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &bus_device_class,
	.props = port_props,
	.nprops = sizeof(port_props) / sizeof(port_props[0]),
};

const struct prop_class virtserialport_class = {
	.name = "virtserialport",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &bus_device_class,
	.props = port_props,
	.nprops = sizeof(port_props) / sizeof(port_props[0]),
};

static int check_port(struct device_config *dev, struct vpmem_error *err)
{
	const struct port_config *cfg = (const struct port_config *)dev;

	if (!cfg->name || strlen(cfg->name) <= SERIAL_PORT_NAME_MAX)
		return 0;
	return error_set(err, -EINVAL, "name: too long: at most %u bytes", SERIAL_PORT_NAME_MAX);
}

const struct device_model virtconsole_model = {
	.props = &virtconsole_class,
	.config_size = sizeof(struct port_config),
	.category = "Input",
	.description = "Port of virtio-serial-pci: /dev/hvcN in the guest",
	.bus = SERIAL_BUS,
	.check = check_port,
};

const struct device_model virtserialport_model = {
	.props = &virtserialport_class,
	.config_size = sizeof(struct port_config),
	.category = "Input",
	.description = "Port of virtio-serial-pci: /dev/virtio-ports/NAME in the guest",
	.bus = SERIAL_BUS,
	.check = check_port,
};
