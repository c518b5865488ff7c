// SPDX-License-Identifier: Apache-2.0
// From the root of a container to its layers.
#include "layers.h"

#include "error.h"
#include "layer_cache.h"
#include "layer_make.h"
#include "mountinfo.h"
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- which mount the root is

// *is_mount_root: the directory is not below the root of its mount.
static int mount_id_of(const char *directory, uint64_t *id, bool *is_mount_root, struct vpmem_error *err)
{
	struct statx stx;

	if (statx(AT_FDCWD, directory, 0, STATX_TYPE | STATX_MNT_ID, &stx) < 0)
		return error_set(err, -errno, "root.path: %s: %s", directory, strerror(errno));
	if (!S_ISDIR(stx.stx_mode))
		return error_set(err, -ENOTDIR, "root.path: %s: %s", directory, strerror(ENOTDIR));
	*id = stx.stx_mnt_id;
	*is_mount_root = stx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return 0;
}

static int open_mountinfo(FILE **mountinfo, struct vpmem_error *err)
{
	*mountinfo = fopen("/proc/self/mountinfo", "re");
	return *mountinfo ? 0 : error_set(err, -errno, "/proc/self/mountinfo: %s", strerror(errno));
}

// Finds the overlay that the directory is the root of. *found is false if there is none; *mount is to be freed in any case.
static int find_overlay(const char *directory, struct mount *mount, bool *found, struct vpmem_error *err)
{
	bool is_mount_root = false;
	FILE *mountinfo;
	uint64_t id = 0;
	int rc;

	*found = false;
	rc = mount_id_of(directory, &id, &is_mount_root, err);
	if (rc || !is_mount_root)
		return rc;
	rc = open_mountinfo(&mountinfo, err);
	if (rc)
		return rc;
	rc = mountinfo_find(mountinfo, id, mount);
	fclose(mountinfo);
	if (rc)
		return error_set(err, rc, "/proc/self/mountinfo: %s: %s", directory, strerror(-rc));
	*found = strcmp(mount->type, "overlay") == 0 && strcmp(mount->root, "/") == 0;
	return 0;
}

// The directories of an overlay, with relative paths as seen from this mount point of it.
static int parse_at(const char *options, const char *mount_point, struct overlay *overlay, struct vpmem_error *err)
{
	int rc = overlay_parse(options, overlay, err);

	rc = rc ? rc : overlay_resolve(overlay, mount_point, err);
	if (rc)
		overlay_fini(overlay);
	return rc;
}

/*
 * Its directories. Where the mount is a bind mount (buildah), relative paths begin at another mount of the same file
 * system. -ENOENT: they are not found from any of them.
 */
static int parse_overlay(const struct mount *mount, struct overlay *overlay, struct vpmem_error *err)
{
	int rc = parse_at(mount->options, mount->mount_point, overlay, err);
	struct mount other;
	FILE *mountinfo;

	if (rc != -ENOENT || open_mountinfo(&mountinfo, err))
		return rc;
	while (rc == -ENOENT && mountinfo_next(mountinfo, &other) == 0) {
		if (strcmp(other.device, mount->device) == 0 && strcmp(other.root, "/") == 0)
			rc = parse_at(mount->options, other.mount_point, overlay, NULL);
		mountinfo_mount_fini(&other);
	}
	fclose(mountinfo);
	return rc;
}

// ---- whether a lower directory is one of a store

