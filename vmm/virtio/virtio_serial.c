// SPDX-License-Identifier: Apache-2.0
// virtio-serial-pci: the registers of the console device, its turns in the event loop, its life.
#include "virtio_serial.h"

#include "error.h"
#include "guest_access.h"
#include "log.h"
#include "virtio_serial_internal.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MODEL "virtio-serial-pci"
#define DATA_QUEUE_SIZE 128u /* both as in QEMU */
#define CONTROL_QUEUE_SIZE 32u
#define CONTROL_QUEUE 2u /* and the next one */
/* Ports above this number have no ioeventfds, of which the kernel has 1000 for a machine: their notifications are exits. */
#define IOEVENTFD_QUEUES 16u

#define CONFIG_SIZE ((uint32_t)sizeof(struct virtio_console_config))
#define MAX_PORTS_OFF offsetof(struct virtio_console_config, max_nr_ports)
#define EMERGENCY_OFF offsetof(struct virtio_console_config, emerg_wr)

#define BIT(n) (UINT64_C(1) << (n))

static_assert(2 * VIRTIO_SERIAL_PORTS_MAX + 2 <= VIRTIO_DEVICE_QUEUES_MAX, "two queues for each port, and two more");

// ---- for the device's other files

bool virtio_serial_queue_live(struct virtio_serial *serial, uint16_t queue_idx)
{
	const struct virtq *q = virtio_queue(&serial->virtio, queue_idx);

	return !serial->paused && q && virtio_queue_live(&serial->virtio, q);
}

unsigned virtio_serial_available(struct virtio_serial *serial, struct virtq *q)
{
	int n = virtq_available(q);

	if (n == 0) {
		virtq_kicks_on(q);
		n = virtq_available(q);
	}
	if (n < 0)
		virtio_guest_fault(&serial->virtio, q->fault);
	return n < 0 ? 0 : (unsigned)n;
}

bool virtio_serial_pop(struct virtio_serial *serial, struct virtq *q, struct virtq_chain *chain)
{
	if (virtq_pop(q, chain) == 0)
		return true;
	virtio_guest_fault(&serial->virtio, q->fault);
	return false;
}

int64_t virtio_serial_fill(struct virtq_chain *chain, const uint8_t *bytes, size_t len)
{
	struct virtq_buf buf;
	size_t done = 0;
	int rc = 0;

	while (done < len && (rc = virtq_chain_next(chain, &buf)) > 0)
		for (uint32_t i = 0; buf.writable && i < buf.len && done < len; i++)
			guest_store8(buf.hva + i, bytes[done++]);
	return rc < 0 ? rc : (int64_t)done;
}

void virtio_serial_publish(struct virtio_serial *serial, uint16_t queue_idx)
{
	struct virtq *q = &serial->queues[queue_idx];

	if (!virtio_serial_queue_live(serial, queue_idx) || q->used_idx == q->published_idx)
		return;
	if (virtq_publish(q))
		virtio_pci_queue_interrupt(serial->pci, queue_idx);
}

bool virtio_serial_is_single(const struct virtio_serial *serial)
{
	return virtio_status(&serial->virtio) & VIRTIO_STATUS_DRIVER_OK &&
	       !virtio_has_feature(&serial->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

void virtio_serial_kick(struct virtio_serial *serial)
{
	(void)!eventfd_write(serial->kick.fd, 1);
}

// ---- turns

static void on_kick(void *owner, short revents)
{
	struct virtio_serial *serial = owner;
	eventfd_t count;

	(void)revents;
	(void)!eventfd_read(serial->kick.fd, &count);
	virtio_serial_control_serve(serial);
	virtio_serial_control_send(serial);
	for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
		virtio_serial_port_settle(serial, nr);
		if (serial->places[nr].port)
			virtio_serial_port_serve(serial->places[nr].port);
	}
}

// ---- registers

static unsigned serial_nqueues(const void *opaque)
{
	const struct virtio_serial *serial = opaque;

	return serial->max_ports == 1 ? 2 : 2 * serial->max_ports + 2;
}

static void serial_read(void *opaque, const struct virtio_select *select, struct virtio_registers *out)
{
	struct virtio_serial *serial = opaque;

	out->features = virtio_features(&serial->virtio, select->device_feature_word);
	out->driver_features = virtio_driver_features(&serial->virtio, select->driver_feature_word);
	out->queue = virtio_queue_get(&serial->virtio, select->queue_idx);
	for (unsigned i = 0; i < 4; i++)
		out->config[MAX_PORTS_OFF + i] = (uint8_t)(serial->max_ports >> 8 * i);
}

static uint8_t serial_status(const void *opaque)
{
	return virtio_status(&((const struct virtio_serial *)opaque)->virtio);
}

static uint8_t serial_config_generation(const void *opaque)
{
	return virtio_config_generation(&((const struct virtio_serial *)opaque)->virtio);
}

static void serial_set_driver_features(void *opaque, uint32_t word, uint32_t bits)
{
	virtio_set_driver_features(&((struct virtio_serial *)opaque)->virtio, word, bits);
}

static void guest_is_gone(struct virtio_serial *serial)
{
	serial->guest_ready = false;
	for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
		serial->places[nr].pending = 0;
		serial->places[nr].owes_chain = false;
		if (serial->places[nr].port)
			virtio_serial_port_reset(serial->places[nr].port);
	}
}

