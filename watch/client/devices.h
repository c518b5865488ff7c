// SPDX-License-Identifier: Apache-2.0
/*
 * devices.h - the devices in the answer of a machine, each with a name of its own.
 *
 * Each name is there once, because a duplicate would make all metrics of all machines invalid: of two devices with one
 * name, which no machine that works has, the first one stays.
 */
#ifndef PMVM_DEVICES_H
#define PMVM_DEVICES_H

#include <stddef.h>

#define DEVICES_LIST_MAX 512u
#define DEVICE_NAME_SIZE 64u

struct json_object;

struct device {
	char name[DEVICE_NAME_SIZE]; /* valid UTF-8 */
	struct json_object *info;    /* borrowed from the answer */
};

struct devices {
	struct device *list;
	size_t n;
};

/* The lists of query-pmem, of query-vhost-user, of query-sandbox (threads); answer may be NULL. */
struct devices devices_pmem(struct json_object *answer);
struct devices devices_vhost_user(struct json_object *answer);
struct devices devices_threads(struct json_object *answer);
/* Of query-net-clients the first queue of each card. */
struct devices devices_net(struct json_object *answer);

void devices_free(struct devices *devices);

#endif
