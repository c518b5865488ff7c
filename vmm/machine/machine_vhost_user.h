// SPDX-License-Identifier: Apache-2.0
/*
 * machine_vhost_user.h - devices whose back end is another process, on a chardev: vhost-user-blk-pci, vhost-user-fs-pci,
 * vhost-user-device-pci.
 *
 * The device takes the chardev's peer, which must be there when it is created. A peer that has closed the connection may be
 * followed by another one, if the chardev has reconnect= or listens. From one that hangs or sends nonsense the device is
 * disconnected for good.
 */
#ifndef PMVM_MACHINE_VHOST_USER_H
#define PMVM_MACHINE_VHOST_USER_H

#include <stdbool.h>

struct chardev;
struct device;
struct machine;
struct vpmem_error;

enum vhost_user_condition {
	VHOST_USER_RUNS,         /* the back end serves the queues */
	VHOST_USER_IDLE,         /* it is there; the driver is not, or the machine is stopped */
	VHOST_USER_DISCONNECTED, /* it is not; the device goes on with the next one */
	VHOST_USER_NEEDS_RESET,  /* the device has stopped, until its driver resets it */
};

struct vhost_user_info {
	const char *chardev;
	bool connected;
	enum vhost_user_condition condition;
	const char *message; /* why the last connection ended; "": none did. Valid while the lock is held */
};

/* Another process can map the guest's RAM. -EINVAL, with QEMU's text. */
int machine_vhost_user_check_ram(const struct machine *m, struct vpmem_error *err);
/* -ENOTCONN, with a text. */
int machine_vhost_user_no_peer(const struct chardev *chr, const char *id, struct vpmem_error *err);

/* false: the device is none of these. */
bool machine_vhost_user_info(const struct device *dev, struct vhost_user_info *info);

#endif
