// SPDX-License-Identifier: Apache-2.0
// A network card's queues served by a thread: the back end as vhost.c sees it, the thread, its life.
#include "net_worker_internal.h"

#include "error.h"
#include "virtio.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BIT(n) (UINT64_C(1) << (n))

uint64_t net_worker_features(void)
{
	return BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) |
	       BIT(VIRTIO_NET_F_MRG_RXBUF);
}

/* ---- the back end, for vhost.c ------------------------------------------------------------------------- */

static struct net_worker *worker_of(struct vhost_backend *backend)
{
	return (struct net_worker *)((char *)backend - offsetof(struct net_worker, backend));
}

static void wake(const struct net_worker *w)
{
	(void)!eventfd_write(w->wake_efd, 1);
}

static int set_features(struct vhost_backend *backend, uint64_t features)
{
	struct net_worker *w = worker_of(backend);

	fair_lock_take(&w->lock);
	w->features = features;
	fair_lock_release(&w->lock);
	return 0;
}

/* RAM never changes, and nothing else is accessed. */
static int set_memory(struct vhost_backend *backend, const struct vm_memory *memory)
{
	(void)backend, (void)memory;
	return 0;
}

/* All that was taken from a queue was returned, so both of its positions are the same. */
static int set_ring(struct vhost_backend *backend, const struct vhost_ring *ring)
{
	struct net_worker *w = worker_of(backend);

	fair_lock_take(&w->lock);
	w->queues[ring->idx] = (struct virtq) {
		.size_max = ring->size,
		.regs = { .size = ring->size, .enabled = true },
		.mem = w->mem,
		.event_idx = w->features & BIT(VIRTIO_F_EVENT_IDX),
		.indirect = w->features & BIT(VIRTIO_F_INDIRECT_DESC),
		.desc_hva = ring->desc_hva,
		.avail_hva = ring->avail_hva,
		.used_hva = (uint8_t *)ring->used_hva,
		.avail_idx = ring->base,
		.used_idx = ring->base,
		.published_idx = ring->base,
	};
	w->kick_efds[ring->idx] = ring->kick_efd;
	w->call_efds[ring->idx] = ring->call_efd;
	w->error_efd = ring->error_efd;
	fair_lock_release(&w->lock);
	return 0;
}

static void set_running(struct net_worker *w, bool running)
{
	fair_lock_take(&w->lock);
	w->running = running;
	w->rx_starved = w->tx_blocked = false;
	fair_lock_release(&w->lock);
	wake(w);
}

static int run(struct vhost_backend *backend)
{
	set_running(worker_of(backend), true);
	return 0;
}

static void stop(struct vhost_backend *backend)
{
	set_running(worker_of(backend), false);
}

static int get_base(struct vhost_backend *backend, uint16_t idx, uint16_t *base)
{
	*base = worker_of(backend)->queues[idx].avail_idx;
	return 0;
}

static const struct vhost_backend_ops backend_ops = {
	.set_features = set_features,
	.set_memory = set_memory,
	.set_ring = set_ring,
	.run = run,
	.stop = stop,
	.get_base = get_base,
};

struct vhost_backend *net_worker_backend(struct net_worker *w)
{
	return &w->backend;
}

void net_worker_set_discard(struct net_worker *w, bool discard)
{
	fair_lock_take(&w->lock);
	w->discards = discard;
	fair_lock_release(&w->lock);
	wake(w);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static bool read_away(int efd)
{
	eventfd_t count;

	return eventfd_read(efd, &count) == 0;
}

/* Whatever happened, the port may take a frame again, or there is no connection any more: a try is harmless. */
static void wait_for(struct net_worker *w, const struct net_wait *wait)
{
	struct pollfd fds[] = { { .fd = w->wake_efd, .events = POLLIN },
		                { .fd = wait->kick_efds[NET_RX], .events = POLLIN },
		                { .fd = wait->kick_efds[NET_TX], .events = POLLIN },
		                { .fd = wait->port_fd, .events = wait->port_events } };
	bool gone;

	(void)poll(fds, sizeof(fds) / sizeof(fds[0]), -1);
	if (fds[0].revents)
		(void)read_away(w->wake_efd);
	gone = fds[3].revents & (POLLHUP | POLLERR | POLLNVAL) && !(fds[3].events & POLLIN);
	if (gone)
		w->port.hung_up(w->port.port, fds[3].fd);
	fair_lock_worker_take(&w->lock);
	/* They are the device's. Once it has stopped the worker it may close them, and the numbers may be those of others. */
	for (unsigned i = 0; i < 2; i++)
		if (fds[1 + i].revents && w->running && w->kick_efds[i] == fds[1 + i].fd)
			(void)read_away(fds[1 + i].fd);
	if (fds[0].revents || fds[1].revents)
		w->rx_starved = false;
	if (fds[0].revents || fds[3].revents)
		w->tx_blocked = false;
	fair_lock_worker_release(&w->lock);
}

static void thread_main(void *opaque)
{
	struct net_worker *w = opaque;
	struct net_wait wait;

	while (!atomic_load(&w->ends))
		if (!net_worker_serve(w, &wait))
			wait_for(w, &wait);
}

static int start_thread(struct net_worker *w)
{
	const struct thread_options opts = { .kind = THREAD_WORKER, .run = thread_main, .opaque = w };

	return thread_start(&w->thread, &opts, "net/%s", w->name);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

int net_worker_init(struct net_worker *w, const struct net_worker_options *opts)
{
	fair_lock_init(&w->lock);
	w->backend.ops = &backend_ops;
	w->mem = opts->mem;
	w->port = opts->port;
	w->name = strdup(opts->name);
	w->wake_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return !w->name ? -ENOMEM : w->wake_efd < 0 ? -errno : 0;
}

void net_worker_fini(struct net_worker *w)
{
	if (w->wake_efd >= 0)
		close(w->wake_efd);
	fair_lock_destroy(&w->lock);
	free(w->name);
}

int net_worker_create(const struct net_worker_options *opts, struct net_worker **out, struct vpmem_error *err)
{
	struct net_worker *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return error_set(err, -ENOMEM, "virtio-net-pci: out of memory");
	rc = net_worker_init(w, opts);
	if (rc == 0) {
		w->port.set_wake_efd(w->port.port, w->wake_efd);
		rc = start_thread(w);
		if (rc)
			w->port.set_wake_efd(w->port.port, -1);
	}
	if (rc) {
		net_worker_fini(w);
		free(w);
		return error_set(err, rc, "virtio-net-pci: cannot start a thread: %s", strerror(-rc));
	}
	*out = w;
	return 0;
}

void net_worker_destroy(struct net_worker *w)
{
	if (!w)
		return;
	atomic_store(&w->ends, true);
	wake(w);
	pthread_join(w->thread.id, NULL);
	w->port.set_wake_efd(w->port.port, -1);
	net_worker_fini(w);
	free(w);
}
