// SPDX-License-Identifier: Apache-2.0
// A virtio device whose back end is another process: registers, configuration, opening and plugging.
#include "vhost_user_device_internal.h"

#include "error.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- configuration ------------------------------------------------------------------------------------------------- */

void vhost_user_device_set_config(struct vhost_user_device *dev, uint8_t *config)
{
	vhost_user_device_store_nqueues(dev, config);
	if (memcmp(dev->config, config, dev->opts.config_size) == 0)
		return;
	memcpy(dev->config, config, dev->opts.config_size);
	virtio_config_changed(&dev->vhost.virtio);
	virtio_pci_config_changed(dev->vhost.pci);
}

static void on_reread(void *owner)
{
	struct vhost_user_device *dev = owner;
	uint8_t config[VIRTIO_DEVICE_CONFIG_MAX];

	if (!dev->vhost.pci || !vhost_user_is_connected(&dev->user) || vhost_user_device_config_size(dev) == 0)
		return;
	if (vhost_user_get_config(&dev->user, config, vhost_user_device_config_size(dev)) == 0)
		vhost_user_device_set_config(dev, config);
	else
		log_guest("%s: %s: the configuration has changed, and cannot be read", dev->opts.model,
		          vhost_user_device_name(dev));
}

static void on_config_changed(struct vhost_user *vu)
{
	struct vhost_user_device *dev = vhost_user_device_of(vu);

	if (dev->vhost.loop)
		loop_arm(dev->vhost.loop, &dev->reread, 0);
}

static void device_read(void *device, const struct virtio_select *select, struct virtio_registers *out)
{
	const struct vhost_user_device *dev = device;

	vhost_read(device, select, out);
	memcpy(out->config, dev->config, dev->opts.config_size);
}

/* Byte by byte of what the driver wrote, only what it may write. */
static void device_config_write(void *device, uint32_t off, const uint8_t *bytes, uint32_t len)
{
	struct vhost_user_device *dev = device;
	uint32_t begin = dev->opts.writable_off, end = begin + dev->opts.writable_size;

	if (!dev->opts.always_writable && !virtio_has_feature(&dev->vhost.virtio, dev->opts.writable_feature))
		return;
	begin = off > begin ? off : begin;
	end = off + len < end ? off + len : end;
	if (begin >= end || !vhost_user_is_connected(&dev->user) ||
	    !vhost_user_has(&dev->user, VHOST_USER_PROTOCOL_F_CONFIG))
		return;
	if (vhost_user_set_config(&dev->user, begin, bytes + (begin - off), end - begin) == 0)
		memcpy(dev->config + begin, bytes + (begin - off), end - begin);
	else
		log_guest("%s: %s: the back end refuses a write of the configuration", dev->opts.model,
		          vhost_user_device_name(dev));
}

/* ---- the device ------------------------------------------------------------------------------------------------------ */

static bool driver_runs(const struct vhost_user_device *dev)
{
	return vhost_status(dev) & VIRTIO_STATUS_DRIVER_OK;
}

static void device_set_status(void *device, uint8_t status)
{
	struct vhost_user_device *dev = device;

	vhost_set_status(device, status);
	if (status == 0)
		vhost_user_forget_inflight(&dev->user);
	if (driver_runs(dev) && !vhost_user_is_connected(&dev->user) && !dev->expects)
		vhost_fault(&dev->vhost, "there is no back end");
}

static void device_unplug(void *device)
{
	struct vhost_user_device *dev = device;

	loop_del_timer(dev->vhost.loop, &dev->reread);
	vhost_user_disconnect(&dev->user);
	vhost_unplug(device);
}

static int device_destroy(void *device)
{
	struct vhost_user_device *dev = device;

	vhost_fini(&dev->vhost);
	vhost_user_forget_inflight(&dev->user);
	free(dev);
	return 0;
}

static const struct virtio_device_ops device_ops = {
	.config_changes = true,
	.nqueues = vhost_nqueues,
	.read = device_read,
	.status = vhost_status,
	.config_generation = vhost_config_generation,
	.set_driver_features = vhost_set_driver_features,
	.set_status = device_set_status,
	.config_write = device_config_write,
	.queue_set = vhost_queue_set,
	.queue_enable = vhost_queue_enable,
	.queue_kick = vhost_queue_kick,
	.queue_kick_efd = vhost_queue_kick_efd,
	.queue_call_efd = vhost_queue_call_efd,
	.set_paused = vhost_set_paused,
	.unplug = device_unplug,
	.destroy = device_destroy,
};

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static int count_queues(struct vhost_user_device *dev, struct vpmem_error *err)
{
	uint64_t max = dev->user.queues_max;

	dev->nqueues = dev->opts.nqueues;
	if (dev->nqueues > max && dev->opts.fewer_queues && max > 0)
		dev->nqueues = (uint16_t)max;
	if (dev->nqueues <= max)
		return 0;
	error_set(err, -EINVAL, "The maximum number of queues supported by the backend is %" PRIu64, max);
	error_hint(err, "the device would have %u: give the back end more, or the device fewer", dev->nqueues);
	return -EINVAL;
}

