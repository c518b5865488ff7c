// SPDX-License-Identifier: Apache-2.0
// Random guest accesses with a fixed seed: whatever they are, the bus keeps its promises.
#include "fake_vpmem.h"
#include "rig.h"
#include "virtio_pmem.h"

#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NACCESSES 100000u
#define NDEVICES 4u

struct fixture {
	struct rig rig;
	struct gmem mem;
	struct vpmem_backing backing;
	struct virtio_pci *vps[NDEVICES];
	uint64_t seed;
};

static uint64_t random64(struct fixture *f)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return f->seed;
}

static unsigned below(struct fixture *f, unsigned limit)
{
	return (unsigned)(random64(f) % limit);
}

static void plug(struct fixture *f, unsigned i)
{
	const struct virtio_pmem_options cfg = {
		.pci.bus = f->rig.bus,
		.pci.slot = -1,
		.mem = &f->mem,
		.device = { .backing = &f->backing, .shmem = i % 2, .gpa = i % 2 ? 0 : 0x240000000 },
	};

	assert_int_equal(virtio_pmem_create(&cfg, &f->vps[i], NULL), 0);
}

/* Values that matter to somebody: small, all ones, an address in a window, a bit pattern. */
static uint64_t random_value(struct fixture *f)
{
	switch (below(f, 6)) {
	case 0:
		return below(f, 4);
	case 1:
		return UINT64_MAX;
	case 2:
		return RIG_MEM32 + 0x1000 * (uint64_t)below(f, 256);
	case 3:
		return RIG_MEM64 >> 32 << below(f, 33);
	case 4:
		return UINT64_C(1) << below(f, 64);
	default:
		return random64(f);
	}
}

/* Mostly where something is: the common configuration, page starts and ends, notify. */
static uint64_t random_register(struct fixture *f)
{
	switch (below(f, 5)) {
	case 0:
		return below(f, 64);
	case 4:
		return 0x2000;
	case 1:
		return 0x1000 * below(f, 8) + below(f, 40);
	case 2:
		return 0x1000 * below(f, 8) + 0xff8 + below(f, 8);
	default:
		return below(f, 0x8000);
	}
}

static void access_anything(struct fixture *f)
{
	unsigned i = below(f, NDEVICES), slot = (unsigned)virtio_pci_slot(f->vps[i]);
	unsigned width = 1u << below(f, 4);
	uint64_t val = random_value(f);
	uint64_t addr = RIG_ECAM + ((uint64_t)slot << 15) + below(f, below(f, 8) ? 0x100 : 0x1000);

	switch (below(f, 16)) {
	case 0:
		io_write(&f->rig.mmio, addr, width, val);
		break;
	case 1:
		io_read(&f->rig.mmio, addr, width);
		break;
	case 2:
		io_write(&f->rig.pio, 0xcf8, 4, 0x80000000u | slot << 11 | below(f, 256));
		io_write(&f->rig.pio, 0xcf8 + below(f, 8), width, val);
		break;
	case 3:
		io_read(&f->rig.pio, 0xcf8 + below(f, 8), width);
		break;
	case 4:
		command_set(&f->rig, slot, PCI_COMMAND_MEMORY | (uint16_t)(val & PCI_COMMAND_INTX_DISABLE));
		break;
	case 5:
		fake_vpmem_interrupt(virtio_pmem_device(f->vps[i]), (enum vpmem_interrupt)below(f, 2));
		break;
	case 6:
		/* Back to its place, now and then another's: so the registers are mostly reachable. */
		bar64_set(&f->rig, slot, 0, RIG_MEM32 + 0x8000 * (uint64_t)(below(f, 8) ? slot : below(f, 8)));
		break;
	case 7:
	case 8:
	case 9:
		io_read(&f->rig.mmio, bar64_get(&f->rig, slot, 0) + random_register(f), width);
		break;
	default:
		io_write(&f->rig.mmio, bar64_get(&f->rig, slot, 0) + random_register(f), width, val);
	}
}

static bool inside(uint64_t gpa, uint64_t size, uint64_t window, uint64_t window_size)
{
	return gpa >= window && gpa - window <= window_size && size <= window_size - (gpa - window);
}

static void check_promises(struct fixture *f)
{
	struct fake_vm *fake = &f->rig.fake;
	unsigned nlines = 0;

	/* The three regions of PCI itself; and no BAR without its ioeventfd. */
	assert_int_equal(f->rig.pio.nregions, 2);
	assert_int_equal(f->rig.mmio.nregions, 1 + fake_vm_nioeventfds(fake));
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		const struct fake_slot *slot = &fake->slots[i];

		if (slot->used)
			assert_true(inside(slot->gpa, slot->size, RIG_MEM32, RIG_MEM32_SIZE) ||
			            inside(slot->gpa, slot->size, RIG_MEM64, RIG_MEM64_SIZE));
		for (unsigned r = 0; slot->used && r < f->rig.mmio.nregions; r++)
			assert_true(f->rig.mmio.regions[r].base + f->rig.mmio.regions[r].size <= slot->gpa ||
			            f->rig.mmio.regions[r].base >= slot->gpa + slot->size);
		nlines += fake->lines[i];
	}
	/* An asserted line has a device whose status says so. */
	unsigned npending = 0;
	for (unsigned slot = 1; slot <= NDEVICES; slot++)
		npending += (ecam_read(&f->rig, slot, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT) != 0;
	assert_true(nlines <= npending);
	assert_true(fake_vm_nroutes(fake) <= 2 * NDEVICES);
	for (unsigned i = 0; i < NDEVICES; i++)
		assert_int_equal(virtio_pmem_device(f->vps[i])->nbad_indices, 0);
}

static void random_accesses(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	unsigned nkicks = 0, nresets = 0;

	(void)state;
	rig_init(&f->rig);
	f->backing.size = 3 * VPMEM_GRANULE;
	f->seed = UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned i = 0; i < NDEVICES; i++)
		plug(f, i);
	for (unsigned n = 0; n < NACCESSES; n++) {
		access_anything(f);
		if (n % 97 == 0)
			check_promises(f);
		if (n % 5003 == 0)
			pci_bus_reset(f->rig.bus);
		if (n % 1009 == 0) {
			unsigned i = below(f, NDEVICES);

			nkicks += virtio_pmem_device(f->vps[i])->nkicks;
			nresets += virtio_pmem_device(f->vps[i])->nresets;
			virtio_pci_destroy(f->vps[i]);
			plug(f, i);
		}
	}
	/* It did reach the device, or it tested nothing. */
	print_message("%u notifications, %u resets\n", nkicks, nresets);
	assert_true(nkicks > 10 && nresets > 10);
	for (unsigned i = 0; i < NDEVICES; i++)
		virtio_pci_destroy(f->vps[i]);
	rig_fini(&f->rig);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_accesses) };

	return cmocka_run_group_tests_name("pci_smoke", tests, NULL, NULL);
}
