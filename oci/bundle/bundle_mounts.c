// SPDX-License-Identifier: Apache-2.0
// mounts: bind mounts become shares, what the guest's kernel can mount passes through, the rest is refused.
#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

// What a mount asks for, from its options.
struct wishes {
	bool is_bind, is_recursive, is_readonly;
};

// ---- options

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(word, *list) == 0)
			return true;
	}
	return false;
}

// The engine has done what they ask for.
static const char *const done[] = { "z", "Z", "U", "copy", "nocopy", "notmpcopyup", NULL };
static const char *const propagating[] = { "shared", "rshared", "slave", "rslave", NULL };
static const char *const mapping[] = { "idmap", "ridmap", NULL };

static int refuse_option(const char *where, const char *option, struct vpmem_error *err)
{
	if (is_one_of(option, propagating)) {
		error_set(err, -ENOTSUP, "%s: option %s: mounts do not pass between a machine and the host", where,
		          option);
		error_hint(err, "use private or rprivate");
	} else {
		error_set(err, -ENOTSUP, "%s: option %s: a share of a machine has no mapping of ids", where, option);
		error_hint(err, "map the ids on the host, or use another runtime");
	}
	return -ENOTSUP;
}

// The options that the guest gets.
static int take_options(struct json_object *mount, const char *where, struct wishes *wishes, struct json_object *kept,
                        struct vpmem_error *err)
{
	struct json_object *options;
	int rc = field_strings(mount, where, "options", &options, err);
	size_t n = rc == 0 && options ? json_object_array_length(options) : 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct json_object *option = json_object_array_get_idx(options, i);
		const char *text = json_object_get_string(option);

		if (is_one_of(text, propagating) || is_one_of(text, mapping))
			return refuse_option(where, text, err);
		if (is_one_of(text, done))
			continue;
		if (strcmp(text, "bind") == 0 || strcmp(text, "rbind") == 0) {
			wishes->is_bind = true;
			wishes->is_recursive |= *text == 'r';
		}
		if (strcmp(text, "ro") == 0 || strcmp(text, "rro") == 0)
			wishes->is_readonly = true;
		if (strcmp(text, "rw") == 0)
			wishes->is_readonly = false;
		rc = json_append(kept, json_object_get(option));
	}
	return rc == -ENOMEM ? error_set(err, rc, "%s: out of memory", where) : rc;
}

// ---- what is mounted

// A file system that shows the kernel of the host.
static bool is_of_kernel(const char *path)
{
	static const long types[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		                      DEBUGFS_MAGIC,    TRACEFS_MAGIC, DEVPTS_SUPER_MAGIC, SECURITYFS_MAGIC,
		                      BPF_FS_MAGIC,     NSFS_MAGIC };
	struct statfs st;

	if (statfs(path, &st) < 0)
		return false;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if ((long)st.f_type == types[i])
			return true;
	}
	return strcmp(path, "/dev") == 0 || (strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm", 8) != 0);
}

static int add_share(struct bundle *bundle, const char *host, const struct wishes *wishes, bool is_file)
{
	struct share *shares = reallocarray(bundle->shares, bundle->nshares + 1, sizeof(*shares));

	if (!shares)
		return -ENOMEM;
	bundle->shares = shares;
	shares[bundle->nshares] = (struct share) { .host = strdup(host),
		                                   .readonly = wishes->is_readonly,
		                                   .is_file = is_file,
		                                   .recursive = wishes->is_recursive };
	if (!shares[bundle->nshares].host)
		return -ENOMEM;
	bundle->nshares++;
	return 0;
}

// Finds the source of a bind mount, and what it is. The caller frees *path.
static int find_source(const struct bundle *bundle, const char *where, const char *source, char **path, struct stat *st,
                       struct vpmem_error *err)
{
	*path = NULL;
	if (!source || !*source)
		return error_set(err, -EINVAL, "%s.source: missing", where);
	if (*source == '/')
		*path = strdup(source);
	else if (asprintf(path, "%s/%s", bundle->dir, source) < 0)
		*path = NULL;
	if (!*path)
		return error_set(err, -ENOMEM, "%s: out of memory", where);
	if (stat(*path, st) < 0)
		return error_set(err, -errno, "%s.source: %s: %s", where, *path, strerror(errno));
	if (is_of_kernel(*path)) {
		error_set(err, -ENOTSUP, "%s.source: %s belongs to the kernel of the host: not supported", where,
		          *path);
		error_hint(err, "a machine has a kernel of its own: leave out this volume, or use another runtime");
		return -ENOTSUP;
	}
	if (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode))
		return 0;
	error_set(err, -ENOTSUP, "%s.source: %s is a %s of the host: not supported", where, *path,
	          S_ISSOCK(st->st_mode) ? "socket" :
	          S_ISFIFO(st->st_mode) ? "named pipe" :
	                                  "device");
	error_hint(err, "only directories and regular files can be shared with a machine");
	return -ENOTSUP;
}

