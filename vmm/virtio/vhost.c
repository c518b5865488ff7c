// SPDX-License-Identifier: Apache-2.0
// A virtio device whose queues are served by the kernel's vhost or by another process: registers, start and stop.
#include "vhost.h"

#include "error.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char *name_of(const struct vhost *vhost)
{
	return vhost->id ? vhost->id : "(no id)";
}

/* ---- start and stop of a part ------------------------------------------------------------------------- */

static void read_away(int efd)
{
	eventfd_t count;

	(void)!eventfd_read(efd, &count);
}

/* nset: so many of its rings were set, and may have been served. */
static void part_stop(struct vhost_part *part, unsigned nset)
{
	struct vhost *vhost = part->vhost;

	part->backend->ops->stop(part->backend);
	/* A queue that was reset begins at 0 again, and is not enabled any more. */
	for (unsigned i = 0; i < nset; i++) {
		struct virtq *q = &vhost->queues[part->first_queue + i];

		if (q->regs.enabled)
			(void)part->backend->ops->get_base(part->backend, (uint16_t)i, &q->avail_idx);
	}
	loop_del(vhost->loop, &part->errors);
	part->running = false;
	read_away(part->errors.fd);
}

static int set_ring(struct vhost_part *part, unsigned idx)
{
	struct vhost *vhost = part->vhost;
	unsigned queue_idx = part->first_queue + idx;
	const struct virtq *q = &vhost->queues[queue_idx];
	const struct vhost_ring ring = {
		.idx = (uint16_t)idx,
		.size = q->regs.size,
		.base = q->avail_idx,
		.desc_hva = q->desc_hva,
		.avail_hva = q->avail_hva,
		.used_hva = q->used_hva,
		.kick_efd = vhost->kick_efds[queue_idx],
		.call_efd = vhost->call_efds[queue_idx],
		.error_efd = part->errors.fd,
	};

	return part->backend->ops->set_ring(part->backend, &ring);
}

static int part_start(struct vhost_part *part)
{
	struct vhost *vhost = part->vhost;
	struct vhost_backend *backend = part->backend;
	uint64_t features = (vhost->virtio.accepted & vhost->backend_features) | vhost->backend_own;
	unsigned nset = 0;
	int rc = backend->ops->set_features(backend, features);

	if (rc == 0)
		rc = backend->ops->set_memory(backend, &vhost->vm->memory);
	while (nset < part->nqueues && rc == 0)
		rc = set_ring(part, nset++);
	if (rc == 0)
		rc = backend->ops->run(backend);
	if (rc == 0) {
		backend->failed = "the event loop";
		rc = loop_add(vhost->loop, &part->errors);
	}
	if (rc) {
		const char *failed = backend->failed;

		part_stop(part, backend->ops->has_left ? nset : 0);
		backend->failed = failed;
		return rc;
	}
	part->running = vhost->has_run = true;
	/* A notification that came before the start, or that a back end has seen in an earlier life, is not lost. */
	for (unsigned i = 0; i < part->nqueues; i++)
		vhost_queue_kick(vhost, (uint16_t)(part->first_queue + i));
	return 0;
}

static bool should_run(struct vhost_part *part)
{
	struct vhost *vhost = part->vhost;

	for (unsigned i = 0; i < part->nqueues; i++)
		if (!virtio_queue_live(&vhost->virtio, &vhost->queues[part->first_queue + i]))
			return false;
	return part->wanted && !vhost->paused;
}

/* False: it is no fault, and the part has stopped. */
static bool host_fault(struct vhost_part *part, int rc)
{
	const struct vhost_backend *backend = part->backend;
	char what[128];

	if (backend->ops->has_left && backend->ops->has_left(backend)) {
		if (part->running)
			part_stop(part, part->nqueues);
		return false;
	}
	snprintf(what, sizeof(what), "%s: %s", backend->failed, strerror(-rc));
	vhost_fault(part->vhost, what);
	return true;
}

void vhost_update(struct vhost *vhost)
{
	for (unsigned i = 0; i < vhost->nparts; i++)
		if (vhost->parts[i].running && !should_run(&vhost->parts[i]))
			part_stop(&vhost->parts[i], vhost->parts[i].nqueues);
	for (unsigned i = 0; i < vhost->nparts; i++) {
		struct vhost_part *part = &vhost->parts[i];
		int rc = part->running || !should_run(part) ? 0 : part_start(part);

		if (rc && host_fault(part, rc))
			return;
	}
}

