// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_echo_test.c - the transport with a device that is not pmem (echo_device.h), driven end to end: a driver that
 * knows only configuration space, BARs and guest memory, on the real transport, bus and virtqueues.
 */
#include "echo_device.h"
#include "rig.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOT 5u
#define GSI (RIG_INTX_GSI + SLOT)
#define NO_VECTOR 0xffffu
#define MSG_ADDR 0xfee00000u
#define QUEUE_SIZE 8u

#define RAM_GPA UINT64_C(0x100000)
#define RAM_SIZE UINT64_C(0x100000)
/* Each queue has 16 KiB: descriptors, available ring, used ring, requests. */
#define QUEUE_GPA(idx) (RAM_GPA + 0x4000u * (idx))
#define AVAIL_OFF 0x1000u
#define USED_OFF 0x2000u
#define DATA_OFF 0x3000u

#define BIT(n) (UINT64_C(1) << (n))
#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define S_RUNNING (S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

struct fixture {
	struct rig rig;
	struct gmem mem;
	struct echo echo;
	struct virtio_pci *vp;
	uint64_t regs; /* BAR 0 */
	unsigned nqueues, notify_off, isr_off, config_off, table_off, pba_off;
	uint16_t avail_idx[VIRTIO_DEVICE_QUEUES_MAX];
	bool by_ioeventfd;
	uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
};

/* ---- driver ------------------------------------------------------------------------------------------ */

static void *ram(struct fixture *f, uint64_t gpa)
{
	return f->ram + (gpa - RAM_GPA);
}

/* Where there is a register page, it says the same as the register. */
static uint64_t rd(struct fixture *f, unsigned off, unsigned width)
{
	const uint8_t *page = fake_vm_readonly(&f->rig.fake, f->regs + off);
	uint64_t val = io_read(&f->rig.mmio, f->regs + off, width);

	for (unsigned i = 0; page && i < width; i++)
		assert_int_equal(page[i], val >> 8 * i & 0xff);
	return val;
}

static void wr(struct fixture *f, unsigned off, unsigned width, uint64_t val)
{
	io_write(&f->rig.mmio, f->regs + off, width, val);
}

static unsigned cap_field(struct fixture *f, uint8_t type, unsigned off)
{
	unsigned cap = virtio_capability_find(&f->rig, SLOT, type);

	assert_int_not_equal(cap, 0);
	return ecam_read(&f->rig, SLOT, cap + off, 4);
}

static void probe(struct fixture *f)
{
	unsigned msix = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	command_set(&f->rig, SLOT, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	f->regs = bar64_get(&f->rig, SLOT, 0);
	f->notify_off = 0x2000;
	f->isr_off = cap_field(f, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_CAP_OFFSET);
	f->config_off = cap_field(f, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_OFFSET);
	f->table_off = ecam_read(&f->rig, SLOT, msix + PCI_MSIX_TABLE, 4);
	f->pba_off = ecam_read(&f->rig, SLOT, msix + PCI_MSIX_PBA, 4);
}

static void msix_enable(struct fixture *f)
{
	unsigned msix = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	ecam_write(&f->rig, SLOT, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i <= f->nqueues; i++) {
		wr(f, f->table_off + 16 * i, 8, MSG_ADDR);
		wr(f, f->table_off + 16 * i + 8, 8, 0x40 + i);
	}
}

static void vectors_map(struct fixture *f)
{
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned i = 0; i < f->nqueues; i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 + i);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1 + i);
	}
}

/* How often the vector's message was sent since the last call. */
static int sent(struct fixture *f, unsigned vector)
{
	const struct fake_route *route = fake_vm_route(&f->rig.fake, MSG_ADDR, 0x40 + vector);

	return route ? (int)fake_efd_take(route->efd) : -1;
}

static void negotiate(struct fixture *f, uint64_t features)
{
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	for (unsigned word = 0; word < 2; word++) {
		wr(f, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		wr(f, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * word));
	}
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

static void queue_setup(struct fixture *f, unsigned idx)
{
	uint64_t gpa = QUEUE_GPA(idx);

	memset(ram(f, gpa), 0, 0x4000);
	f->avail_idx[idx] = 0;
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, idx);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_QUEUE_SIZE_MAX);
	wr(f, VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE_SIZE);
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 8, gpa);
	wr(f, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, gpa + AVAIL_OFF);
	wr(f, VIRTIO_PCI_COMMON_Q_USEDLO, 8, gpa + USED_OFF);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