// The memory of the guest instead of the host's, as large.
static int make_shm(struct json_object *mount, const char *path)
{
	struct json_object *options = json_object_new_array();
	struct statfs st;
	char size[48];
	int rc = options ? 0 : -ENOMEM;

	static const char *const flags[] = { "nosuid", "noexec", "nodev", "mode=1777" };

	if (statfs(path, &st) < 0)
		st.f_blocks = 0;
	for (unsigned i = 0; rc == 0 && i < sizeof(flags) / sizeof(*flags); i++)
		rc = json_append(options, json_object_new_string(flags[i]));
	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)st.f_blocks * (unsigned long long)st.f_bsize);
	if (rc == 0 && st.f_blocks > 0)
		rc = json_append(options, json_object_new_string(size));
	if (rc) {
		json_object_put(options);
		return rc;
	}
	rc = json_add(mount, "options", options);
	rc = rc ? rc : json_add(mount, "type", json_object_new_string("tmpfs"));
	return rc ? rc : json_add(mount, "source", json_object_new_string("shm"));
}

static bool is_tmpfs(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && (long)st.f_type == TMPFS_MAGIC;
}

// All containers of a pod have one, which is the guest's.
static int make_pod_shm(struct json_object *mount)
{
	static const char *const flags[] = { "rbind", "nosuid", "noexec", "nodev" };
	struct json_object *options = json_object_new_array();
	int rc = options ? 0 : -ENOMEM;

	for (unsigned i = 0; rc == 0 && i < sizeof(flags) / sizeof(*flags); i++)
		rc = json_append(options, json_object_new_string(flags[i]));
	rc = rc ? rc : json_add(mount, "options", json_object_get(options));
	rc = rc ? rc : json_add(mount, "type", json_object_new_string("bind"));
	rc = rc ? rc : json_add(mount, "source", json_object_new_string(BUNDLE_GUEST_SHM));
	json_object_put(options);
	return rc;
}

// The guest's mount of a share.
static int make_bind(struct bundle *bundle, struct json_object *mount, const char *path, const struct wishes *wishes,
                     bool is_file)
{
	char source[64];
	int rc;

	snprintf(source, sizeof(source), "share/%zu", bundle->nshares);
	rc = add_share(bundle, path, wishes, is_file);
	rc = rc ? rc : json_add(mount, "type", json_object_new_string("bind"));
	return rc ? rc : json_add(mount, "source", json_object_new_string(source));
}

// The name of an emptyDir with `medium: Memory`, for which the kubelet mounts a tmpfs; NULL: it is something else.
static const char *memory_volume_of(const struct bundle *bundle, const char *path, const struct stat *st)
{
	static const char kind[] = "/kubernetes.io~empty-dir/";
	const char *at = bundle->pod.role == POD_CONTAINER && is_tmpfs(path) ? strstr(path, kind) : NULL;
	char parent[PATH_MAX];
	struct stat parent_st;

	if (!at || !at[strlen(kind)] || at[strlen(kind)] == '.' || strchr(at + strlen(kind), '/'))
		return NULL;
	// A disk's emptyDir may lie on a tmpfs as well, which is not its own.
	snprintf(parent, sizeof(parent), "%s/..", path);
	return stat(parent, &parent_st) == 0 && parent_st.st_dev != st->st_dev ? at + strlen(kind) : NULL;
}

static int make_memory(struct bundle *bundle, struct json_object *mount, const char *path, const char *name,
                       const struct stat *st)
{
	struct memory_volume *list = reallocarray(bundle->memory, bundle->nmemory + 1, sizeof(*list));
	struct statfs fs = { .f_blocks = 0 };
	char source[PATH_MAX];
	int rc;

	if (!list)
		return -ENOMEM;
	bundle->memory = list;
	(void)statfs(path, &fs);
	list[bundle->nmemory] = (struct memory_volume) { .name = strdup(name),
		                                         .size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize,
		                                         .mode = st->st_mode & 07777,
		                                         .uid = st->st_uid,
		                                         .gid = st->st_gid };
	if (!list[bundle->nmemory].name)
		return -ENOMEM;
	bundle->nmemory++;
	snprintf(source, sizeof(source), BUNDLE_GUEST_MEMORY "/%s", name);
	rc = json_add(mount, "type", json_object_new_string("bind"));
	return rc ? rc : json_add(mount, "source", json_object_new_string(source));
}

static int take_source(struct bundle *bundle, struct json_object *mount, const char *path, const struct stat *st,
                       const struct wishes *wishes)
{
	const char *target = json_object_get_string(json_object_object_get(mount, "destination"));
	const char *memory = memory_volume_of(bundle, path, st);

	if (strcmp(target, "/dev/shm") == 0 && is_tmpfs(path))
		return bundle->pod.role == POD_NONE ? make_shm(mount, path) : make_pod_shm(mount);
	if (memory)
		return make_memory(bundle, mount, path, memory, st);
	return make_bind(bundle, mount, path, wishes, S_ISREG(st->st_mode));
}

