// SPDX-License-Identifier: Apache-2.0
// A virtio device of several queues for tests, on virtio's own queues and negotiation.
#include "echo_device.h"

#include "guest_access.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BIT(n) (UINT64_C(1) << (n))

static void lock(struct echo *echo)
{
	pthread_mutex_lock(&echo->lock);
	echo->nlocks++;
}

static void unlock(struct echo *echo)
{
	pthread_mutex_unlock(&echo->lock);
}

/* ---- registers --------------------------------------------------------------------------------------- */

static unsigned echo_nqueues(const void *device)
{
	return ((const struct echo *)device)->virtio.nqueues;
}

static void echo_read(void *device, const struct virtio_select *select, struct virtio_registers *out)
{
	struct echo *echo = device;

	lock(echo);
	out->features = virtio_features(&echo->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&echo->virtio, select->driver_feature_word);
	out->queue = virtio_queue_get(&echo->virtio, select->queue_idx);
	memcpy(out->config, echo->config, sizeof(echo->config));
	unlock(echo);
}

static uint8_t echo_status(const void *device)
{
	return virtio_status(&((const struct echo *)device)->virtio);
}

static uint8_t echo_config_generation(const void *device)
{
	return virtio_config_generation(&((const struct echo *)device)->virtio);
}

static void echo_set_driver_features(void *device, uint32_t word, uint32_t bits)
{
	struct echo *echo = device;

	lock(echo);
	virtio_set_driver_features(&echo->virtio, word, bits);
	unlock(echo);
}

static void echo_set_status(void *device, uint8_t status)
{
	struct echo *echo = device;

	eventfd_t count;

	lock(echo);
	virtio_set_status(&echo->virtio, status);
	for (unsigned i = 0; status == 0 && i < echo->virtio.nqueues; i++)
		(void)!eventfd_read(echo->call_efds[i], &count);
	unlock(echo);
}

static void echo_config_write(void *device, uint32_t off, const uint8_t *bytes, uint32_t len)
{
	struct echo *echo = device;

	lock(echo);
	for (uint32_t i = 0; i < len; i++)
		if (off + i == ECHO_CONFIG_LEVEL || off + i == ECHO_CONFIG_LAST)
			echo->config[off + i] = bytes[i];
	unlock(echo);
}

static void echo_queue_set(void *device, uint16_t queue_idx, const struct virtq_regs *regs)
{
	struct echo *echo = device;

	lock(echo);
	virtio_queue_set(&echo->virtio, queue_idx, regs);
	unlock(echo);
}

static void echo_queue_enable(void *device, uint16_t queue_idx)
{
	struct echo *echo = device;

	lock(echo);
	virtio_queue_enable(&echo->virtio, queue_idx);
	unlock(echo);
}

static void echo_queue_reset(void *device, uint16_t queue_idx)
{
	struct echo *echo = device;

	lock(echo);
	virtio_queue_reset(&echo->virtio, queue_idx);
	unlock(echo);
}

static void echo_queue_kick(void *device, uint16_t queue_idx)
{
	const uint64_t one = 1;

	(void)!write(((struct echo *)device)->kick_efds[queue_idx], &one, sizeof(one));
}

static int echo_queue_kick_efd(const void *device, uint16_t queue_idx)
{
	return ((const struct echo *)device)->kick_efds[queue_idx];
}

static int echo_queue_call_efd(const void *device, uint16_t queue_idx)
{
	return ((const struct echo *)device)->call_efds[queue_idx];
}

static int echo_destroy(void *device)
{
	struct echo *echo = device;

	for (unsigned i = 0; i < echo->virtio.nqueues; i++) {
		close(echo->kick_efds[i]);
		if (echo->call_efds[i] >= 0)
			close(echo->call_efds[i]);
	}
	pthread_mutex_destroy(&echo->lock);
	echo->destroyed = true;
	return -EREMOTEIO;
}

const struct virtio_device_ops echo_ops = {
	.model = "virtio-echo-pci",
	.device_id = ECHO_DEVICE_ID,
	.class_code = ECHO_CLASS,
	.config_size = ECHO_CONFIG_SIZE,
	.config_changes = true,
	.nqueues = echo_nqueues,
	.read = echo_read,
	.status = echo_status,
	.config_generation = echo_config_generation,
	.set_driver_features = echo_set_driver_features,
	.set_status = echo_set_status,
	.config_write = echo_config_write,
	.queue_set = echo_queue_set,
	.queue_enable = echo_queue_enable,
	.queue_reset = echo_queue_reset,
	.queue_kick = echo_queue_kick,
	.queue_kick_efd = echo_queue_kick_efd,
	.destroy = echo_destroy,
};

