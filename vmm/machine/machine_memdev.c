// SPDX-License-Identifier: Apache-2.0
/*
 * machine_memdev.c - memory backends of the machine: opened, closed, measured.
 *
 * Only the main thread adds and removes backends, so it may keep a pointer to one while the machine lock is
 * released; and it is released wherever the host's disk may take its time, so that the guest runs on.
 */
#include "machine_memdev.h"

#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define LEFT_WAIT_SECONDS 2
#define MANY_MEMDEVS 4u /* from here on the limit on open files is raised: each has some five, with its device */

static int open_backing(struct machine *m, const struct memdev_config *cfg, struct vpmem_backing **out,
                        struct vpmem_error *err)
{
	int rc;

	pthread_mutex_unlock(&m->lock);
	rc = vpmem_backing_open(&cfg->backing, out, err);
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

int machine_add_memdev(struct machine *m, struct memdev_config *cfg, struct vpmem_error *err)
{
	struct memdev *memdev;
	int rc;

	if (machine_find_memdev(m, cfg->id))
		return error_set(err, -EEXIST, "attempt to add duplicate property '%s' to object (type 'container')",
		                 cfg->id);
	if (m->nmemdevs == MEMDEVS_MAX)
		return error_set(err, -ENOSPC, "too many memory backends: at most %u", MEMDEVS_MAX);
	if (m->nmemdevs == MANY_MEMDEVS)
		raise_file_limit();
	// As in QEMU: what the object does not say, the machine does.
	if (m->opts->no_guest_core && !cfg->dump_set)
		cfg->backing.dump = false;
	memdev = calloc(1, sizeof(*memdev));
	if (!memdev)
		return error_set(err, -ENOMEM, "cannot set up memory backend: %s", strerror(ENOMEM));
	rc = open_backing(m, cfg, &memdev->backing, err);
	if (rc < 0) {
		machine_hint_limit(rc, err);
		free(memdev);
		return rc;
	}
	warn(cfg->id, memdev->backing);
	memdev->cfg = *cfg;
	*cfg = (struct memdev_config) { 0 };
	m->memdevs[m->nmemdevs++] = memdev;
	return 0;
}

static int close_memdev(struct machine *m, struct memdev *memdev, struct vpmem_error *err)
{
	const char *which = "the last";
	int rc;

	pthread_mutex_unlock(&m->lock);
	rc = vpmem_backing_close(memdev->backing);
	pthread_mutex_lock(&m->lock);
	// That the last sync succeeded says nothing, because the kernel reports a lost write once.
	if (rc == 0 && memdev->sync_error) {
		which = "a";
		rc = memdev->sync_error;
	}
	if (rc < 0) {
		error_set(err, rc, "%s: %s sync failed: what was not flushed before may be lost: %s", memdev->cfg.id,
		          which, strerror(-rc));
		m->close_error = rc;
	}
	memdev_config_free(&memdev->cfg);
	free(memdev);
	return rc;
}

void machine_drop_memdevs(struct machine *m)
{
	while (m->nmemdevs > 0) {
		struct vpmem_error err;

		if (close_memdev(m, m->memdevs[--m->nmemdevs], &err) < 0)
			log_error("%s", err.text);
	}
}

int machine_memdev_usage(struct machine *m, const struct memdev *memdev, struct vpmem_usage *out)
{
	int rc;

	pthread_mutex_unlock(&m->lock);
	rc = vpmem_backing_usage(memdev->backing, out);
	pthread_mutex_lock(&m->lock);
	return rc;
}

int machine_object_add(struct machine *m, struct memdev_config *cfg, struct vpmem_error *err)
{
	int rc = machine_add_memdev(m, cfg, err);

	if (rc == 0)
		vpmem_backing_keep(m->memdevs[m->nmemdevs - 1]->backing);
	return rc;
}

// The guest has ejected its device, which still waits for its last sync.
static bool is_left_soon(const struct machine *m, const struct memdev *memdev)
{
	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->memdev == memdev && m->pmems[i]->unplug == UNPLUG_EJECTED)
			return true;
	return false;
}

// The client saw the device go and need not know that its last sync may be under way. The main loop serves nobody meanwhile.
static void wait_until_left(struct machine *m, const struct memdev *memdev)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += LEFT_WAIT_SECONDS;
	while (is_left_soon(m, memdev))
		if (pthread_cond_clockwait(&m->reaped, &m->lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT)
			return;
}

int machine_object_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct memdev *memdev;
	unsigned i = 0;

	while (i < m->nmemdevs && strcmp(m->memdevs[i]->cfg.id, id) != 0)
		i++;
	if (i == m->nmemdevs)
		return error_set(err, -ENOENT, "object '%s' not found", id);
	wait_until_left(m, m->memdevs[i]);
	if (m->memdevs[i]->in_use) {
		error_set(err, -EBUSY, "object '%s' is in use, can not be deleted", id);
		error_hint(err, is_left_soon(m, m->memdevs[i]) ?
		                        "a sync of its device is under way on the host: wait for DEVICE_DELETED" :
		                        "device_del its device first, and wait for DEVICE_DELETED");
		return -EBUSY;
	}
	memdev = m->memdevs[i];
	m->nmemdevs--;
	memmove(&m->memdevs[i], &m->memdevs[i + 1], (m->nmemdevs - i) * sizeof(m->memdevs[0]));
	return close_memdev(m, memdev, err);
}
