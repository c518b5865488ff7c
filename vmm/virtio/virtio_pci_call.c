// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci_call.c - interrupts of queues whose buffers somebody else uses: the kernel's vhost, or another process.
 *
 * They come as writes to an eventfd of the queue. The MSI-X table binds it to the vector's message (msix.h). What is left is
 * here: the driver uses the pin, whose cause the ISR register must show first, or KVM refused to bind the eventfd. Then the
 * event loop waits for it and raises the interrupt. A vector that is masked has nobody who waits: the eventfd counts.
 */
#include "log.h"
#include "virtio_pci_internal.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

static void on_call(void *owner, short revents)
{
	struct virtio_pci_call *call = owner;
	eventfd_t count;

	(void)revents;
	if (eventfd_read(call->source.fd, &count) == 0)
		virtio_pci_queue_interrupt(call->vp, call->queue_idx);
}

int virtio_pci_calls_create(struct virtio_pci *vp)
{
	if (!vp->ops->queue_call_efd)
		return 0;
	assert(vp->loop);
	vp->calls = calloc(vp->nqueues, sizeof(vp->calls[0]));
	if (!vp->calls)
		return -ENOMEM;
	for (unsigned i = 0; i < vp->nqueues; i++) {
		struct virtio_pci_call *call = &vp->calls[i];

		call->vp = vp;
		call->queue_idx = (uint16_t)i;
		call->source = (struct loop_source) { .fd = vp->ops->queue_call_efd(vp->device, (uint16_t)i),
			                              .events = POLLIN,
			                              .ready = on_call,
			                              .owner = call };
		msix_set_event_efd(vp->msix, EVENT_QUEUE(i), call->source.fd);
	}
	return 0;
}

static void wait_for(struct virtio_pci_call *call, bool wait)
{
	struct loop *loop = call->vp->loop;
	int rc = 0;

	if (wait == call->waits)
		return;
	if (wait)
		rc = loop_add(loop, &call->source);
	else
		loop_del(loop, &call->source);
	call->waits = wait && rc == 0;
	if (rc)
		log_guest("virtio-pci: %s: queue %u: no interrupts by the event loop: %s", virtio_pci_name(call->vp),
		          call->queue_idx, strerror(-rc));
}

void virtio_pci_calls_update(struct virtio_pci *vp)
{
	bool runs;

	if (!vp->calls)
		return;
	runs = vp->plugged && vp->ops->status(vp->device) & VIRTIO_CONFIG_S_DRIVER_OK;
	for (unsigned i = 0; i < vp->nqueues; i++)
		wait_for(&vp->calls[i], runs && msix_event_efd_is_free(vp->msix, EVENT_QUEUE(i)));
}

void virtio_pci_calls_destroy(struct virtio_pci *vp)
{
	free(vp->calls);
	vp->calls = NULL;
}