/* ---- requests ---------------------------------------------------------------------------------------- */

/* One chain: the bytes that the driver wrote, then where the answer goes. Returns the bytes written. */
static uint32_t answer(struct echo *echo, unsigned queue_idx, struct virtq_chain *chain)
{
	bool upper = virtio_has_feature(&echo->virtio, ECHO_F_UPPER);
	uint8_t bytes[64], *out;
	uint32_t len = 0, n = 0;
	struct virtq_buf buf = { .writable = false };

	while (virtq_chain_next(chain, &buf) > 0 && !buf.writable)
		for (uint32_t i = 0; i < buf.len && len < sizeof(bytes); i++)
			bytes[len++] = guest_load8(buf.hva + i);
	if (!buf.writable)
		return 0;
	out = buf.hva;
	if (queue_idx % 2) {
		for (; n < 4 && n < buf.len; n++)
			guest_store8(out + n, (uint8_t)(len >> 8 * n));
		return n;
	}
	for (; n < len && n < buf.len; n++)
		guest_store8(out + n, upper ? (uint8_t)toupper(bytes[n]) : bytes[n]);
	return n;
}

static void interrupt(struct echo *echo, uint16_t queue_idx)
{
	if (echo->call_efds[queue_idx] < 0)
		virtio_pci_queue_interrupt(echo->pci, queue_idx);
	else
		(void)!eventfd_write(echo->call_efds[queue_idx], 1);
}

unsigned echo_serve(struct echo *echo, uint16_t queue_idx)
{
	struct virtq *q = &echo->queues[queue_idx];
	struct virtq_chain chain;
	unsigned nanswered = 0;
	uint64_t nkicks;
	int navail;

	if (read(echo->kick_efds[queue_idx], &nkicks, sizeof(nkicks)) != (ssize_t)sizeof(nkicks))
		return 0;
	lock(echo);
	navail = virtio_queue_live(&echo->virtio, q) ? virtq_available(q) : 0;
	if (navail < 0)
		virtio_guest_fault(&echo->virtio, q->fault);
	for (; (int)nanswered < navail && virtq_pop(q, &chain) == 0; nanswered++)
		virtq_push(q, chain.head, answer(echo, queue_idx, &chain));
	if (nanswered > 0 && virtq_publish(q))
		interrupt(echo, queue_idx);
	unlock(echo);
	return nanswered;
}

void echo_set_temperature(struct echo *echo, uint32_t temperature)
{
	lock(echo);
	for (unsigned i = 0; i < 4; i++)
		echo->config[ECHO_CONFIG_TEMPERATURE + i] = (uint8_t)(temperature >> 8 * i);
	virtio_config_changed(&echo->virtio);
	virtio_pci_config_changed(echo->pci);
	unlock(echo);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void on_config_interrupt(void *opaque)
{
	virtio_pci_config_interrupt(((struct echo *)opaque)->pci);
}

static void on_guest_fault(void *opaque, const char *what)
{
	(void)what;
	((struct echo *)opaque)->nfaults++;
}

int echo_create(struct echo *echo, const struct gmem *mem, unsigned nqueues, struct virtio_pci_config pci)
{
	const struct virtio_config cfg = {
		.mem = mem,
		.features = BIT(ECHO_F_UPPER) | BIT(ECHO_F_OTHER) | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_RESET),
		.queues = echo->queues,
		.nqueues = nqueues,
		.queue_size_max = ECHO_QUEUE_SIZE_MAX,
		.callbacks = { .config_interrupt = on_config_interrupt, .guest_fault = on_guest_fault, .opaque = echo },
	};

	memset(echo, 0, sizeof(*echo));
	pthread_mutex_init(&echo->lock, NULL);
	for (unsigned i = 0; i < nqueues; i++) {
		echo->kick_efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		echo->call_efds[i] = pci.loop ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	}
	virtio_init(&echo->virtio, &cfg);
	echo->call_ops = echo_ops;
	echo->call_ops.queue_call_efd = echo_queue_call_efd;
	pci.ops = pci.loop ? &echo->call_ops : &echo_ops;
	pci.device = echo;
	return virtio_pci_create(&pci, &echo->pci, NULL);
}
