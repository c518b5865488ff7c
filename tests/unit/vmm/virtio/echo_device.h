// SPDX-License-Identifier: Apache-2.0
/*
 * echo_device.h - a virtio device that exists for tests only, to prove that the transport is for any device: two queues
 * or more, feature bits and ids of its own, a configuration that the driver may write and that the device changes.
 *
 * Queues with an even number copy what the driver wrote into the driver's buffer, in upper case if ECHO_F_UPPER was
 * negotiated. Queues with an odd number answer with the length of what was written, le32. It has no thread: echo_serve
 * does what a worker would do after a kick.
 */
#ifndef ECHO_DEVICE_H
#define ECHO_DEVICE_H

#include "virtio.h"
#include "virtio_pci.h"

#include <pthread.h>

#define ECHO_DEVICE_ID 63u
#define ECHO_CLASS 0x088000u
#define ECHO_QUEUE_SIZE_MAX 16u

#define ECHO_F_UPPER 3u  /* feature bits of this device */
#define ECHO_F_OTHER 33u /* beyond the first word */

/* The configuration: a byte that the driver writes, then what the device says of itself. */
#define ECHO_CONFIG_LEVEL 0u       /* u8, written by the driver */
#define ECHO_CONFIG_TEMPERATURE 4u /* le32, changed by the device */
#define ECHO_CONFIG_SIZE 9u        /* and a byte that no aligned access of 4 bytes has to itself */
#define ECHO_CONFIG_LAST 8u        /* u8, written by the driver */

struct echo {
	struct virtio_device_ops call_ops; /* echo_ops with queue_call_efd */
	struct virtio_pci *pci;
	struct virtio virtio;
	pthread_mutex_t lock; /* guards virtio, queues and config */
	struct virtq queues[VIRTIO_DEVICE_QUEUES_MAX];
	int kick_efds[VIRTIO_DEVICE_QUEUES_MAX];
	int call_efds[VIRTIO_DEVICE_QUEUES_MAX]; /* with an event loop: interrupts go here; else -1 */
	uint8_t config[ECHO_CONFIG_SIZE];
	unsigned nfaults, nlocks; /* guest faults; times that an operation took the lock */
	bool destroyed;
};

extern const struct virtio_device_ops echo_ops;

/*
 * Creates and plugs it; `pci` says where and how. With pci.loop its queues interrupt by eventfds, as a vhost does. Returns what virtio_pci_create returns; *echo stays the caller's.
 */
int echo_create(struct echo *echo, const struct gmem *mem, unsigned nqueues, struct virtio_pci_config pci);
/* Serves a queue until it is empty, if it was kicked since the last call. Returns how many requests it answered. */
unsigned echo_serve(struct echo *echo, uint16_t queue_idx);
/* The device changes its configuration, as something outside of it would cause. */
void echo_set_temperature(struct echo *echo, uint32_t temperature);

#endif