/* ---- faults, and memory that comes and goes ----------------------------------------------------------------- */

void vhost_fault(struct vhost *vhost, const char *what)
{
	virtio_guest_fault(&vhost->virtio, what);
	vhost_update(vhost);
}

static void on_config_interrupt(void *opaque)
{
	virtio_pci_config_interrupt(((struct vhost *)opaque)->pci);
}

static void on_guest_fault(void *opaque, const char *what)
{
	const struct vhost *vhost = opaque;

	log_guest("%s: %s: %s: the device needs a reset", vhost->model, name_of(vhost), what);
}

/* The back end found in a ring, or behind it, what it cannot serve. */
static void on_ring_error(void *owner, short revents)
{
	struct vhost_part *part = owner;

	(void)revents;
	read_away(part->errors.fd);
	vhost_fault(part->vhost, "the back end cannot go on with the contents of a queue");
}

static void on_memory_changed(void *owner)
{
	struct vhost *vhost = owner;

	for (unsigned i = 0; i < vhost->nparts; i++) {
		struct vhost_part *part = &vhost->parts[i];
		int rc = part->running ? part->backend->ops->set_memory(part->backend, &vhost->vm->memory) : 0;

		/* It may still have what was removed: it must stop. */
		if (rc && host_fault(part, rc))
			return;
	}
}

/* ---- registers ----------------------------------------------------------------------------------------------- */

unsigned vhost_nqueues(const void *device)
{
	return ((const struct vhost *)device)->virtio.nqueues;
}

void vhost_read(void *device, const struct virtio_select *select, struct virtio_registers *out)
{
	const struct vhost *vhost = device;

	out->features = virtio_features(&vhost->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&vhost->virtio, select->driver_feature_word);
	out->queue = virtio_queue_get(&vhost->virtio, select->queue_idx);
}

uint8_t vhost_status(const void *device)
{
	return virtio_status(&((const struct vhost *)device)->virtio);
}

uint8_t vhost_config_generation(const void *device)
{
	return virtio_config_generation(&((const struct vhost *)device)->virtio);
}

void vhost_set_driver_features(void *device, uint32_t word, uint32_t bits)
{
	virtio_set_driver_features(&((struct vhost *)device)->virtio, word, bits);
}

void vhost_set_status(void *device, uint8_t status)
{
	struct vhost *vhost = device;

	virtio_set_status(&vhost->virtio, status);
	vhost_update(vhost);
	if (status != 0 || !vhost->has_run)
		return;
	/* What was used for the driver that goes must not interrupt the next one. */
	for (unsigned i = 0; i < vhost->virtio.nqueues; i++)
		read_away(vhost->call_efds[i]);
	vhost->has_run = false;
}

void vhost_queue_set(void *device, uint16_t queue_idx, const struct virtq_regs *regs)
{
	virtio_queue_set(&((struct vhost *)device)->virtio, queue_idx, regs);
}

void vhost_queue_enable(void *device, uint16_t queue_idx)
{
	struct vhost *vhost = device;

	virtio_queue_enable(&vhost->virtio, queue_idx);
	vhost_update(vhost);
}

void vhost_queue_reset(void *device, uint16_t queue_idx)
{
	struct vhost *vhost = device;

	virtio_queue_reset(&vhost->virtio, queue_idx);
	vhost_update(vhost);
}

/* Without an ioeventfd. The eventfd is non-blocking: a counter at its maximum is a notification as well. */
void vhost_queue_kick(void *device, uint16_t queue_idx)
{
	(void)!eventfd_write(((const struct vhost *)device)->kick_efds[queue_idx], 1);
}

int vhost_queue_kick_efd(const void *device, uint16_t queue_idx)
{
	return ((const struct vhost *)device)->kick_efds[queue_idx];
}

int vhost_queue_call_efd(const void *device, uint16_t queue_idx)
{
	return ((const struct vhost *)device)->call_efds[queue_idx];
}