static void start(struct fixture *f, uint64_t features)
{
	negotiate(f, BIT(VIRTIO_F_VERSION_1) | features);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned i = 0; i < f->nqueues; i++)
		queue_setup(f, i);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNNING);
}

static void kick(struct fixture *f, unsigned idx)
{
	const uint64_t one = 1;
	int efd = fake_vm_ioeventfd(&f->rig.fake, f->regs + f->notify_off + 4 * idx);

	/* What KVM does with a write to that address; or what happens if the machine had no ioeventfd left. */
	if (f->by_ioeventfd)
		assert_int_equal(write(efd, &one, sizeof(one)), (ssize_t)sizeof(one));
	else
		wr(f, f->notify_off + 4 * idx, 2, idx);
}

static void submit(struct fixture *f, unsigned idx, const char *text)
{
	struct vring_desc *desc = ram(f, QUEUE_GPA(idx));
	struct vring_avail *avail = ram(f, QUEUE_GPA(idx) + AVAIL_OFF);
	uint64_t data_gpa = QUEUE_GPA(idx) + DATA_OFF;

	strcpy(ram(f, data_gpa), text);
	memset(ram(f, data_gpa + 0x100), 0, 64);
	desc[0] = (struct vring_desc) { data_gpa, (uint32_t)strlen(text), VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc) { data_gpa + 0x100, 63, VRING_DESC_F_WRITE, 0 };
	avail->ring[f->avail_idx[idx] % QUEUE_SIZE] = 0;
	__atomic_store_n(&avail->idx, ++f->avail_idx[idx], __ATOMIC_RELEASE);
	kick(f, idx);
}

static const void *answer_of(struct fixture *f, unsigned idx)
{
	const struct vring_used *used = ram(f, QUEUE_GPA(idx) + USED_OFF);

	assert_int_equal(used->idx, f->avail_idx[idx]);
	return ram(f, QUEUE_GPA(idx) + DATA_OFF + 0x100);
}

static uint16_t used_idx(struct fixture *f, unsigned idx)
{
	return ((const struct vring_used *)ram(f, QUEUE_GPA(idx) + USED_OFF))->idx;
}

/* ---- fixture ----------------------------------------------------------------------------------------- */

static void plug(struct fixture *f, unsigned nqueues, bool page, bool ports)
{
	const struct virtio_pci_config cfg = {
		.bus = f->rig.bus,
		.bus_nr = -1,
		.slot = SLOT,
		.id = "e1",
		.register_page = page,
		.pio_notify = ports,
	};

	f->nqueues = nqueues;
	assert_int_equal(echo_create(&f->echo, &f->mem, nqueues, cfg), 0);
	f->vp = f->echo.pci;
	probe(f);
}

static struct fixture *fixture_new(void)
{
	struct fixture *f = aligned_alloc(4096, sizeof(*f));

	memset(f, 0, sizeof(*f));
	rig_init(&f->rig);
	gmem_init(&f->mem);
	assert_int_equal(gmem_add(&f->mem, RAM_GPA, RAM_SIZE, f->ram), 0);
	f->by_ioeventfd = true;
	return f;
}

static int setup(void **state)
{
	struct fixture *f = fixture_new();

	plug(f, 2, true, false);
	*state = f;
	return 0;
}

static int setup_bare(void **state)
{
	*state = fixture_new();
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_destroy(f->vp);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

/* ---- identity ---------------------------------------------------------------------------------------- */

static void names_and_numbers_are_the_device_s(void **state)
{
	struct fixture *f = *state;
	unsigned msix = capability_find(&f->rig, SLOT, PCI_CAP_ID_MSIX, 0);

	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_VENDOR_ID, 4), (0x1040u + ECHO_DEVICE_ID) << 16 | 0x1af4);
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_CLASS_REVISION, 4) >> 8, ECHO_CLASS);
	assert_string_equal(pci_device_description(pci_bus_device(f->rig.bus, SLOT))->name, "virtio-echo-pci");
	assert_int_equal(ecam_read(&f->rig, SLOT, msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE, 2);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	assert_int_equal(cap_field(f, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_LENGTH), ECHO_CONFIG_SIZE);
	assert_int_equal(cap_field(f, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_CAP_LENGTH), 8);
	assert_ptr_equal(virtio_pci_device(f->vp, &echo_ops), &f->echo);
	/* No window: no shared memory capability, no BAR 2. */
	assert_int_equal(virtio_capability_find(&f->rig, SLOT, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG), 0);
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_BASE_ADDRESS_2, 4), 0);
}

