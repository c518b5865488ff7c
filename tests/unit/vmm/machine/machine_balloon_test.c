// SPDX-License-Identifier: Apache-2.0
// The balloon of the machine: which memory it may return, the target, what is reported, and that there is one.
#include "machine_balloon.h"

#include "error.h"
#include "fake_host.h"
#include "fake_log.h"
#include "machine_memdev.h"
#include "memory_map.h"
#include "virtio_balloon.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

#define WAIT_MAX_MS 20000u

static struct machine *m;
static struct vpmem_error err;
static struct virtio_balloon_options got;
static uint32_t target, actual;
static uint64_t sizes[8]; /* of the events */
static unsigned nsizes;

// ---- the kinds of this test, and the device model

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &virtio_balloon_pci_kind : NULL;
}

int virtio_balloon_create(const struct virtio_balloon_options *opts, struct virtio_pci **out, struct vpmem_error *error)
{
	const struct virtio_pmem_options plugged = { .pci = opts->pci };

	got = *opts;
	return virtio_pmem_create(&plugged, out, error);
}

void virtio_balloon_set_target(struct virtio_pci *vp, uint32_t npages)
{
	(void)vp;
	target = npages;
}

uint32_t virtio_balloon_actual(const struct virtio_pci *vp)
{
	(void)vp;
	return actual;
}

uint32_t virtio_balloon_stats_interval(const struct virtio_pci *vp)
{
	(void)vp;
	return got.stats_interval_s;
}

void virtio_balloon_set_stats_interval(struct virtio_pci *vp, uint32_t interval_s)
{
	(void)vp;
	got.stats_interval_s = interval_s;
}

struct virtio_balloon_stats virtio_balloon_stats(const struct virtio_pci *vp)
{
	(void)vp;
	return (struct virtio_balloon_stats) { .vals = { [4] = 44, [9] = 99 }, .updated_s = 5 };
}

// ---- helpers

static void on_event(void *state, const struct machine_event *event)
{
	(void)state;
	if (event->kind == MACHINE_EVENT_BALLOON_CHANGE && nsizes < COUNT(sizes))
		sizes[nsizes++] = event->size;
}

static const struct machine_observer observer = { .event = on_event };

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	m->observer = &observer;
	m->ram_low = (struct ram) { .hva = (uint8_t *)0x10000000, .size = 128 * MIB };
	target = actual = nsizes = 0;
	return rc;
}

static int add(const char *id)
{
	struct balloon_config *cfg = calloc(1, sizeof(*cfg));
	struct device_config *dev = &cfg->dev;
	int rc;

	assert_non_null(cfg);
	*cfg = (struct balloon_config) {
		.dev = { .model = &virtio_balloon_pci_model, .id = strdup(id), .bus_nr = -1, .slot = -1 },
		.free_page_reporting = true,
		.stats_interval_s = 3,
	};
	rc = machine_device_add(m, &dev, &err);
	if (rc < 0)
		device_config_free(dev);
	return rc;
}

static void guest_says(uint32_t npages)
{
	actual = npages;
	got.actual_changed(got.owner);
}

static void wait_for_events(unsigned n)
{
	for (unsigned i = 0; i < WAIT_MAX_MS / 10 && nsizes < n; i++)
		assert_int_equal(loop_once(&m->loop), 0);
	assert_int_equal(nsizes, n);
}

// RAM is this backend, in two parts.
static void use(struct memdev *memdev)
{
	uint8_t *hva = machine_memdev_region(memdev).hva;

	m->ram_memdev = memdev;
	m->ram_low = (struct ram) { .hva = hva, .size = 2 * MIB };
	m->ram_high = (struct ram) { .hva = hva + 2 * MIB, .size = 2 * MIB };
}

static struct memdev *add_memory(const struct object_type *type, bool share)
{
	struct memdev_config *cfg = calloc(1, sizeof(*cfg));
	struct object_config *obj = &cfg->obj;

	assert_non_null(cfg);
	*cfg = (struct memdev_config) { .obj = { .type = type, .id = strdup("ram") },
		                        .backing = { .size = 4 * MIB, .share = share, .reserve = true } };
	assert_int_equal(machine_object_add(m, &obj, &err), 0);
	return m->memdevs[0];
}

// ---- the tests

