// SPDX-License-Identifier: Apache-2.0
// virtio-rng-pci: the registers of the entropy device, its worker, its life.
#include "virtio_rng.h"

#include "error.h"
#include "log.h"
#include "virtio_rng_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MODEL "virtio-rng-pci"
#define VIRTIO_RNG_ID 4u
#define WORKER_STACK_SIZE (64u << 10)

#define BIT(n) (UINT64_C(1) << (n))

/* ---- registers --------------------------------------------------------------------------------------- */

static unsigned rng_nqueues(const void *opaque)
{
	(void)opaque;
	return 1;
}

static void rng_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out)
{
	struct virtio_rng *rng = opaque;

	fair_lock_take(&rng->lock);
	out->features = virtio_features(&rng->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&rng->virtio, select->driver_feature_word);
	out->queue = virtio_queue_get(&rng->virtio, select->queue_idx);
	fair_lock_release(&rng->lock);
}

static uint8_t rng_status(const void *opaque)
{
	return virtio_status(&((const struct virtio_rng *)opaque)->virtio);
}

static uint8_t rng_config_generation(const void *opaque)
{
	return virtio_config_generation(&((const struct virtio_rng *)opaque)->virtio);
}

static void rng_set_driver_features(void *opaque, uint32_t word, uint32_t bits)
{
	struct virtio_rng *rng = opaque;

	fair_lock_take(&rng->lock);
	virtio_set_driver_features(&rng->virtio, word, bits);
	fair_lock_release(&rng->lock);
}

