// SPDX-License-Identifier: Apache-2.0
// The VM generation ID: given or random, one for a machine, and there from the start.
#include "fake_host.h"
#include "parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

extern const struct device_kind vmgenid_kind;

static struct machine *m;
static struct vpmem_error err;

const struct object_kind *fake_host_object_kind(unsigned idx)
{
	(void)idx;
	return NULL;
}

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &vmgenid_kind : NULL;
}

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	return rc;
}

static int teardown(void **state)
{
	machine_drop_devices(m);
	return fake_host_teardown(state);
}

static int add(int (*how)(struct machine *, struct device_config **, struct vpmem_error *), const char *id,
               const char *guid)
{
	struct vmgenid_config *cfg = calloc(1, sizeof(*cfg));
	struct device_config *dev = &cfg->dev;
	int rc;

	*cfg = (struct vmgenid_config) { .dev = { .model = &vmgenid_model, .id = strdup(id), .bus_nr = -1, .slot = -1 },
		                         .guid = strdup(guid) };
	rc = how(m, &dev, &err);
	device_config_free(dev);
	return rc;
}

static void it_is_what_was_given_in_lower_case(void **state)
{
	(void)state;
	assert_int_equal(add(machine_add_device, "g0", "324E6EAF-D1D1-4bf6-bf41-b9bb6c91fb87"), 0);
	assert_string_equal(m->vm_generation_id, "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87");
	assert_string_equal(m->devices[0]->path, "/machine/peripheral/g0");
	assert_null(m->devices[0]->vp);
	assert_int_equal(add(machine_add_device, "g1", "auto"), -EBUSY);
	assert_string_equal(err.text, "at most one vmgenid device is permitted");
	/* A machine that stops and goes on does not look for a PCI function. */
	machine_pause_devices(m, true);
	machine_pause_devices(m, false);
}

static void a_random_one_is_a_uuid(void **state)
{
	char first[37];

	(void)state;
	assert_int_equal(add(machine_add_device, "g0", "auto"), 0);
	assert_true(uuid_wellformed(m->vm_generation_id));
	assert_int_equal(m->vm_generation_id[14], '4');
	strcpy(first, m->vm_generation_id);
	machine_drop_devices(m);
	m->vm_generation_id[0] = '\0';
	assert_int_equal(add(machine_add_device, "g0", "auto"), 0);
	assert_string_not_equal(m->vm_generation_id, first);
}

static void it_can_neither_be_plugged_nor_unplugged(void **state)
{
	(void)state;
	assert_int_equal(add(machine_device_add, "g0", "auto"), -EINVAL);
	assert_string_equal(err.text, "Parameter 'driver' expects a pluggable device type");
	assert_int_equal(m->ndevices, 0);
	assert_int_equal(add(machine_add_device, "g0", "auto"), 0);
	assert_int_equal(machine_device_del(m, "g0", &err), -EPERM);
	assert_string_equal(err.text, "Device 'vmgenid' does not support hotplugging");
	assert_int_equal(m->ndevices, 1);
}

static void the_bytes_of_a_uuid_are_in_the_order_of_its_text(void **state)
{
	static const uint8_t expected[16] = { 0x32, 0x4e, 0x6e, 0xaf, 0xd1, 0xd2, 0x4b, 0xf6,
		                              0xbf, 0x41, 0xb9, 0xbb, 0x6c, 0x91, 0xfb, 0x87 };
	uint8_t bytes[16];

	(void)state;
	assert_true(uuid_parse("324e6eaf-d1d2-4BF6-bf41-b9bb6c91fb87", bytes));
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_false(uuid_parse("", bytes));
	assert_false(uuid_parse("324e6eaf-d1d2-4bf6-bf41-b9bb6c91fb8", bytes));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_is_what_was_given_in_lower_case),
		TEST(a_random_one_is_a_uuid),
		TEST(it_can_neither_be_plugged_nor_unplugged),
		TEST(the_bytes_of_a_uuid_are_in_the_order_of_its_text),
	};

	return cmocka_run_group_tests_name("machine_vmgenid", tests, NULL, NULL);
}
