// SPDX-License-Identifier: Apache-2.0
// EROFS layers on persistent memory with DAX, stacked by overlayfs; or a directory of the host by virtio-fs.
#include "agent_rootfs.h"

#include "agent_file.h"
#include "agent_pmem.h"
#include "agent_rootfs_spec.h"
#include "error.h"
#include "monotonic.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/run/oci/%u"
#define MEMORY "/run/oci/memory"
#define WAIT_MS 10000u
#define PATH_SIZE 1200u

struct mounter {
	unsigned container;
	const struct rootfs_spec *spec;
};

// "/run/oci/CONTAINER/NAME"
__attribute__((format(printf, 3, 4))) static char *path_of(unsigned container, char path[PATH_SIZE], const char *fmt,
                                                           ...)
{
	int len = snprintf(path, PATH_SIZE, DIRECTORY "/", container);
	va_list args;

	va_start(args, fmt);
	vsnprintf(path + len, PATH_SIZE - (size_t)len, fmt, args);
	va_end(args);
	return path;
}

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

// A device that was plugged just now has no driver yet, and virtio-fs does not know its tag until it has.
static int mount_share(const char *tag, const char *at, struct vpmem_error *err)
{
	const uint64_t end_ms = monotonic_ms() + WAIT_MS;
	int rc;

	while ((rc = mount_at(tag, at, "virtiofs", 0, NULL, err)) == -EINVAL && monotonic_ms() < end_ms)
		usleep(5000);
	return rc;
}

static int mount_pmem(const char *pci, const char *at, const char *type, bool readonly, struct vpmem_error *err)
{
	char dev[32];
	int rc = pmem_find(pci, dev, sizeof(dev), err);

	return rc ? rc : mount_at(dev, at, type, readonly ? MS_RDONLY : 0, "dax=always", err);
}

static int mount_layers(const struct mounter *m, struct vpmem_error *err)
{
	char at[PATH_SIZE];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < m->spec->nlayers; i++)
		rc = mount_pmem(m->spec->layers[i], path_of(m->container, at, "layers/%u", i), "erofs", true, err);
	return rc;
}

static int prepare_upper(const struct mounter *m, struct vpmem_error *err)
{
	char path[PATH_SIZE];
	int rc;

	if (m->spec->upper == UPPER_NONE)
		return 0;
	// The host has the parent alone.
	if (m->spec->upper == UPPER_SHARE)
		return directory_make(path_of(m->container, path, "share/%s", m->spec->work_path), err);
	rc = mount_pmem(m->spec->upper_pci, path_of(m->container, path, "upper"), "ext4", false, err);
	if (rc == 0)
		rc = directory_make(path_of(m->container, path, "upper/diff"), err);
	return rc ? rc : directory_make(path_of(m->container, path, "upper/work"), err);
}

// The kernel takes one page of options: the layers have short names, relative to their directory.
static int mount_overlay(const struct mounter *m, struct vpmem_error *err)
{
	const struct rootfs_spec *spec = m->spec;
	const bool shared = spec->upper == UPPER_SHARE;
	struct text options = { .len = 0 };
	char part[2 * PATH_SIZE], path[PATH_SIZE];
	int rc;

	for (unsigned i = 0; i < spec->nlayers; i++) {
		snprintf(part, sizeof(part), "%s%u", i ? ":" : "lowerdir=", i);
		text_add_str(&options, part);
	}
	if (spec->upper != UPPER_NONE) {
		text_add_str(&options, ",upperdir=");
		text_add_str(&options, shared ? path_of(m->container, path, "share/%s", spec->upper_path) :
		                                path_of(m->container, path, "upper/diff"));
		text_add_str(&options, ",workdir=");
		text_add_str(&options, shared ? path_of(m->container, path, "share/%s", spec->work_path) :
		                                path_of(m->container, path, "upper/work"));
	}
	text_add_str(&options, spec->options);
	if (!text_str(&options) || chdir(path_of(m->container, path, "layers")) < 0)
		rc = error_set(err, -ENOMEM, "the layers cannot be named");
	else
		rc = mount_at("overlay", path_of(m->container, path, "rootfs"), "overlay",
		              spec->upper == UPPER_NONE ? MS_RDONLY : 0, options.buf, err);
	text_free(&options);
	return chdir("/") < 0 ? -errno : rc;
}

static int mount_root(const struct mounter *m, struct vpmem_error *err)
{
	char path[PATH_SIZE], at[PATH_SIZE];
	int rc;

	path_of(m->container, at, "rootfs");
	if (m->spec->path)
		return mount_at(path_of(m->container, path, "share/%s", m->spec->path), at, NULL, MS_BIND | MS_REC,
		                NULL, err);
	rc = mount_layers(m, err);
	if (rc == 0)
		rc = prepare_upper(m, err);
	if (rc)
		return rc;
	// overlayfs wants two layers where nothing can be written.
	if (m->spec->nlayers == 1 && m->spec->upper == UPPER_NONE)
		return mount_at(path_of(m->container, path, "layers/0"), at, NULL, MS_BIND, NULL, err);
	return mount_overlay(m, err);
}

// Those of several containers are one, which lives as long as the guest.
static int mount_memory(const struct memory_mount *memory, struct vpmem_error *err)
{
	char at[PATH_SIZE], options[96];
	struct stat own, parent;

	snprintf(at, sizeof(at), MEMORY "/%s", memory->name);
	if (stat(at, &own) == 0 && stat(MEMORY, &parent) == 0 && own.st_dev != parent.st_dev)
		return 0;
	snprintf(options, sizeof(options), "size=%lld,mode=%o,uid=%u,gid=%u", (long long)memory->size, memory->mode,
	         memory->uid, memory->gid);
	return mount_at("memory", at, "tmpfs", MS_NOSUID | MS_NODEV, options, err);
}

int rootfs_mount(unsigned container, const struct rootfs_spec *spec, struct vpmem_error *err)
{
	const struct mounter m = { .container = container, .spec = spec };
	char at[PATH_SIZE];
	int rc = spec->share ? mount_share(spec->share, path_of(container, at, "share"), err) : 0;

	if (rc == 0)
		rc = mount_root(&m, err);
	for (unsigned i = 0; rc == 0 && i < spec->nmounts; i++) {
		const struct pmem_mount *mount = &spec->mounts[i];

		rc = mount_pmem(mount->pci, path_of(container, at, "pmem/%u", i), mount->filesystem, mount->readonly,
		                err);
	}
	for (unsigned i = 0; rc == 0 && i < spec->nmemory; i++)
		rc = mount_memory(&spec->memory[i], err);
	return rc;
}

static void unmount(const char *at, int flags)
{
	if (umount2(at, flags) == 0 || errno == EINVAL)
		rmdir(at);
}

void rootfs_unmount(unsigned container)
{
	char at[PATH_SIZE];

	unmount(path_of(container, at, "rootfs"), MNT_DETACH);
	unmount(path_of(container, at, "upper"), 0);
	for (unsigned i = 0; i < LAYERS_MAX; i++) {
		if (access(path_of(container, at, "layers/%u", i), F_OK) < 0)
			break;
		unmount(at, MNT_DETACH);
	}
	for (unsigned i = 0; i < PMEM_MOUNTS_MAX; i++)
		unmount(path_of(container, at, "pmem/%u", i), 0);
	unmount(path_of(container, at, "share"), MNT_DETACH);
	rmdir(path_of(container, at, "layers"));
	rmdir(path_of(container, at, "pmem"));
	snprintf(at, sizeof(at), DIRECTORY, container);
	rmdir(at);
	sync();
}