static void signal_efd(int efd)
{
	const uint64_t one = 1;

	// Cannot block: nobody can write 2^64 times before the worker reads.
	while (write(efd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void rng_queue_kick(void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	signal_efd(((struct virtio_rng *)opaque)->kick_efd);
}

/* What was made available before DRIVER_OK, or before the queue was enabled, is served then. */
static void rng_set_status(void *opaque, uint8_t status)
{
	struct virtio_rng *rng = opaque;
	bool starts;

	fair_lock_take(&rng->lock);
	starts = virtio_set_status(&rng->virtio, status);
	fair_lock_release(&rng->lock);
	if (starts)
		signal_efd(rng->kick_efd);
}

static void rng_queue_set(void *opaque, uint16_t queue_idx, const struct virtq_regs *regs)
{
	struct virtio_rng *rng = opaque;

	fair_lock_take(&rng->lock);
	virtio_queue_set(&rng->virtio, queue_idx, regs);
	fair_lock_release(&rng->lock);
}

static void rng_queue_enable(void *opaque, uint16_t queue_idx)
{
	struct virtio_rng *rng = opaque;
	bool starts;

	fair_lock_take(&rng->lock);
	starts = virtio_queue_enable(&rng->virtio, queue_idx);
	fair_lock_release(&rng->lock);
	if (starts)
		signal_efd(rng->kick_efd);
}

static void rng_queue_reset(void *opaque, uint16_t queue_idx)
{
	struct virtio_rng *rng = opaque;

	fair_lock_take(&rng->lock);
	virtio_queue_reset(&rng->virtio, queue_idx);
	fair_lock_release(&rng->lock);
}

static int rng_queue_kick_efd(const void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	return ((const struct virtio_rng *)opaque)->kick_efd;
}

/* ---- the worker -------------------------------------------------------------------------------------- */

/* Returns false when the device ends. */
static bool wait_for(const struct virtio_rng *rng, enum rng_wait what, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = rng->stop_efd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	uint64_t nkicks;

	if (what == RNG_WAIT_KICK)
		fds[1].fd = rng->kick_efd;
	if (what == RNG_WAIT_SOURCE)
		fds[1].fd = rng->source_fd;
	(void)poll(fds, 2, timeout_ms);
	/* How many there were does not matter: an extra check is harmless. */
	if (what == RNG_WAIT_KICK && fds[1].revents)
		(void)!read(rng->kick_efd, &nkicks, sizeof(nkicks));
	return fds[0].revents == 0;
}

static void *worker_main(void *opaque)
{
	struct virtio_rng *rng = opaque;
	enum rng_wait wait;
	char name[16];
	int timeout_ms;

	/* For lists of threads; truncated to what the kernel keeps. */
	snprintf(name, sizeof(name), "rng/%s", rng->name);
	pthread_setname_np(pthread_self(), name);
	do
		wait = rng_serve(rng, &timeout_ms);
	while (wait_for(rng, wait, timeout_ms));
	return NULL;
}

/* Signals are blocked, as in the thread that creates this one. */
static int start_worker(struct virtio_rng *rng)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return -rc;
	rc = pthread_attr_setstacksize(&attr, WORKER_STACK_SIZE);
	if (rc == 0)
		rc = pthread_create(&rng->worker, &attr, worker_main, rng);
	pthread_attr_destroy(&attr);
	return -rc;
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void rng_free(struct virtio_rng *rng)
{
	const int fds[] = { rng->kick_efd, rng->stop_efd, rng->source_fd };

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	fair_lock_destroy(&rng->lock);
	free(rng->name);
	free(rng);
}

static int rng_destroy(void *opaque)
{
	struct virtio_rng *rng = opaque;

	fair_lock_take(&rng->lock);
	virtio_reset(&rng->virtio);
	fair_lock_release(&rng->lock);
	signal_efd(rng->stop_efd);
	pthread_join(rng->worker, NULL);
	rng_free(rng);
	return 0;
}

static const struct virtio_device_ops rng_ops = {
	.model = MODEL,
	.device_id = VIRTIO_RNG_ID,
	.class_code = 0x00ff00, /* unclassified, as QEMU has it */
	.config_size = 0,
	.nqueues = rng_nqueues,
	.read = rng_read,
	.status = rng_status,
	.config_generation = rng_config_generation,
	.set_driver_features = rng_set_driver_features,
	.set_status = rng_set_status,
	.queue_set = rng_queue_set,
	.queue_enable = rng_queue_enable,
	.queue_reset = rng_queue_reset,
	.queue_kick = rng_queue_kick,
	.queue_kick_efd = rng_queue_kick_efd,
	.destroy = rng_destroy,
};

static void on_config_interrupt(void *opaque)
{
	virtio_pci_config_interrupt(((struct virtio_rng *)opaque)->pci);
}

static void on_guest_fault(void *opaque, const char *what)
{
	log_guest("%s: guest fault, device needs reset: %s", ((struct virtio_rng *)opaque)->name, what);
}

static void init_virtio(struct virtio_rng *rng, const struct virtio_rng_options *opts)
{
	const struct virtio_config cfg = {
		.mem = opts->mem,
		.features = BIT(VIRTIO_F_VERSION_1) | (opts->no_event_idx ? 0 : BIT(VIRTIO_F_EVENT_IDX)) |
		            (opts->no_indirect_desc ? 0 : BIT(VIRTIO_F_INDIRECT_DESC)) |
		            (opts->no_ring_reset ? 0 : BIT(VIRTIO_F_RING_RESET)),
		.queues = &rng->queue,
		.nqueues = 1,
		.queue_size_max = RNG_QUEUE_SIZE_MAX,
		.callbacks = { .config_interrupt = on_config_interrupt, .guest_fault = on_guest_fault, .opaque = rng },
	};

	virtio_init(&rng->virtio, &cfg);
}

static int open_fds(struct virtio_rng *rng, int source_fd)
{
	rng->kick_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rng->stop_efd = rng->kick_efd < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
	if (rng->stop_efd < 0)
		return -errno;
	if (source_fd >= 0)
		rng->source_fd = fcntl(source_fd, F_DUPFD_CLOEXEC, 0);
	return source_fd >= 0 && rng->source_fd < 0 ? -errno : 0;
}

/* The device without its worker. */
static int rng_alloc(const struct virtio_rng_options *opts, struct virtio_rng **out)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	int rc;

	if (!rng)
		return -ENOMEM;
	rng->kick_efd = rng->stop_efd = rng->source_fd = -1;
	rng->max_bytes = rng->quota = opts->max_bytes;
	rng->period_ms = opts->period_ms;
	fair_lock_init(&rng->lock);
	init_virtio(rng, opts);
	rng->name = strdup(opts->pci.id ? opts->pci.id : MODEL);
	rc = rng->name ? open_fds(rng, opts->source_fd) : -ENOMEM;
	if (rc)
		rng_free(rng);
	else
		*out = rng;
	return rc;
}

int virtio_rng_create(const struct virtio_rng_options *opts, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config pci = opts->pci;
	struct virtio_rng *rng;
	int rc = rng_alloc(opts, &rng);

	if (rc)
		return error_set(err, rc, MODEL ": %s", strerror(-rc));
	rc = start_worker(rng);
	if (rc) {
		rng_free(rng);
		return error_set(err, rc, MODEL ": cannot start a thread: %s", strerror(-rc));
	}
	pci.ops = &rng_ops;
	pci.device = rng;
	/* No interrupt before the driver has come, which is after the transport has set rng->pci. */
	rc = virtio_pci_create(&pci, &rng->pci, err);
	if (rc)
		rng_destroy(rng);
	else
		*out = rng->pci;
	return rc;
}
