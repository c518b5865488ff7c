// SPDX-License-Identifier: Apache-2.0
/*
 * machine_memdev.c - memory backends of the machine: files, memfds, anonymous memory; opened, closed, measured.
 *
 * Only the main thread adds and removes backends, so it may keep a pointer to one while the machine lock is
 * released; and it is released wherever the host's disk may take its time, so that the guest runs on.
 */
#include "machine_memdev.h"

#include "array.h"
#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_file.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define MANY_MEMDEVS 4u /* from here on the limit on open files is raised: each has some five, with its device */

static struct memdev *memdev_of(struct object *obj)
{
	return (struct memdev *)obj;
}

static int open_backing(struct machine *m, const struct memdev_config *cfg, struct vpmem_backing **out,
                        struct vpmem_error *err)
{
	struct vpmem_backing_options opts = cfg->backing;
	struct vpmem_file_ops files = machine_file_ops;
	int rc;

	files.opaque = m;
	// Also for what is opened before the sandbox is entered: it may be removed afterwards.
	if (m->opts->sandbox.mode != SANDBOX_OFF)
		opts.files = &files;
	pthread_mutex_unlock(&m->lock);
	rc = vpmem_backing_open(&opts, out, err);
	pthread_mutex_lock(&m->lock);
	return rc;
}

void machine_hint_limit(int rc, struct vpmem_error *err)
{
	if (rc == -EMFILE)
		error_hint(err, "raise the limit on open files (ulimit -Hn), or use fewer devices");
}

// The soft limit is low for programs that use select(2), which this one does not.
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void warn(const char *id, const struct vpmem_backing *backing)
{
	const char *warning = vpmem_backing_warning(backing);

	if (warning)
		log_warn("%s: %s: %s", id, vpmem_backing_path(backing), warning);
}

// Sets cfg, and makes room in the list.
static int prepare(struct object *obj, struct vpmem_error *err)
{
	struct memdev_config *cfg = memdev_config_of(obj->cfg);
	struct machine *m = obj->machine;

	if (m->nmemdevs == MANY_MEMDEVS)
		raise_file_limit();
	// As in QEMU: what the object does not say, the machine does.
	if (m->opts->no_guest_core && !cfg->dump_set)
		cfg->backing.dump = false;
	memdev_of(obj)->cfg = cfg;
	if (array_room(&m->memdevs, m->nmemdevs, sizeof(m->memdevs[0])) < 0)
		return error_set(err, -ENOMEM, "cannot create object '%s': %s", obj->cfg->id, strerror(ENOMEM));
	return 0;
}

static void enlist(struct machine *m, struct memdev *memdev)
{
	m->memdevs[m->nmemdevs++] = memdev;
}

static void forget(struct machine *m, const struct memdev *memdev)
{
	unsigned i = 0;

	while (m->memdevs[i] != memdev)
		i++;
	array_remove(m->memdevs, &m->nmemdevs, sizeof(m->memdevs[0]), i);
}

// ---- files

static int file_create(struct object *obj, struct vpmem_error *err)
{
	struct memdev *memdev = memdev_of(obj);
	int rc = prepare(obj, err);

	if (rc == 0)
		rc = open_backing(obj->machine, memdev->cfg, &memdev->backing, err);
	if (rc < 0) {
		machine_hint_limit(rc, err);
		return rc;
	}
	warn(obj->cfg->id, memdev->backing);
	enlist(obj->machine, memdev);
	return 0;
}

static void file_keep(struct object *obj)
{
	vpmem_backing_keep(memdev_of(obj)->backing);
}

static int file_destroy(struct object *obj, struct vpmem_error *err)
{
	struct memdev *memdev = memdev_of(obj);
	struct machine *m = obj->machine;
	const char *which = "the last";
	int rc;

	forget(m, memdev);
	pthread_mutex_unlock(&m->lock);
	rc = vpmem_backing_close(memdev->backing);
	pthread_mutex_lock(&m->lock);
	// That the last sync succeeded says nothing, because the kernel reports a lost write once.
	if (rc == 0 && memdev->sync_error) {
		which = "a";
		rc = memdev->sync_error;
	}
	if (rc < 0) {
		error_set(err, rc, "%s: %s sync failed: what was not flushed before may be lost: %s", obj->cfg->id,
		          which, strerror(-rc));
		m->close_error = rc;
	}
	return rc;
}

// A size that was not given is the file's.
static bool file_number(const struct object *obj, const char *prop, uint64_t *val)
{
	if (strcmp(prop, "size") != 0)
		return false;
	*val = vpmem_backing_size(((const struct memdev *)obj)->backing);
	return true;
}

const struct object_kind memory_backend_file_kind = {
	.type = &memory_backend_file_type,
	.size = sizeof(struct memdev),
	.create = file_create,
	.keep = file_keep,
	.destroy = file_destroy,
	.number = file_number,
};

// ---- memory without a file

static int memory_create(struct object *obj, struct vpmem_error *err)
{
	struct host_memory_options opts = { .memfd = obj->kind == &memory_backend_memfd_kind };
	struct memdev *memdev = memdev_of(obj);
	struct machine *m = obj->machine;
	int rc = prepare(obj, err);

	if (rc < 0)
		return rc;
	opts.cfg = memdev->cfg;
	opts.dump = memdev->cfg->backing.dump;
	pthread_mutex_unlock(&m->lock);
	rc = host_memory_open(&opts, &memdev->memory, err);
	pthread_mutex_lock(&m->lock);
	if (rc < 0) {
		machine_hint_limit(rc, err);
		return rc;
	}
	enlist(m, memdev);
	return 0;
}

static int memory_destroy(struct object *obj, struct vpmem_error *err)
{
	struct memdev *memdev = memdev_of(obj);

	(void)err;
	forget(obj->machine, memdev);
	host_memory_close(&memdev->memory);
	return 0;
}

const struct object_kind memory_backend_memfd_kind = {
	.type = &memory_backend_memfd_type,
	.size = sizeof(struct memdev),
	.create = memory_create,
	.destroy = memory_destroy,
};

const struct object_kind memory_backend_ram_kind = {
	.type = &memory_backend_ram_type,
	.size = sizeof(struct memdev),
	.create = memory_create,
	.destroy = memory_destroy,
};

// ---- for RAM

struct vm_memory_region machine_memdev_region(const struct memdev *memdev)
{
	const struct host_memory *memory = &memdev->memory;
	struct vm_memory_region region = { .size = memdev_size(memdev), .fd = -1 };

	if (memdev->backing) {
		region.hva = vpmem_backing_hva(memdev->backing);
		region.fd = vpmem_backing_fd(memdev->backing, &region.fd_off);
	} else {
		region.hva = memory->hva;
		region.fd = memdev->cfg->backing.share ? memory->fd : -1;
	}
	return region;
}

int machine_memdev_usage(struct machine *m, const struct memdev *memdev, struct vpmem_usage *out)
{
	int rc;

	pthread_mutex_unlock(&m->lock);
	rc = vpmem_backing_usage(memdev->backing, out);
	pthread_mutex_lock(&m->lock);
	return rc;
}
