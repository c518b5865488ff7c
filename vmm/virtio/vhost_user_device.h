// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_user_device.h - a virtio device whose back end is another process (vhost_user.h): blk, fs, or any other.
 *
 * What differs between them is data: the id, the number of queues, which features the guest may get, and whose the
 * configuration is. All queues are the back end's. A driver's writes to the configuration go to the back end where it allows them.
 *
 * A back end that ends, hangs, or answers nonsense is disconnected. Its device has stopped: with DEVICE_NEEDS_RESET, unless
 * its owner expects another back end, and the device can go on with that (`resumes`). It can if nothing that the guest
 * asked for was under way, or if the back end kept notes of that for the next one (INFLIGHT_SHMFD); otherwise one that is
 * gone has not said which of several requests it has done. A new back end serves the device from the next reset of its
 * driver on, or at once if it needs none.
 *
 * A device is opened, which may wait for answers and needs no lock, and plugged. From there on all of it runs under the
 * machine lock.
 */
#ifndef PMVM_VHOST_USER_DEVICE_H
#define PMVM_VHOST_USER_DEVICE_H

#include "virtio_pci.h"

#include <vpmem.h>

struct vhost_user_device;

struct vhost_user_owner {
	/*
	 * The connection came, or went; for one that went, vhost_user_device_state says why. Main thread. The device must not
	 * be ended from within.
	 */
	void (*changed)(void *owner);
	void *owner;
};

struct vhost_user_options {
	const char *model;  /* "vhost-user-blk-pci"; borrowed, as its strings live for ever */
	const char *id;     /* for messages; may be NULL; copied */
	uint16_t device_id; /* of the virtio specification */
	uint32_t class_code;
	uint16_t nqueues;     /* as many as this, and not more than VIRTIO_DEVICE_QUEUES_MAX */
	bool fewer_queues;    /* or as many as the back end has, if that is less */
	uint16_t queue_size;  /* a power of two */
	uint64_t features;    /* what the back end has of these is offered, */
	uint64_t features_mq; /* and these with more than one queue */
	uint32_t config_size; /* up to VIRTIO_DEVICE_CONFIG_MAX */
	bool backend_config;  /* the configuration is the back end's; otherwise `config` */
	uint32_t nqueues_off; /* where the number of queues is in it, 16 bits; 0: nowhere */
	/* What a driver may write, with this feature. What it says at first is confirmed to the back end. */
	uint32_t writable_off, writable_size;
	uint8_t writable_feature;
	bool always_writable; /* whatever was negotiated */
	bool resumes;         /* another back end can go on where one ended: asks for INFLIGHT_SHMFD */
	bool repeats;         /* it gets what was under way again, though some of it may be done */
	uint8_t config[VIRTIO_DEVICE_CONFIG_MAX];
	struct vhost_user_owner owner;
	const struct gmem *mem; /* borrowed */
};

struct vhost_user_state {
	bool connected;
	bool running;     /* the back end serves the queues */
	bool needs_reset; /* the device waits for its driver to reset it */
	const char *why;  /* why the last connection ended, or could not be used; "": there was no such thing */
};

/*
 * Takes a connected socket, also on failure, and asks the back end what it can do; up to VHOST_USER_TIMEOUT_MS. Errors:
 * QEMU's texts, "vhost_backend_init failed: ..." and others. -ETIMEDOUT, -EPROTO, -ECONNRESET...
 */
int vhost_user_device_open(const struct vhost_user_options *opts, int fd, struct vhost_user_device **out,
                           struct vpmem_error *err);
/*
 * Plugs it in. `place` says where and how; ops and device are filled here. On failure the device is gone. Errors: those
 * of virtio_pci_create; -E2BIG of vhost_init.
 */
int vhost_user_device_plug(struct vhost_user_device *dev, const struct virtio_pci_config *place,
                           struct virtio_pci **out, struct vpmem_error *err);

/* Another back end for a device that has none: takes the socket. What fails is logged, and in the state. -errno. */
int vhost_user_device_connect(struct vhost_user_device *dev, int fd);
/* Whether `changed` may be followed by vhost_user_device_connect: then the device waits for that. */
void vhost_user_device_expect(struct vhost_user_device *dev, bool expect);
struct vhost_user_state vhost_user_device_state(const struct vhost_user_device *dev);
/* The last back end closed its connection, and did not do anything worse: another one may do better. */
bool vhost_user_device_was_closed(const struct vhost_user_device *dev);

#endif
