// SPDX-License-Identifier: Apache-2.0
// rng-builtin and rng-random: where an entropy device has its bytes from.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>

#define RNG(field) offsetof(struct rng_config, field)

static const struct prop rng_builtin_props[] = {
	{ .name = "id", .type = PROP_ID, .offset = RNG(obj.id), .hidden = true },
	{ .name = "qom-type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
};

static const struct prop rng_random_props[] = {
	{ .name = "filename",
	  .type = PROP_STR,
	  .type_name = "string",
	  .offset = RNG(filename),
	  .def = "/dev/urandom",
	  .help = "File or device to read random bytes from" },
	{ .name = "id", .type = PROP_ID, .offset = RNG(obj.id), .hidden = true },
	{ .name = "qom-type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
};

const struct prop_class rng_builtin_class = {
	.name = "rng-builtin",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = rng_builtin_props,
	.nprops = sizeof(rng_builtin_props) / sizeof(rng_builtin_props[0]),
};

const struct prop_class rng_random_class = {
	.name = "rng-random",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = rng_random_props,
	.nprops = sizeof(rng_random_props) / sizeof(rng_random_props[0]),
};

static int check_random(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	const struct rng_config *cfg = object_config_as(obj, &rng_random_type);

	(void)props;
	if (!*cfg->filename)
		return error_set(err, -EINVAL, "Parameter 'filename' expects a valid filename");
	return 0;
}

const struct object_type rng_builtin_type = {
	.props = &rng_builtin_class,
	.config_size = sizeof(struct rng_config),
	.base = "rng-backend",
	.example = "",
};

const struct object_type rng_random_type = {
	.props = &rng_random_class,
	.config_size = sizeof(struct rng_config),
	.base = "rng-backend",
	.example = ",filename=/dev/urandom",
	.check = check_random,
};
