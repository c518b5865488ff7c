// SPDX-License-Identifier: Apache-2.0
/*
 * driver.c - a small guest for the tests.
 */
#include "driver.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GUARD_SIZE 0x1000u

/* The test itself cannot go on. */
static void check(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void ms_sleep(void)
{
	nanosleep(&(struct timespec) { .tv_nsec = 200000 }, NULL);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- RAM ----------------------------------------------------------------------------------------- */

void driver_ram_init(struct driver *d)
{
	uint8_t *map = mmap(NULL, GUEST_RAM_SIZE + 2 * GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(d, 0, sizeof(*d));
	check(map != MAP_FAILED, "mmap");
	d->ram = map + GUARD_SIZE;
	check(mprotect(d->ram, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE) == 0, "mprotect");
	d->gmem = vpmem_gmem_create();
	check(d->gmem && vpmem_gmem_add(d->gmem, GUEST_GPA, GUEST_RAM_SIZE, d->ram) == 0, "gmem");
	gmem_init(&d->mem);
	check(gmem_add(&d->mem, GUEST_GPA, GUEST_RAM_SIZE, d->ram) == 0, "gmem");
	d->seen.irq_efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	check(d->seen.irq_efd >= 0, "eventfd");
}

void driver_ram_free(struct driver *d)
{
	vpmem_gmem_destroy(d->gmem);
	munmap(d->ram - GUARD_SIZE, GUEST_RAM_SIZE + 2 * GUARD_SIZE);
	close(d->seen.irq_efd);
}

uint8_t *driver_hva(const struct driver *d, uint64_t gpa)
{
	check(gpa >= GUEST_GPA && gpa < GUEST_END, "test uses an address outside RAM");
	return d->ram + (gpa - GUEST_GPA);
}

void driver_store(struct driver *d, uint64_t gpa, uint64_t val, unsigned width)
{
	uint8_t *hva = driver_hva(d, gpa);

	for (unsigned i = 0; i < width; i++)
		__atomic_store_n(hva + i, (uint8_t)(val >> (8 * i)), __ATOMIC_RELAXED);
}

uint64_t driver_load(const struct driver *d, uint64_t gpa, unsigned width)
{
	const uint8_t *hva = driver_hva(d, gpa);
	uint64_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint64_t)__atomic_load_n(hva + i, __ATOMIC_RELAXED) << (8 * i);
	return val;
}

void driver_store16(struct driver *d, uint64_t gpa, uint16_t val)
{
	__atomic_store_n((uint16_t *)(void *)driver_hva(d, gpa), htole16(val), __ATOMIC_RELAXED);
}

uint16_t driver_load16(const struct driver *d, uint64_t gpa)
{
	return le16toh(__atomic_load_n((uint16_t *)(void *)driver_hva(d, gpa), __ATOMIC_RELAXED));
}

static uint16_t *word(const struct driver *d, uint64_t gpa)
{
	return (uint16_t *)(void *)driver_hva(d, gpa);
}

/* ---- device -------------------------------------------------------------------------------------- */

static void on_interrupt(void *opaque, enum vpmem_interrupt source)
{
	struct seen *seen = opaque;
	uint64_t one = 1;

	if (source == VPMEM_INTERRUPT_CONFIG) {
		atomic_fetch_add(&seen->nconfig_irqs, 1);
		return;
	}
	atomic_fetch_add(&seen->nqueue_irqs, 1);
	check(write(seen->irq_efd, &one, sizeof(one)) == sizeof(one), "write");
}

static void on_event(void *opaque, enum vpmem_event event, int error, const char *text)
{
	struct seen *seen = opaque;

	seen->error = error;
	snprintf(seen->text, sizeof(seen->text), "%s", text);
	atomic_fetch_add(event == VPMEM_EVENT_GUEST_FAULT ? &seen->nguest_faults : &seen->nsync_failures, 1);
}

struct vpmem_callbacks driver_callbacks(struct driver *d)
{
	return (struct vpmem_callbacks) { .interrupt = on_interrupt, .event = on_event, .opaque = &d->seen };
}

void driver_init(struct driver *d, struct vpmem_backing *backing, const struct vpmem_device_options *opts)
{
	struct vpmem_device_options all = opts ? *opts : (struct vpmem_device_options) { 0 };

	driver_ram_init(d);
	all.name = "nv1";
	all.gmem = d->gmem;
	all.backing = backing;
	all.gpa = PMEM_GPA;
	all.callbacks = driver_callbacks(d);
	check(vpmem_device_create(&all, &d->dev, NULL) == 0, "vpmem_device_create");
}

void driver_free(struct driver *d)
{
	vpmem_device_destroy(d->dev);
	driver_ram_free(d);
}

void driver_features(struct driver *d, uint64_t features)
{
	vpmem_device_set_status(d->dev, 0);
	vpmem_device_set_status(d->dev, STATUS_ACK);
	vpmem_device_set_status(d->dev, STATUS_ACK | STATUS_DRIVER);
	features |= FEATURE_VERSION_1;
	vpmem_device_set_driver_features(d->dev, 0, (uint32_t)features);
	vpmem_device_set_driver_features(d->dev, 1, (uint32_t)(features >> 32));
	vpmem_device_set_status(d->dev, STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK);
	d->event_idx = features & FEATURE_EVENT_IDX;
}

void driver_queue(struct driver *d, uint16_t size)
{
	struct vpmem_queue regs = {
		.size = size,
		.desc_gpa = DESC_GPA,
		.driver_gpa = AVAIL_GPA,
		.device_gpa = USED_GPA,
	};

	d->size = size;
	d->avail_idx = d->kicked_idx = d->seen_idx = 0;
	memset(d->ram, 0, GUEST_RAM_SIZE);
	for (unsigned slot = 0; slot < 256; slot++)
		driver_store(d, STATUS_GPA(slot), POISON, 4);
	vpmem_queue_set(d->dev, 0, &regs);
	vpmem_queue_enable(d->dev, 0);
}

void driver_ok(struct driver *d)
{
	vpmem_device_set_status(d->dev, STATUS_RUNNING);
}

void driver_start(struct driver *d, uint64_t features, uint16_t size)
{
	driver_features(d, features);
	driver_queue(d, size);
	driver_ok(d);
	check(vpmem_device_status(d->dev) == STATUS_RUNNING, "the device does not run");
}

/* ---- rings --------------------------------------------------------------------------------------- */

void driver_table_desc(struct driver *d, uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags,
                       unsigned next)
{
	driver_store(d, table_gpa + 16 * idx, gpa, 8);
	driver_store(d, table_gpa + 16 * idx + 8, len, 4);
	driver_store(d, table_gpa + 16 * idx + 12, flags, 2);
	driver_store(d, table_gpa + 16 * idx + 14, next, 2);
}

void driver_desc(struct driver *d, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	driver_table_desc(d, DESC_GPA, idx, gpa, len, flags, next);
}

uint16_t driver_flush(struct driver *d, unsigned slot)
{
	driver_store(d, TYPE_GPA(slot), 0, 4);
	driver_store(d, STATUS_GPA(slot), POISON, 4);
	driver_desc(d, 2 * slot, TYPE_GPA(slot), 4, F_NEXT, 2 * slot + 1);
	driver_desc(d, 2 * slot + 1, STATUS_GPA(slot), 4, F_WRITE, 0);
	return (uint16_t)(2 * slot);
}

uint16_t driver_flush_indirect(struct driver *d, unsigned slot)
{
	uint64_t table_gpa = TABLE_GPA + 32 * slot;

	driver_store(d, TYPE_GPA(slot), 0, 4);
	driver_store(d, STATUS_GPA(slot), POISON, 4);
	driver_table_desc(d, table_gpa, 0, TYPE_GPA(slot), 4, F_NEXT, 1);
	driver_table_desc(d, table_gpa, 1, STATUS_GPA(slot), 4, F_WRITE, 0);
	driver_desc(d, slot, table_gpa, 32, F_INDIRECT, 0);
	return (uint16_t)slot;
}

void driver_avail(struct driver *d, uint16_t head)
{
	driver_store16(d, AVAIL_GPA + 4 + 2u * (d->avail_idx % d->size), head);
	d->avail_idx++;
	__atomic_store_n(word(d, AVAIL_GPA + 2), htole16(d->avail_idx), __ATOMIC_RELEASE);
}

bool driver_kick(struct driver *d)
{
	uint16_t old_idx = d->kicked_idx, event;
	bool wanted;

	d->kicked_idx = d->avail_idx;
	__sync_synchronize(); /* pairs with the device's in virtq_kicks_on */
	if (d->event_idx) {
		event = driver_load16(d, USED_GPA + 4 + 8u * d->size);
		wanted = (uint16_t)(d->avail_idx - event - 1) < (uint16_t)(d->avail_idx - old_idx);
	} else {
		wanted = !(driver_load16(d, USED_GPA) & 1);
	}
	if (wanted)
		vpmem_queue_kick(d->dev, 0);
	return wanted;
}

void driver_submit(struct driver *d, uint16_t head)
{
	driver_avail(d, head);
	driver_kick(d);
}

uint16_t driver_used_idx(const struct driver *d)
{
	return le16toh(__atomic_load_n(word(d, USED_GPA + 2), __ATOMIC_ACQUIRE));
}

struct used_entry driver_used(const struct driver *d, unsigned idx)
{
	uint64_t gpa = USED_GPA + 4 + 8 * (idx % d->size);

	return (struct used_entry) {
		.id = (uint32_t)driver_load(d, gpa, 4),
		.len = (uint32_t)driver_load(d, gpa + 4, 4),
	};
}

uint32_t driver_status(const struct driver *d, unsigned slot)
{
	return (uint32_t)driver_load(d, STATUS_GPA(slot), 4);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

bool driver_wait_used(struct driver *d, uint16_t idx)
{
	int64_t end = now_ms() + WAIT_MS;

	while (driver_used_idx(d) != idx) {
		if (now_ms() > end)
			return false;
		ms_sleep();
	}
	return true;
}

bool driver_wait_count(const atomic_uint *counter, unsigned n)
{
	int64_t end = now_ms() + WAIT_MS;

	while (atomic_load(counter) != n) {
		if (now_ms() > end)
			return false;
		ms_sleep();
	}
	return true;
}

bool driver_wait_irq(struct driver *d, unsigned n)
{
	struct pollfd pfd = { .fd = d->seen.irq_efd, .events = POLLIN };
	uint64_t got = 0, nirqs;

	while (got < n) {
		if (poll(&pfd, 1, WAIT_MS) != 1)
			return false;
		check(read(d->seen.irq_efd, &nirqs, sizeof(nirqs)) == sizeof(nirqs), "read");
		got += nirqs;
	}
	return true;
}

uint32_t driver_flush_now(struct driver *d)
{
	uint16_t idx = (uint16_t)(driver_used_idx(d) + 1);

	driver_submit(d, driver_flush(d, 0));
	check(driver_wait_used(d, idx), "a flush is not completed");
	return driver_status(d, 0);
}
