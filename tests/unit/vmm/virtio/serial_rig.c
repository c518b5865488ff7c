// SPDX-License-Identifier: Apache-2.0
// The console device without transport.
#include "serial_rig.h"

#include <poll.h>
#include <string.h>

#define BUFFERS_EACH 0x400u

struct serial_rig *serial_rig;

// ---- the transport

int virtio_pci_create(const struct virtio_pci_config *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	(void)err;
	serial_rig->ops = cfg->ops;
	serial_rig->serial = cfg->device;
	*out = (struct virtio_pci *)(void *)serial_rig;
	return 0;
}

void *virtio_pci_device(const struct virtio_pci *vp, const struct virtio_device_ops *ops)
{
	(void)vp, (void)ops;
	return serial_rig->serial;
}

void virtio_pci_queue_interrupt(struct virtio_pci *vp, uint16_t queue_idx)
{
	(void)vp, (void)queue_idx;
	serial_rig->ninterrupts++;
}

void virtio_pci_config_interrupt(struct virtio_pci *vp)
{
	(void)vp;
	serial_rig->nconfig_interrupts++;
}

// ---- the device

void serial_rig_init(struct serial_rig *rig, uint32_t max_ports)
{
	struct virtio_serial_options opts = { .max_ports = max_ports, .mem = &rig->mem, .pci = { .loop = &rig->loop } };
	struct virtio_pci *vp;
	struct vpmem_error err;

	memset(rig, 0, sizeof(*rig));
	serial_rig = rig;
	gmem_init(&rig->mem);
	(void)!gmem_add(&rig->mem, SERIAL_RIG_GPA, SERIAL_RIG_RAM_SIZE, rig->ram);
	pthread_mutex_init(&rig->lock, NULL);
	pthread_mutex_lock(&rig->lock);
	(void)!loop_init(&rig->loop, &rig->lock);
	(void)!virtio_serial_create(&opts, &vp, &err);
}

void serial_rig_fini(struct serial_rig *rig)
{
	rig->ops->set_status(rig->serial, 0);
	rig->ops->unplug(rig->serial);
	rig->ops->destroy(rig->serial);
	loop_fini(&rig->loop);
	pthread_mutex_unlock(&rig->lock);
	pthread_mutex_destroy(&rig->lock);
}

void serial_rig_start(struct serial_rig *rig, uint64_t features)
{
	const struct virtio_device_ops *ops = rig->ops;
	uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	// Without EVENT_IDX, an interrupt follows each answer.
	features &= rig->serial->virtio.offered & ~(UINT64_C(1) << VIRTIO_F_EVENT_IDX);
	memset(rig->ram, 0, VIRTIO_DEVICE_QUEUES_MAX * SERIAL_RIG_QUEUE_AREA);
	memset(rig->avail_idx, 0, sizeof(rig->avail_idx));
	memset(rig->used_idx, 0, sizeof(rig->used_idx));
	ops->set_status(rig->serial, status);
	ops->set_driver_features(rig->serial, 0, (uint32_t)features);
	ops->set_driver_features(rig->serial, 1, (uint32_t)(features >> 32));
	ops->set_status(rig->serial, status |= VIRTIO_STATUS_FEATURES_OK);
	for (uint16_t i = 0; i < ops->nqueues(rig->serial); i++) {
		uint64_t area = SERIAL_RIG_GPA + i * SERIAL_RIG_QUEUE_AREA;
		const struct virtq_regs regs = { .size = SERIAL_RIG_QUEUE_SIZE,
			                         .desc_gpa = area,
			                         .driver_gpa = area + SERIAL_RIG_AVAIL_OFF,
			                         .device_gpa = area + SERIAL_RIG_USED_OFF };

		ops->queue_set(rig->serial, i, &regs);
		ops->queue_enable(rig->serial, i);
	}
	ops->set_status(rig->serial, status | VIRTIO_STATUS_DRIVER_OK);
}

void serial_rig_reset(struct serial_rig *rig)
{
	rig->ops->set_status(rig->serial, 0);
}

unsigned serial_rig_run(struct serial_rig *rig, unsigned max)
{
	struct pollfd fd = { .fd = rig->ops->queue_kick_efd(rig->serial, 0), .events = POLLIN };
	unsigned n = 0;

	while (n < max && poll(&fd, 1, 0) == 1) {
		(void)!loop_once(&rig->loop);
		n++;
	}
	return n;
}

// ---- the driver

uint8_t *serial_rig_hva(struct serial_rig *rig, uint64_t gpa)
{
	return rig->ram + (gpa - SERIAL_RIG_GPA);
}