static void what_is_configured_reaches_the_device(void **state)
{
	(void)state;
	assert_int_equal(add("b0"), 0);
	assert_ptr_equal(got.mem, &m->gmem);
	assert_true(got.reporting && !got.deflate_on_oom && !got.page_poison);
	assert_int_equal(got.stats_interval_s, 3);
	assert_int_equal(got.nregions, 1);
	assert_int_equal(got.regions[0].gpa, 0);
	assert_int_equal(got.regions[0].size, 128 * MIB);
	assert_int_equal(got.regions[0].page_size, 4096);
	assert_int_equal(got.regions[0].fd, -1);
	assert_false(got.regions[0].keep);
}

static void there_is_at_most_one(void **state)
{
	(void)state;
	assert_int_equal(add("b0"), 0);
	assert_int_equal(add("b1"), -EBUSY);
	assert_string_equal(err.text, "Only one balloon device is supported");
	// After the first is gone there may be another one.
	machine_drop_devices(m);
	assert_null(m->balloon);
	assert_int_equal(add("b1"), 0);
}

static void a_failure_leaves_none(void **state)
{
	unsigned ntimers = m->loop.ntimers;

	(void)state;
	fake_host->create_error = -EMFILE;
	assert_int_equal(add("b0"), -EMFILE);
	assert_null(m->balloon);
	assert_int_equal(m->loop.ntimers, ntimers);
	fake_host->create_error = 0;
	assert_int_equal(add("b0"), 0);
}

static void without_one_nothing_is_active(void **state)
{
	uint64_t size;

	(void)state;
	assert_int_equal(machine_balloon(m, 1, &err), -EUNATCH);
	assert_string_equal(err.text, "No balloon device has been activated");
	assert_int_equal(machine_balloon_size(m, &size, &err), -EUNATCH);
}

static void a_target_is_what_the_guest_shall_give(void **state)
{
	(void)state;
	assert_int_equal(add("b0"), 0);
	assert_int_equal(machine_balloon(m, 64 * MIB, &err), 0);
	assert_int_equal(target, 64 * MIB / 4096);
	assert_int_equal(machine_balloon(m, 1, &err), 0);
	assert_int_equal(target, 128 * MIB / 4096 - 1);
	// More than there is, is all.
	assert_int_equal(machine_balloon(m, INT64_MAX, &err), 0);
	assert_int_equal(target, 0);
	assert_int_equal(machine_balloon(m, 0, &err), -EINVAL);
	assert_string_equal(err.text, "Parameter 'target' expects a size");
	assert_int_equal(machine_balloon(m, -1, &err), -EINVAL);
	assert_int_equal(target, 0);
}

static void what_the_guest_says_is_its_size(void **state)
{
	uint64_t size;

	(void)state;
	assert_int_equal(add("b0"), 0);
	actual = 16 * MIB / 4096;
	assert_int_equal(machine_balloon_size(m, &size, &err), 0);
	assert_int_equal(size, 112 * MIB);
	// It cannot have less than nothing.
	actual = UINT32_MAX;
	assert_int_equal(machine_balloon_size(m, &size, &err), 0);
	assert_int_equal(size, 0);
}

static void the_guest_is_asked_for_its_statistics(void **state)
{
	const struct device_kind *kind = &virtio_balloon_pci_kind;
	struct guest_stats stats;
	uint64_t val;

	(void)state;
	assert_int_equal(add("b0"), 0);
	kind->guest_stats(m->balloon, &stats);
	assert_int_equal(stats.n, 10);
	assert_string_equal(stats.names[4], "stat-free-memory");
	assert_int_equal(stats.vals[4], 44);
	assert_string_equal(stats.names[9], "stat-htlb-pgfail");
	assert_int_equal(stats.vals[9], 99);
	assert_int_equal(stats.updated_s, 5);
	assert_string_equal(kind->settable, "guest-stats-polling-interval");
	assert_int_equal(kind->set(m->balloon, 7, &err), 0);
	assert_true(kind->number(m->balloon, kind->settable, &val));
	assert_int_equal(val, 7);
	assert_int_equal(kind->set(m->balloon, -1, &err), -EINVAL);
	assert_string_equal(err.text, "timer value must be greater than zero");
	assert_int_equal(kind->set(m->balloon, INT64_C(1) << 32, &err), -EINVAL);
	assert_string_equal(err.text, "timer value is too big");
	assert_int_equal(got.stats_interval_s, 7);
	assert_false(kind->number(m->balloon, "addr", &val));
}

static void the_first_change_and_the_last_are_reported(void **state)
{
	(void)state;
	assert_int_equal(add("b0"), 0);
	for (uint32_t i = 1; i <= 100; i++)
		guest_says(i);
	assert_int_equal(nsizes, 1);
	assert_int_equal(sizes[0], 128 * MIB - 4096);
	wait_for_events(2);
	assert_int_equal(sizes[1], 128 * MIB - 100 * 4096);
	// Nothing came since: the next one is sent at once, when the gap is over.
	guest_says(101);
	wait_for_events(3);
}

