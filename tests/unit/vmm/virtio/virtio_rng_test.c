// SPDX-License-Identifier: Apache-2.0
// The entropy device on the real transport: identity, its worker, its end, and what is left when it cannot be created.
#include "failing_calls.h"
#include "rig.h"
#include "virtio_rng.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOT 4u
#define RAM_GPA UINT64_C(0x100000)
#define RAM_SIZE 0x10000u
#define DATA_OFF 0x8000u
#define WAIT_MS 20000
#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

// ---- the machine and its driver

static struct rig rig;
static struct gmem mem;
static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static struct virtio_pci *vp;
static struct vpmem_error err;
static uint64_t regs;

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
	memset(ram, 0, sizeof(ram));
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
	return 0;
}

static int create_with(int source_fd, uint64_t max_bytes)
{
	const struct virtio_rng_options opts = {
		.pci = { .bus = rig.bus, .bus_nr = -1, .slot = SLOT, .id = "rng0", .register_page = true },
		.mem = &mem,
		.source_fd = source_fd,
		.max_bytes = max_bytes,
		.period_ms = 65536,
	};

	return virtio_rng_create(&opts, &vp, &err);
}

static int create(int source_fd)
{
	return create_with(source_fd, INT64_MAX);
}

static void wr(unsigned off, unsigned width, uint64_t val)
{
	io_write(&rig.mmio, regs + off, width, val);
}

static uint64_t rd(unsigned off, unsigned width)
{
	return io_read(&rig.mmio, regs + off, width);
}

