// SPDX-License-Identifier: Apache-2.0
/*
 * ring.c - flushes per second through libvpmem, in one process and without a virtual machine, beside a thread that makes
 * the same system calls and does nothing else.
 *
 * The driver's side stores into the file's mapping, publishes a request, writes the kick's eventfd and blocks in a read
 * of the interrupt's eventfd. The library's worker reads the kick, calls fdatasync, answers and writes the interrupt. The
 * bare loop's thread reads, calls fdatasync and writes. Both alternate, `rounds` times.
 *
 * Usage: bench-ring FILE FLUSHES ROUNDS      prints a line for each round: "library NS bare NS", for one flush
 */
#include <vpmem.h>

#include <endian.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_SIZE 8
#define FILE_SIZE (2u << 20)
#define RAM_GPA UINT64_C(0x100000)
#define PMEM_GPA UINT64_C(0x40000000)
#define GPA(field) (RAM_GPA + offsetof(struct guest_ram, field))

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { F_NEXT = 1, F_WRITE = 2 };

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
	uint32_t type, status;
};
static struct guest_ram ram __attribute__((aligned(4096)));

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void wake(int efd)
{
	if (eventfd_write(efd, 1))
		die("eventfd_write");
}

static void sleep_on(int efd)
{
	eventfd_t count;

	if (eventfd_read(efd, &count))
		die("eventfd_read");
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the library ---------------------------------------------------------------------------------- */

static void raise_interrupt(void *opaque, enum vpmem_interrupt source)
{
	if (source == VPMEM_INTERRUPT_QUEUE)
		wake(*(int *)opaque);
}

static struct vpmem_device *create(struct vpmem_backing *backing, struct vpmem_gmem *gmem, int *irq_efd)
{
	struct vpmem_queue queue = {
		.size = QUEUE_SIZE, .desc_gpa = GPA(desc), .driver_gpa = GPA(avail), .device_gpa = GPA(used)
	};
	struct vpmem_device_options opts = {
		.name = "bench",
		.gmem = gmem,
		.backing = backing,
		.gpa = PMEM_GPA,
		.callbacks = { .interrupt = raise_interrupt, .opaque = irq_efd },
	};
	struct vpmem_device *dev;

	if (vpmem_gmem_add(gmem, RAM_GPA, sizeof(ram), &ram) || vpmem_device_create(&opts, &dev, NULL))
		die("vpmem_device_create");
	vpmem_device_set_status(dev, ACKNOWLEDGE | DRIVER);
	vpmem_device_set_driver_features(dev, 1, 1);
	vpmem_device_set_status(dev, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	vpmem_queue_set(dev, 0, &queue);
	vpmem_queue_enable(dev, 0);
	vpmem_device_set_status(dev, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	ram.desc[0].addr = htole64(GPA(type));
	ram.desc[0].len = htole32(sizeof(ram.type));
	ram.desc[0].flags = htole16(F_NEXT);
	ram.desc[0].next = htole16(1);
	ram.desc[1].addr = htole64(GPA(status));
	ram.desc[1].len = htole32(sizeof(ram.status));
	ram.desc[1].flags = htole16(F_WRITE);
	return dev;
}

static uint64_t library_ns(struct vpmem_device *dev, uint8_t *store, int irq_efd, unsigned flushes)
{
	int kick_efd = vpmem_queue_kick_efd(dev, 0);
	uint64_t began = now_ns();

	for (unsigned i = 0; i < flushes; i++) {
		uint16_t idx = le16toh(ram.avail.idx);

		store[i % 4096]++;
		ram.status = UINT32_MAX;
		ram.avail.ring[idx % QUEUE_SIZE] = 0;
		__atomic_store_n(&ram.avail.idx, htole16((uint16_t)(idx + 1)), __ATOMIC_RELEASE);
		wake(kick_efd);
		sleep_on(irq_efd);
		if (__atomic_load_n(&ram.used.idx, __ATOMIC_ACQUIRE) != ram.avail.idx || ram.status != 0)
			die("the flush was not answered with 0");
	}
	return (now_ns() - began) / flushes;
}

/* ---- the bare loop --------------------------------------------------------------------------------- */

struct bare {
	int fd, kick_efd, irq_efd;
	unsigned flushes;
};

static void *bare_main(void *opaque)
{
	struct bare *bare = opaque;

	for (unsigned i = 0; i < bare->flushes; i++) {
		sleep_on(bare->kick_efd);
		if (fdatasync(bare->fd))
			die("fdatasync");
		wake(bare->irq_efd);
	}
	return NULL;
}

static uint64_t bare_ns(struct bare *bare, uint8_t *store)
{
	pthread_t thread;
	uint64_t began;

	if (pthread_create(&thread, NULL, bare_main, bare))
		die("pthread_create");
	began = now_ns();
	for (unsigned i = 0; i < bare->flushes; i++) {
		store[i % 4096]++;
		wake(bare->kick_efd);
		sleep_on(bare->irq_efd);
	}
	began = now_ns() - began;
	pthread_join(thread, NULL);
	return began / bare->flushes;
}

int main(int argc, char **argv)
{
	unsigned flushes = argc == 4 ? (unsigned)atoi(argv[2]) : 0, rounds = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	struct vpmem_backing_options opts = {
		.id = "bench", .path = argc == 4 ? argv[1] : NULL, .size = FILE_SIZE, .share = true
	};
	int irq_efd = eventfd(0, EFD_CLOEXEC);
	struct bare bare = { .kick_efd = eventfd(0, EFD_CLOEXEC),
		             .irq_efd = eventfd(0, EFD_CLOEXEC),
		             .flushes = flushes };
	struct vpmem_gmem *gmem = vpmem_gmem_create();
	struct vpmem_backing *backing;
	struct vpmem_device *dev;
	struct vpmem_error err;
	uint8_t *map;

	if (flushes == 0 || rounds == 0) {
		fputs("usage: bench-ring FILE FLUSHES ROUNDS\n", stderr);
		return 2;
	}
	if (vpmem_backing_open(&opts, &backing, &err)) {
		fprintf(stderr, "bench-ring: %s\n", err.text);
		return 1;
	}
	dev = create(backing, gmem, &irq_efd);
	bare.fd = open(argv[1], O_RDWR | O_CLOEXEC);
	map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bare.fd, 0);
	if (bare.fd < 0 || map == MAP_FAILED)
		die(argv[1]);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t library = library_ns(dev, vpmem_backing_hva(backing), irq_efd, flushes);

		printf("library %llu bare %llu\n", (unsigned long long)library,
		       (unsigned long long)bare_ns(&bare, map));
	}
	munmap(map, FILE_SIZE);
	close(bare.fd);
	vpmem_device_destroy(dev);
	vpmem_gmem_destroy(gmem);
	return vpmem_backing_close(backing) ? 1 : 0;
}
