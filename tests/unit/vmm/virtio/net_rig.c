// SPDX-License-Identifier: Apache-2.0
// The worker of a network card without a thread.
#include "net_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PORT_FD 1000 /* nobody has it */

// ---- the other side of the port

static int poll_fd(void *port)
{
	(void)port;
	return PORT_FD;
}

static void set_wake_efd(void *port, int efd)
{
	(void)port, (void)efd;
}

static const uint8_t *next(void *opaque, size_t *len)
{
	struct net_rig_port *port = opaque;

	*len = port->next_len;
	return port->nnext > 0 ? port->next : NULL;
}

static void drop(void *opaque)
{
	struct net_rig_port *port = opaque;

	port->nnext--;
	port->ndropped++;
}

static int send_frame(void *opaque, const struct iovec *iov, unsigned niov, size_t len)
{
	struct net_rig_port *port = opaque;

	if (port->blocked)
		return -EAGAIN;
	port->sent_len = 0;
	for (unsigned i = 0; i < niov; i++) {
		memcpy(port->sent + port->sent_len, iov[i].iov_base, iov[i].iov_len);
		port->sent_len += iov[i].iov_len;
	}
	port->nsent += port->sent_len == len;
	return 0;
}

static bool flush(void *opaque)
{
	return !((struct net_rig_port *)opaque)->unflushed;
}

static void hung_up(void *opaque, int fd)
{
	((struct net_rig_port *)opaque)->nhung_up += fd == PORT_FD;
}

// ---- life

static void set_rings(struct net_rig *rig, bool anew)
{
	struct vhost_backend *backend = net_worker_backend(&rig->worker);

	for (unsigned i = 0; i < 2; i++) {
		struct vhost_ring ring = { .idx = (uint16_t)i,
			                   .size = RIG_QUEUE_SIZE,
			                   .desc_hva = net_rig_hva(rig, RIG_DESC(i)),
			                   .avail_hva = net_rig_hva(rig, RIG_AVAIL(i)),
			                   .used_hva = net_rig_hva(rig, RIG_USED(i)),
			                   .kick_efd = rig->kick_efds[i],
			                   .call_efd = rig->call_efds[i],
			                   .error_efd = rig->error_efd };

		if (!anew)
			backend->ops->get_base(backend, (uint16_t)i, &ring.base);
		backend->ops->set_ring(backend, &ring);
	}
}

void net_rig_restart(struct net_rig *rig, bool anew)
{
	struct vhost_backend *backend = net_worker_backend(&rig->worker);

	backend->ops->stop(backend);
	if (anew) {
		memset(net_rig_hva(rig, RIG_AVAIL(0)), 0, 0x2000);
		memset(net_rig_hva(rig, RIG_AVAIL(1)), 0, 0x2000);
		memset(rig->avail_idx, 0, sizeof(rig->avail_idx));
		memset(rig->used_idx, 0, sizeof(rig->used_idx));
	}
	set_rings(rig, anew);
	backend->ops->run(backend);
}

void net_rig_init(struct net_rig *rig, uint64_t features)
{
	const struct net_worker_options opts = {
		.name = "net1",
		.mem = &rig->mem,
		.port = { .poll_fd = poll_fd,
		          .set_wake_efd = set_wake_efd,
		          .next = next,
		          .drop = drop,
		          .send = send_frame,
		          .flush = flush,
		          .hung_up = hung_up,
		          .port = &rig->port },
	};
	struct vhost_backend *backend;

	memset(rig, 0, sizeof(*rig));
	gmem_init(&rig->mem);
	gmem_add(&rig->mem, RIG_RAM_GPA, RIG_RAM_SIZE, rig->ram);
	for (unsigned i = 0; i < 2; i++) {
		rig->kick_efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig->call_efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	rig->error_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	net_worker_init(&rig->worker, &opts);
	backend = net_worker_backend(&rig->worker);
	backend->ops->set_features(backend, features);
	set_rings(rig, true);
	backend->ops->run(backend);
}

void net_rig_fini(struct net_rig *rig)
{
	for (unsigned i = 0; i < 2; i++) {
		close(rig->kick_efds[i]);
		close(rig->call_efds[i]);
	}
	close(rig->error_efd);
	net_worker_fini(&rig->worker);
}

// ---- the driver

uint8_t *net_rig_hva(struct net_rig *rig, uint64_t gpa)
{
	return rig->ram + (gpa - RIG_RAM_GPA);
}

static void put(uint8_t *at, uint64_t val, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		at[i] = (uint8_t)(val >> 8 * i);
}

static uint64_t get(const uint8_t *at, unsigned len)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)at[i] << 8 * i;
	return val;
}

void net_rig_desc(struct net_rig *rig, uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                  unsigned next_idx)
{
	uint8_t *at = net_rig_hva(rig, table_gpa) + 16 * idx;

	put(at, gpa, 8);
	put(at + 8, len, 4);
	put(at + 12, flags, 2);
	put(at + 14, next_idx, 2);
}

void net_rig_offer(struct net_rig *rig, unsigned queue, uint16_t head)
{
	uint8_t *avail = net_rig_hva(rig, RIG_AVAIL(queue));

	put(avail + 4 + 2 * (rig->avail_idx[queue] % RIG_QUEUE_SIZE), head, 2);
	put(avail + 2, ++rig->avail_idx[queue], 2);
}

int64_t net_rig_used(struct net_rig *rig, unsigned queue, uint16_t *head)
{
	const uint8_t *used = net_rig_hva(rig, RIG_USED(queue)), *entry;

	if ((uint16_t)get(used + 2, 2) == rig->used_idx[queue])
		return -1;
	entry = used + 4 + 8 * (rig->used_idx[queue]++ % RIG_QUEUE_SIZE);
	if (head)
		*head = (uint16_t)get(entry, 2);
	return (int64_t)get(entry + 4, 4);
}

uint64_t net_rig_ncalls(struct net_rig *rig, unsigned queue)
{
	eventfd_t count = 0;

	return eventfd_read(rig->call_efds[queue], &count) == 0 ? count : 0;
}

bool net_rig_is_broken(struct net_rig *rig)
{
	eventfd_t count;

	return eventfd_read(rig->error_efd, &count) == 0;
}

bool net_rig_serve(struct net_rig *rig, struct net_wait *wait)
{
	struct net_wait ignored;

	return net_worker_serve(&rig->worker, wait ? wait : &ignored);
}
