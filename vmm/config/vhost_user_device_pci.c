// SPDX-License-Identifier: Apache-2.0
// vhost-user-device-pci: its properties and their checks. QEMU has it since version 8.2.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>

#define CONFIG_SIZE_MAX 256u
#define VIRTIO_ID_MAX 0x3fu /* PCI device ids 0x1040 to 0x107f are virtio's */
#define QUEUE_SIZE_MAX 1024u
#define ANY(field) offsetof(struct vhost_user_config, field)

static const struct prop vhost_user_device_pci_props[] = {
	{ .name = "bootindex", .type = PROP_UINT32, .offset = PROP_NOWHERE, .help = "Accepted: there is no firmware" },
	{ .name = "chardev",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = ANY(chardev),
	  .help = "ID of a chardev to use as a backend: a socket" },
	{ .name = "config_size",
	  .type = PROP_UINT32,
	  .offset = ANY(config_size),
	  .def = "0",
	  .help = "Bytes of the device's configuration, which is the back end's; up to 256" },
	{ .name = "num_vqs", .type = PROP_UINT32, .offset = ANY(nqueues), .def = "1" },
	{ .name = "vectors",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "4294967295",
	  .help = "Accepted: there is one for each queue and one for the configuration" },
	{ .name = "virtio-id",
	  .type = PROP_UINT32,
	  .type_name = "uint16",
	  .offset = ANY(virtio_id),
	  .def = "0",
	  .help = "Which device it is: the virtio specification, chapter 5" },
	{ .name = "vq_size", .type = PROP_UINT32, .offset = ANY(queue_size), .def = "64" },
};

const struct prop_class vhost_user_device_pci_class = {
	.name = "vhost-user-device-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = vhost_user_device_pci_props,
	.nprops = sizeof(vhost_user_device_pci_props) / sizeof(vhost_user_device_pci_props[0]),
};

static int check_numbers(const struct vhost_user_config *cfg, struct vpmem_error *err)
{
	if (cfg->virtio_id > VIRTIO_ID_MAX)
		return error_set(err, -EINVAL, "virtio-id=%u: an id is 1 to %u", cfg->virtio_id, VIRTIO_ID_MAX);
	if (cfg->nqueues == 0 || cfg->nqueues > VHOST_USER_QUEUES_MAX)
		return error_set(err, -EINVAL, "num_vqs=%u: a device has 1 to %u queues", cfg->nqueues,
		                 VHOST_USER_QUEUES_MAX);
	if (cfg->queue_size == 0 || cfg->queue_size > QUEUE_SIZE_MAX || cfg->queue_size & (cfg->queue_size - 1))
		return error_set(err, -EINVAL, "vq_size=%u: the size of a queue is a power of 2, up to %u",
		                 cfg->queue_size, QUEUE_SIZE_MAX);
	if (cfg->config_size > CONFIG_SIZE_MAX)
		return error_set(err, -EINVAL, "config_size=%u: a configuration has up to %u bytes", cfg->config_size,
		                 CONFIG_SIZE_MAX);
	return 0;
}

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct vhost_user_config *cfg = vhost_user_config_of(dev);

	if (!cfg->chardev || !*cfg->chardev) {
		error_set(err, -EINVAL, "vhost-user-base: missing chardev");
		error_hint(err,
		           "-chardev socket,id=c0,path=PATH -device vhost-user-device-pci,chardev=c0,virtio-id=ID");
		return -EINVAL;
	}
	if (cfg->virtio_id == 0) {
		error_set(err, -EINVAL, "vhost-user-base: need to define device id");
		error_hint(err,
		           "virtio-id is the number of the device in the virtio specification: 4 is entropy, 2 a disk");
		return -EINVAL;
	}
	return check_numbers(cfg, err);
}

static const char *const virtio_props[] = { "chardev",       "config_size", "event_idx",
	                                    "indirect_desc", "num_vqs",     "queue_reset",
	                                    "virtio-id",     "vq_size",     NULL };

const struct device_model vhost_user_device_pci_model = {
	.props = &vhost_user_device_pci_class,
	.config_size = sizeof(struct vhost_user_config),
	.category = "Misc",
	.description = "Any virtio device, by a vhost-user back end",
	.virtio_name = "vhost-user-device",
	.virtio_props = virtio_props,
	.check = check,
};