static bool exists(const char *directory, const char *name, mode_t type)
{
	char *path = NULL;
	struct stat st;
	bool is_there;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return false;
	is_there = lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
	free(path);
	return is_there;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * containers/storage and Docker: STORE/LAYER/{diff,link}, STORE/l. containerd and BuildKit: snapshots/N/fs. What such a
 * directory has never changes.
 */
static bool is_in_store(const char *lower)
{
	char *layer = strdup(lower), *store = NULL, *slash = layer ? strrchr(layer, '/') : NULL;
	bool is_fs = strcmp(base_name(lower), "fs") == 0, is = false;

	if (slash) {
		*slash = '\0';
		store = strdup(layer);
		slash = store ? strrchr(store, '/') : NULL;
	}
	if (slash) {
		*slash = '\0';
		is = (exists(layer, "link", S_IFREG) && exists(store, "l", S_IFDIR)) ||
		     (is_fs && strcmp(base_name(store), "snapshots") == 0);
	}
	free(store);
	free(layer);
	return is;
}

static bool has_images(const struct overlay *overlay, const struct layer_settings *settings, struct rootfs *rootfs)
{
	if (overlay->upper && settings->readonly_only) {
		snprintf(rootfs->why_none, sizeof(rootfs->why_none),
		         "the directory with the writable layer cannot be shared on this host");
		return false;
	}
	if (overlay->has_data_only) {
		snprintf(rootfs->why_none, sizeof(rootfs->why_none), "the overlay has directories for data only");
		return false;
	}
	for (size_t i = 0; i < overlay->nlower; i++) {
		if (!is_in_store(overlay->lower[i])) {
			snprintf(rootfs->why_none, sizeof(rootfs->why_none), "%.200s is not in the store of an engine",
			         overlay->lower[i]);
			return false;
		}
	}
	return true;
}

// ---- the layers

// The directory that has both; -EINVAL: none that has nothing else above them.
static int set_writable(struct rootfs *rootfs, struct overlay *overlay, struct vpmem_error *err)
{
	const char *slash;
	size_t len;

	if (!overlay->upper)
		return 0;
	slash = strrchr(overlay->upper, '/');
	len = (size_t)(slash - overlay->upper);
	if (!overlay->work || strncmp(overlay->work, overlay->upper, len + 1) != 0)
		return error_set(err, -ENOTSUP,
		                 "layers: %s: its upper and work directories are not in one directory: not supported",
		                 rootfs->directory);
	rootfs->writable_dir = strndup(overlay->upper, len);
	rootfs->upper = overlay->upper;
	rootfs->work = overlay->work;
	overlay->upper = overlay->work = NULL;
	return rootfs->writable_dir ? 0 : error_set(err, -ENOMEM, "layers: out of memory");
}

static int open_layers(const struct overlay *overlay, const struct layer_settings *settings, struct rootfs *rootfs,
                       struct vpmem_error *err)
{
	int rc = layer_cache_prepare(settings->cache, err);
	bool is_new = false;

	if (rc)
		return rc;
	rootfs->layers = calloc(overlay->nlower, sizeof(*rootfs->layers));
	if (!rootfs->layers)
		return error_set(err, -ENOMEM, "layers: out of memory");
	rootfs->why_none[0] = '\0';
	for (size_t i = 0; rc == 0 && i < overlay->nlower; i++) {
		rc = layer_open(overlay->lower[i], settings, &rootfs->layers[i], err);
		rootfs->nlayers += rc == 0;
		is_new |= rootfs->layers[i].is_new;
	}
	if (is_new && settings->limit)
		layer_cache_limit(settings->cache, settings->limit);
	return rc;
}

static int take_overlay(const struct mount *mount, const struct layer_settings *settings, struct rootfs *rootfs,
                        struct vpmem_error *err)
{
	struct vpmem_error why = { .text = "" };
	struct overlay overlay;
	int rc = parse_overlay(mount, &overlay, &why);

	if (rc == -ENOENT) {
		snprintf(rootfs->why_none, sizeof(rootfs->why_none), "%.255s", why.text);
		return 0;
	}
	if (rc)
		return error_set(err, rc, "%s", why.text);
	if (has_images(&overlay, settings, rootfs)) {
		rc = set_writable(rootfs, &overlay, err);
		rc = rc ? rc : open_layers(&overlay, settings, rootfs, err);
		rootfs->metacopy = overlay.metacopy;
		rootfs->redirect_dir = overlay.redirect_dir;
		rootfs->userxattr = overlay.userxattr;
	}
	overlay_fini(&overlay);
	return rc;
}

int rootfs_find(const char *root_path, const struct layer_settings *settings, struct rootfs *rootfs,
                struct vpmem_error *err)
{
	struct mount mount = { 0 };
	bool is_overlay;
	int rc;

	*rootfs = (struct rootfs) { .directory = realpath(root_path, NULL),
		                    .why_none = "it is not the root of an overlay mount" };
	if (!rootfs->directory)
		return error_set(err, -errno, "root.path: %s: %s", root_path, strerror(errno));
	rc = find_overlay(rootfs->directory, &mount, &is_overlay, err);
	if (rc == 0 && is_overlay)
		rc = take_overlay(&mount, settings, rootfs, err);
	mountinfo_mount_fini(&mount);
	if (rc)
		rootfs_fini(rootfs);
	return rc;
}

void rootfs_fini(struct rootfs *rootfs)
{
	for (size_t i = 0; i < rootfs->nlayers; i++) {
		free(rootfs->layers[i].path);
		close(rootfs->layers[i].fd);
	}
	if (rootfs->has_scratch)
		close(rootfs->scratch_fd);
	free(rootfs->scratch_path);
	free(rootfs->layers);
	free(rootfs->directory);
	free(rootfs->upper);
	free(rootfs->work);
	free(rootfs->writable_dir);
	*rootfs = (struct rootfs) { 0 };
}
