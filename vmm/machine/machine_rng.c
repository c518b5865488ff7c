// SPDX-License-Identifier: Apache-2.0
// virtio-rng-pci, and the objects rng-builtin and rng-random that it names.
#include "machine_rng.h"

#include "error.h"
#include "machine.h"
#include "machine_find.h"
#include "permit.h"
#include "virtio_rng.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- objects

struct rng_object {
	struct object obj;
	int fd; /* -1: getrandom(2) */
};

static int builtin_create(struct object *obj, struct vpmem_error *err)
{
	(void)err;
	((struct rng_object *)obj)->fd = -1;
	return 0;
}

// Without blocking, so that a file without bytes, such as an empty FIFO, holds up nothing but the guest's requests.
static int serve_open(struct broker_call *call)
{
	struct stat st;
	int fd, rc = permit_check(call->strings[0]);

	if (rc < 0)
		return rc;
	fd = open(call->strings[0], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
	if (rc == 0)
		call->fds[call->nfds++] = fd;
	else if (fd >= 0)
		close(fd);
	return rc;
}

const struct broker_op rng_random_open_op = { .name = "rng-random", .serve = serve_open };

static int random_create(struct object *obj, struct vpmem_error *err)
{
	const struct rng_config *cfg = object_config_as(obj->cfg, &rng_random_type);
	struct broker_call call = { .strings = { cfg->filename } };
	struct machine *m = obj->machine;
	int rc;

	pthread_mutex_unlock(&m->lock);
	rc = broker_call(&rng_random_open_op, &call);
	pthread_mutex_lock(&m->lock);
	if (rc == 0) {
		((struct rng_object *)obj)->fd = call.fds[0];
		return 0;
	}
	error_set(err, rc, "Could not open '%s': %s", cfg->filename, strerror(-rc));
	broker_hint(&call, cfg->filename, err);
	return rc;
}

static int random_destroy(struct object *obj, struct vpmem_error *err)
{
	(void)err;
	close(((struct rng_object *)obj)->fd);
	return 0;
}

const struct object_kind rng_builtin_kind = {
	.type = &rng_builtin_type,
	.size = sizeof(struct rng_object),
	.create = builtin_create,
};

const struct object_kind rng_random_kind = {
	.type = &rng_random_type,
	.size = sizeof(struct rng_object),
	.create = random_create,
	.destroy = random_destroy,
};

// ---- the device

// It has a descriptor of its own for the file, so that several devices may name one object, and the object may go first.
static int rng_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct rng_device_config *cfg = device_config_as(dev->cfg, &virtio_rng_pci_model);
	const struct object *source = cfg->rng ? machine_find_object(dev->machine, cfg->rng) : NULL;
	const struct virtio_rng_options opts = {
		.pci = *pci,
		.mem = &dev->machine->gmem,
		.source_fd = source ? ((const struct rng_object *)source)->fd : -1,
		.max_bytes = cfg->max_bytes,
		.period_ms = cfg->period_ms,
		.no_event_idx = !cfg->dev.event_idx,
		.no_indirect_desc = !cfg->dev.indirect_desc,
		.no_ring_reset = !cfg->dev.queue_reset,
	};

	return virtio_rng_create(&opts, &dev->vp, err);
}

const struct device_kind virtio_rng_pci_kind = {
	.model = &virtio_rng_pci_model,
	.size = sizeof(struct device),
	.create = rng_create,
};
