// SPDX-License-Identifier: Apache-2.0
// virtio-rng-pci: the worker of the entropy device and its life.
#include "virtio_rng.h"

#include "error.h"
#include "virtio_rng_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL "virtio-rng-pci"

/* ---- the worker */

static bool rng_turn(struct worker_device *dev)
{
	struct virtio_rng *rng = (struct virtio_rng *)dev;
	int timeout_ms, fd = -1;
	enum rng_wait wait = rng_serve(rng, &timeout_ms);

	if (wait == RNG_WAIT_KICK)
		fd = dev->kick_efd;
	if (wait == RNG_WAIT_SOURCE)
		fd = rng->source_fd;
	return worker_device_wait(dev, fd, timeout_ms);
}

/* ---- life */

static int rng_destroy(void *opaque)
{
	struct virtio_rng *rng = opaque;

	worker_device_fini(&rng->dev);
	if (rng->source_fd >= 0)
		close(rng->source_fd);
	free(rng);
	return 0;
}

static const struct virtio_device_ops rng_ops = {
	.model = MODEL,
	.device_id = VIRTIO_ID_RNG,
	.class_code = 0x00ff00, /* unclassified, as QEMU has it */
	.config_size = 0,
	.read = worker_device_read,
	.set_status = worker_device_set_status,
	.destroy = rng_destroy,
	WORKER_DEVICE_OPS,
};

int virtio_rng_create(const struct virtio_rng_options *opts, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	int rc;

	if (!rng)
		return error_set(err, -ENOMEM, MODEL ": %s", strerror(ENOMEM));
	rng->source_fd = -1;
	rng->max_bytes = rng->quota = opts->max_bytes;
	rng->period_ms = opts->period_ms;
	rc = worker_device_init(&rng->dev, opts->pci.id ? opts->pci.id : MODEL,
	                        &(struct worker_device_options) {
					.kind = "rng",
					.turn = rng_turn,
					.mem = opts->mem,
					.features = virtio_ring_features(opts->no_event_idx, opts->no_indirect_desc,
	                                                                 opts->no_ring_reset),
					.queues = &rng->queue,
					.nqueues = 1,
					.queue_size_max = RNG_QUEUE_SIZE_MAX,
				});
	if (rc == 0 && opts->source_fd >= 0) {
		rng->source_fd = fcntl(opts->source_fd, F_DUPFD_CLOEXEC, 0);
		rc = rng->source_fd < 0 ? -errno : 0;
	}
	if (rc) {
		rng_destroy(rng);
		return error_set(err, rc, MODEL ": %s", strerror(-rc));
	}
	return worker_device_plug(&rng->dev, &opts->pci, &rng_ops, out, err);
}
