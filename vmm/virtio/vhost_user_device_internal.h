// SPDX-License-Identifier: Apache-2.0
/* vhost_user_device_internal.h - the state of the device, shared by its files. */
#ifndef PMVM_VHOST_USER_DEVICE_INTERNAL_H
#define PMVM_VHOST_USER_DEVICE_INTERNAL_H

#include "vhost_user.h"
#include "vhost_user_device.h"

#include <stddef.h>

#define BIT(n) (UINT64_C(1) << (n))

struct vhost_user_device {
	struct vhost vhost; /* first */
	struct vhost_user user;
	struct vhost_part part;
	struct virtio_device_ops ops; /* of this one: id, class and size of the configuration are its own */
	struct vhost_user_options opts;
	uint16_t nqueues;
	uint64_t backend_features; /* that the guest may get */
	uint8_t config[VIRTIO_DEVICE_CONFIG_MAX];
	struct loop_timer reread; /* the configuration, in the main thread */
	bool expects;
	char why[160];
};

static inline const char *vhost_user_device_name(const struct vhost_user_device *dev)
{
	return dev->vhost.id ? dev->vhost.id : "(no id)";
}

static inline struct vhost_user_device *vhost_user_device_of(struct vhost_user *vu)
{
	return (struct vhost_user_device *)((char *)vu - offsetof(struct vhost_user_device, user));
}

/* Of the configuration that is the back end's. */
static inline uint32_t vhost_user_device_config_size(const struct vhost_user_device *dev)
{
	return dev->opts.backend_config ? dev->opts.config_size : 0;
}

/* vhost_user_device_peer.c. In the main thread, after whatever ended the connection. */
void vhost_user_device_on_lost(struct vhost_user *vu);
/* -errno; why says more. Takes the socket. */
int vhost_user_device_ask(struct vhost_user_device *dev, int fd, uint8_t *config);
/* The number of queues in a configuration is the device's: the back end may have more. */
void vhost_user_device_store_nqueues(struct vhost_user_device *dev, uint8_t *config);

/* vhost_user_device.c: the configuration is this one now. */
void vhost_user_device_set_config(struct vhost_user_device *dev, uint8_t *config);

#endif
