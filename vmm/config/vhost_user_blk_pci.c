// SPDX-License-Identifier: Apache-2.0
// vhost-user-blk-pci: its properties and their checks, and what the devices with a vhost-user back end share.
#include "config.h"
#include "error.h"
#include "props.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>

#define QUEUE_SIZE_MAX 1024u /* QEMU's */
#define BLK(field) offsetof(struct vhost_user_config, field)
#define SWITCH(prop_name, field)                                                                          \
	{                                                                                                 \
		.name = prop_name, .type = PROP_BOOL, .offset = BLK(field), .def = "on", .help = "on/off" \
	}

static const struct prop vhost_user_blk_pci_props[] = {
	{ .name = "bootindex", .type = PROP_UINT32, .offset = PROP_NOWHERE, .help = "Accepted: there is no firmware" },
	{ .name = "chardev",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = BLK(chardev),
	  .help = "ID of a chardev to use as a backend: a socket" },
	{ .name = "class",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "0",
	  .only = "0",
	  .why = "the class of the function is that of a mass storage: leave it out" },
	SWITCH("config-wce", config_wce),
	SWITCH("discard", discard),
	{ .name = "num-queues",
	  .type = PROP_UINT32,
	  .type_name = "uint16",
	  .offset = BLK(nqueues),
	  .def = "65535",
	  .help = "Default: one for each processor, or as many as the back end has" },
	{ .name = "queue-size", .type = PROP_UINT32, .offset = BLK(queue_size), .def = "128" },
	{ .name = "vectors",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "4294967295",
	  .help = "Accepted: there is one for each queue and one for the configuration" },
	SWITCH("write-zeroes", write_zeroes),
};

const struct prop_class vhost_user_blk_pci_class = {
	.name = "vhost-user-blk-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = vhost_user_blk_pci_props,
	.nprops = sizeof(vhost_user_blk_pci_props) / sizeof(vhost_user_blk_pci_props[0]),
};

struct vhost_user_config *vhost_user_config_of(struct device_config *cfg)
{
	assert(cfg->model == &vhost_user_blk_pci_model || cfg->model == &vhost_user_device_pci_model ||
	       cfg->model == &vhost_user_fs_pci_model);
	return (struct vhost_user_config *)cfg;
}

int vhost_user_config_check_size(const char *prop, uint32_t val, struct vpmem_error *err)
{
	return val <= UINT16_MAX ? 0 : error_set(err, -EINVAL, "Parameter '%s' expects uint16_t", prop);
}

static int check_queues(const struct vhost_user_config *cfg, struct vpmem_error *err)
{
	int rc = vhost_user_config_check_size("num-queues", cfg->nqueues, err);

	if (rc < 0)
		return rc;
	if (cfg->nqueues == 0 || (cfg->nqueues > VHOST_USER_QUEUES_MAX && cfg->nqueues != VHOST_USER_QUEUES_AUTO)) {
		error_set(err, -EINVAL, "invalid number of IO queues");
		error_hint(err, "num-queues is 1 to %u", VHOST_USER_QUEUES_MAX);
		return -EINVAL;
	}
	if (cfg->queue_size == 0)
		return error_set(err, -EINVAL, "queue size must be non-zero");
	if (cfg->queue_size > QUEUE_SIZE_MAX)
		return error_set(err, -EINVAL, "queue size must not exceed %u", QUEUE_SIZE_MAX);
	if (cfg->queue_size & (cfg->queue_size - 1))
		return error_set(err, -EINVAL, "queue size must be a power of 2");
	return 0;
}

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct vhost_user_config *cfg = vhost_user_config_of(dev);

	if (cfg->chardev && *cfg->chardev)
		return check_queues(cfg, err);
	error_set(err, -EINVAL, "chardev is mandatory");
	error_hint(err,
	           "-chardev socket,id=c0,path=PATH -device vhost-user-blk-pci,chardev=c0, where qemu-storage-daemon "
	           "or another back end listens");
	return -EINVAL;
}

static const char *const virtio_props[] = { "chardev",    "config-wce", "discard",     "event_idx",    "indirect_desc",
	                                    "num-queues", "queue-size", "queue_reset", "write-zeroes", NULL };

const struct device_model vhost_user_blk_pci_model = {
	.props = &vhost_user_blk_pci_class,
	.config_size = sizeof(struct vhost_user_config),
	.category = "Storage",
	.description = "A disk, by a vhost-user back end",
	.virtio_name = "vhost-user-blk",
	.virtio_props = virtio_props,
	.check = check,
};
