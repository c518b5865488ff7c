// SPDX-License-Identifier: Apache-2.0
// The balloon device on the real transport: identity, configuration, its worker, its end, and memory that really goes.
#include "failing_calls.h"
#include "rig.h"
#include "virtio_balloon.h"

#include <dirent.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOT 4u
#define RAM_GPA UINT64_C(0x100000)
#define RAM_SIZE 0x20000u
#define DATA_OFF 0x8000u
#define FREE_OFF 0x10000u /* what the guest gives */
#define WAIT_MS 20000
#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define CONFIG_OFF 0x5000u /* the page of a configuration that the device changes */
#define F_PAGE_POISON 4u
#define F_REPORTING 5u

// ---- the machine and its driver

static struct rig rig;
static struct gmem mem;
static uint8_t *ram;
static struct virtio_pci *vp;
static struct vpmem_error err;
static uint64_t regs;
static unsigned nchanges;

static unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int setup(void **state)
{
	(void)state;
	nchanges = 0;
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		return -1;
	rig_init(&rig);
	gmem_init(&mem);
	return gmem_add(&mem, RAM_GPA, RAM_SIZE, ram);
}

static int destroy(void)
{
	int rc = virtio_pci_destroy(vp);

	vp = NULL;
	return rc;
}

// A test that failed has left its device, without which the rest would have nothing to stand on.
static int teardown(void **state)
{
	(void)state;
	if (vp)
		destroy();
	rig_fini(&rig);
	return munmap(ram, RAM_SIZE);
}

static void on_actual_changed(void *owner)
{
	++*(unsigned *)owner;
}

static int create(bool reporting)
{
	const struct virtio_balloon_options opts = {
		.pci = { .bus = rig.bus, .bus_nr = -1, .slot = SLOT, .id = "b0", .register_page = true },
		.mem = &mem,
		.nregions = 1,
		.regions = { { .gpa = RAM_GPA, .size = RAM_SIZE, .hva = ram, .page_size = 4096, .fd = -1 } },
		.page_poison = true,
		.reporting = reporting,
		.actual_changed = on_actual_changed,
		.owner = &nchanges,
	};

	return virtio_balloon_create(&opts, &vp, &err);
}

static void wr(unsigned off, unsigned width, uint64_t val)
{
	io_write(&rig.mmio, regs + off, width, val);
}

static uint64_t rd(unsigned off, unsigned width)
{
	return io_read(&rig.mmio, regs + off, width);
}

