// SPDX-License-Identifier: Apache-2.0
// VCPUs write registers while workers interrupt. Most of what it checks, ThreadSanitizer checks.
#include "fake_vpmem.h"
#include "rig.h"
#include "virtio_pmem.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NROUNDS 3000u
#define MSG_ADDR 0xfee00000u
#define NDEVICES 2u
/* Slots that share an interrupt line. */
#define FIRST_SLOT 3u
#define GSI (RIG_INTX_GSI + FIRST_SLOT)

struct fixture {
	struct rig rig;
	struct gmem mem;
	pthread_mutex_t machine_lock;
	struct vpmem_backing backing;
	struct virtio_pci *vps[NDEVICES];
	struct vpmem_device *devs[NDEVICES];
	gpa_t bars[NDEVICES];
};

static unsigned slot_of(unsigned i)
{
	return FIRST_SLOT + i * RIG_INTX_LINES;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	rig_init(&f->rig);
	pthread_mutex_init(&f->machine_lock, NULL);
	f->backing.size = VPMEM_GRANULE;
	for (unsigned i = 0; i < NDEVICES; i++) {
		const struct virtio_pmem_options cfg = {
			.pci.bus = f->rig.bus,
			.pci.slot = (int)slot_of(i),
			.mem = &f->mem,
			.pci.register_page = true,
			.device = { .backing = &f->backing },
		};

		assert_int_equal(virtio_pmem_create(&cfg, &f->vps[i], NULL), 0);
		f->devs[i] = virtio_pmem_device(f->vps[i]);
		f->bars[i] = bar64_get(&f->rig, slot_of(i), 0);
		command_set(&f->rig, slot_of(i), PCI_COMMAND_MEMORY);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < NDEVICES; i++)
		virtio_pci_destroy(f->vps[i]);
	rig_fini(&f->rig);
	pthread_mutex_destroy(&f->machine_lock);
	free(f);
	return 0;
}

/* What a vCPU does: one access under the machine lock. */
static uint64_t rd(struct fixture *f, unsigned i, unsigned off, unsigned width)
{
	pthread_mutex_lock(&f->machine_lock);
	uint64_t val = io_read(&f->rig.mmio, f->bars[i] + off, width);
	pthread_mutex_unlock(&f->machine_lock);
	return val;
}

static void wr(struct fixture *f, unsigned i, unsigned off, unsigned width, uint64_t val)
{
	pthread_mutex_lock(&f->machine_lock);
	io_write(&f->rig.mmio, f->bars[i] + off, width, val);
	pthread_mutex_unlock(&f->machine_lock);
}

static void config_wr(struct fixture *f, unsigned i, unsigned off, unsigned width, uint32_t val)
{
	pthread_mutex_lock(&f->machine_lock);
	ecam_write(&f->rig, slot_of(i), off, width, val);
	pthread_mutex_unlock(&f->machine_lock);
}

static uint32_t config_rd(struct fixture *f, unsigned i, unsigned off, unsigned width)
{
	pthread_mutex_lock(&f->machine_lock);
	uint32_t val = ecam_read(&f->rig, slot_of(i), off, width);
	pthread_mutex_unlock(&f->machine_lock);
	return val;
}

struct worker {
	struct fixture *f;
	unsigned device;
};

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < NROUNDS; i++)
		fake_vpmem_interrupt(w->f->devs[w->device], i % 4 ? VPMEM_INTERRUPT_QUEUE : VPMEM_INTERRUPT_CONFIG);
	return NULL;
}

static void workers_start(struct fixture *f, pthread_t threads[NDEVICES], struct worker workers[NDEVICES])
{
	for (unsigned i = 0; i < NDEVICES; i++) {
		workers[i] = (struct worker) { .f = f, .device = i };
		assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
	}
}

static void workers_join(pthread_t threads[NDEVICES])
{
	for (unsigned i = 0; i < NDEVICES; i++)
		pthread_join(threads[i], NULL);
}

/* However the interrupts and the reads of both ISRs interleave: the line ends as the OR of what is pending. */
static void a_shared_line_never_sticks(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[NDEVICES];
	struct worker workers[NDEVICES];

	workers_start(f, threads, workers);
	for (unsigned i = 0; i < NROUNDS; i++) {
		rd(f, i % NDEVICES, 0x1000, 1);
		config_wr(f, i % NDEVICES, PCI_COMMAND, 2,
		          PCI_COMMAND_MEMORY | (i % 8 == 3 ? PCI_COMMAND_INTX_DISABLE : 0));
		config_rd(f, i % NDEVICES, PCI_STATUS, 2);
	}
	workers_join(threads);
	for (unsigned i = 0; i < NDEVICES; i++)
		config_wr(f, i, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < NDEVICES; i++) {
		bool pending = false;

		for (unsigned j = 0; j < NDEVICES; j++)
			pending |= config_rd(f, j, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
		assert_int_equal(fake_vm_line(&f->rig.fake, GSI), pending);
		rd(f, i, 0x1000, 1);
	}
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	fake_vpmem_interrupt(f->devs[0], VPMEM_INTERRUPT_QUEUE);
	assert_true(fake_vm_line(&f->rig.fake, GSI));
}

/* Everything that a vCPU can do to the registers, against the workers; afterwards the device is as new. */
static void registers_against_interrupts(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[NDEVICES];
	struct worker workers[NDEVICES];
	unsigned msix = capability_find(&f->rig, FIRST_SLOT, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS;

	workers_start(f, threads, workers);
	for (unsigned i = 0; i < NROUNDS; i++) {
		unsigned dev = i % NDEVICES;

		config_wr(f, dev, msix, 2, i % 5 ? PCI_MSIX_FLAGS_ENABLE : 0);
		wr(f, dev, 0x3000, 8, MSG_ADDR);
		wr(f, dev, 0x3008, 8, i % 3 ? i : UINT64_C(1) << 32);
		wr(f, dev, VIRTIO_PCI_COMMON_MSIX, 2, i % 7 ? 0 : 0xffff);
		wr(f, dev, VIRTIO_PCI_COMMON_Q_MSIX, 2, i % 11 ? 0 : 1);
		rd(f, dev, 0x4000, 8);
		rd(f, dev, 0x1000, 1);
		rd(f, dev, VIRTIO_PCI_COMMON_STATUS, 1);
		wr(f, dev, VIRTIO_PCI_COMMON_STATUS, 1, i % 13 ? 3 : 0);
		wr(f, dev, 0x2000, 2, 0);
		if (i % 64 == 0) {
			pthread_mutex_lock(&f->machine_lock);
			pci_bus_reset(f->rig.bus);
			pthread_mutex_unlock(&f->machine_lock);
			for (unsigned j = 0; j < NDEVICES; j++)
				config_wr(f, j, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		}
	}
	workers_join(threads);
	pci_bus_reset(f->rig.bus);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
	command_set(&f->rig, FIRST_SLOT, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(f, 0, 0x1000, 1), 0);
	assert_int_equal(rd(f, 0, 0x4000, 8), 0);
	assert_int_equal(rd(f, 0, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	fake_vpmem_interrupt(f->devs[0], VPMEM_INTERRUPT_CONFIG);
	assert_int_equal(rd(f, 0, 0x1000, 1), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_shared_line_never_sticks),
		TEST(registers_against_interrupts),
	};

	return cmocka_run_group_tests_name("virtio_pci_race", tests, NULL, NULL);
}