static void features_are_the_device_s(void **state)
{
	struct fixture *f = *state;

	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DF, 4), BIT(ECHO_F_UPPER));
	wr(f, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_DF, 4),
	                 BIT(ECHO_F_OTHER - 32) | BIT(VIRTIO_F_VERSION_1 - 32) | BIT(VIRTIO_F_RING_RESET - 32));
	start(f, 0);
	submit(f, 0, "as it is");
	assert_int_equal(echo_serve(&f->echo, 0), 1);
	assert_string_equal(answer_of(f, 0), "as it is");
	start(f, BIT(ECHO_F_UPPER) | BIT(ECHO_F_OTHER));
	submit(f, 0, "louder");
	assert_int_equal(echo_serve(&f->echo, 0), 1);
	assert_string_equal(answer_of(f, 0), "LOUDER");
	negotiate(f, BIT(VIRTIO_F_VERSION_1) | BIT(ECHO_F_UPPER + 1));
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), S_DRIVER);
}

/* ---- queues and interrupts --------------------------------------------------------------------------- */

static void each_queue_has_registers_of_its_own(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	for (unsigned i = 0; i < 2; i++) {
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_NOFF, 2), i);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_DESCLO, 8), QUEUE_GPA(i));
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), QUEUE_SIZE);
	}
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}

/* A request on each queue in turn; only its own vector sends. */
static void check_vectors(struct fixture *f)
{
	msix_enable(f);
	start(f, 0);
	vectors_map(f);
	submit(f, 1, "12345");
	assert_int_equal(echo_serve(&f->echo, 0), 0);
	assert_int_equal(echo_serve(&f->echo, 1), 1);
	assert_int_equal(*(const uint32_t *)answer_of(f, 1), 5);
	assert_int_equal(sent(f, 0), 0);
	assert_int_equal(sent(f, 1), 0);
	assert_int_equal(sent(f, 2), 1);
	submit(f, 0, "first");
	assert_int_equal(echo_serve(&f->echo, 1), 0);
	assert_int_equal(echo_serve(&f->echo, 0), 1);
	assert_string_equal(answer_of(f, 0), "first");
	assert_int_equal(sent(f, 1), 1);
	assert_int_equal(sent(f, 2), 0);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
}

static void queues_are_kicked_and_interrupt_separately_by_msix(void **state)
{
	check_vectors(*state);
}

