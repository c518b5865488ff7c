// SPDX-License-Identifier: Apache-2.0
// -netdev vhost-user: its properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>

#define USER(field) offsetof(struct netdev_vhost_user_config, field)

static const struct prop netdev_vhost_user_props[] = {
	{ .name = "chardev",
	  .type = PROP_STR,
	  .offset = USER(chardev),
	  .help = "ID of a chardev: a socket that is connected to the back end" },
	{ .name = "id", .type = PROP_ID, .offset = USER(obj.id), .hidden = true },
	{ .name = "queues",
	  .type = PROP_UINT32,
	  .offset = USER(queues),
	  .def = "1",
	  .help = "Number of pairs of queues, 1 to 31" },
	{ .name = "type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "vhostforce", .type = PROP_BOOL, .offset = PROP_NOWHERE, .help = "Accepted, has no effect" },
};

const struct prop_class netdev_vhost_user_class = {
	.name = "vhost-user",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = netdev_vhost_user_props,
	.nprops = sizeof(netdev_vhost_user_props) / sizeof(netdev_vhost_user_props[0]),
};

static int check(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	const struct netdev_vhost_user_config *cfg = object_config_as(obj, &netdev_vhost_user_type);

	(void)props;
	if (!cfg->chardev || !*cfg->chardev) {
		error_set(err, -EINVAL, "Parameter 'chardev' is missing");
		error_hint(err, "it is where the back end listens: -chardev socket,id=c0,path=PATH -netdev "
		                "vhost-user,id=n0,chardev=c0");
		return -EINVAL;
	}
	if (cfg->queues == 0 || cfg->queues > NET_QUEUES_MAX)
		return error_set(err, -EINVAL, "vhost-user number of queues must be in range [1, %u]", NET_QUEUES_MAX);
	return 0;
}

const struct object_type netdev_vhost_user_type = {
	.props = &netdev_vhost_user_class,
	.config_size = sizeof(struct netdev_vhost_user_config),
	.base = "netdev",
	.example = ",chardev=c0",
	.check = check,
};
