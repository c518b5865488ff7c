// SPDX-License-Identifier: Apache-2.0
/* user_rig.h - a disk of a fake vhost-user back end on the rig of vhost devices: opened, plugged, driven, lost. */
#ifndef USER_RIG_H
#define USER_RIG_H

#include "fake_user.h"
#include "vhost.h"
#include "vhost_rig.h"
#include "vhost_user_device.h"

#define F_EVENT_IDX BIT(29)
#define F_PROTOCOL BIT(30)
#define F_MQ BIT(12)
#define F_WCE BIT(11)
#define NQUEUES 2u
#define CONFIG 0x5000u /* in BAR 0: a device that changes it has it in the last page */
#define CONFIG_SIZE 60u
#define WCE_OFF 32u
#define NQUEUES_OFF 34u
#define OTHER_GPA UINT64_C(0x40000000)
#define LIMIT 20u /* turns of the loop */

struct rig_user {
	struct vhost_rig *r;
	struct fake_user fake;
	struct vhost_user_device *dev;
	struct vpmem_error err;
	int ram_fd;
	unsigned nchanges;
};

/* Of a test: with a back end that has not been started yet, and a machine without a device. */
int user_rig_setup(void **state);
int user_rig_teardown(void **state);

struct vhost_user_options user_options(struct rig_user *u);
/* Starts the back end. -errno: err says why. */
int open_with(struct rig_user *u, const struct vhost_user_options *opts);
int open_device(struct rig_user *u);
void plug_device(struct rig_user *u);
void plug_new(struct rig_user *u);
/* The device and its back end are gone; there may be others. */
void remove_device(struct rig_user *u);
void start_driver(struct rig_user *u);

struct vhost_user_state state_of(struct rig_user *u);
bool needs_reset(struct rig_user *u);
void turn_until_lost(struct rig_user *u);
/* The back end ends, and another one comes. */
int another_back_end(struct rig_user *u);
/* On the back end's own channel. */
void request_of_back_end(struct rig_user *u, uint32_t request, uint32_t flags, uint32_t size);

/* A window of persistent memory; fd -1: it is private to this process. */
void add_other(struct rig_user *u, int fd);
void del_other(struct rig_user *u);

#endif
