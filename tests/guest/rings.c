// SPDX-License-Identifier: Apache-2.0
// Virtqueues of devices that have more than one, as bare-metal guest programs see them.
#include "rings.h"

bool ring_start(struct ring *ring, const struct virtio *dev, uint16_t queue_idx, uint16_t size, uint16_t entry)
{
	memset(&ring->rings, 0, sizeof(ring->rings));
	ring->dev = dev;
	ring->queue_idx = queue_idx;
	ring->size = size;
	ring->avail_idx = 0;
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue_idx);
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_MSIX, 2, entry);
	virtio_queue_addresses(dev, (gpa_t)ring->rings.desc, (gpa_t)&ring->rings.avail, (gpa_t)&ring->rings.used);
	ring->notify = dev->notify + dev->notify_multiplier * virtio_get(dev, VIRTIO_PCI_COMMON_Q_NOFF, 2);
	return virtio_get(dev, VIRTIO_PCI_COMMON_Q_MSIX, 2) == entry && virtio_queue_enable(dev);
}

void ring_desc(struct ring *ring, unsigned i, gpa_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	ring->rings.desc[i] = (struct desc) {
		.gpa = gpa,
		.len = len,
		.flags = (uint16_t)flags,
		.next = (uint16_t)next,
	};
}

void ring_submit(struct ring *ring, unsigned head)
{
	ring->rings.avail.ring[ring->avail_idx % ring->size] = (uint16_t)head;
	ring->avail_idx++;
}

void ring_publish(struct ring *ring)
{
	order_barrier();
	ring->rings.avail.idx = ring->avail_idx;
	full_barrier();
}

void ring_kick(const struct ring *ring)
{
	mem_write(ring->notify, 2, ring->queue_idx);
}

void ring_send(struct ring *ring, const void *buf, uint32_t len, unsigned flags)
{
	ring_desc(ring, 0, (gpa_t)buf, len, flags, 0);
	ring_submit(ring, 0);
	ring_publish(ring);
	ring_kick(ring);
}

bool ring_wait(const struct ring *ring)
{
	for (uint64_t end = wait_end(); ring->rings.used.idx != ring->avail_idx && wait_on(end);)
		;
	order_barrier();
	return ring->rings.used.idx == ring->avail_idx;
}

struct used_elem ring_used(const struct ring *ring, unsigned back)
{
	const volatile struct used_elem *elem =
		&ring->rings.used.ring[(uint16_t)(ring->avail_idx - 1 - back) % ring->size];

	return (struct used_elem) { .id = elem->id, .len = elem->len };
}

bool ring_reset(const struct ring *ring)
{
	const struct virtio *dev = ring->dev;

	virtio_set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, ring->queue_idx);
	virtio_set(dev, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	for (uint64_t end = wait_end(); virtio_get(dev, VIRTIO_PCI_COMMON_Q_RESET, 2) && wait_on(end);)
		;
	return virtio_get(dev, VIRTIO_PCI_COMMON_Q_RESET, 2) == 0 &&
	       virtio_get(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0 && virtio_status(dev) == STATUS_RUNNING;
}