static int take_bind(struct bundle *bundle, struct json_object *mount, const char *where, const char *source,
                     const struct wishes *wishes, struct vpmem_error *err)
{
	struct stat st;
	char *path;
	int rc = find_source(bundle, where, source, &path, &st, err);

	if (rc == 0) {
		rc = take_source(bundle, mount, path, &st, wishes);
		if (rc)
			error_set(err, rc, "%s: out of memory", where);
	}
	free(path);
	return rc;
}

static int check_type(const char *where, const char *type, struct vpmem_error *err)
{
	static const char *const types[] = { "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", NULL };

	if (type && is_one_of(type, types))
		return 0;
	error_set(err, -ENOTSUP, "%s.type: %s: not supported", where, type && *type ? type : "missing");
	error_hint(err, "mount it on the host, and share the directory by a bind mount");
	return -ENOTSUP;
}

static int take_mount(struct bundle *bundle, struct json_object *mount, const char *where, struct json_object *kept,
                      struct vpmem_error *err)
{
	struct json_object *target, *maps;
	struct wishes wishes = { 0 };
	const char *type, *source;
	int rc = field_need(mount, where, "destination", json_type_string, &target, err);

	rc = rc ? rc : field_string(mount, where, "type", &type, err);
	rc = rc ? rc : field_string(mount, where, "source", &source, err);
	rc = rc ? rc : field_get(mount, where, "uidMappings", json_type_array, &maps, err);
	if (rc)
		return rc;
	if (*json_object_get_string(target) != '/')
		return error_set(err, -EINVAL, "%s.destination: %s: not an absolute path", where,
		                 json_object_get_string(target));
	if (maps)
		return refuse_option(where, "uidMappings", err);
	if (bundle_is_engines_sys(source, json_object_get_string(target)))
		return bundle_make_sysfs(mount) ? error_set(err, -ENOMEM, "%s: out of memory", where) : 0;
	rc = take_options(mount, where, &wishes, kept, err);
	if (rc)
		return rc;
	if (json_add(mount, "options", json_object_get(kept)))
		return error_set(err, -ENOMEM, "%s: out of memory", where);
	if (!wishes.is_bind && !(type && strcmp(type, "bind") == 0))
		return check_type(where, type, err);
	if (!wishes.is_bind) {
		wishes.is_recursive = true;
		if (json_append(kept, json_object_new_string("rbind")))
			return error_set(err, -ENOMEM, "%s: out of memory", where);
	}
	return take_bind(bundle, mount, where, source, &wishes, err);
}

static int take_entry(struct bundle *bundle, struct json_object *mounts, size_t i, struct vpmem_error *err)
{
	struct json_object *entry = json_object_array_get_idx(mounts, i), *mount = NULL, *kept;
	char where[FIELD_PATH_SIZE];
	int rc;

	field_element(where, sizeof(where), "", "mounts", i);
	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "%s: not an object", where);
	kept = json_object_new_array();
	if (!kept || json_object_deep_copy(entry, &mount, NULL) < 0 ||
	    json_append(bundle->guest_mounts, json_object_get(mount)))
		rc = error_set(err, -ENOMEM, "%s: out of memory", where);
	else
		rc = take_mount(bundle, mount, where, kept, err);
	json_object_put(mount);
	json_object_put(kept);
	return rc;
}

// ---- volumes of pmem

static int add_volume(struct bundle *bundle, size_t i)
{
	struct json_object *mount = json_object_new_object(), *options = json_object_new_array();
	char source[64];
	int rc = mount && options ? 0 : -ENOMEM;

	snprintf(source, sizeof(source), "pmem/%zu", i);
	rc = rc ? rc : json_append(options, json_object_new_string("rbind"));
	rc = rc ? rc : json_append(options, json_object_new_string(bundle->pmem[i].readonly ? "ro" : "rw"));
	rc = rc ? rc : json_add(mount, "destination", json_object_new_string(bundle->pmem[i].target));
	rc = rc ? rc : json_add(mount, "type", json_object_new_string("bind"));
	rc = rc ? rc : json_add(mount, "source", json_object_new_string(source));
	rc = rc ? rc : json_add(mount, "options", json_object_get(options));
	rc = rc ? rc : json_append(bundle->guest_mounts, json_object_get(mount));
	json_object_put(options);
	json_object_put(mount);
	return rc;
}

int bundle_take_mounts(struct bundle *bundle, struct vpmem_error *err)
{
	struct json_object *mounts;
	int rc = field_get(bundle->config, "", "mounts", json_type_array, &mounts, err);

	bundle->guest_mounts = json_object_new_array();
	if (!bundle->guest_mounts)
		return error_set(err, -ENOMEM, "mounts: out of memory");
	for (size_t i = 0; rc == 0 && mounts && i < json_object_array_length(mounts); i++)
		rc = take_entry(bundle, mounts, i, err);
	for (size_t i = 0; rc == 0 && i < bundle->npmem; i++) {
		rc = add_volume(bundle, i);
		if (rc)
			error_set(err, rc, "mounts: out of memory");
	}
	return rc;
}