static void serial_set_status(void *opaque, uint8_t status)
{
	struct virtio_serial *serial = opaque;
	bool starts = virtio_set_status(&serial->virtio, status);

	if (status == 0)
		guest_is_gone(serial);
	if (!starts)
		return;
	if (serial->places[0].port && virtio_serial_is_single(serial))
		virtio_serial_port_guest_open(serial->places[0].port, true);
	virtio_serial_kick(serial);
}

// "If VIRTIO_CONSOLE_F_EMERG_WRITE is negotiated ... emerg_wr": also before, as the specification allows.
static void serial_config_write(void *opaque, uint32_t off, const uint8_t *bytes, uint32_t len)
{
	struct virtio_serial *serial = opaque;
	const uint8_t *byte;

	if (!(serial->virtio.offered & BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)) || off > EMERGENCY_OFF ||
	    EMERGENCY_OFF - off >= len)
		return;
	byte = bytes + (EMERGENCY_OFF - off);
	for (uint32_t nr = 0; nr < serial->max_ports && *byte; nr++) {
		const struct virtio_serial_port *port = serial->places[nr].port;

		if (!port || !port->console)
			continue;
		(void)port->ops->output(port->owner, byte, 1);
		return;
	}
}

static void serial_queue_set(void *opaque, uint16_t queue_idx, const struct virtq_regs *regs)
{
	virtio_queue_set(&((struct virtio_serial *)opaque)->virtio, queue_idx, regs);
}

static void serial_queue_enable(void *opaque, uint16_t queue_idx)
{
	struct virtio_serial *serial = opaque;

	if (virtio_queue_enable(&serial->virtio, queue_idx))
		virtio_serial_kick(serial);
}

static void serial_queue_reset(void *opaque, uint16_t queue_idx)
{
	struct virtio_serial *serial = opaque;

	virtio_queue_reset(&serial->virtio, queue_idx);
	for (uint32_t nr = 0; nr < serial->max_ports; nr++) {
		if (virtio_serial_output_queue(nr) != queue_idx)
			continue;
		serial->places[nr].owes_chain = false;
		if (serial->places[nr].port)
			serial->places[nr].port->has_chain = false;
	}
}

static void serial_queue_kick(void *opaque, uint16_t queue_idx)
{
	(void)queue_idx;
	virtio_serial_kick(opaque);
}

static int serial_queue_kick_efd(const void *opaque, uint16_t queue_idx)
{
	return queue_idx < IOEVENTFD_QUEUES ? ((const struct virtio_serial *)opaque)->kick.fd : -1;
}

static void serial_set_paused(void *opaque, bool paused)
{
	struct virtio_serial *serial = opaque;

	serial->paused = paused;
	if (!paused)
		virtio_serial_kick(serial);
}

// ---- life

static void serial_unplug(void *opaque)
{
	struct virtio_serial *serial = opaque;

	if (serial->plugged)
		loop_del(serial->loop, &serial->kick);
	serial->plugged = false;
}

