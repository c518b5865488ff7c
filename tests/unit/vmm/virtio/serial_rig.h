// SPDX-License-Identifier: Apache-2.0
/*
 * serial_rig.h - the console device without transport: a test is the driver, which builds the rings in guest memory, and the
 * user of the ports. One at a time.
 */
#ifndef SERIAL_RIG_H
#define SERIAL_RIG_H

#include "virtio_serial_internal.h"

#define SERIAL_RIG_GPA UINT64_C(0x100000)
#define SERIAL_RIG_QUEUE_SIZE 16u /* of every queue */
#define SERIAL_RIG_QUEUE_AREA \
	1024u /* bytes of guest memory for each: descriptors, available ring at 512, used ring at 640 */
#define SERIAL_RIG_AVAIL_OFF 512u
#define SERIAL_RIG_USED_OFF 640u
#define SERIAL_RIG_DATA (SERIAL_RIG_GPA + VIRTIO_DEVICE_QUEUES_MAX * SERIAL_RIG_QUEUE_AREA)
#define SERIAL_RIG_DATA_SIZE 0x20000u
#define SERIAL_RIG_RAM_SIZE (VIRTIO_DEVICE_QUEUES_MAX * SERIAL_RIG_QUEUE_AREA + SERIAL_RIG_DATA_SIZE)

#define SERIAL_RIG_NEXT 1u
#define SERIAL_RIG_WRITE 2u

#define SERIAL_RIG_ALL_FEATURES UINT64_MAX
#define SERIAL_RIG_SINGLE (~(UINT64_C(1) << 1)) /* all but VIRTIO_CONSOLE_F_MULTIPORT */

/* A user of a port. */
struct serial_rig_user {
	struct virtio_serial_port *port;
	size_t room; /* how many bytes it takes from now on */
	uint8_t got[0x8000];
	size_t ngot;
	bool open;
	unsigned nopened, nclosed, nreadable;
	void (*within)(struct serial_rig_user *user); /* called inside `output`; NULL: nothing */
};

struct serial_rig {
	const struct virtio_device_ops *ops;
	struct virtio_serial *serial;
	struct gmem mem;
	struct loop loop;
	pthread_mutex_t lock;
	uint8_t ram[SERIAL_RIG_RAM_SIZE] __attribute__((aligned(4096)));
	uint16_t avail_idx[VIRTIO_DEVICE_QUEUES_MAX], used_idx[VIRTIO_DEVICE_QUEUES_MAX]; /* the driver's */
	unsigned ninterrupts, nconfig_interrupts;
};
extern struct serial_rig *serial_rig;

void serial_rig_init(struct serial_rig *rig, uint32_t max_ports);
/* Its ports were removed. */
void serial_rig_fini(struct serial_rig *rig);
/* What a driver does up to DRIVER_OK, with those of the features that are offered; again after a reset. */
void serial_rig_start(struct serial_rig *rig, uint64_t features);
void serial_rig_reset(struct serial_rig *rig);
/* Lets the event loop run until there is nothing to do, so many turns at most. Returns how many it needed. */
unsigned serial_rig_run(struct serial_rig *rig, unsigned max);

uint8_t *serial_rig_hva(struct serial_rig *rig, uint64_t gpa);
void serial_rig_desc(struct serial_rig *rig, uint16_t queue_idx, unsigned idx, uint64_t gpa, uint32_t len,
                     unsigned flags, unsigned next);
void serial_rig_offer(struct serial_rig *rig, uint16_t queue_idx, uint16_t head);
/* The length of the next used entry, or -1: there is none. */
int64_t serial_rig_used(struct serial_rig *rig, uint16_t queue_idx, uint16_t *head);
/* One buffer, in the descriptor that comes next, at an address of its own. Returns the address. */
uint64_t serial_rig_buffer(struct serial_rig *rig, uint16_t queue_idx, uint32_t len, bool writable);
/* A control message to the device, and a turn. */
void serial_rig_control(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value);

/* A user that takes everything, on a port. */
int serial_rig_add(struct serial_rig *rig, struct serial_rig_user *user, uint32_t nr, bool console, const char *name,
                   struct vpmem_error *err);

#endif
