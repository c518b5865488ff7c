// SPDX-License-Identifier: Apache-2.0
// EROFS layers on persistent memory with DAX, stacked by overlayfs; or a directory of the host by virtio-fs.
#include "agent_rootfs.h"

#include "agent_file.h"
#include "agent_pmem.h"
#include "agent_rootfs_spec.h"
#include "error.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define SHARE "/run/share"
#define LAYERS "/run/layers"
#define UPPER "/run/upper"
#define PMEM "/run/pmem"

static int mount_at(const char *source, const char *at, const char *type, unsigned long flags, const char *options,
                    struct vpmem_error *err)
{
	int rc = directory_make(at, err);

	if (rc)
		return rc;
	if (mount(source, at, type, flags, options) < 0)
		return error_set(err, -errno, "%s cannot be mounted at %s: %s", source, at, strerror(errno));
	return 0;
}

static int mount_pmem(const char *pci, const char *at, const char *type, bool readonly, struct vpmem_error *err)
{
	char dev[32];
	int rc = pmem_find(pci, dev, sizeof(dev), err);

	return rc ? rc : mount_at(dev, at, type, readonly ? MS_RDONLY : 0, "dax=always", err);
}

static int mount_layers(const struct rootfs_spec *spec, struct vpmem_error *err)
{
	char at[32];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < spec->nlayers; i++) {
		snprintf(at, sizeof(at), LAYERS "/%u", i);
		rc = mount_pmem(spec->layers[i], at, "erofs", true, err);
	}
	return rc;
}

static int prepare_upper(const struct rootfs_spec *spec, struct vpmem_error *err)
{
	char work[1100];
	int rc;

	if (spec->upper == UPPER_NONE)
		return 0;
	if (spec->upper == UPPER_SHARE) {
		// The host has the parent alone.
		snprintf(work, sizeof(work), SHARE "/%s", spec->work_path);
		return directory_make(work, err);
	}
	rc = mount_pmem(spec->upper_pci, UPPER, "ext4", false, err);
	if (rc == 0)
		rc = directory_make(UPPER "/diff", err);
	return rc ? rc : directory_make(UPPER "/work", err);
}

// The kernel takes one page of options: the layers have short names, relative to their directory.
static int mount_overlay(const struct rootfs_spec *spec, struct vpmem_error *err)
{
	struct text options = { .len = 0 };
	char part[2 * 1024 + 64];
	int rc;

	for (unsigned i = 0; i < spec->nlayers; i++) {
		snprintf(part, sizeof(part), "%s%u", i ? ":" : "lowerdir=", i);
		text_add_str(&options, part);
	}
	if (spec->upper != UPPER_NONE) {
		const bool shared = spec->upper == UPPER_SHARE;

		snprintf(part, sizeof(part), ",upperdir=%s/%s,workdir=%s/%s", shared ? SHARE : UPPER,
		         shared ? spec->upper_path : "diff", shared ? SHARE : UPPER, shared ? spec->work_path : "work");
		text_add_str(&options, part);
	}
	text_add_str(&options, spec->options);
	if (!text_str(&options) || chdir(LAYERS) < 0)
		rc = error_set(err, -ENOMEM, "the layers cannot be named");
	else
		rc = mount_at("overlay", ROOTFS_PATH, "overlay", spec->upper == UPPER_NONE ? MS_RDONLY : 0, options.buf,
		              err);
	text_free(&options);
	return chdir("/") < 0 ? -errno : rc;
}

static int mount_root(const struct rootfs_spec *spec, struct vpmem_error *err)
{
	char path[1100];
	int rc;

	if (spec->path) {
		snprintf(path, sizeof(path), SHARE "/%s", spec->path);
		return mount_at(path, ROOTFS_PATH, NULL, MS_BIND | MS_REC, NULL, err);
	}
	rc = mount_layers(spec, err);
	if (rc == 0)
		rc = prepare_upper(spec, err);
	if (rc)
		return rc;
	// overlayfs wants two layers where nothing can be written.
	if (spec->nlayers == 1 && spec->upper == UPPER_NONE)
		return mount_at(LAYERS "/0", ROOTFS_PATH, NULL, MS_BIND, NULL, err);
	return mount_overlay(spec, err);
}

int rootfs_mount(const struct rootfs_spec *spec, struct vpmem_error *err)
{
	int rc = spec->share ? mount_at(spec->share, SHARE, "virtiofs", 0, NULL, err) : 0;
	char at[32];

	if (rc == 0)
		rc = mount_root(spec, err);
	for (unsigned i = 0; rc == 0 && i < spec->nmounts; i++) {
		const struct pmem_mount *mount = &spec->mounts[i];

		snprintf(at, sizeof(at), PMEM "/%u", i);
		rc = mount_pmem(mount->pci, at, mount->filesystem, mount->readonly, err);
	}
	return rc;
}

void rootfs_unmount(void)
{
	char at[32];

	umount2(ROOTFS_PATH, MNT_DETACH);
	umount2(UPPER, 0);
	for (unsigned i = 0; i < PMEM_MOUNTS_MAX; i++) {
		snprintf(at, sizeof(at), PMEM "/%u", i);
		umount2(at, 0);
	}
	umount2(SHARE, MNT_DETACH);
	sync();
}