static void without_an_ioeventfd_the_address_says_which_queue(void **state)
{
	struct fixture *f = *state;

	command_set(&f->rig, SLOT, 0);
	f->rig.fake.ioeventfd_error = -ENOSPC;
	command_set(&f->rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	f->by_ioeventfd = false;
	check_vectors(f);
}

static void vectors_of_the_queues_are_masked_separately(void **state)
{
	struct fixture *f = *state;

	msix_enable(f);
	start(f, 0);
	vectors_map(f);
	wr(f, f->table_off + 16 * 2 + 12, 4, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	for (unsigned i = 0; i < 2; i++) {
		submit(f, i, "x");
		assert_int_equal(echo_serve(&f->echo, (uint16_t)i), 1);
	}
	assert_int_equal(sent(f, 1), 1);
	assert_int_equal(sent(f, 2), 0);
	assert_int_equal(rd(f, f->pba_off, 8), BIT(2));
	wr(f, f->table_off + 16 * 2 + 12, 4, 0);
	assert_int_equal(sent(f, 2), 1);
	assert_int_equal(rd(f, f->pba_off, 8), 0);
}

static void the_pin_shows_queues_and_configuration(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	for (unsigned i = 0; i < 2; i++) {
		submit(f, i, "pin");
		assert_int_equal(echo_serve(&f->echo, (uint16_t)i), 1);
		assert_true(fake_vm_line(&f->rig.fake, GSI));
		assert_int_equal(rd(f, f->isr_off, 1), 1);
		assert_false(fake_vm_line(&f->rig.fake, GSI));
	}
	echo_set_temperature(&f->echo, 21);
	assert_true(fake_vm_line(&f->rig.fake, GSI));
	submit(f, 1, "both");
	echo_serve(&f->echo, 1);
	assert_int_equal(rd(f, f->isr_off, 1), 3);
	assert_int_equal(rd(f, f->isr_off, 1), 0);
	assert_false(fake_vm_line(&f->rig.fake, GSI));
}

static void each_queue_has_a_port(void **state)
{
	struct fixture *f = *state;
	uint64_t port;

	plug(f, 2, false, true);
	port = ecam_read(&f->rig, SLOT, PCI_BASE_ADDRESS_4, 4) & ~3u;
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 4);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fake_vm_port_ioeventfd(&f->rig.fake, port + 4 * i), f->echo.kick_efds[i]);
		assert_int_equal(fake_vm_ioeventfd(&f->rig.fake, f->regs + f->notify_off + 4 * i),
		                 f->echo.kick_efds[i]);
	}
	start(f, 0);
	f->by_ioeventfd = false;
	submit(f, 1, "x");
	assert_int_equal(echo_serve(&f->echo, 1), 1);
	io_write(&f->rig.pio, port + 4, 2, 1);
	assert_int_equal(fake_efd_take(f->echo.kick_efds[1]), 1);
	io_write(&f->rig.pio, port + 4, 2, 0); /* the address names one queue, the value another */
	assert_int_equal(fake_efd_take(f->echo.kick_efds[0]) + fake_efd_take(f->echo.kick_efds[1]), 0);
	command_set(&f->rig, SLOT, 0);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
}

static void check_last_queue(struct fixture *f)
{
	unsigned last = f->nqueues - 1;

	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_NUMQ, 2), f->nqueues);
	msix_enable(f);
	negotiate(f, BIT(VIRTIO_F_VERSION_1));
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	queue_setup(f, last);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_NOFF, 2), last);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, last + 2);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, last + 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), last + 1);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNNING);
	submit(f, last, "last");
	assert_int_equal(echo_serve(&f->echo, (uint16_t)last), 1);
	answer_of(f, last);
	assert_int_equal(sent(f, last + 1), 1);
	assert_int_equal(sent(f, 0), 0);
}

static void any_number_of_queues(void **state)
{
	static const unsigned counts[] = { 1, 3, 16, 63, VIRTIO_DEVICE_QUEUES_MAX };
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		plug(f, counts[i], true, false);
		assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), counts[i]);
		check_last_queue(f);
		assert_int_equal(virtio_pci_destroy(f->vp), -EREMOTEIO);
		f->vp = NULL;
		assert_int_equal(fake_vm_nioeventfds(&f->rig.fake) + fake_vm_nroutes(&f->rig.fake), 0);
	}
}

/* ---- configuration ------------------------------------------------------------------------------------ */

static void the_driver_writes_what_it_may(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes;

	start(f, 0);
	wr(f, f->config_off + ECHO_CONFIG_LEVEL, 1, 0x7f);
	assert_int_equal(rd(f, f->config_off + ECHO_CONFIG_LEVEL, 1), 0x7f);
	wr(f, f->config_off, 8, UINT64_MAX);
	bytes = rd(f, f->config_off, 8);
	assert_int_equal(bytes, 0xff);
	/* Across the end: what lies inside counts; beyond, nothing is there. */
	wr(f, f->config_off + ECHO_CONFIG_LAST, 4, 0x11223344);
	assert_int_equal(rd(f, f->config_off + ECHO_CONFIG_LAST, 4), 0x44);
	wr(f, f->config_off + ECHO_CONFIG_SIZE, 1, 0x99);
	assert_int_equal(rd(f, f->config_off + ECHO_CONFIG_SIZE, 1), 0);
	assert_int_equal(rd(f, f->config_off + ECHO_CONFIG_LEVEL, 1), 0xff);
}

