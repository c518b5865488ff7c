// SPDX-License-Identifier: Apache-2.0
// vhost-vsock-pci: the kernel's vhost_vsock as a virtio device behind a transport.
#include "vhost_vsock.h"

#include "error.h"
#include "log.h"
#include "vhost_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_FILE "/dev/vhost-vsock"
#define NQUEUES 3u        /* receive, send, events */
#define NKERNEL_QUEUES 2u /* the kernel's: the first two */
#define QUEUE_SIZE 128u
#define CONFIG_SIZE 8u /* struct virtio_vsock_config: le64 guest_cid */
#define CID_MIN 3u

#define VIRTIO_VSOCK_F_SEQPACKET 1u
#define BIT(n) (UINT64_C(1) << (n))

struct vhost_vsock {
	struct vhost vhost; /* first */
	struct vhost_kernel kernel;
	struct vhost_part part;
	uint64_t guest_cid;
	bool passed_fd; /* kernel.fd is the user's, who opened it */
	bool connected; /* it has run since it was opened */
};

/* ---- the kernel's side ------------------------------------------------------------------------------------ */

static struct vhost_vsock *vsock_of(struct vhost_kernel *vk)
{
	return (struct vhost_vsock *)((char *)vk - offsetof(struct vhost_vsock, kernel));
}

static int reopen(struct vhost_kernel *vk)
{
	int rc = vhost_kernel_open(vk, VHOST_KERNEL_VSOCK, -1);

	if (rc == 0)
		rc = vhost_kernel_vsock_set_guest_cid(vk, vsock_of(vk)->guest_cid);
	if (rc)
		vhost_kernel_close(vk);
	return rc;
}

static int attach(struct vhost_kernel *vk)
{
	int rc = vhost_kernel_vsock_set_running(vk, true);

	if (rc == 0)
		vsock_of(vk)->connected = true;
	return rc;
}

static void detach(struct vhost_kernel *vk)
{
	(void)vhost_kernel_vsock_set_running(vk, false);
}

/* Only with the descriptor do the connections end. It is opened at once, so that nobody else gets the CID. */
static void disconnect(struct vhost_vsock *vv)
{
	int rc;

	if (!vv->connected || vv->passed_fd)
		return;
	vv->connected = false;
	vhost_kernel_close(&vv->kernel);
	rc = reopen(&vv->kernel);
	if (rc)
		log_error("%s: %s: cannot open the vhost device again: CID %" PRIu64 ": %s: %s", VHOST_VSOCK_MODEL,
		          vv->vhost.id ? vv->vhost.id : "(no id)", vv->guest_cid, vv->kernel.backend.failed,
		          strerror(-rc));
}

/* ---- the device ---------------------------------------------------------------------------------------------- */

static void vsock_read(void *device, const struct virtio_select *select, struct virtio_registers *out)
{
	const struct vhost_vsock *vv = device;

	vhost_read(device, select, out);
	for (unsigned i = 0; i < CONFIG_SIZE; i++)
		out->config[i] = (uint8_t)(vv->guest_cid >> 8 * i);
}

static void vsock_set_status(void *device, uint8_t status)
{
	vhost_set_status(device, status);
	if (status == 0)
		disconnect(device);
}

/* Nobody reads the queue of events: its notifications need no eventfd. */
static int vsock_queue_kick_efd(const void *device, uint16_t queue_idx)
{
	return queue_idx < NKERNEL_QUEUES ? vhost_queue_kick_efd(device, queue_idx) : -1;
}

static int vsock_queue_call_efd(const void *device, uint16_t queue_idx)
{
	return queue_idx < NKERNEL_QUEUES ? vhost_queue_call_efd(device, queue_idx) : -1;
}

static int vsock_destroy(void *device)
{
	struct vhost_vsock *vv = device;

	vhost_fini(&vv->vhost);
	vhost_kernel_close(&vv->kernel);
	free(vv);
	return 0;
}

static const struct virtio_device_ops vsock_ops = {
	.model = VHOST_VSOCK_MODEL,
	.device_id = VIRTIO_ID_VSOCK,
	.class_code = 0x078000, /* communication, other: as QEMU has it */
	.config_size = CONFIG_SIZE,
	.config_changes = false,
	.nqueues = vhost_nqueues,
	.read = vsock_read,
	.status = vhost_status,
	.config_generation = vhost_config_generation,
	.set_driver_features = vhost_set_driver_features,
	.set_status = vsock_set_status,
	.queue_set = vhost_queue_set,
	.queue_enable = vhost_queue_enable,
	.queue_kick = vhost_queue_kick,
	.queue_kick_efd = vsock_queue_kick_efd,
	.queue_call_efd = vsock_queue_call_efd,
	.set_paused = vhost_set_paused,
	.unplug = vhost_unplug,
	.destroy = vsock_destroy,
};

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int open_error(int rc, struct vpmem_error *err)
{
	error_set(err, rc, "vhost-vsock: failed to open vhost device: %s", strerror(-rc));
	if (rc == -EACCES || rc == -EPERM)
		error_hint(err, "give yourself access to " DEVICE_FILE ": usually by joining the group kvm");
	else
		error_hint(err, "load the module: sudo modprobe vhost_vsock");
	return rc;
}