static void a_change_is_reported_before_the_device_leaves(void **state)
{
	(void)state;
	assert_int_equal(add("b0"), 0);
	guest_says(1);
	guest_says(2);
	machine_drop_devices(m);
	assert_int_equal(nsizes, 2);
	assert_int_equal(sizes[1], 128 * MIB - 2 * 4096);
}

static void shared_memory_is_returned_by_its_file(void **state)
{
	struct memdev *memdev = add_memory(&memory_backend_memfd_type, true);

	(void)state;
	use(memdev);
	assert_int_equal(add("b0"), 0);
	assert_int_equal(got.nregions, 2);
	assert_int_equal(got.regions[0].fd, memdev->memory.fd);
	assert_int_equal(got.regions[0].fd_off, 0);
	assert_int_equal(got.regions[1].gpa, RAM_HIGH_BASE);
	assert_int_equal(got.regions[1].fd_off, 2 * MIB);
	assert_ptr_equal(got.regions[1].hva, got.regions[0].hva + 2 * MIB);
	assert_false(got.regions[0].keep || got.regions[1].keep || got.regions[0].is_private);
}

static void private_memory_is_returned_by_its_address(void **state)
{
	struct memdev *memdev = add_memory(&memory_backend_ram_type, false);

	(void)state;
	use(memdev);
	assert_int_equal(add("b0"), 0);
	assert_int_equal(got.regions[0].fd, -1);
	assert_int_equal(got.regions[0].page_size, 4096);
	assert_false(got.regions[0].keep || got.regions[0].is_private);
}

/* What the guest has only read is the file's. */
static void a_private_memfd_is_returned_in_both_ways(void **state)
{
	struct memdev *memdev = add_memory(&memory_backend_memfd_type, false);

	(void)state;
	use(memdev);
	assert_int_equal(add("b0"), 0);
	assert_true(got.regions[1].is_private && !got.regions[1].keep);
	assert_int_equal(got.regions[1].fd, memdev->memory.fd);
	assert_int_equal(got.regions[1].fd_off, 2 * MIB);
}

static void memory_of_huge_pages_is_returned_in_them(void **state)
{
	struct memdev *memdev = add_memory(&memory_backend_ram_type, false);

	(void)state;
	use(memdev);
	memdev->memory.page_size = 2 * MIB;
	assert_int_equal(add("b0"), 0);
	assert_int_equal(got.regions[0].page_size, 2 * MIB);
	assert_false(got.regions[0].keep || got.regions[1].keep);
	// What is not made of whole ones stays.
	machine_drop_devices(m);
	memdev->memory.page_size = 4 * MIB;
	assert_int_equal(add("b0"), 0);
	assert_true(got.regions[0].keep && got.regions[1].keep);
	assert_int_equal(got.regions[1].page_size, 4096);
}

/* The fake file is not one of tmpfs; one that is private would show again what it has. */
static void memory_of_a_file_on_a_disk_stays(void **state)
{
	struct memdev *memdev = fake_host_memdev("ram");

	(void)state;
	use(memdev);
	assert_int_equal(add("b0"), 0);
	assert_true(got.regions[0].keep && got.regions[1].keep);
	machine_drop_devices(m);
	memdev->backing->rom = true;
	assert_int_equal(add("b0"), 0);
	assert_int_equal(got.regions[0].fd, -1);
	assert_true(got.regions[0].keep && got.regions[1].keep);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_configured_reaches_the_device),
		TEST(there_is_at_most_one),
		TEST(a_failure_leaves_none),
		TEST(without_one_nothing_is_active),
		TEST(a_target_is_what_the_guest_shall_give),
		TEST(what_the_guest_says_is_its_size),
		TEST(the_guest_is_asked_for_its_statistics),
		TEST(the_first_change_and_the_last_are_reported),
		TEST(a_change_is_reported_before_the_device_leaves),
		TEST(shared_memory_is_returned_by_its_file),
		TEST(private_memory_is_returned_by_its_address),
		TEST(a_private_memfd_is_returned_in_both_ways),
		TEST(memory_of_huge_pages_is_returned_in_them),
		TEST(memory_of_a_file_on_a_disk_stays),
	};

	return cmocka_run_group_tests_name("machine_balloon", tests, NULL, NULL);
}
