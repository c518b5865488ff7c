// SPDX-License-Identifier: Apache-2.0
/*
 * embed.c - a virtio-pmem device without a virtual machine: how to embed libvpmem, as a program to read.
 *
 * Both sides are in this one process. The monitor's side opens a file, creates the device on it and gives
 * it guest memory and an interrupt. The guest's side is a driver: it negotiates, sets up a virtqueue,
 * stores into the persistent memory, asks for a flush and waits for the answer. In a real monitor the guest
 * does that from within, a transport (PCI, MMIO) turns its register accesses into the vpmem_* calls below,
 * and KVM gets the eventfd of vpmem_queue_kick_efd.
 *
 * Usage: embed [FILE]. The file is created, and removed at the end.
 */
#include <vpmem.h>

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "embed: %s: %s\n", what, why);
	exit(1);
}

/* ---- the monitor's side -------------------------------------------------------------------------- */

/* Called on the device's worker thread, with its lock held: an eventfd is quick and never blocks. */
static void raise_interrupt(void *opaque, enum vpmem_interrupt source)
{
	uint64_t one = 1;

	if (source == VPMEM_INTERRUPT_QUEUE && write(*(int *)opaque, &one, sizeof(one)) < 0)
		die("interrupt", "cannot write to the eventfd");
}

/* ---- the guest's side ---------------------------------------------------------------------------- */

/* What virtio shares between driver and device; all fields are little-endian. */
#define QUEUE_SIZE 8
struct guest_ram {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[QUEUE_SIZE];
	struct {
		uint16_t flags, idx, ring[QUEUE_SIZE];
	} avail;
	_Alignas(4) struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[QUEUE_SIZE];
	} used;
	struct {
		uint32_t type;
	} request; /* struct virtio_pmem_req */
	struct {
		uint32_t status;
	} response; /* struct virtio_pmem_resp */
};
static struct guest_ram ram __attribute__((aligned(4096)));

#define RAM_GPA UINT64_C(0x100000)    /* where the guest sees `ram` */
#define PMEM_GPA UINT64_C(0x40000000) /* and where the file */
#define GPA(field) (RAM_GPA + offsetof(struct guest_ram, field))

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { F_NEXT = 1, F_WRITE = 2 };
#define VERSION_1 (1u << 0) /* bit 32: bit 0 of word 1 */

