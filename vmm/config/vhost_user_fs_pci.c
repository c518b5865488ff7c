// SPDX-License-Identifier: Apache-2.0
// vhost-user-fs-pci: its properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>
#include <string.h>

#define TAG_MAX 36u /* bytes of the configuration */
#define QUEUE_SIZE_MAX 1024u
#define FS(field) offsetof(struct vhost_user_config, field)

static const struct prop vhost_user_fs_pci_props[] = {
	{ .name = "bootindex", .type = PROP_UINT32, .offset = PROP_NOWHERE, .help = "Accepted: there is no firmware" },
	{ .name = "chardev",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = FS(chardev),
	  .help = "ID of a chardev to use as a backend: a socket" },
	{ .name = "num-request-queues", .type = PROP_UINT32, .type_name = "uint16", .offset = FS(nqueues), .def = "1" },
	{ .name = "queue-size", .type = PROP_UINT32, .type_name = "uint16", .offset = FS(queue_size), .def = "128" },
	{ .name = "repeat",
	  .type = PROP_BOOL,
	  .offset = FS(repeat),
	  .def = "off",
	  .help = "The next back end gets requests again that were under way, at once; not in QEMU" },
	{ .name = "tag",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = FS(tag),
	  .help = "What the guest mounts: mount -t virtiofs TAG /mnt" },
	{ .name = "vectors",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "4294967295",
	  .help = "Accepted: there is one for each queue and one for the configuration" },
};

const struct prop_class vhost_user_fs_pci_class = {
	.name = "vhost-user-fs-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = vhost_user_fs_pci_props,
	.nprops = sizeof(vhost_user_fs_pci_props) / sizeof(vhost_user_fs_pci_props[0]),
};

static int check_tag(const char *tag, struct vpmem_error *err)
{
	if (!tag) {
		error_set(err, -EINVAL, "missing tag property");
		error_hint(
			err,
			"it is the name by which the guest mounts the folder: tag=host, mount -t virtiofs host /mnt");
		return -EINVAL;
	}
	if (!*tag)
		return error_set(err, -EINVAL, "tag property cannot be empty");
	if (strlen(tag) > TAG_MAX)
		return error_set(err, -EINVAL, "tag property must be %u bytes or less", TAG_MAX);
	return 0;
}

static int check_queues(const struct vhost_user_config *cfg, struct vpmem_error *err)
{
	int rc = vhost_user_config_check_size("num-request-queues", cfg->nqueues, err);

	if (rc == 0)
		rc = vhost_user_config_check_size("queue-size", cfg->queue_size, err);
	if (rc < 0)
		return rc;
	if (cfg->nqueues == 0)
		return error_set(err, -EINVAL, "num-request-queues property must be larger than 0");
	if (cfg->nqueues > VHOST_USER_QUEUES_MAX - 1)
		return error_set(err, -EINVAL, "num-request-queues property must be %u or less",
		                 VHOST_USER_QUEUES_MAX - 1);
	if (cfg->queue_size == 0 || cfg->queue_size & (cfg->queue_size - 1))
		return error_set(err, -EINVAL, "queue-size property must be a power of 2");
	if (cfg->queue_size > QUEUE_SIZE_MAX)
		return error_set(err, -EINVAL, "queue-size property must be %u or smaller", QUEUE_SIZE_MAX);
	return 0;
}

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct vhost_user_config *cfg = vhost_user_config_of(dev);
	int rc;

	if (!cfg->chardev || !*cfg->chardev) {
		error_set(err, -EINVAL, "missing chardev");
		error_hint(err, "start virtiofsd, then -chardev socket,id=c0,path=PATH (or chardev-add) and "
		                "vhost-user-fs-pci,chardev=c0,tag=host");
		return -EINVAL;
	}
	rc = check_tag(cfg->tag, err);
	return rc ? rc : check_queues(cfg, err);
}

static const char *const virtio_props[] = { "chardev",    "event_idx",   "indirect_desc", "num-request-queues",
	                                    "queue-size", "queue_reset", "tag",           NULL };

const struct device_model vhost_user_fs_pci_model = {
	.props = &vhost_user_fs_pci_class,
	.config_size = sizeof(struct vhost_user_config),
	.category = "Storage",
	.description = "A folder of the host, by virtiofsd or another vhost-user back end",
	.virtio_name = "vhost-user-fs-device",
	.virtio_props = virtio_props,
	.check = check,
};