static int serial_destroy(void *opaque)
{
	struct virtio_serial *serial = opaque;

	if (serial->kick.fd >= 0)
		close(serial->kick.fd);
	for (uint32_t nr = 0; nr < serial->max_ports; nr++)
		assert(!serial->places[nr].port);
	free(serial->queues);
	free(serial->name);
	free(serial);
	return 0;
}

const struct virtio_device_ops virtio_serial_ops = {
	.model = MODEL,
	.device_id = VIRTIO_ID_CONSOLE,
	.class_code = 0x078000, /* communication, other: as QEMU has it */
	.config_size = CONFIG_SIZE,
	.nvectors = 2, /* as in QEMU: up to 64 queues would take all that a guest has */
	.nqueues = serial_nqueues,
	.read = serial_read,
	.status = serial_status,
	.config_generation = serial_config_generation,
	.set_driver_features = serial_set_driver_features,
	.set_status = serial_set_status,
	.config_write = serial_config_write,
	.queue_set = serial_queue_set,
	.queue_enable = serial_queue_enable,
	.queue_reset = serial_queue_reset,
	.queue_kick = serial_queue_kick,
	.queue_kick_efd = serial_queue_kick_efd,
	.set_paused = serial_set_paused,
	.unplug = serial_unplug,
	.destroy = serial_destroy,
};

static void on_config_interrupt(void *opaque)
{
	virtio_pci_config_interrupt(((struct virtio_serial *)opaque)->pci);
}

static void on_guest_fault(void *opaque, const char *what)
{
	log_guest("%s: guest fault, device needs reset: %s", ((struct virtio_serial *)opaque)->name, what);
}

static void init_virtio(struct virtio_serial *serial, const struct virtio_serial_options *opts)
{
	struct virtio_config cfg = {
		.mem = opts->mem,
		.features = virtio_ring_features(opts->no_event_idx, opts->no_indirect_desc, opts->no_ring_reset) |
		            (opts->no_emergency_write ? 0 : BIT(VIRTIO_CONSOLE_F_EMERG_WRITE)) |
		            (opts->max_ports == 1 ? 0 : BIT(VIRTIO_CONSOLE_F_MULTIPORT)),
		.queues = serial->queues,
		.nqueues = serial_nqueues(serial),
		.queue_size_max = DATA_QUEUE_SIZE,
		.callbacks = { .config_interrupt = on_config_interrupt,
		               .guest_fault = on_guest_fault,
		               .opaque = serial },
	};

	virtio_init(&serial->virtio, &cfg);
	for (unsigned i = CONTROL_QUEUE; i < CONTROL_QUEUE + 2 && i < cfg.nqueues; i++)
		virtq_init(&serial->queues[i], CONTROL_QUEUE_SIZE);
}

static int serial_alloc(const struct virtio_serial_options *opts, struct virtio_serial **out)
{
	struct virtio_serial *serial = calloc(1, sizeof(*serial));
	int rc;

	if (!serial)
		return -ENOMEM;
	serial->max_ports = opts->max_ports;
	serial->loop = opts->pci.loop;
	serial->queues = calloc(serial_nqueues(serial), sizeof(serial->queues[0]));
	serial->name = strdup(opts->pci.id ? opts->pci.id : MODEL);
	serial->kick = (struct loop_source) {
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN, .ready = on_kick, .owner = serial
	};
	rc = serial->kick.fd < 0 ? -errno : !serial->queues || !serial->name ? -ENOMEM : 0;
	rc = rc ? rc : loop_add(serial->loop, &serial->kick);
	if (rc) {
		serial_destroy(serial);
		return rc;
	}
	serial->plugged = true;
	init_virtio(serial, opts);
	*out = serial;
	return 0;
}

int virtio_serial_create(const struct virtio_serial_options *opts, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config pci = opts->pci;
	struct virtio_serial *serial;
	int rc;

	assert(opts->max_ports >= 1 && opts->max_ports <= VIRTIO_SERIAL_PORTS_MAX);
	rc = serial_alloc(opts, &serial);
	if (rc)
		return error_set(err, rc, MODEL ": %s", strerror(-rc));
	pci.ops = &virtio_serial_ops;
	pci.device = serial;
	rc = virtio_pci_create(&pci, &serial->pci, err);
	if (rc) {
		serial_unplug(serial);
		serial_destroy(serial);
		return rc;
	}
	*out = serial->pci;
	return 0;
}