/* Where it could be mapped for the guest there is nothing: a change and its generation are read as one. */
static void a_configuration_that_changes_is_read_by_exits(void **state)
{
	struct fixture *f = *state;

	assert_non_null(fake_vm_readonly(&f->rig.fake, f->regs));
	assert_null(fake_vm_readonly(&f->rig.fake, f->regs + f->config_off));
	echo_set_temperature(&f->echo, 0x12345678);
	assert_int_equal(rd(f, f->config_off + ECHO_CONFIG_TEMPERATURE, 4), 0x12345678);
	for (unsigned off = 0x800; off < 0x1000; off += 8)
		assert_int_equal(rd(f, off, 8), 0);
}

static void a_change_is_a_generation_and_an_interrupt(void **state)
{
	struct fixture *f = *state;
	uint64_t generation;

	msix_enable(f);
	start(f, 0);
	vectors_map(f);
	generation = rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	echo_set_temperature(&f->echo, 40);
	assert_int_equal(sent(f, 0), 1);
	assert_int_equal(sent(f, 1) + sent(f, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 1) & 0xff);
	assert_int_equal(rd(f, f->config_off + ECHO_CONFIG_TEMPERATURE, 4), 40);
	echo_set_temperature(&f->echo, 41);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 2) & 0xff);
	/* Nobody chose a vector: nothing is sent, the generation counts. */
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, NO_VECTOR);
	sent(f, 0);
	echo_set_temperature(&f->echo, 42);
	assert_int_equal(sent(f, 0), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 3) & 0xff);
}

/* Linux reads the configuration in probe, before DRIVER_OK. `rd` compares the register with the page. */
static void a_change_before_the_driver_runs_is_a_generation_alone(void **state)
{
	struct fixture *f = *state;
	uint64_t generation = rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	msix_enable(f);
	echo_set_temperature(&f->echo, 40);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 1) & 0xff);
	negotiate(f, BIT(VIRTIO_F_VERSION_1));
	wr(f, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	generation = rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	echo_set_temperature(&f->echo, 41);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 1) & 0xff);
	assert_int_equal(sent(f, 0), 0);
	assert_int_equal(rd(f, f->isr_off, 1), 0);
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNNING);
	echo_set_temperature(&f->echo, 42);
	assert_int_equal(sent(f, 0), 1);
}

/* ---- reset and removal -------------------------------------------------------------------------------- */

static void a_reset_ends_both_queues(void **state)
{
	struct fixture *f = *state;

	msix_enable(f);
	start(f, BIT(ECHO_F_UPPER));
	vectors_map(f);
	for (unsigned i = 0; i < 2; i++)
		submit(f, i, "late");
	wr(f, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(echo_serve(&f->echo, (uint16_t)i), 0);
		assert_int_equal(used_idx(f, i), 0);
		wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
		assert_int_equal(sent(f, i + 1), 0);
	}
	check_vectors(f);
}

