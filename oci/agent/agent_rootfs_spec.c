// SPDX-License-Identifier: Apache-2.0
// The members `rootfs`, `share`, `mounts` and `memory` of a request: checked, so that they can be parts of mount options.
#include "agent_rootfs_spec.h"

#include "agent_json.h"
#include "agent_pmem.h"
#include "error.h"

#include <limits.h>
#include <string.h>

// One that has to be quoted in mount options is refused.
static bool path_is_below(const char *path)
{
	if (strpbrk(path, ",:\\"))
		return false;
	for (const char *part = path;; part = strchr(part, '/') + 1) {
		const size_t len = strcspn(part, "/");

		if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (part[len] == '\0')
			return strlen(path) < 1024;
	}
}

static int member_path(struct json_object *obj, const char *name, const char **path, struct vpmem_error *err)
{
	int rc = member_string(obj, name, path, err);

	if (rc == 0 && !path_is_below(*path))
		rc = error_set(err, -EINVAL, "'%s' is no path below the share", name);
	return rc;
}

static int member_pci(struct json_object *obj, const char **pci, struct vpmem_error *err)
{
	int rc = member_string(obj, "pci", pci, err);

	if (rc == 0 && !pci_wellformed(*pci))
		rc = error_set(err, -EINVAL, "'pci' is no PCI address such as 0000:00:05.0");
	return rc;
}

static int element(struct json_object *array, size_t i, const char *name, struct json_object **obj,
                   struct vpmem_error *err)
{
	*obj = json_object_array_get_idx(array, i);
	if (!json_object_is_type(*obj, json_type_object))
		return error_set(err, -EINVAL, "an element of '%s' is not of the type object", name);
	return 0;
}

static int parse_layers(struct json_object *rootfs, struct rootfs_spec *spec, struct vpmem_error *err)
{
	struct json_object *layers, *layer;
	int rc = member_get(rootfs, "layers", json_type_array, &layers, err);
	size_t n;

	if (rc)
		return rc;
	n = json_object_array_length(layers);
	if (n == 0 || n > LAYERS_MAX)
		return error_set(err, -EINVAL, "'layers' has %zu elements: 1 to %d are possible", n, LAYERS_MAX);
	for (size_t i = 0; i < n; i++) {
		rc = element(layers, i, "layers", &layer, err);
		if (rc == 0)
			rc = member_pci(layer, &spec->layers[i], err);
		if (rc)
			return rc;
	}
	spec->nlayers = (unsigned)n;
	return 0;
}

static int parse_upper(struct json_object *rootfs, struct rootfs_spec *spec, struct vpmem_error *err)
{
	struct json_object *upper;
	const char *kind;
	int rc = member_get(rootfs, "upper", json_type_object, &upper, err);

	if (rc == 0)
		rc = member_string(upper, "kind", &kind, err);
	if (rc)
		return rc;
	if (strcmp(kind, "none") == 0)
		return 0;
	if (strcmp(kind, "pmem") == 0) {
		spec->upper = UPPER_PMEM;
		return member_pci(upper, &spec->upper_pci, err);
	}
	if (strcmp(kind, "share") != 0)
		return error_set(err, -EINVAL, "'kind' of 'upper' is not share, pmem or none");
	spec->upper = UPPER_SHARE;
	rc = member_path(upper, "upper", &spec->upper_path, err);
	return rc ? rc : member_path(upper, "work", &spec->work_path, err);
}

static int parse_options(struct json_object *rootfs, struct rootfs_spec *spec, struct vpmem_error *err)
{
	static const char *const known[] = { "metacopy=on", "redirect_dir=on", "userxattr" };
	enum { NKNOWN = sizeof(known) / sizeof(known[0]) };
	struct json_object *options;
	bool given[NKNOWN] = { false };
	int rc = member_optional(rootfs, "options", json_type_array, &options, err);

	for (size_t i = 0; rc == 0 && options && i < json_object_array_length(options); i++) {
		const char *option = json_object_get_string(json_object_array_get_idx(options, i));
		unsigned k = 0;

		while (k < NKNOWN && (!option || strcmp(option, known[k]) != 0))
			k++;
		if (k == NKNOWN)
			return error_set(err, -EINVAL, "an element of 'options' is not known");
		given[k] = true;
	}
	for (unsigned k = 0; k < NKNOWN; k++) {
		if (given[k]) {
			strcat(spec->options, ",");
			strcat(spec->options, known[k]);
		}
	}
	return rc;
}