static void put(struct serial_rig *rig, uint64_t gpa, uint64_t val, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		serial_rig_hva(rig, gpa)[i] = (uint8_t)(val >> 8 * i);
}

static uint32_t get(struct serial_rig *rig, uint64_t gpa, unsigned width)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint32_t)serial_rig_hva(rig, gpa)[i] << 8 * i;
	return val;
}

static uint64_t area(uint16_t queue_idx, unsigned off)
{
	return SERIAL_RIG_GPA + queue_idx * SERIAL_RIG_QUEUE_AREA + off;
}

void serial_rig_desc(struct serial_rig *rig, uint16_t queue_idx, unsigned idx, uint64_t gpa, uint32_t len,
                     unsigned flags, unsigned next)
{
	uint64_t at = area(queue_idx, 16 * (idx % SERIAL_RIG_QUEUE_SIZE));

	put(rig, at, gpa, 8);
	put(rig, at + 8, len, 4);
	put(rig, at + 12, flags, 2);
	put(rig, at + 14, next, 2);
}

void serial_rig_offer(struct serial_rig *rig, uint16_t queue_idx, uint16_t head)
{
	unsigned slot = rig->avail_idx[queue_idx]++ % SERIAL_RIG_QUEUE_SIZE;

	put(rig, area(queue_idx, SERIAL_RIG_AVAIL_OFF + 4 + 2 * slot), head, 2);
	put(rig, area(queue_idx, SERIAL_RIG_AVAIL_OFF + 2), rig->avail_idx[queue_idx], 2);
	rig->ops->queue_kick(rig->serial, queue_idx);
}

int64_t serial_rig_used(struct serial_rig *rig, uint16_t queue_idx, uint16_t *head)
{
	uint64_t at = area(queue_idx, SERIAL_RIG_USED_OFF);
	unsigned slot = rig->used_idx[queue_idx] % SERIAL_RIG_QUEUE_SIZE;

	if (rig->used_idx[queue_idx] == get(rig, at + 2, 2))
		return -1;
	rig->used_idx[queue_idx]++;
	if (head)
		*head = (uint16_t)get(rig, at + 4 + 8 * slot, 4);
	return get(rig, at + 8 + 8 * slot, 4);
}

uint64_t serial_rig_buffer(struct serial_rig *rig, uint16_t queue_idx, uint32_t len, bool writable)
{
	uint16_t head = rig->avail_idx[queue_idx] % SERIAL_RIG_QUEUE_SIZE;
	uint64_t gpa = SERIAL_RIG_DATA + (queue_idx % 8u * SERIAL_RIG_QUEUE_SIZE + head) * BUFFERS_EACH;

	serial_rig_desc(rig, queue_idx, head, gpa, len, writable ? SERIAL_RIG_WRITE : 0, 0);
	serial_rig_offer(rig, queue_idx, head);
	return gpa;
}

void serial_rig_control(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
	uint64_t gpa = SERIAL_RIG_DATA +
	               (3u * SERIAL_RIG_QUEUE_SIZE + rig->avail_idx[3] % SERIAL_RIG_QUEUE_SIZE) * BUFFERS_EACH;

	put(rig, gpa, id, 4);
	put(rig, gpa + 4, event, 2);
	put(rig, gpa + 6, value, 2);
	(void)serial_rig_buffer(rig, 3, 8, false);
	(void)serial_rig_run(rig, 8);
}

// ---- the users

static size_t on_output(void *owner, const uint8_t *buf, size_t len)
{
	struct serial_rig_user *user = owner;
	size_t room = sizeof(user->got) - user->ngot, taken = len < user->room ? len : user->room;

	taken = taken < room ? taken : room;
	memcpy(user->got + user->ngot, buf, taken);
	user->ngot += taken;
	user->room -= taken;
	if (user->within)
		user->within(user);
	return taken;
}

static void on_guest_open(void *owner, bool open)
{
	struct serial_rig_user *user = owner;

	user->open = open;
	user->nopened += open;
	user->nclosed += !open;
}

static void on_readable(void *owner)
{
	((struct serial_rig_user *)owner)->nreadable++;
}

static const struct virtio_serial_port_ops ops = {
	.output = on_output,
	.guest_open = on_guest_open,
	.readable = on_readable,
};

int serial_rig_add(struct serial_rig *rig, struct serial_rig_user *user, uint32_t nr, bool console, const char *name,
                   struct vpmem_error *err)
{
	const struct virtio_serial_port_options opts = {
		.nr = nr, .name = name, .console = console, .ops = &ops, .owner = user
	};

	*user = (struct serial_rig_user) { .room = SIZE_MAX };
	return virtio_serial_port_add(rig->serial->pci, &opts, &user->port, err);
}
