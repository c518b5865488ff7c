// SPDX-License-Identifier: Apache-2.0
// annotations: what a user chose for the machine.
#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"
#include "parse.h"
#include "suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "io.pmvm."

typedef int take_fn(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err);

static int out_of_memory(const char *name, struct vpmem_error *err)
{
	return error_set(err, -ENOMEM, "annotations: %s: out of memory", name);
}

// A regular file of the host by its absolute path.
static int check_file(const char *name, const char *path, struct vpmem_error *err)
{
	struct stat st;

	if (*path != '/')
		return error_set(err, -EINVAL, "annotations: %s: %s: not an absolute path", name, path);
	if (stat(path, &st) < 0)
		return error_set(err, -errno, "annotations: %s: %s: %s", name, path, strerror(errno));
	return S_ISREG(st.st_mode) ? 0 : error_set(err, -EINVAL, "annotations: %s: %s: not a regular file", name, path);
}

static int take_upper(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err)
{
	static const char size[] = "pmem,size=";

	if (strcmp(val, "share") == 0)
		return 0;
	bundle->upper = UPPER_PMEM;
	if (strcmp(val, "pmem") == 0)
		return 0;
	if (strncmp(val, size, strlen(size)) == 0 && size_parse(val + strlen(size), &bundle->upper_size) == 0 &&
	    bundle->upper_size > 0)
		return 0;
	error_set(err, -EINVAL, "annotations: %s: %s", name, val);
	error_hint(err, "share, pmem, or pmem,size=1G");
	return -EINVAL;
}

// FILE:TARGET[:ro|:rw]; FILE may have colons.
static int take_pmem(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err)
{
	struct pmem_volume volume = { .file = strdup(val) }, *list;
	char *end, *colon = NULL;
	int rc;

	if (!volume.file)
		return out_of_memory(name, err);
	end = strrchr(volume.file, ':');
	if (end && (strcmp(end, ":ro") == 0 || strcmp(end, ":rw") == 0)) {
		volume.readonly = end[2] == 'o';
		*end = '\0';
	}
	for (char *at = volume.file; (at = strstr(at, ":/")); at++)
		colon = at;
	if (!colon || !colon[2] || strstr(colon, "/../") || strstr(colon, "//")) {
		free(volume.file);
		error_set(err, -EINVAL, "annotations: %s: %s", name, val);
		error_hint(err, "FILE:/TARGET, with :ro for a read-only volume: /var/lib/data.img:/data");
		return -EINVAL;
	}
	volume.target = strdup(colon + 1);
	*colon = '\0';
	rc = volume.target ? check_file(name, volume.file, err) : out_of_memory(name, err);
	list = rc ? NULL : reallocarray(bundle->pmem, bundle->npmem + 1, sizeof(*list));
	if (!list) {
		free(volume.file);
		free(volume.target);
		return rc ? rc : out_of_memory(name, err);
	}
	bundle->pmem = list;
	list[bundle->npmem++] = volume;
	return 0;
}

static int take_memory(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err)
{
	if (size_parse(val, &bundle->ram) == 0 && bundle->ram > 0)
		return 0;
	error_set(err, -EINVAL, "annotations: %s: %s is no size", name, val);
	error_hint(err, "such as 512M or 2G");
	return -EINVAL;
}

static int take_cpus(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err)
{
	unsigned host = bundle_host_cpus();
	uint64_t cpus;

	if (uint_parse(val, &cpus) || cpus == 0 || cpus > host) {
		error_set(err, -EINVAL, "annotations: %s: %s is not within 1 and %u, the CPUs of the host", name, val,
		          host);
		return -EINVAL;
	}
	bundle->cpus = (unsigned)cpus;
	return 0;
}

static int take_kernel(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err)
{
	int rc = check_file(name, val, err);

	if (rc)
		return rc;
	bundle->kernel = strdup(val);
	return bundle->kernel ? 0 : out_of_memory(name, err);
}

static const struct {
	const char *name;
	take_fn *take;
	bool has_suffixes; /* NAME.ANYTHING is one more */
} known[] = {
	{ .name = PREFIX "upper", .take = take_upper },
	{ .name = PREFIX "pmem", .take = take_pmem, .has_suffixes = true },
	{ .name = PREFIX "memory", .take = take_memory },
	{ .name = PREFIX "cpus", .take = take_cpus },
	{ .name = PREFIX "kernel", .take = take_kernel },
};

static int take_ours(struct bundle *bundle, const char *name, const char *val, struct vpmem_error *err)
{
	struct suggest near = { .word = name + strlen(PREFIX) };

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t len = strlen(known[i].name);

		if (strncmp(name, known[i].name, len) == 0 &&
		    (!name[len] || (known[i].has_suffixes && name[len] == '.')))
			return known[i].take(bundle, name, val, err);
		suggest_offer(&near, known[i].name + strlen(PREFIX));
	}
	error_set(err, -EINVAL, "annotations: %s: unknown", name);
	if (near.best)
		error_hint(err, "did you mean " PREFIX "%s?", near.best);
	else
		error_hint(err, "there are upper, pmem, memory, cpus and kernel");
	return -EINVAL;
}

int bundle_take_annotations(struct bundle *bundle, struct vpmem_error *err)
{
	int rc = 0;

	if (!bundle->annotations)
		return 0;
	json_object_object_foreach(bundle->annotations, name, val)
	{
		if (!json_object_is_type(val, json_type_string))
			return error_set(err, -EINVAL, "annotations: %s: not a string", name);
		if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
			rc = take_ours(bundle, name, json_object_get_string(val), err);
		if (rc)
			return rc;
	}
	return bundle_take_pod(bundle, err);
}
