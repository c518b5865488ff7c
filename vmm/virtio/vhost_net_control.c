// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_net_control.c - the control queue of virtio-net (virtio specification, section 5.1.6.5).
 *
 * A request is a class and a command, then data, which the device reads, and a byte for the answer.
 */
#include "guest_access.h"
#include "vhost_net_internal.h"

#include <linux/virtio_net.h>
#include <string.h>

/* Class, command, and the longest data that is read: tables of addresses may be longer. */
#define REQUEST_MAX (2 + VHOST_NET_TABLE_MAX)

#define BATCH_MAX 64

struct request {
	uint8_t bytes[REQUEST_MAX];
	uint32_t len; /* of all that the driver wrote, which may be longer */
	uint8_t *ack_hva;
};

/* Returns 0, or -errno if the chain is none that can be served. */
static int read_request(struct virtq_chain *chain, struct request *req)
{
	struct virtq_buf buf;
	int rc;

	*req = (struct request) { .len = 0 };
	while ((rc = virtq_chain_next(chain, &buf)) > 0) {
		/* The answer is the last byte of what the device may write. */
		if (buf.writable) {
			req->ack_hva = buf.hva + (buf.len - 1);
			continue;
		}
		for (uint32_t i = 0; i < buf.len && req->len + i < REQUEST_MAX; i++)
			req->bytes[req->len + i] = guest_load8(buf.hva + i);
		req->len = buf.len > UINT32_MAX - req->len ? UINT32_MAX : req->len + buf.len;
	}
	return rc;
}

static uint64_t data_le(const struct request *req, unsigned len)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)req->bytes[2 + i] << 8 * i;
	return val;
}

static bool set_mac(struct vhost_net *net, const struct request *req)
{
	if (req->bytes[1] == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return vhost_net_filter_set_table(net, req->bytes + 2, req->len - 2);
	if (req->bytes[1] != VIRTIO_NET_CTRL_MAC_ADDR_SET || req->len != 2 + MAC_SIZE)
		return false;
	memcpy(net->mac, req->bytes + 2, MAC_SIZE);
	vhost_net_filter_changed(net);
	return true;
}

static bool set_pairs(struct vhost_net *net, const struct request *req)
{
	uint64_t npairs = data_le(req, 2);

	if (req->bytes[1] != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || req->len != 4)
		return false;
	if (npairs == 0 || npairs > net->tap.npairs || !virtio_has_feature(&net->vhost.virtio, VIRTIO_NET_F_MQ))
		return false;
	return vhost_net_set_pairs(net, (unsigned)npairs) == 0;
}

static bool set_offloads(struct vhost_net *net, const struct request *req)
{
	uint64_t features = data_le(req, 8);

	if (req->bytes[1] != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || req->len != 2 + 8)
		return false;
	if (features & ~net->vhost.virtio.accepted)
		return false;
	return vhost_net_set_offloads(net, features) == 0;
}

static bool serve(struct vhost_net *net, const struct request *req)
{
	if (req->len < 2)
		return false;
	switch (req->bytes[0]) {
	case VIRTIO_NET_CTRL_RX:
		return req->len == 3 && vhost_net_filter_set_mode(net, req->bytes[1], req->bytes[2]);
	case VIRTIO_NET_CTRL_MAC:
		return set_mac(net, req);
	case VIRTIO_NET_CTRL_MQ:
		return set_pairs(net, req);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return set_offloads(net, req);
	default:
		return false;
	}
}

/* One request. False if the driver broke the specification. */
static bool serve_chain(struct vhost_net *net, struct virtq *q)
{
	struct virtq_chain chain;
	struct request req;
	uint32_t written_len = 0;

	if (virtq_pop(q, &chain))
		return false;
	if (read_request(&chain, &req))
		return false;
	if (req.ack_hva) {
		guest_store8(req.ack_hva, serve(net, &req) ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
		written_len = 1;
	}
	virtq_push(q, chain.head, written_len);
	return true;
}

/* A bounded number, because it is done under the machine lock: the rest has a notification of its own. */
void vhost_net_control_serve(struct vhost_net *net, uint16_t queue_idx)
{
	struct virtq *q = virtio_queue(&net->vhost.virtio, queue_idx);
	int n;

	if (!virtio_queue_live(&net->vhost.virtio, q))
		return;
	n = virtq_available(q);
	if (n > BATCH_MAX)
		n = BATCH_MAX;
	for (int i = 0; i < n; i++) {
		if (serve_chain(net, q)) {
			if (!virtio_queue_live(&net->vhost.virtio, q))
				return;
			continue;
		}
		n = -1;
	}
	if (n < 0) {
		vhost_fault(&net->vhost, q->fault);
		return;
	}
	if (n > 0 && virtq_publish(q))
		virtio_pci_queue_interrupt(net->vhost.pci, queue_idx);
	virtq_kicks_on(q);
	if (virtq_available(q) != 0)
		vhost_queue_kick(&net->vhost, queue_idx);
}