static void a_reset_of_one_queue_leaves_the_other(void **state)
{
	struct fixture *f = *state;

	msix_enable(f);
	start(f, BIT(VIRTIO_F_RING_RESET));
	vectors_map(f);
	submit(f, 1, "lost");
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	assert_int_equal(echo_serve(&f->echo, 1), 0);
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	submit(f, 0, "goes on");
	assert_int_equal(echo_serve(&f->echo, 0), 1);
	assert_string_equal(answer_of(f, 0), "goes on");
	assert_int_equal(sent(f, 1), 1);
	queue_setup(f, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	submit(f, 1, "again");
	assert_int_equal(echo_serve(&f->echo, 1), 1);
	assert_int_equal(sent(f, 2), 1);
}

static void a_reset_of_a_queue_needs_its_feature(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(f, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

static void a_broken_second_queue_stops_the_device(void **state)
{
	struct fixture *f = *state;

	msix_enable(f);
	start(f, 0);
	vectors_map(f);
	((struct vring_avail *)ram(f, QUEUE_GPA(1) + AVAIL_OFF))->idx = 1000;
	kick(f, 1);
	assert_int_equal(echo_serve(&f->echo, 1), 0);
	assert_int_equal(f->echo.nfaults, 1);
	assert_int_equal(rd(f, VIRTIO_PCI_COMMON_STATUS, 1), S_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(sent(f, 0), 1);
	submit(f, 0, "x");
	assert_int_equal(echo_serve(&f->echo, 0), 0);
	check_vectors(f);
}

static void a_machine_reset_is_a_new_device(void **state)
{
	struct fixture *f = *state;

	msix_enable(f);
	start(f, 0);
	vectors_map(f);
	pci_bus_reset(f->rig.bus);
	assert_int_equal(f->echo.virtio.status, 0);
	probe(f);
	check_vectors(f);
}

static void unplugged_at_work_it_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	msix_enable(f);
	start(f, 0);
	vectors_map(f);
	for (unsigned i = 0; i < 2; i++)
		submit(f, i, "late");
	virtio_pci_unplug(f->vp);
	assert_int_equal(ecam_read(&f->rig, SLOT, PCI_VENDOR_ID, 4), UINT32_MAX);
	assert_int_equal(fake_vm_nioeventfds(&f->rig.fake), 0);
	assert_int_equal(fake_vm_nslots(&f->rig.fake), 0);
	assert_int_equal(fake_vm_nroutes(&f->rig.fake), 0);
	assert_int_equal(f->rig.mmio.nregions, 1); /* ECAM */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(echo_serve(&f->echo, (uint16_t)i), 0);
	echo_set_temperature(&f->echo, 1);
	assert_false(f->echo.destroyed);
	assert_int_equal(virtio_pci_destroy(f->vp), -EREMOTEIO);
	assert_true(f->echo.destroyed);
	/* And another one in its place. */
	plug(f, 2, true, false);
	check_vectors(f);
}

static void a_device_that_cannot_be_plugged_stays_its_maker_s(void **state)
{
	struct fixture *f = *state;
	struct echo other;
	const struct virtio_pci_config cfg = { .bus = f->rig.bus, .slot = SLOT };

	assert_int_equal(echo_create(&other, &f->mem, 2, cfg), -EBUSY);
	assert_null(other.pci);
	assert_false(other.destroyed);
	assert_int_equal(echo_ops.destroy(&other), -EREMOTEIO);
	check_vectors(f);
}

/* One snapshot for a read; for a write that changes a queue's layout one more, the change, and the register page. */
static void the_device_s_lock_is_taken_at_most_three_times_for_an_access(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	for (unsigned off = 0; off < 0x40; off += 8) {
		f->echo.nlocks = 0;
		rd(f, off, 8);
		assert_int_equal(f->echo.nlocks, 1);
	}
	f->echo.nlocks = 0;
	wr(f, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x1000);
	assert_int_equal(f->echo.nlocks, 3);
	f->echo.nlocks = 0;
	wr(f, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(f->echo.nlocks, 1);
	f->echo.nlocks = 0;
	rd(f, VIRTIO_PCI_COMMON_STATUS, 1);
	assert_int_equal(f->echo.nlocks, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_and_numbers_are_the_device_s),
		TEST(features_are_the_device_s),
		TEST(each_queue_has_registers_of_its_own),
		TEST(queues_are_kicked_and_interrupt_separately_by_msix),
		TEST(without_an_ioeventfd_the_address_says_which_queue),
		TEST(vectors_of_the_queues_are_masked_separately),
		TEST(the_pin_shows_queues_and_configuration),
		TEST_BARE(each_queue_has_a_port),
		TEST_BARE(any_number_of_queues),
		TEST(the_driver_writes_what_it_may),
		TEST(a_configuration_that_changes_is_read_by_exits),
		TEST(a_change_is_a_generation_and_an_interrupt),
		TEST(a_change_before_the_driver_runs_is_a_generation_alone),
		TEST(a_reset_ends_both_queues),
		TEST(a_reset_of_one_queue_leaves_the_other),
		TEST(a_reset_of_a_queue_needs_its_feature),
		TEST(a_broken_second_queue_stops_the_device),
		TEST(a_machine_reset_is_a_new_device),
		TEST(unplugged_at_work_it_leaves_nothing),
		TEST(a_device_that_cannot_be_plugged_stays_its_maker_s),
		TEST(the_device_s_lock_is_taken_at_most_three_times_for_an_access),
	};

	return cmocka_run_group_tests_name("virtio_echo", tests, NULL, NULL);
}