void vhost_set_paused(void *device, bool paused)
{
	struct vhost *vhost = device;

	vhost->paused = paused;
	vhost_update(vhost);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int efds_create(int **out, unsigned n)
{
	int *efds = calloc(n, sizeof(*efds));

	if (!efds)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		efds[i] = -1;
	*out = efds;
	for (unsigned i = 0; i < n; i++) {
		efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (efds[i] < 0)
			return -errno;
	}
	return 0;
}

static void efds_destroy(int *efds, unsigned n)
{
	for (unsigned i = 0; efds && i < n; i++)
		if (efds[i] >= 0)
			close(efds[i]);
	free(efds);
}

static int parts_init(struct vhost *vhost)
{
	for (unsigned i = 0; i < vhost->nparts; i++) {
		struct vhost_part *part = &vhost->parts[i];

		part->vhost = vhost;
		part->running = false;
		part->errors = (struct loop_source) { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			                              .events = POLLIN,
			                              .ready = on_ring_error,
			                              .owner = part };
		if (part->errors.fd < 0) {
			vhost->nparts = i;
			return -errno;
		}
	}
	return 0;
}

static int check_regions(const struct vhost_config *cfg, struct vpmem_error *err)
{
	const char *more = cfg->parts[0].backend->ops->more_regions;

	if (cfg->vm->memory.nregions <= cfg->regions_max)
		return 0;
	error_set(err, -E2BIG, "vhost backend memory slots limit is less than current number of present memory slots");
	error_hint(
		err,
		"RAM and the pmem devices are %u regions, and the back end of %s can have %u: have fewer pmem devices%s%s",
		cfg->vm->memory.nregions, cfg->model, cfg->regions_max, more ? ", or " : "", more ? more : "");
	return -E2BIG;
}

int vhost_init(struct vhost *vhost, const struct vhost_config *cfg, struct vpmem_error *err)
{
	const struct virtio_callbacks callbacks = { .config_interrupt = on_config_interrupt,
		                                    .guest_fault = on_guest_fault,
		                                    .opaque = vhost };
	struct virtio_config virtio = { .mem = cfg->mem,
		                        .features = cfg->features,
		                        .nqueues = cfg->nqueues,
		                        .queue_size_max = cfg->queue_size_max,
		                        .callbacks = callbacks };
	int rc = check_regions(cfg, err);

	if (rc)
		return rc;
	vhost->model = cfg->model;
	vhost->vm = cfg->vm;
	vhost->loop = cfg->loop;
	vhost->backend_features = cfg->backend_features;
	vhost->backend_own = cfg->backend_own;
	vhost->parts = cfg->parts;
	vhost->nparts = cfg->nparts;
	vhost->queues = calloc(cfg->nqueues, sizeof(vhost->queues[0]));
	vhost->id = cfg->id ? strdup(cfg->id) : NULL;
	rc = parts_init(vhost);
	if (!vhost->queues || (cfg->id && !vhost->id))
		rc = -ENOMEM;
	if (rc == 0) {
		virtio.queues = vhost->queues;
		virtio_init(&vhost->virtio, &virtio);
		rc = efds_create(&vhost->kick_efds, cfg->nqueues);
	}
	if (rc == 0)
		rc = efds_create(&vhost->call_efds, cfg->nqueues);
	if (rc)
		return error_set(err, rc, "%s: %s", cfg->model, strerror(-rc));
	vhost->listener = (struct vm_memory_listener) { .changed = on_memory_changed,
		                                        .owner = vhost,
		                                        .regions_max = cfg->regions_max };
	vm_memory_listen(vhost->vm, &vhost->listener);
	vhost->listens = true;
	return 0;
}

void vhost_unplug(void *device)
{
	struct vhost *vhost = device;

	if (vhost->listens)
		vm_memory_ignore(vhost->vm, &vhost->listener);
	vhost->listens = false;
}

void vhost_fini(struct vhost *vhost)
{
	vhost_unplug(vhost);
	for (unsigned i = 0; i < vhost->nparts; i++) {
		assert(!vhost->parts[i].running);
		close(vhost->parts[i].errors.fd);
	}
	efds_destroy(vhost->kick_efds, vhost->virtio.nqueues);
	efds_destroy(vhost->call_efds, vhost->virtio.nqueues);
	free(vhost->queues);
	free(vhost->id);
	*vhost = (struct vhost) { .pci = NULL };
}
