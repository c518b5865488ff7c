// SPDX-License-Identifier: Apache-2.0
// The guest's physical address space: RAM, and where the windows above it lie.
#include "machine_memory.h"

#include "cpu.h"
#include "error.h"
#include "machine.h"
#include "machine_find.h"
#include "machine_memdev.h"
#include "memory_map.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_ALIGN (2 * MIB)

/*
 * Aligned to 2 MiB on both sides, so that large pages are possible. The rest of the reserved addresses stays,
 * without access, as a guard. Nothing forks any more: daemon.c has done so before.
 */
static int map_ram(struct machine *m, struct ram *ram, gpa_t gpa, uint64_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *area = mmap(NULL, size + RAM_ALIGN, PROT_NONE, flags | MAP_NORESERVE, -1, 0);
	int rc;

	if (area == MAP_FAILED)
		return -errno;
	*ram = (struct ram) { .area = area, .hva = area + -(uintptr_t)area % RAM_ALIGN, .size = size };
	if (mmap(ram->hva, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	(void)madvise(ram->hva, size, MADV_HUGEPAGE);
	if (m->opts->no_guest_core && madvise(ram->hva, size, MADV_DONTDUMP) < 0)
		return -errno;
	rc = gmem_add(&m->gmem, gpa, size, ram->hva);
	return rc ? rc : vm_memory_add(&m->kvm.vm, gpa, size, ram->hva, false);
}

// ---- RAM that is a memory backend

static int map_part(struct machine *m, const struct vm_memory_region *whole, gpa_t gpa, uint64_t off, uint64_t size,
                    struct ram *ram)
{
	const struct vm_memory_region region = { .gpa = gpa,
		                                 .size = size,
		                                 .hva = (uint8_t *)whole->hva + off,
		                                 .fd = whole->fd,
		                                 .fd_off = whole->fd_off + off };
	int rc;

	*ram = (struct ram) { .hva = region.hva, .size = size };
	rc = gmem_add(&m->gmem, gpa, size, ram->hva);
	return rc ? rc : vm_memory_add_region(&m->kvm.vm, &region, false);
}

// Without -m it is the object's size, which can be any.
static int settle_size(struct machine *m, uint64_t size, struct vpmem_error *err)
{
	uint64_t *ram_size = &m->opts->ram_size;

	if (*ram_size == 0 && (size < RAM_SIZE_MIN || size > RAM_SIZE_MAX || size % RAM_GRANULE != 0)) {
		error_set(err, -EINVAL, "memory backend '%s': a size of 0x%" PRIx64 " bytes is not supported for RAM",
		          m->opts->memory_backend, size);
		error_hint(err, "it is a multiple of 8 KiB, from 2 MiB to 16 TiB");
		return -EINVAL;
	}
	if (*ram_size == 0)
		*ram_size = size;
	if (*ram_size == size)
		return 0;
	error_set(err, -EINVAL, "Machine memory size does not match the size of the memory backend");
	error_hint(err, "the object '%s' has %" PRIu64 " bytes: -m %" PRIu64 "B", m->opts->memory_backend, size, size);
	return -EINVAL;
}

static int use_backend(struct machine *m, struct vpmem_error *err)
{
	struct memdev *memdev = machine_find_memdev(m, m->opts->memory_backend);
	struct vm_memory_region whole;
	uint64_t low;
	int rc;

	if (!memdev)
		return error_set(err, -ENODEV, "Memory backend '%s' not found", m->opts->memory_backend);
	whole = machine_memdev_region(memdev);
	rc = settle_size(m, whole.size, err);
	if (rc < 0)
		return rc;
	low = whole.size < RAM_LOW_MAX ? whole.size : RAM_LOW_MAX;
	rc = map_part(m, &whole, 0, 0, low, &m->ram_low);
	if (rc == 0 && whole.size > low)
		rc = map_part(m, &whole, RAM_HIGH_BASE, low, whole.size - low, &m->ram_high);
	if (rc < 0)
		return error_set(err, rc, "cannot set up guest memory '%s': %s", memdev->obj.cfg->id, strerror(-rc));
	memdev->obj.in_use = true;
	m->ram_memdev = memdev;
	return 0;
}

// ----

int machine_ram_up(struct machine *m, struct vpmem_error *err)
{
	uint64_t size = m->opts->ram_size, low = size < RAM_LOW_MAX ? size : RAM_LOW_MAX;
	int rc;

	gmem_init(&m->gmem);
	if (m->opts->memory_backend)
		return use_backend(m, err);
	rc = map_ram(m, &m->ram_low, 0, low);
	if (rc == 0 && size > low)
		rc = map_ram(m, &m->ram_high, RAM_HIGH_BASE, size - low);
	if (rc == 0)
		return 0;
	error_set(err, rc, "cannot set up guest memory 'pc.ram': %s", strerror(-rc));
	error_hint(err, "-m asks for %" PRIu64 " MiB: give the guest less, or the host more memory or swap",
	           size / MIB);
	return rc;
}

void machine_ram_down(struct machine *m)
{
	struct ram *rams[] = { &m->ram_low, &m->ram_high };

	for (unsigned i = 0; i < 2; i++)
		if (rams[i]->area)
			munmap(rams[i]->area, rams[i]->size + RAM_ALIGN);
	m->ram_memdev = NULL;
}

// ---- windows above RAM: for pmem, and for 64-bit BARs

int machine_place_windows(struct machine *m, struct vpmem_error *err)
{
	uint64_t ram_end = RAM_HIGH_BASE + m->ram_high.size;
	unsigned phys_bits = cpu_phys_bits(m->cpu_host);
	uint64_t limit = UINT64_C(1) << phys_bits;
	uint64_t room;

	if (m->ram_high.size > 0 && ram_end > limit) {
		error_set(err, -EINVAL, "Address space limit 0x%" PRIx64 " < 0x%" PRIx64 " phys-bits too low (%u)",
		          limit - 1, ram_end - 1, phys_bits);
		error_hint(err, "this processor cannot address so much memory: give the guest less with -m");
		return -EINVAL;
	}
	m->pmem_gpa = (ram_end + GIB - 1) & ~(GIB - 1);
	if (limit > ram_end + WINDOW_MAX)
		limit = ram_end + WINDOW_MAX;
	room = limit > m->pmem_gpa ? (limit - m->pmem_gpa) & ~(GIB - 1) : 0;
	m->pmem_size = room / 4 * 3 & ~(GIB - 1);
	m->mem64_gpa = m->pmem_gpa + m->pmem_size;
	m->mem64_size = room - m->pmem_size;
	return 0;
}
