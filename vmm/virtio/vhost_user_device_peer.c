// SPDX-License-Identifier: Apache-2.0
// Back ends of a device that come, are asked what they can do, and go.
#include "vhost_user_device_internal.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- one that comes ----------------------------------------------------------------------------------------------- */

void vhost_user_device_store_nqueues(struct vhost_user_device *dev, uint8_t *config)
{
	unsigned off = dev->opts.nqueues_off;

	if (off == 0)
		return;
	config[off] = (uint8_t)dev->nqueues;
	config[off + 1] = (uint8_t)(dev->nqueues >> 8);
}

/*
 * Writes the back end's configuration back to it. qemu-storage-daemon 7.2 reports that it has no write cache, but has one
 * until this value is written. A refusal is ignored: such a back end has no setting to change.
 */
static int confirm_config(struct vhost_user_device *dev, const uint8_t *config)
{
	const struct vhost_user_options *opts = &dev->opts;
	int rc = 0;

	if (opts->backend_config && opts->writable_size > 0 && !opts->always_writable &&
	    dev->user.features & opts->features & BIT(opts->writable_feature))
		rc = vhost_user_set_config(&dev->user, opts->writable_off, config + opts->writable_off,
		                           opts->writable_size);
	return rc == -EREMOTEIO ? 0 : rc;
}

int vhost_user_device_ask(struct vhost_user_device *dev, int fd, uint8_t *config)
{
	struct vhost_user *vu = &dev->user;
	int domain = -1, rc;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX) {
		snprintf(dev->why, sizeof(dev->why), "descriptors cannot be passed: it is no Unix domain socket");
		close(fd);
		return -EPROTO;
	}
	rc = vhost_user_connect(vu, fd, config, vhost_user_device_config_size(dev));
	if (rc == 0 && vhost_user_device_config_size(dev) > 0 && !vhost_user_has(vu, VHOST_USER_PROTOCOL_F_CONFIG))
		rc = -ENOTSUP;
	if (rc == 0)
		rc = confirm_config(dev, config);
	if (rc == 0)
		return 0;
	snprintf(dev->why, sizeof(dev->why), "%s: %s", vu->backend.failed,
	         vu->link.why[0] ? vu->link.why : strerror(-rc));
	return rc;
}

/* ---- one that goes -------------------------------------------------------------------------------------------------- */

static void report(struct vhost_user_device *dev)
{
	if (dev->opts.owner.changed)
		dev->opts.owner.changed(dev->opts.owner.owner);
}

static bool is_quiet(const struct vhost_user_device *dev)
{
	for (unsigned i = 0; i < dev->nqueues; i++) {
		const struct virtq *q = &dev->vhost.queues[i];

		if (q->regs.enabled && memcmp(q->avail_hva + 2, q->used_hva + 2, sizeof(uint16_t)) != 0)
			return false;
	}
	return true;
}

void vhost_user_device_on_lost(struct vhost_user *vu)
{
	struct vhost_user_device *dev = vhost_user_device_of(vu);
	bool quiet = is_quiet(dev);
	bool resumes = dev->opts.resumes && dev->expects && vu->link.end == VHOST_USER_CLOSED &&
	               (quiet || vu->inflight_fd >= 0 || dev->opts.repeats);

	snprintf(dev->why, sizeof(dev->why), "%s", vu->link.why);
	dev->part.wanted = false;
	vhost_update(&dev->vhost);
	vhost_user_disconnect(vu);
	log_guest("%s: %s: %s", dev->opts.model, vhost_user_device_name(dev), dev->why);
	if (vhost_status(dev) & VIRTIO_STATUS_DRIVER_OK && !resumes)
		vhost_fault(&dev->vhost, dev->why);
	/* Nothing is left to do again. */
	if (quiet || vhost_status(dev) & VIRTIO_STATUS_NEEDS_RESET)
		vhost_user_forget_inflight(vu);
	report(dev);
}

/* ---- the next one ------------------------------------------------------------------------------------------------------ */

/* The guest knows what the first one could do. */
static int check_successor(struct vhost_user_device *dev)
{
	const struct vhost_user *vu = &dev->user;

	if (dev->backend_features & ~vu->features)
		snprintf(dev->why, sizeof(dev->why), "the back end lacks features of the former one: 0x%" PRIx64,
		         dev->backend_features & ~vu->features);
	else if (vu->queues_max < dev->nqueues)
		snprintf(dev->why, sizeof(dev->why), "the back end has %" PRIu64 " queues, not %u", vu->queues_max,
		         dev->nqueues);
	else if (vu->regions_max < dev->vhost.vm->memory.nregions)
		snprintf(dev->why, sizeof(dev->why), "the back end can have %u regions of memory, not %u",
		         vu->regions_max, dev->vhost.vm->memory.nregions);
	else if (vu->inflight_fd >= 0 && !vhost_user_has(vu, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		snprintf(dev->why, sizeof(dev->why),
		         "requests are under way, and the back end lacks INFLIGHT_SHMFD of the former one");
	else
		return 0;
	return -EPROTO;
}

int vhost_user_device_connect(struct vhost_user_device *dev, int fd)
{
	struct vhost_user *vu = &dev->user;
	uint8_t config[VIRTIO_DEVICE_CONFIG_MAX];
	int rc;

	memcpy(config, dev->config, sizeof(config));
	rc = vhost_user_device_ask(dev, fd, config);
	if (rc == 0)
		rc = check_successor(dev);
	if (rc == 0)
		rc = vhost_user_watch(vu);
	if (rc) {
		log_guest("%s: %s: cannot use the new back end: %s", dev->opts.model, vhost_user_device_name(dev),
		          dev->why);
		vhost_user_disconnect(vu);
		report(dev);
		return rc;
	}
	log_info("%s: %s: the back end is connected again", dev->opts.model, vhost_user_device_name(dev));
	dev->vhost.listener.regions_max = vu->regions_max;
	vhost_user_device_set_config(dev, config);
	dev->part.wanted = true;
	dev->why[0] = '\0';
	report(dev);
	vhost_update(&dev->vhost);
	/* The former one may have ended between the use of a buffer and its interrupt. */
	for (unsigned i = 0; i < dev->nqueues && dev->part.running; i++)
		(void)!eventfd_write(dev->vhost.call_efds[i], 1);
	return 0;
}