static int cid_error(int rc, uint64_t cid, struct vpmem_error *err)
{
	error_set(err, rc, "vhost-vsock: unable to set guest cid: %s", strerror(-rc));
	if (rc == -EADDRINUSE)
		error_hint(err, "another machine of this host has guest-cid=%" PRIu64 ": give this one another", cid);
	return rc;
}

static int kernel_create(struct vhost_vsock *vv, const struct vhost_vsock_options *cfg, uint64_t *features,
                         struct vpmem_error *err)
{
	struct vhost_kernel *vk = &vv->kernel;
	int rc = vhost_kernel_open(vk, VHOST_KERNEL_VSOCK, cfg->vhost_fd);

	if (rc && strcmp(vk->backend.failed, DEVICE_FILE) == 0)
		return open_error(rc, err);
	if (rc == 0)
		rc = vhost_kernel_get_features(vk, features);
	if (rc) {
		error_set(err, rc, "vhost-vsock: %s: %s", vk->backend.failed, strerror(-rc));
		if (cfg->vhost_fd >= 0)
			error_hint(err, "vhostfd needs a descriptor of " DEVICE_FILE " that no process uses yet");
		return rc;
	}
	if (!(*features & BIT(VIRTIO_F_VERSION_1)))
		return error_set(err, -ENOSYS, "vhost-vsock: the kernel's vhost is too old: no VIRTIO_F_VERSION_1");
	rc = vhost_kernel_vsock_set_guest_cid(vk, cfg->guest_cid);
	return rc ? cid_error(rc, cfg->guest_cid, err) : 0;
}

static int device_create(struct vhost_vsock *vv, const struct vhost_vsock_options *cfg, uint64_t features,
                         struct vpmem_error *err)
{
	struct vhost_config vhost = {
		.model = VHOST_VSOCK_MODEL,
		.id = cfg->pci.id,
		.vm = pci_bus_vm(cfg->pci.bus),
		.loop = cfg->pci.loop,
		.mem = cfg->mem,
		.nqueues = NQUEUES,
		.queue_size_max = QUEUE_SIZE,
		.parts = &vv->part,
		.nparts = 1,
		.regions_max = vhost_kernel_regions_max(),
	};

	vhost.features = BIT(VIRTIO_F_VERSION_1);
	if (!cfg->no_event_idx)
		vhost.features |= features & BIT(VIRTIO_F_EVENT_IDX);
	if (!cfg->no_indirect_desc)
		vhost.features |= features & BIT(VIRTIO_F_INDIRECT_DESC);
	if (!cfg->no_seqpacket)
		vhost.features |= features & BIT(VIRTIO_VSOCK_F_SEQPACKET);
	vhost.backend_features = vhost.features;
	vv->part = (struct vhost_part) { .backend = &vv->kernel.backend, .nqueues = NKERNEL_QUEUES, .wanted = true };
	return vhost_init(&vv->vhost, &vhost, err);
}

static int check_cid(uint64_t cid, struct vpmem_error *err)
{
	if (cid < CID_MIN) {
		error_set(err, -EINVAL, "guest-cid property must be greater than 2");
		error_hint(
			err,
			"it is the guest's address on this host: guest-cid=3 or above, another one for each machine");
		return -EINVAL;
	}
	/* 2^32 - 1 is VMADDR_CID_ANY. */
	if (cid >= UINT32_MAX)
		return error_set(err, -EINVAL, "guest-cid property must be a 32-bit number");
	return 0;
}

int vhost_vsock_create(const struct vhost_vsock_options *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config pci = cfg->pci;
	struct vhost_vsock *vv;
	uint64_t features = 0;
	int rc = check_cid(cfg->guest_cid, err);

	if (rc)
		return rc;
	vv = calloc(1, sizeof(*vv));
	if (!vv)
		return error_set(err, -ENOMEM, VHOST_VSOCK_MODEL ": out of memory");
	vv->guest_cid = cfg->guest_cid;
	vv->passed_fd = cfg->vhost_fd >= 0;
	vv->kernel = (struct vhost_kernel) { .fd = -1, .attach = attach, .detach = detach, .reopen = reopen };
	rc = kernel_create(vv, cfg, &features, err);
	if (rc == 0)
		rc = device_create(vv, cfg, features, err);
	if (rc == 0) {
		pci.ops = &vsock_ops;
		pci.device = vv;
		rc = virtio_pci_create(&pci, &vv->vhost.pci, err);
	}
	if (rc) {
		if (vv->passed_fd)
			vv->kernel.fd = -1; /* still the caller's */
		vsock_destroy(vv);
		return rc;
	}
	*out = vv->vhost.pci;
	return 0;
}

uint64_t vhost_vsock_guest_cid(const struct virtio_pci *vp)
{
	const struct vhost_vsock *vv = virtio_pci_device(vp, &vsock_ops);

	return vv->guest_cid;
}
