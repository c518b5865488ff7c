// SPDX-License-Identifier: Apache-2.0
/*
 * pci_fault_test.c - a bus or a function that cannot be created: whatever the host refuses, in its turn, the error
 * says so and nothing is left behind: no descriptor, no region, no slot taken.
 *
 * Memory that would leak is the address sanitizer's to find.
 */
#include "failing_calls.h"
#include "rig.h"
#include "virtio_pmem.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS_MAX 50u
#define SLOT 4u

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* ---- the bus -------------------------------------------------------------------------------------------- */

static int bus_create(struct rig *rig, struct vpmem_error *err)
{
	const struct pci_bus_config cfg = {
		.vm = &rig->fake.vm,
		.pio = &rig->pio,
		.mmio = &rig->mmio,
		.nbuses = 2,
		.ecam_gpa = RIG_ECAM,
		.windows = { .mem32_gpa = RIG_MEM32,
		             .mem32_size = RIG_MEM32_SIZE,
		             .mem64_gpa = RIG_MEM64,
		             .mem64_size = RIG_MEM64_SIZE },
		.intx_gsi = RIG_INTX_GSI,
		.intx_lines = RIG_INTX_LINES,
	};

	return pci_bus_create(&cfg, &rig->bus, err);
}

static void a_bus_without_memory_leaves_nothing_behind(void **state)
{
	static struct rig rig;
	unsigned n = 0;
	bool failed;

	(void)state;
	do {
		struct vpmem_error err = { .text = "" };
		int rc;

		memset(&rig, 0, sizeof(rig));
		fake_vm_init(&rig.fake);
		fail_call(++n);
		rc = bus_create(&rig, &err);
		failed = call_has_failed();
		assert_int_equal(rc, failed ? -ENOMEM : 0);
		if (failed) {
			assert_string_equal(err.text, "PCI: out of memory");
			assert_null(rig.bus);
		}
		pci_bus_destroy(rig.bus);
		assert_int_equal(rig.pio.nregions + rig.mmio.nregions, 0);
		fake_vm_check_empty(&rig.fake);
	} while (failed);
	assert_int_equal(n, 4); /* the buses, two host bridges */
}

static uint64_t read_nothing(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	(void)off;
	(void)width;
	return 0;
}

static void an_address_that_is_taken_is_reported_and_the_others_are_released(void **state)
{
	static struct rig rig;
	static const uint64_t ports[] = { 0xcf8, 0xcfc }, ecam[] = { RIG_ECAM };
	const struct {
		struct io_space *space;
		uint64_t base;
	} cases[] = { { &rig.pio, ports[0] }, { &rig.pio, ports[1] }, { &rig.mmio, ecam[0] } };

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct io_region other = {
			.name = "other",
			.base = cases[i].base,
			.size = 4,
			.read = read_nothing,
		};
		struct vpmem_error err = { .text = "" };

		memset(&rig, 0, sizeof(rig));
		fake_vm_init(&rig.fake);
		assert_int_equal(io_add(cases[i].space, &other), 0);
		assert_int_equal(bus_create(&rig, &err), -EEXIST);
		assert_string_equal(err.text, "PCI: ports 0xcf8 and 0xcfc or ECAM at 0xe0000000 not available: "
		                              "File exists");
		assert_int_equal(rig.pio.nregions + rig.mmio.nregions, 1);
		assert_int_equal(io_remove(cases[i].space, cases[i].base), 0);
		fake_vm_check_empty(&rig.fake);
	}
}

/* ---- the function ---------------------------------------------------------------------------------------- */

struct host {
	struct rig rig;
	struct gmem mem;
	struct vpmem_backing *backing;
	char path[32];
};

static int setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));
	struct vpmem_backing_options opts = VPMEM_BACKING_OPTIONS_INIT;

	assert_non_null(h);
	rig_init(&h->rig);
	strcpy(h->path, "/tmp/pci_fault.XXXXXX");
	close(mkstemp(h->path));
	opts.path = h->path;
	opts.size = VPMEM_GRANULE;
	opts.share = true;
	assert_int_equal(vpmem_backing_open(&opts, &h->backing, NULL), 0);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct host *h = *state;

	vpmem_backing_close(h->backing);
	unlink(h->path);
	rig_fini(&h->rig);
	free(h);
	return 0;
}

static void a_function_that_cannot_be_created_leaves_nothing_behind(void **state)
{
	struct host *h = *state;
	const struct virtio_pmem_options cfg = {
		.pci.bus = h->rig.bus,
		.pci.slot = SLOT,
		.pci.id = "nv1",
		.pci.register_page = true,
		.mem = &h->mem,
		.device = { .name = "nv1", .backing = h->backing, .gpa = 0x100000000 },
	};
	unsigned nfds = count_entries("/proc/self/fd"), n = 0;
	bool failed;

	do {
		struct vpmem_error err = { .text = "" };
		struct virtio_pci *vp = NULL;
		int rc;

		fail_call(++n);
		rc = virtio_pmem_create(&cfg, &vp, &err);
		failed = call_has_failed();
		assert_true(failed ? rc == -ENOMEM || rc == -EMFILE || rc == -EAGAIN : rc == 0);
		assert_int_equal(vp != NULL, !failed);
		assert_int_equal(err.text[0] != '\0', failed);
		assert_int_equal(pci_bus_device(h->rig.bus, SLOT) != NULL, !failed);
		virtio_pci_destroy(vp);
		assert_int_equal(count_entries("/proc/self/fd"), nfds);
		assert_true(n < CALLS_MAX);
	} while (failed);
	/*
	 * The adapter, guest memory; the device, its name, eventfd and thread; the transport, its id, its register page;
	 * MSI-X, its events, and an eventfd for each of its two vectors; the function.
	 */
	assert_int_equal(n - 1, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bus_without_memory_leaves_nothing_behind),
		cmocka_unit_test(an_address_that_is_taken_is_reported_and_the_others_are_released),
		cmocka_unit_test_setup_teardown(a_function_that_cannot_be_created_leaves_nothing_behind, setup,
		                                teardown),
	};

	return cmocka_run_group_tests_name("pci_fault", tests, NULL, NULL);
}