static int open_error(const struct vhost_user_device *dev, int rc, struct vpmem_error *err)
{
	error_set(err, rc, "vhost_backend_init failed: %s", dev->why);
	if (rc == -ENOTSUP)
		error_hint(err,
		           "this device's configuration is the back end's, which needs the protocol feature CONFIG");
	else
		error_hint(err, "a vhost-user back end of this kind of device must listen there, with no other client");
	return rc;
}

static int check_backend(struct vhost_user_device *dev, struct vpmem_error *err)
{
	if (!(dev->user.features & BIT(VIRTIO_F_VERSION_1)))
		return error_set(err, -ENOSYS, "%s: the back end is too old: no VIRTIO_F_VERSION_1", dev->opts.model);
	dev->backend_features = dev->user.features & (dev->opts.features | BIT(VIRTIO_F_VERSION_1));
	return count_queues(dev, err);
}

int vhost_user_device_open(const struct vhost_user_options *opts, int fd, struct vhost_user_device **out,
                           struct vpmem_error *err)
{
	struct vhost_user_device *dev = calloc(1, sizeof(*dev));
	int rc;

	if (!dev) {
		close(fd);
		return error_set(err, -ENOMEM, "%s: out of memory", opts->model);
	}
	dev->opts = *opts;
	dev->ops = device_ops;
	dev->ops.model = opts->model;
	dev->ops.device_id = opts->device_id;
	dev->ops.class_code = opts->class_code;
	dev->ops.config_size = opts->config_size;
	memcpy(dev->config, opts->config, opts->config_size);
	vhost_user_init(&dev->user);
	dev->user.lost = vhost_user_device_on_lost;
	dev->user.config_changed = on_config_changed;
	dev->user.own_protocol_features = opts->resumes ? BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) : 0;
	rc = vhost_user_device_ask(dev, fd, dev->config);
	if (rc)
		open_error(dev, rc, err);
	else
		rc = check_backend(dev, err);
	if (rc) {
		vhost_user_disconnect(&dev->user);
		free(dev);
		return rc;
	}
	vhost_user_device_store_nqueues(dev, dev->config);
	*out = dev;
	return 0;
}

/* ---- plugging ------------------------------------------------------------------------------------------------------------ */

static int init(struct vhost_user_device *dev, const struct virtio_pci_config *place, struct vpmem_error *err)
{
	const struct vhost_config vhost = {
		.model = dev->opts.model,
		.id = dev->opts.id,
		.vm = pci_bus_vm(place->bus),
		.loop = place->loop,
		.mem = dev->opts.mem,
		.features = dev->backend_features | (dev->nqueues > 1 ? dev->opts.features_mq : 0),
		.backend_features = dev->backend_features,
		.nqueues = dev->nqueues,
		.queue_size_max = dev->opts.queue_size,
		.parts = &dev->part,
		.nparts = 1,
		.regions_max = dev->user.regions_max,
	};
	int rc;

	dev->part = (struct vhost_part) { .backend = &dev->user.backend, .nqueues = dev->nqueues, .wanted = true };
	rc = vhost_init(&dev->vhost, &vhost, err);
	if (rc)
		return rc;
	dev->user.loop = place->loop;
	dev->user.inflight.nqueues = dev->nqueues;
	dev->user.inflight.queue_size = dev->opts.queue_size;
	dev->reread = (struct loop_timer) { .expired = on_reread, .owner = dev };
	rc = loop_add_timer(place->loop, &dev->reread);
	if (rc == 0)
		rc = vhost_user_watch(&dev->user);
	return rc ? error_set(err, rc, "%s: %s", dev->opts.model, strerror(-rc)) : 0;
}

int vhost_user_device_plug(struct vhost_user_device *dev, const struct virtio_pci_config *place,
                           struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config pci = *place;
	int rc = init(dev, place, err);

	if (rc == 0) {
		pci.ops = &dev->ops;
		pci.device = dev;
		rc = virtio_pci_create(&pci, &dev->vhost.pci, err);
	}
	if (rc) {
		if (dev->vhost.loop)
			loop_del_timer(dev->vhost.loop, &dev->reread);
		vhost_user_disconnect(&dev->user);
		device_destroy(dev);
		return rc;
	}
	*out = dev->vhost.pci;
	return 0;
}

/* ---- for the owner ----------------------------------------------------------------------------------------------------------- */

void vhost_user_device_expect(struct vhost_user_device *dev, bool expect)
{
	dev->expects = expect;
}

struct vhost_user_state vhost_user_device_state(const struct vhost_user_device *dev)
{
	return (struct vhost_user_state) { .connected = dev->user.link.fd >= 0,
		                           .running = dev->part.running,
		                           .needs_reset = vhost_status(dev) & VIRTIO_STATUS_NEEDS_RESET,
		                           .why = dev->why };
}

bool vhost_user_device_was_closed(const struct vhost_user_device *dev)
{
	return dev->user.link.end == VHOST_USER_CLOSED;
}