static int parse_mounts(struct json_object *request, struct rootfs_spec *spec, struct vpmem_error *err)
{
	struct json_object *mounts, *mount;
	int rc = member_optional(request, "mounts", json_type_array, &mounts, err);

	if (rc || !mounts)
		return rc;
	if (json_object_array_length(mounts) > PMEM_MOUNTS_MAX)
		return error_set(err, -EINVAL, "'mounts' has more than %d elements", PMEM_MOUNTS_MAX);
	for (; spec->nmounts < json_object_array_length(mounts); spec->nmounts++) {
		struct pmem_mount *to = &spec->mounts[spec->nmounts];

		rc = element(mounts, spec->nmounts, "mounts", &mount, err);
		if (rc == 0)
			rc = member_pci(mount, &to->pci, err);
		if (rc == 0)
			rc = member_string(mount, "filesystem", &to->filesystem, err);
		if (rc == 0)
			rc = member_bool(mount, "readonly", &to->readonly, err);
		if (rc)
			return rc;
		if (strcmp(to->filesystem, "ext4") != 0 && strcmp(to->filesystem, "erofs") != 0)
			return error_set(err, -EINVAL, "'filesystem' is not ext4 or erofs");
	}
	return 0;
}

static int parse_volume(struct json_object *volume, struct memory_mount *to, struct vpmem_error *err)
{
	int64_t mode, uid, gid;
	int rc = member_string(volume, "name", &to->name, err);

	if (rc == 0 && (to->name[0] == '.' || strchr(to->name, '/') || strlen(to->name) > NAME_MAX))
		rc = error_set(err, -EINVAL, "'name' is no name of a volume");
	rc = rc ? rc : member_number(volume, "size", 0, INT64_MAX, &to->size, err);
	rc = rc ? rc : member_number(volume, "mode", 0, 07777, &mode, err);
	rc = rc ? rc : member_number(volume, "uid", 0, UINT32_MAX, &uid, err);
	rc = rc ? rc : member_number(volume, "gid", 0, UINT32_MAX, &gid, err);
	if (rc == 0) {
		to->mode = (unsigned)mode;
		to->uid = (unsigned)uid;
		to->gid = (unsigned)gid;
	}
	return rc;
}

static int parse_memory(struct json_object *request, struct rootfs_spec *spec, struct vpmem_error *err)
{
	struct json_object *memory, *volume;
	int rc = member_optional(request, "memory", json_type_array, &memory, err);

	if (rc || !memory)
		return rc;
	if (json_object_array_length(memory) > MEMORY_MOUNTS_MAX)
		return error_set(err, -EINVAL, "'memory' has more than %d elements", MEMORY_MOUNTS_MAX);
	for (; rc == 0 && spec->nmemory < json_object_array_length(memory); spec->nmemory++) {
		rc = element(memory, spec->nmemory, "memory", &volume, err);
		rc = rc ? rc : parse_volume(volume, &spec->memory[spec->nmemory], err);
	}
	return rc;
}

static int parse_rootfs(struct json_object *rootfs, struct rootfs_spec *spec, struct vpmem_error *err)
{
	const char *kind;
	int rc = member_string(rootfs, "kind", &kind, err);

	if (rc)
		return rc;
	if (strcmp(kind, "share") == 0)
		return member_path(rootfs, "path", &spec->path, err);
	if (strcmp(kind, "layers") != 0)
		return error_set(err, -EINVAL, "'kind' of 'rootfs' is not share or layers");
	rc = parse_layers(rootfs, spec, err);
	if (rc == 0)
		rc = parse_upper(rootfs, spec, err);
	return rc ? rc : parse_options(rootfs, spec, err);
}

int rootfs_spec_parse(struct json_object *request, struct rootfs_spec *spec, struct vpmem_error *err)
{
	struct json_object *rootfs;
	int rc = member_get(request, "rootfs", json_type_object, &rootfs, err);

	*spec = (struct rootfs_spec) { .upper = UPPER_NONE };
	if (rc == 0)
		rc = parse_rootfs(rootfs, spec, err);
	if (rc == 0 && json_object_object_get(request, "share"))
		rc = member_string(request, "share", &spec->share, err);
	if (rc == 0 && !spec->share && (spec->path || spec->upper == UPPER_SHARE))
		rc = error_set(err, -EINVAL, "'share' is missing, and 'rootfs' needs it");
	if (rc == 0)
		rc = parse_mounts(request, spec, err);
	return rc ? rc : parse_memory(request, spec, err);
}
