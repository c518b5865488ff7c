// SPDX-License-Identifier: Apache-2.0
// vmgenid: its properties and their checks.
#include "config.h"
#include "error.h"
#include "parse.h"
#include "props.h"

#include <errno.h>
#include <string.h>

static const struct prop vmgenid_props[] = {
	{ .name = "driver", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "guid",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = offsetof(struct vmgenid_config, guid),
	  .def = "auto",
	  .help = "UUID (aka GUID) or \"auto\" for random value (default)" },
	{ .name = "id", .type = PROP_ID, .offset = offsetof(struct device_config, id), .hidden = true },
};

const struct prop_class vmgenid_class = {
	.name = "vmgenid",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.props = vmgenid_props,
	.nprops = sizeof(vmgenid_props) / sizeof(vmgenid_props[0]),
};

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct vmgenid_config *cfg = device_config_as(dev, &vmgenid_model);

	if (strcmp(cfg->guid, "auto") == 0 || uuid_wellformed(cfg->guid))
		return 0;
	error_set(err, -EINVAL, "Property 'vmgenid.guid' doesn't take value '%.64s'", cfg->guid);
	error_hint(err, "it is auto, or a UUID such as 324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87");
	return -EINVAL;
}

const struct device_model vmgenid_model = {
	.props = &vmgenid_class,
	.config_size = sizeof(struct vmgenid_config),
	.category = "Misc",
	.description = "VM generation ID: the guest sees that it is a copy",
	.on_board = true,
	.check = check,
};
