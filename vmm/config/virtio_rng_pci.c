// SPDX-License-Identifier: Apache-2.0
// virtio-rng-pci: its properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>

#define RNG(field) offsetof(struct rng_device_config, field)

static const struct prop virtio_rng_pci_props[] = {
	{ .name = "ioeventfd",
	  .type = PROP_BOOL,
	  .offset = PROP_NOWHERE,
	  .def = "on",
	  .only = "on",
	  .help = "on/off",
	  .why = "a notification is always an ioeventfd: leave it out" },
	{ .name = "max-bytes",
	  .type = PROP_UINT64,
	  .offset = RNG(max_bytes),
	  .def = "9223372036854775807",
	  .help = "Bytes that the guest gets in each period" },
	{ .name = "period",
	  .type = PROP_UINT32,
	  .offset = RNG(period_ms),
	  .def = "65536",
	  .help = "Length of a period in milliseconds" },
	{ .name = "rng",
	  .type = PROP_LINK,
	  .type_name = "link<rng-backend>",
	  .offset = RNG(rng),
	  .help = "Where the bytes come from; default: getrandom(2)",
	  .link = "rng-backend" },
	{ .name = "vectors",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "2",
	  .only = "2|4294967295",
	  .why = "one vector for the configuration, one for the virtqueue: leave it out" },
};

const struct prop_class virtio_rng_pci_class = {
	.name = "virtio-rng-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = virtio_rng_pci_props,
	.nprops = sizeof(virtio_rng_pci_props) / sizeof(virtio_rng_pci_props[0]),
};

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct rng_device_config *cfg = device_config_as(dev, &virtio_rng_pci_model);

	if (cfg->period_ms == 0)
		return error_set(err, -EINVAL, "'period' parameter expects a positive integer");
	if (cfg->max_bytes > INT64_MAX)
		return error_set(err, -EINVAL, "'max-bytes' parameter must be non-negative, and less than 2^63");
	return 0;
}

static const char *const virtio_props[] = { "event_idx",   "indirect_desc", "max-bytes", "period",
	                                    "queue_reset", "rng",           NULL };

const struct device_model virtio_rng_pci_model = {
	.props = &virtio_rng_pci_class,
	.config_size = sizeof(struct rng_device_config),
	.category = "Misc",
	.alias = "virtio-rng",
	.description = "Entropy: random bytes of the host for /dev/hwrng",
	.virtio_name = "virtio-rng-device",
	.virtio_props = virtio_props,
	.check = check,
};
