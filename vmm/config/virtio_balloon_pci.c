// SPDX-License-Identifier: Apache-2.0
// virtio-balloon-pci: its properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>

#define BALLOON(field) offsetof(struct balloon_config, field)

static const struct prop virtio_balloon_pci_props[] = {
	{ .name = "deflate-on-oom",
	  .type = PROP_BOOL,
	  .offset = BALLOON(deflate_on_oom),
	  .def = "off",
	  .help = "The guest takes pages back when it has no others" },
	{ .name = "free-page-hint",
	  .type = PROP_BOOL,
	  .offset = PROP_NOWHERE,
	  .def = "off",
	  .only = "off",
	  .help = "on/off",
	  .why = "it makes a migration faster, and there is none: leave it out" },
	{ .name = "free-page-reporting",
	  .type = PROP_BOOL,
	  .offset = BALLOON(free_page_reporting),
	  .def = "off",
	  .help = "Memory that the guest does not use goes back to the host" },
	{ .name = "guest-stats-polling-interval",
	  .type = PROP_UINT64,
	  .type_name = "int",
	  .offset = BALLOON(stats_interval_s),
	  .help = "Seconds between two statistics of the guest; 0: none" },
	{ .name = "iothread",
	  .type = PROP_STR,
	  .type_name = "link<iothread>",
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = "the device has a thread of its own: leave it out" },
	{ .name = "page-poison", .type = PROP_BOOL, .offset = BALLOON(page_poison), .def = "on", .help = "on/off" },
	{ .name = "qemu-4-0-config-size",
	  .type = PROP_BOOL,
	  .offset = PROP_NOWHERE,
	  .def = "off",
	  .only = "off",
	  .why = "it is for migration from an old QEMU: leave it out" },
};

const struct prop_class virtio_balloon_pci_class = {
	.name = "virtio-balloon-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = virtio_balloon_pci_props,
	.nprops = sizeof(virtio_balloon_pci_props) / sizeof(virtio_balloon_pci_props[0]),
};

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct balloon_config *cfg = device_config_as(dev, &virtio_balloon_pci_model);

	if (cfg->stats_interval_s > UINT32_MAX)
		return error_set(err, -EINVAL, "timer value is too big");
	return 0;
}

static const char *const virtio_props[] = { "deflate-on-oom",
	                                    "event_idx",
	                                    "free-page-hint",
	                                    "free-page-reporting",
	                                    "guest-stats-polling-interval",
	                                    "indirect_desc",
	                                    "page-poison",
	                                    "queue_reset",
	                                    NULL };

const struct device_model virtio_balloon_pci_model = {
	.props = &virtio_balloon_pci_class,
	.config_size = sizeof(struct balloon_config),
	.category = "Misc",
	.alias = "virtio-balloon",
	.description = "A balloon: memory of the guest goes back to the host",
	.virtio_name = "virtio-balloon-device",
	.virtio_props = virtio_props,
	.check = check,
};
