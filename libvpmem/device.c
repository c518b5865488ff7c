// SPDX-License-Identifier: Apache-2.0
/*
 * device.c - how a pmem device comes into being and goes away, with its worker.
 */
#include "error.h"
#include "guest_memory.h"
#include "pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The worker's frames are small, and so is what a callback may need. */
#define WORKER_STACK_SIZE (64u << 10)

static int check_size(const struct vpmem_device_options *opts, struct vpmem_error *err)
{
	uint64_t size = vpmem_backing_size(opts->backing);
	uint64_t below = size / VPMEM_GRANULE * VPMEM_GRANULE, above = below + VPMEM_GRANULE;

	if (size > 0 && size == below)
		return 0;
	if (below == 0) {
		below = VPMEM_GRANULE;
		above = 2 * VPMEM_GRANULE;
	}
	err_fail(err, -EINVAL,
	         "memory backend '%s' has %" PRIu64 " bytes, but the guest's kernel maps persistent memory "
	         "in units of 2 MiB: the nearest sizes that work are %" PRIu64 " bytes (%" PRIu64 " MiB) "
	         "and %" PRIu64 " bytes (%" PRIu64 " MiB)",
	         vpmem_backing_id(opts->backing), size, below, below >> 20, above, above >> 20);
	err_hint(err, "use one of them for size=, or make the file larger: truncate -s %" PRIu64 "M %s",
	         (size <= below ? below : above) >> 20, vpmem_backing_path(opts->backing));
	return -EINVAL;
}

static int check_options(const struct vpmem_device_options *opts, struct vpmem_error *err)
{
	if (!opts->name || !opts->gmem || !opts->backing || !opts->callbacks.interrupt)
		return err_fail(err, -EINVAL, "a pmem device needs a name, guest memory, a backing and an interrupt");
	if (opts->gpa > UINT64_MAX - vpmem_backing_size(opts->backing))
		return err_fail(err, -EINVAL, "can't add memory device, device too big");
	return check_size(opts, err);
}

static uint64_t offered_features(const struct vpmem_device_options *opts)
{
	uint64_t bits = UINT64_C(1) << VIRTIO_F_VERSION_1;

	if (opts->shmem)
		bits |= UINT64_C(1) << VIRTIO_PMEM_F_SHMEM_REGION;
	if (!opts->no_event_idx)
		bits |= UINT64_C(1) << VIRTIO_F_EVENT_IDX;
	if (!opts->no_indirect_desc)
		bits |= UINT64_C(1) << VIRTIO_F_INDIRECT_DESC;
	if (!opts->no_ring_reset)
		bits |= UINT64_C(1) << VIRTIO_F_RING_RESET;
	return bits;
}

static void init_virtio(struct vpmem_device *dev, const struct vpmem_device_options *opts)
{
	const struct virtio_config cfg = {
		.mem = &opts->gmem->mem,
		.features = offered_features(opts),
		.queues = dev->queues,
		.nqueues = VPMEM_QUEUE_COUNT,
		.queue_size_max = VPMEM_QUEUE_SIZE_MAX,
		.callbacks = pmem_virtio_callbacks(dev),
	};

	virtio_init(&dev->virtio, &cfg);
}

/* Signals are the monitor's, but for those that a thread brings upon itself, which a handler may want. */
static sigset_t worker_signals(void)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	return set;
}

/* For lists of threads; truncated to what the kernel keeps. A thread names itself by one system call. */
static void name_worker(const struct vpmem_device *dev)
{
	char name[16];

	snprintf(name, sizeof(name), "flush/%s", dev->name);
	pthread_setname_np(pthread_self(), name);
}

/* If the monitor refuses it, the device is freed once this has posted. */
static void *worker_thread(void *opaque)
{
	struct vpmem_device *dev = opaque;
	int rc = 0;

	name_worker(dev);
	if (dev->callbacks.worker_started) {
		rc = dev->start_rc = dev->callbacks.worker_started(dev->callbacks.opaque);
		sem_post(&dev->started);
	}
	if (rc == 0)
		pmem_worker_main(dev);
	return NULL;
}

static int wait_started(struct vpmem_device *dev)
{
	if (!dev->callbacks.worker_started)
		return 0;
	while (sem_wait(&dev->started) < 0 && errno == EINTR)
		;
	if (dev->start_rc)
		pthread_join(dev->worker, NULL);
	return dev->start_rc;
}

/* The new thread begins with this mask: by itself where the C library can (glibc 2.32), or else with its creator's. */
static int create_worker(struct vpmem_device *dev, pthread_attr_t *attr, const sigset_t *blocked)
{
	int rc;
#if HAVE_PTHREAD_ATTR_SETSIGMASK_NP
	rc = pthread_attr_setsigmask_np(attr, blocked);
	return rc ? rc : pthread_create(&dev->worker, attr, worker_thread, dev);
#else
	sigset_t old;

	pthread_sigmask(SIG_SETMASK, blocked, &old);
	rc = pthread_create(&dev->worker, attr, worker_thread, dev);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
#endif
}

static int start_worker(struct vpmem_device *dev)
{
	sigset_t blocked = worker_signals();
	pthread_attr_t attr;
	int rc;

	rc = pthread_attr_init(&attr);
	if (rc)
		return -rc;
	rc = pthread_attr_setstacksize(&attr, WORKER_STACK_SIZE);
	if (!rc)
		rc = create_worker(dev, &attr, &blocked);
	pthread_attr_destroy(&attr);
	return rc ? -rc : wait_started(dev);
}

int vpmem_device_create(const struct vpmem_device_options *opts, struct vpmem_device **out, struct vpmem_error *err)
{
	struct vpmem_device *dev;
	int rc = check_options(opts, err);

	if (rc)
		return rc;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return err_fail(err, -ENOMEM, "pmem: %s: %m", opts->name);
	dev->name = strdup(opts->name);
	if (!dev->name) {
		rc = -ENOMEM;
		goto out_free;
	}
	dev->backing = opts->backing;
	dev->gpa = opts->gpa;
	dev->callbacks = opts->callbacks;
	init_virtio(dev, opts);
	dev->hold_on_error = opts->hold_on_error;
	fair_lock_init(&dev->lock);
	pthread_cond_init(&dev->released, NULL);
	sem_init(&dev->started, 0, 0);
	dev->kick_efd = eventfd(0, EFD_CLOEXEC);
	if (dev->kick_efd < 0) {
		rc = -errno;
		goto out_lock;
	}
	rc = start_worker(dev);
	if (rc)
		goto out_efd;
	*out = dev;
	return 0;

out_efd:
	close(dev->kick_efd);
out_lock:
	pthread_cond_destroy(&dev->released);
	fair_lock_destroy(&dev->lock);
	free(dev->name);
out_free:
	free(dev);
	return err_fail(err, rc, "pmem: %s: cannot create the device: %m", opts->name);
}

int vpmem_device_destroy(struct vpmem_device *dev)
{
	int error;

	if (!dev)
		return 0;
	fair_lock_take(&dev->lock);
	virtio_reset(&dev->virtio);
	dev->stopping = true;
	pthread_cond_broadcast(&dev->released);
	fair_lock_release(&dev->lock);
	pmem_wake(dev);
	pthread_join(dev->worker, NULL);
	error = vpmem_device_error(dev);
	close(dev->kick_efd);
	pthread_cond_destroy(&dev->released);
	fair_lock_destroy(&dev->lock);
	free(dev->name);
	free(dev);
	return error;
}