static void negotiate(uint32_t features)
{
	command_set(&rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	regs = bar64_get(&rig, SLOT, 0);
	wr(VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	wr(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	wr(VIRTIO_PCI_COMMON_GF, 4, features);
	wr(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(VIRTIO_PCI_COMMON_GF, 4, 1);
	wr(VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

static void start(uint32_t features, unsigned queue)
{
	negotiate(features);
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	wr(VIRTIO_PCI_COMMON_Q_DESCLO, 8, RAM_GPA);
	wr(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, RAM_GPA + 0x1000);
	wr(VIRTIO_PCI_COMMON_Q_USEDLO, 8, RAM_GPA + 0x2000);
	wr(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* One request of one buffer, by a kick that leaves the guest. */
static void request(unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags)
{
	const uint16_t idx = 1;

	memcpy(ram, &gpa, 8);
	memcpy(ram + 8, &len, 4);
	memcpy(ram + 12, &flags, 2);
	__atomic_store_n((uint16_t *)(void *)(ram + 0x1002), idx, __ATOMIC_RELEASE);
	wr(0x2000 + 4 * queue, 2, queue);
}

static void answer_comes(void)
{
	for (unsigned i = 0; i < WAIT_MS; i++) {
		if (__atomic_load_n((uint16_t *)(void *)(ram + 0x2002), __ATOMIC_ACQUIRE) == 1)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("no answer");
}

// ---- the tests

static void it_is_the_balloon_of_the_specification(void **state)
{
	(void)state;
	assert_int_equal(create(false), 0);
	assert_int_equal(ecam_read(&rig, SLOT, PCI_VENDOR_ID, 4), 0x10451af4);
	assert_int_equal(ecam_read(&rig, SLOT, PCI_CLASS_DEVICE, 2), 0x00ff);
	negotiate(0);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_NUMQ, 2), 3);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
	wr(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	// STATS_VQ, PAGE_POISON; not MUST_TELL_HOST, DEFLATE_ON_OOM, FREE_PAGE_HINT, REPORTING.
	assert_int_equal(rd(VIRTIO_PCI_COMMON_DF, 4) & 0x3f, 0x12);
	assert_int_equal(destroy(), 0);
	assert_int_equal(create(true), 0);
	negotiate(0);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_NUMQ, 2), 4);
	wr(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_DF, 4) & 0x3f, 0x32);
	assert_int_equal(destroy(), 0);
}

static void its_configuration_is_the_target_and_what_the_guest_has(void **state)
{
	uint64_t generation;

	(void)state;
	assert_int_equal(create(false), 0);
	negotiate(1u << F_PAGE_POISON);
	assert_int_equal(rd(CONFIG_OFF, 4), 0);
	generation = rd(VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	virtio_balloon_set_target(vp, 0x12345678);
	assert_int_equal(rd(CONFIG_OFF, 4), 0x12345678);
	assert_true(rd(VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation);
	// The target is the device's.
	wr(CONFIG_OFF, 4, 0);
	assert_int_equal(rd(CONFIG_OFF, 4), 0x12345678);
	wr(CONFIG_OFF + 4, 4, 0xaabbccdd);
	assert_int_equal(virtio_balloon_actual(vp), 0xaabbccdd);
	assert_int_equal(nchanges, 1);
	wr(CONFIG_OFF + 4, 4, 0xaabbccdd);
	assert_int_equal(nchanges, 1);
	wr(CONFIG_OFF + 5, 1, 0);
	assert_int_equal(virtio_balloon_actual(vp), 0xaabb00dd);
	assert_int_equal(nchanges, 2);
	wr(CONFIG_OFF + 12, 4, 0x55);
	assert_int_equal(rd(CONFIG_OFF + 12, 4), 0x55);
	// As in QEMU, a reset keeps both numbers.
	wr(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(rd(CONFIG_OFF, 4), 0x12345678);
	assert_int_equal(rd(CONFIG_OFF + 4, 4), 0xaabb00dd);
	assert_int_equal(rd(CONFIG_OFF + 12, 4), 0);
	// Without the feature there is no pattern.
	negotiate(0);
	wr(CONFIG_OFF + 12, 4, 0x55);
	assert_int_equal(rd(CONFIG_OFF + 12, 4), 0);
	assert_int_equal(destroy(), 0);
}

static void its_worker_returns_pages(void **state)
{
	const uint32_t pfns[] = { (RAM_GPA + FREE_OFF) >> 12, (RAM_GPA + FREE_OFF + 0x2000) >> 12 };

	(void)state;
	assert_int_equal(create(false), 0);
	memset(ram + FREE_OFF, 0x5a, 0x4000);
	start(0, 0);
	memcpy(ram + DATA_OFF, pfns, sizeof(pfns));
	request(0, RAM_GPA + DATA_OFF, sizeof(pfns), 0);
	answer_comes();
	assert_int_equal(ram[FREE_OFF], 0);
	assert_int_equal(ram[FREE_OFF + 0x1000], 0x5a);
	assert_int_equal(ram[FREE_OFF + 0x2fff], 0);
	assert_int_equal(ram[FREE_OFF + 0x3000], 0x5a);
	assert_int_equal(destroy(), 0);
}

static void its_worker_returns_ranges(void **state)
{
	(void)state;
	assert_int_equal(create(true), 0);
	memset(ram + FREE_OFF, 0x5a, 0x4000);
	start(1u << F_REPORTING, 3);
	request(3, RAM_GPA + FREE_OFF, 0x3000, 2);
	answer_comes();
	assert_int_equal(ram[FREE_OFF], 0);
	assert_int_equal(ram[FREE_OFF + 0x2fff], 0);
	assert_int_equal(ram[FREE_OFF + 0x3000], 0x5a);
	assert_int_equal(destroy(), 0);
}

static void after_a_pause_it_goes_on(void **state)
{
	(void)state;
	assert_int_equal(create(true), 0);
	memset(ram + FREE_OFF, 0x5a, 0x4000);
	start(1u << F_REPORTING, 3);
	virtio_pci_set_paused(vp, true);
	request(3, RAM_GPA + FREE_OFF, 0x3000, 2);
	poll(NULL, 0, 20);
	assert_int_equal(ram[FREE_OFF], 0x5a);
	virtio_pci_set_paused(vp, false);
	answer_comes();
	assert_int_equal(ram[FREE_OFF], 0);
	assert_int_equal(destroy(), 0);
}

static void a_guest_fault_ends_in_needs_reset(void **state)
{
	(void)state;
	assert_int_equal(create(false), 0);
	start(0, 0);
	__atomic_store_n((uint16_t *)(void *)(ram + 0x1002), 0x4000, __ATOMIC_RELEASE);
	wr(0x2000, 2, 0);
	for (unsigned i = 0; i < WAIT_MS && !(rd(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET); i++)
		poll(NULL, 0, 1);
	assert_true(rd(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(destroy(), 0);
}

static void the_interval_of_statistics_can_change(void **state)
{
	(void)state;
	assert_int_equal(create(false), 0);
	assert_int_equal(virtio_balloon_stats_interval(vp), 0);
	virtio_balloon_set_stats_interval(vp, 7);
	assert_int_equal(virtio_balloon_stats_interval(vp), 7);
	assert_int_equal(virtio_balloon_stats(vp).updated_s, 0);
	assert_true(virtio_balloon_stats(vp).vals[0] == UINT64_MAX);
	assert_int_equal(destroy(), 0);
}

static void a_failure_leaves_nothing(void **state)
{
	unsigned before = open_fds(), n = 1;

	(void)state;
	for (;; n++) {
		fail_call(n);
		if (create(true) == 0)
			break;
		assert_non_null(strstr(err.text, "virtio-balloon-pci: "));
		assert_int_equal(open_fds(), before);
	}
	assert_false(call_has_failed());
	// The device, its name, two eventfds and the thread; the transport.
	assert_true(n > 5);
	assert_int_equal(destroy(), 0);
	assert_int_equal(open_fds(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_the_balloon_of_the_specification),
		TEST(its_configuration_is_the_target_and_what_the_guest_has),
		TEST(its_worker_returns_pages),
		TEST(its_worker_returns_ranges),
		TEST(after_a_pause_it_goes_on),
		TEST(a_guest_fault_ends_in_needs_reset),
		TEST(the_interval_of_statistics_can_change),
		TEST(a_failure_leaves_nothing),
	};

	return cmocka_run_group_tests_name("virtio_balloon", tests, NULL, NULL);
}
