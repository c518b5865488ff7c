// SPDX-License-Identifier: Apache-2.0
// worker_device.c - the registers, the thread and the life of a virtio device that a thread of its own serves.
#include "worker_device.h"

#include "error.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

// ---- registers

unsigned worker_device_nqueues(const void *opaque)
{
	return ((const struct worker_device *)opaque)->virtio.nqueues;
}

void worker_device_registers(const struct worker_device *dev, const struct virtio_select *select,
                             struct virtio_registers *out)
{
	out->features = virtio_features(&dev->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&dev->virtio, select->driver_feature_word);
	out->queue = virtio_queue_get(&dev->virtio, select->queue_idx);
}

void worker_device_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out)
{
	struct worker_device *dev = opaque;

	fair_lock_take(&dev->lock);
	worker_device_registers(dev, select, out);
	fair_lock_release(&dev->lock);
}

uint8_t worker_device_status(const void *opaque)
{
	return virtio_status(&((const struct worker_device *)opaque)->virtio);
}

uint8_t worker_device_config_generation(const void *opaque)
{
	return virtio_config_generation(&((const struct worker_device *)opaque)->virtio);
}

void worker_device_set_driver_features(void *opaque, uint32_t word, uint32_t bits)
{
	struct worker_device *dev = opaque;

	fair_lock_take(&dev->lock);
	virtio_set_driver_features(&dev->virtio, word, bits);
	fair_lock_release(&dev->lock);
}

void worker_device_set_status(void *opaque, uint8_t status)
{
	struct worker_device *dev = opaque;
	bool starts;

	fair_lock_take(&dev->lock);
	starts = virtio_set_status(&dev->virtio, status);
	fair_lock_release(&dev->lock);
	if (starts)
		worker_device_kick(dev);
}

void worker_device_queue_set(void *opaque, uint16_t queue_idx, const struct virtq_regs *regs)
{
	struct worker_device *dev = opaque;

	fair_lock_take(&dev->lock);
	virtio_queue_set(&dev->virtio, queue_idx, regs);
	fair_lock_release(&dev->lock);
}

void worker_device_queue_enable(void *opaque, uint16_t queue_idx)
{
	struct worker_device *dev = opaque;
	bool starts;

	fair_lock_take(&dev->lock);
	starts = virtio_queue_enable(&dev->virtio, queue_idx);
	fair_lock_release(&dev->lock);
	if (starts)
		worker_device_kick(dev);
}

void worker_device_queue_reset(void *opaque, uint16_t queue_idx)
{
	struct worker_device *dev = opaque;

	fair_lock_take(&dev->lock);
	virtio_queue_reset(&dev->virtio, queue_idx);
	fair_lock_release(&dev->lock);
}

void worker_device_queue_kick(void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	worker_device_kick(opaque);
}

// One for all queues: the thread checks each.
int worker_device_queue_kick_efd(const void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	return ((const struct worker_device *)opaque)->kick_efd;
}

// ---- the thread

static void signal_efd(int efd)
{
	const uint64_t one = 1;

	// Cannot block: nobody can write 2^64 times before the thread reads.
	while (write(efd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void worker_device_kick(const struct worker_device *dev)
{
	signal_efd(dev->kick_efd);
}

bool worker_device_wait(const struct worker_device *dev, int fd, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = dev->stop_efd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	uint64_t nkicks;

	(void)poll(fds, 2, timeout_ms);
	// How many there were does not matter: an extra check is harmless.
	if (fd == dev->kick_efd && fds[1].revents)
		(void)!read(dev->kick_efd, &nkicks, sizeof(nkicks));
	return fds[0].revents == 0;
}

static void worker_main(void *opaque)
{
	struct worker_device *dev = opaque;

	while (dev->turn(dev))
		;
}

static int start_worker(struct worker_device *dev)
{
	const struct thread_options opts = { .kind = THREAD_WORKER, .run = worker_main, .opaque = dev };
	int rc = thread_start(&dev->worker, &opts, "%s/%s", dev->kind, dev->name);

	dev->has_worker = rc == 0;
	return rc;
}

// ---- life

static void on_config_interrupt(void *opaque)
{
	virtio_pci_config_interrupt(((struct worker_device *)opaque)->pci);
}

static void on_guest_fault(void *opaque, const char *what)
{
	log_guest("%s: guest fault, device needs reset: %s", ((struct worker_device *)opaque)->name, what);
}

int worker_device_init(struct worker_device *dev, const char *name, const struct worker_device_options *opts)
{
	const struct virtio_config cfg = {
		.mem = opts->mem,
		.features = opts->features,
		.queues = opts->queues,
		.nqueues = opts->nqueues,
		.queue_size_max = opts->queue_size_max,
		.callbacks = { .config_interrupt = on_config_interrupt, .guest_fault = on_guest_fault, .opaque = dev },
	};

	dev->kind = opts->kind;
	dev->turn = opts->turn;
	fair_lock_init(&dev->lock);
	virtio_init(&dev->virtio, &cfg);
	dev->name = strdup(name);
	dev->kick_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dev->stop_efd = dev->kick_efd < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
	if (dev->stop_efd < 0)
		return -errno;
	return dev->name ? 0 : -ENOMEM;
}

void worker_device_fini(struct worker_device *dev)
{
	if (dev->has_worker) {
		fair_lock_take(&dev->lock);
		virtio_reset(&dev->virtio);
		fair_lock_release(&dev->lock);
		signal_efd(dev->stop_efd);
		pthread_join(dev->worker.id, NULL);
	}
	if (dev->kick_efd >= 0)
		close(dev->kick_efd);
	if (dev->stop_efd >= 0)
		close(dev->stop_efd);
	fair_lock_destroy(&dev->lock);
	free(dev->name);
}

int worker_device_plug(struct worker_device *dev, const struct virtio_pci_config *pci,
                       const struct virtio_device_ops *ops, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config cfg = *pci;
	int rc = start_worker(dev);

	cfg.ops = ops;
	cfg.device = dev;
	if (rc)
		error_set(err, rc, "%s: cannot start a thread: %s", ops->model, strerror(-rc));
	else
		rc = virtio_pci_create(&cfg, &dev->pci, err);
	if (rc)
		ops->destroy(dev);
	else
		*out = dev->pci;
	return rc;
}