/* The initialisation sequence of the specification (section "Device Initialization"). */
static void driver_start(struct vpmem_device *dev)
{
	struct vpmem_queue queue = {
		.size = QUEUE_SIZE,
		.desc_gpa = GPA(desc),
		.driver_gpa = GPA(avail),
		.device_gpa = GPA(used),
	};

	vpmem_device_set_status(dev, 0);
	vpmem_device_set_status(dev, ACKNOWLEDGE | DRIVER);
	printf("driver:  the device offers 0x%08x%08x, the driver takes VERSION_1\n", vpmem_device_features(dev, 1),
	       vpmem_device_features(dev, 0));
	vpmem_device_set_driver_features(dev, 0, 0);
	vpmem_device_set_driver_features(dev, 1, VERSION_1);
	vpmem_device_set_status(dev, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	if (!(vpmem_device_status(dev) & FEATURES_OK))
		die("driver", "the device refuses the features");
	vpmem_queue_set(dev, 0, &queue);
	vpmem_queue_enable(dev, 0);
	vpmem_device_set_status(dev, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	printf("driver:  status 0x%02x, flush queue of %u entries\n", vpmem_device_status(dev),
	       vpmem_queue_get(dev, 0).size);
}

/* Puts a flush into the queue: 4 bytes for the device to read, 4 for it to write. */
static void driver_flush(struct vpmem_device *dev)
{
	uint16_t idx = le16toh(ram.avail.idx);

	ram.request.type = htole32(0);
	ram.response.status = htole32(UINT32_MAX);
	ram.desc[0].addr = htole64(GPA(request));
	ram.desc[0].len = htole32(sizeof(ram.request));
	ram.desc[0].flags = htole16(F_NEXT);
	ram.desc[0].next = htole16(1);
	ram.desc[1].addr = htole64(GPA(response));
	ram.desc[1].len = htole32(sizeof(ram.response));
	ram.desc[1].flags = htole16(F_WRITE);
	ram.avail.ring[idx % QUEUE_SIZE] = htole16(0);
	/* The request, and the stores that it is to make durable, are visible before the index. */
	__atomic_store_n(&ram.avail.idx, htole16((uint16_t)(idx + 1)), __ATOMIC_RELEASE);
	vpmem_queue_kick(dev, 0);
}

static uint32_t driver_wait(int irq_efd)
{
	struct pollfd irq = { .fd = irq_efd, .events = POLLIN };

	if (poll(&irq, 1, 60000) != 1)
		die("driver", "no interrupt");
	if (__atomic_load_n(&ram.used.idx, __ATOMIC_ACQUIRE) != ram.avail.idx)
		die("driver", "an interrupt without a used buffer");
	return le32toh(ram.response.status);
}

/* ---- both together ------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	static const char message[] = "this line is durable";
	struct vpmem_backing_options file = VPMEM_BACKING_OPTIONS_INIT;
	struct vpmem_device_options options = { 0 };
	struct vpmem_backing *backing;
	struct vpmem_device *dev;
	struct vpmem_error err;
	struct vpmem_gmem *gmem = vpmem_gmem_create();
	char seen[sizeof(message)] = "";
	uint64_t config[2];
	uint32_t status;
	int irq_efd = eventfd(0, EFD_CLOEXEC), fd;

	if (!gmem || irq_efd < 0)
		die("setup", "out of resources");

	/* 1. The file. It is created, and without vpmem_backing_keep it goes away again. */
	file.id = "mem1";
	file.path = argc > 1 ? argv[1] : "embed.img";
	file.size = 2 * VPMEM_GRANULE;
	file.share = true;
	if (vpmem_backing_open(&file, &backing, &err))
		die(err.text, err.hint);
	printf("monitor: %s: %llu bytes\n", file.path, (unsigned long long)vpmem_backing_size(backing));

	/* 2. The guest's RAM. A real monitor gives it to KVM too, and the file's mapping at PMEM_GPA. */
	if (vpmem_gmem_add(gmem, RAM_GPA, sizeof(ram), &ram))
		die("setup", "guest memory");

	/* 3. The device. */
	options.name = "nv1";
	options.gmem = gmem;
	options.backing = backing;
	options.gpa = PMEM_GPA;
	options.callbacks.interrupt = raise_interrupt;
	options.callbacks.opaque = &irq_efd;
	if (vpmem_device_create(&options, &dev, &err))
		die(err.text, err.hint);

	/* 4. The guest finds the device, stores into persistent memory, and makes it durable. */
	driver_start(dev);
	vpmem_device_config_read(dev, 0, config, sizeof(config));
	printf("driver:  persistent memory at 0x%llx, 0x%llx bytes\n", (unsigned long long)le64toh(config[0]),
	       (unsigned long long)le64toh(config[1]));
	memcpy(vpmem_backing_hva(backing), message, sizeof(message));
	driver_flush(dev);
	status = driver_wait(irq_efd);
	printf("driver:  flush: status %u\n", status);

	/* 5. What the guest stored is in the file: seen through another descriptor. */
	fd = open(file.path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, seen, sizeof(seen), 0) != sizeof(seen))
		die(file.path, "cannot read it back");
	close(fd);
	printf("monitor: the file holds: %.*s\n", (int)sizeof(seen), seen);

	/* 6. In this order: the device uses the backing and the memory. */
	vpmem_device_destroy(dev);
	vpmem_backing_close(backing);
	vpmem_gmem_destroy(gmem);
	close(irq_efd);
	return status == 0 && strcmp(seen, message) == 0 ? 0 : 1;
}
