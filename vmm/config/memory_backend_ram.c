// SPDX-License-Identifier: Apache-2.0
// memory-backend-memfd and memory-backend-ram: their properties and their checks. The guest's RAM can be such an object.
#include "config.h"
#include "error.h"
#include "props.h"

#include <errno.h>
#include <json-c/json.h>

#define MEMDEV(field) offsetof(struct memdev_config, field)

static const struct prop memory_backend_ram_props[] = {
	{ .name = "share",
	  .type = PROP_BOOL,
	  .offset = MEMDEV(backing.share),
	  .def = "off",
	  .help = "Another process can map the memory" },
	{ .name = "size",
	  .type = PROP_SIZE,
	  .offset = MEMDEV(backing.size),
	  .required = true,
	  .not_zero = true,
	  .help = "Size of the memory region (ex: 500M)" },
};

static const struct prop memory_backend_memfd_props[] = {
	{ .name = "hugetlb", .type = PROP_BOOL, .offset = MEMDEV(hugetlb), .def = "off", .help = "Use huge pages" },
	{ .name = "hugetlbsize",
	  .type = PROP_SIZE,
	  .offset = MEMDEV(hugetlbsize),
	  .not_zero = true,
	  .help = "Huge page size (ex: 2M, 1G); default: that of the host" },
	{ .name = "seal",
	  .type = PROP_BOOL,
	  .offset = MEMDEV(seal),
	  .def = "on",
	  .help = "Seal growing and shrinking" },
	{ .name = "share",
	  .type = PROP_BOOL,
	  .offset = MEMDEV(backing.share),
	  .def = "on",
	  .help = "Another process can map the memory" },
	{ .name = "size",
	  .type = PROP_SIZE,
	  .offset = MEMDEV(backing.size),
	  .required = true,
	  .not_zero = true,
	  .help = "Size of the memory region (ex: 500M)" },
};

#define CLASS(var, qemu_name)                                                    \
	const struct prop_class var##_class = { .name = qemu_name,               \
		                                .prefix = "",                    \
		                                .unknown = PROP_UNKNOWN_INVALID, \
		                                .base = &memory_backend_class,   \
		                                .props = var##_props,            \
		                                .nprops = sizeof(var##_props) / sizeof(struct prop) }
CLASS(memory_backend_memfd, "memory-backend-memfd");
CLASS(memory_backend_ram, "memory-backend-ram");

static int check_huge_pages(const struct memdev_config *cfg, struct vpmem_error *err)
{
	if (cfg->hugetlbsize == 0)
		return 0;
	if (!cfg->hugetlb) {
		error_set(err, -EINVAL, "'hugetlbsize' needs 'hugetlb=on'");
		error_hint(err, "add hugetlb=on, or leave hugetlbsize out");
		return -EINVAL;
	}
	if (cfg->hugetlbsize & (cfg->hugetlbsize - 1))
		return error_set(err, -EINVAL, "Hugepage size must be a power of 2");
	return 0;
}

static int check(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	struct memdev_config *cfg = memdev_config_of(obj);
	struct vpmem_backing_options opts;
	int rc;

	cfg->backing.id = obj->id;
	cfg->dump_set = json_object_object_get_ex(props, "dump", NULL);
	if (cfg->backing.size == 0)
		return error_set(err, -EINVAL, "can't create backend with size 0");
	rc = check_huge_pages(cfg, err);
	// The rest is as with a file.
	opts = cfg->backing;
	opts.path = obj->id;
	return rc ? rc : vpmem_backing_check(&opts, err);
}

#define TYPE(var)                                            \
	const struct object_type var##_type = {              \
		.props = &var##_class,                       \
		.config_size = sizeof(struct memdev_config), \
		.base = MEMORY_BACKEND,                      \
		.example = ",size=SIZE",                     \
		.check = check,                              \
	}
TYPE(memory_backend_memfd);
TYPE(memory_backend_ram);