static void negotiate(void)
{
	command_set(&rig, SLOT, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	regs = bar64_get(&rig, SLOT, 0);
	wr(VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	wr(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(VIRTIO_PCI_COMMON_GF, 4, 1 | 1u << (VIRTIO_F_RING_RESET - 32));
	wr(VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

static void enable_queue(void)
{
	wr(VIRTIO_PCI_COMMON_Q_DESCLO, 8, RAM_GPA);
	wr(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, RAM_GPA + 0x1000);
	wr(VIRTIO_PCI_COMMON_Q_USEDLO, 8, RAM_GPA + 0x2000);
	wr(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void driver_ok(void)
{
	wr(VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void start(void)
{
	negotiate();
	enable_queue();
	driver_ok();
}

/* One request of 16 bytes, by a kick that leaves the guest. */
static void request(void)
{
	const uint64_t gpa = RAM_GPA + DATA_OFF;
	const uint32_t len = 16;
	const uint16_t flags = 2, idx = 1;

	memcpy(ram, &gpa, 8);
	memcpy(ram + 8, &len, 4);
	memcpy(ram + 12, &flags, 2);
	__atomic_store_n((uint16_t *)(void *)(ram + 0x1002), idx, __ATOMIC_RELEASE);
	wr(0x2000, 2, 0);
}

/* One that has not begun yet would find what comes without being woken. */
static void let_worker_wait(void)
{
	poll(NULL, 0, 50);
}

static bool is_answered(void)
{
	return __atomic_load_n((uint16_t *)(void *)(ram + 0x2002), __ATOMIC_ACQUIRE) == 1;
}

static void answer_comes(void)
{
	for (unsigned i = 0; i < WAIT_MS && !is_answered(); i++)
		poll(NULL, 0, 1);
	assert_true(is_answered());
}

// ---- the tests

static void it_is_the_entropy_device_of_the_specification(void **state)
{
	(void)state;
	assert_int_equal(create(-1), 0);
	assert_int_equal(ecam_read(&rig, SLOT, PCI_VENDOR_ID, 4), 0x10441af4);
	assert_int_equal(ecam_read(&rig, SLOT, PCI_CLASS_DEVICE, 2), 0x00ff);
	// There is no device configuration.
	assert_int_equal(virtio_capability_find(&rig, SLOT, VIRTIO_PCI_CAP_DEVICE_CFG), 0);
	start();
	assert_int_equal(rd(VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	assert_int_equal(destroy(), 0);
}

static void its_worker_answers(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(create(fds[0]), 0);
	// The device has a descriptor of its own.
	close(fds[0]);
	start();
	request();
	let_worker_wait();
	assert_false(is_answered());
	assert_int_equal(write(fds[1], "0123456789abcdefgh", 18), 18);
	answer_comes();
	assert_memory_equal(ram + DATA_OFF, "0123456789abcdef", 17);
	assert_int_equal(destroy(), 0);
	close(fds[1]);
}

/* As a driver may do it: the request is in the ring when DRIVER_OK comes. */
static void an_early_request_is_served(void **state)
{
	(void)state;
	assert_int_equal(create(-1), 0);
	request();
	let_worker_wait();
	start();
	answer_comes();
	assert_int_equal(destroy(), 0);
}

/* The queue may also come after DRIVER_OK. */
static void a_queue_that_is_enabled_late_is_served(void **state)
{
	(void)state;
	assert_int_equal(create(-1), 0);
	request();
	negotiate();
	driver_ok();
	let_worker_wait();
	assert_false(is_answered());
	enable_queue();
	answer_comes();
	assert_int_equal(destroy(), 0);
}

/* The worker has the request, and waits for the file; the driver takes both back, and offers another one. */
static void a_reset_of_the_queue_drops_its_request(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(create(fds[0]), 0);
	start();
	request();
	let_worker_wait();
	wr(VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(write(fds[1], "0123456789abcdef", 16), 16);
	let_worker_wait();
	assert_false(is_answered());
	assert_int_equal(ram[DATA_OFF], 0);
	memset(ram, 0, DATA_OFF);
	enable_queue();
	request();
	assert_int_equal(write(fds[1], "0123456789abcdef", 16), 16);
	answer_comes();
	assert_int_equal(destroy(), 0);
	close(fds[0]);
	close(fds[1]);
}

/* What a quota leaves is given at once, and the device ends while its worker waits for the next period. */
static void a_quota_that_is_used_up_lets_the_worker_wait(void **state)
{
	const uint64_t gpa = RAM_GPA + DATA_OFF + 0x100;
	const uint16_t idx = 2;

	(void)state;
	assert_int_equal(create_with(-1, 16), 0);
	start();
	request();
	answer_comes();
	memcpy(ram, &gpa, 8);
	__atomic_store_n((uint16_t *)(void *)(ram + 0x1002), idx, __ATOMIC_RELEASE);
	wr(0x2000, 2, 0);
	let_worker_wait();
	assert_true(is_answered());
	assert_int_equal(destroy(), 0);
}

static void a_reset_does_not_wait_for_the_file(void **state)
{
	unsigned before = open_fds();
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(create(fds[0]), 0);
	start();
	request();
	wr(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_STATUS, 1), 0);
	start();
	request();
	virtio_pci_unplug(vp);
	assert_int_equal(destroy(), 0);
	close(fds[0]);
	close(fds[1]);
	assert_false(is_answered());
	assert_int_equal(open_fds(), before);
}

static void a_guest_fault_ends_in_needs_reset(void **state)
{
	(void)state;
	assert_int_equal(create(-1), 0);
	start();
	__atomic_store_n((uint16_t *)(void *)(ram + 0x1002), 0x4000, __ATOMIC_RELEASE);
	wr(0x2000, 2, 0);
	for (unsigned i = 0; i < WAIT_MS && !(rd(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET); i++)
		poll(NULL, 0, 1);
	assert_true(rd(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(destroy(), 0);
}

static void a_failure_leaves_nothing(void **state)
{
	unsigned before = open_fds(), n = 1;

	(void)state;
	for (;; n++) {
		fail_call(n);
		if (create(-1) == 0)
			break;
		assert_non_null(strstr(err.text, "virtio-rng-pci: "));
		assert_int_equal(open_fds(), before);
	}
	assert_false(call_has_failed());
	// The device, its name, two eventfds and the thread; the transport.
	assert_true(n > 5);
	assert_int_equal(destroy(), 0);
	assert_int_equal(create(12345), -EBADF);
	assert_int_equal(open_fds(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_the_entropy_device_of_the_specification),
		TEST(its_worker_answers),
		TEST(an_early_request_is_served),
		TEST(a_queue_that_is_enabled_late_is_served),
		TEST(a_reset_of_the_queue_drops_its_request),
		TEST(a_quota_that_is_used_up_lets_the_worker_wait),
		TEST(a_reset_does_not_wait_for_the_file),
		TEST(a_guest_fault_ends_in_needs_reset),
		TEST(a_failure_leaves_nothing),
	};

	return cmocka_run_group_tests_name("virtio_rng", tests, NULL, NULL);
}
