// SPDX-License-Identifier: Apache-2.0
// Entropy devices: where their bytes come from, and that an object may go before its device.
#include "machine_rng.h"

#include "error.h"
#include "fake_host.h"
#include "forked_broker.h"
#include "permit.h"
#include "virtio_rng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit_test.h"

static struct machine *m;
static struct vpmem_error err;
static struct virtio_rng_options got;

// ---- the kinds of this test, and the device model

const struct object_kind *fake_host_object_kind(unsigned idx)
{
	return idx == 0 ? &rng_builtin_kind : idx == 1 ? &rng_random_kind : NULL;
}

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &virtio_rng_pci_kind : NULL;
}

int virtio_rng_create(const struct virtio_rng_options *opts, struct virtio_pci **out, struct vpmem_error *error)
{
	const struct virtio_pmem_options plugged = { .pci = opts->pci };

	got = *opts;
	return virtio_pmem_create(&plugged, out, error);
}

// ---- helpers

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	return rc;
}

static int add_object(const struct object_type *type, const char *id, const char *filename)
{
	struct rng_config *cfg = calloc(1, sizeof(*cfg));
	struct object_config *obj = &cfg->obj;
	int rc;

	*cfg = (struct rng_config) { .obj = { .type = type, .id = strdup(id) },
		                     .filename = filename ? strdup(filename) : NULL };
	rc = machine_object_add(m, &obj, &err);
	object_config_free(obj);
	return rc;
}

static void add_device(const char *id, const char *rng)
{
	struct rng_device_config *cfg = calloc(1, sizeof(*cfg));
	struct device_config *dev = &cfg->dev;

	*cfg = (struct rng_device_config) { .dev = { .model = &virtio_rng_pci_model,
		                                     .id = strdup(id),
		                                     .bus_nr = -1,
		                                     .slot = -1,
		                                     .event_idx = true },
		                            .rng = rng ? strdup(rng) : NULL,
		                            .max_bytes = 77,
		                            .period_ms = 5 };
	assert_int_equal(machine_device_add(m, &dev, &err), 0);
}

// ---- the tests

static void without_an_object_it_is_getrandom(void **state)
{
	(void)state;
	add_device("rng0", NULL);
	assert_int_equal(got.source_fd, -1);
	assert_ptr_equal(got.mem, &m->gmem);
	assert_int_equal(got.max_bytes, 77);
	assert_int_equal(got.period_ms, 5);
	assert_true(!got.no_event_idx && got.no_indirect_desc && got.no_ring_reset);
}

static void so_it_is_with_rng_builtin(void **state)
{
	(void)state;
	assert_int_equal(add_object(&rng_builtin_type, "r0", NULL), 0);
	add_device("rng0", "r0");
	assert_int_equal(got.source_fd, -1);
}

static void a_file_is_read_without_blocking(void **state)
{
	char path[] = "/tmp/pmvm-test-XXXXXX", byte;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(add_object(&rng_random_type, "r0", path), 0);
	unlink(path);
	add_device("rng0", "r0");
	assert_true(fcntl(got.source_fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(got.source_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(read(got.source_fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

static const struct broker_op *const broker_ops[] = { &rng_random_open_op };
static char file_path[64];

static void permit_file(void)
{
	permit_add(file_path);
}

static void the_broker_opens_a_file_that_is_permitted(void **state)
{
	char byte = 0;
	int fd;

	(void)state;
	strcpy(file_path, "/tmp/pmvm-test-XXXXXX");
	fd = mkstemp(file_path);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	forked_broker_start(broker_ops, COUNT(broker_ops), NULL);
	assert_int_equal(add_object(&rng_random_type, "r0", file_path), -EACCES);
	assert_int_equal(forked_broker_stop(), 1);
	assert_int_equal(strncmp(err.text, "Could not open '/tmp/pmvm-test-", 31), 0);
	assert_string_equal(err.hint, FORKED_BROKER_HINT("/tmp"));

	forked_broker_start(broker_ops, COUNT(broker_ops), permit_file);
	assert_int_equal(add_object(&rng_random_type, "r0", file_path), 0);
	assert_int_equal(forked_broker_stop(), 1);
	unlink(file_path);
	add_device("rng0", "r0");
	assert_int_equal(read(got.source_fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

static void an_object_serves_several_devices_and_may_go_first(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(add_object(&rng_random_type, "r0", "/dev/zero"), 0);
	add_device("rng0", "r0");
	fd = got.source_fd;
	add_device("rng1", "r0");
	assert_int_equal(got.source_fd, fd);
	assert_int_equal(machine_object_del(m, "r0", &err), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(m->ndevices, 2);
}

static void a_file_that_is_none_is_refused(void **state)
{
	(void)state;
	assert_int_equal(add_object(&rng_random_type, "r0", "/nonexistent"), -ENOENT);
	assert_string_equal(err.text, "Could not open '/nonexistent': No such file or directory");
	assert_int_equal(add_object(&rng_random_type, "r0", "/tmp"), -EISDIR);
	assert_string_equal(err.text, "Could not open '/tmp': Is a directory");
	assert_int_equal(m->nobjects, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_an_object_it_is_getrandom),
		TEST(so_it_is_with_rng_builtin),
		TEST(a_file_is_read_without_blocking),
		TEST(an_object_serves_several_devices_and_may_go_first),
		TEST(the_broker_opens_a_file_that_is_permitted),
		TEST(an_object_serves_several_devices_and_may_go_first),
		TEST(a_file_that_is_none_is_refused),
	};

	return cmocka_run_group_tests_name("machine_rng", tests, NULL, NULL);
}
