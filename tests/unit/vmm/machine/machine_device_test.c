// SPDX-License-Identifier: Apache-2.0
// Devices and objects of any kind: kinds of this test, without any pmem.
#include "machine_device.h"

#include "error.h"
#include "fake_host.h"
#include "machine_find.h"
#include "props.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit_test.h"

static struct machine *m;
static struct vpmem_error err;

// ---- a device that names one object for itself and one that it shares, and says what is done with it

struct lamp_config {
	struct device_config dev;
	char *socket, *wall;
	uint64_t watts;
};

static const struct prop lamp_props[] = {
	{ .name = "socket",
	  .type = PROP_LINK,
	  .offset = offsetof(struct lamp_config, socket),
	  .link = "socket",
	  .exclusive = true },
	{ .name = "wall", .type = PROP_LINK, .offset = offsetof(struct lamp_config, wall), .link = "wall" },
	{ .name = "watts", .type = PROP_UINT64, .offset = offsetof(struct lamp_config, watts), .def = "60" },
};

static const struct prop_class lamp_class = {
	.name = "lamp-pci", .prefix = "", .base = &virtio_pci_class, .props = lamp_props, .nprops = COUNT(lamp_props)
};
static const struct device_model lamp_model = { .props = &lamp_class, .config_size = sizeof(struct lamp_config) };

static char steps[256];
static int create_error;

static void step(const char *what)
{
	size_t len = strlen(steps);

	snprintf(steps + len, sizeof(steps) - len, "%s ", what);
}

static int lamp_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *error)
{
	const struct virtio_pmem_options opts = { .pci = *pci };

	step("create");
	if (create_error)
		return error_set(error, create_error, "no light");
	return virtio_pmem_create(&opts, &dev->vp, error);
}

static void lamp_leaving(struct device *dev)
{
	assert_false(dev->vp->unplugged);
	step("leaving");
}

static void lamp_left(struct device *dev)
{
	assert_true(dev->vp->unplugged);
	step("left");
}

static void lamp_destroyed(struct device *dev, int error)
{
	(void)dev;
	step(error ? "destroyed-with-error" : "destroyed");
}

static bool lamp_wants_place(const struct device_config *cfg)
{
	return ((const struct lamp_config *)cfg)->watts > 1000;
}

static const struct device_kind lamp_kind = {
	.model = &lamp_model,
	.size = sizeof(struct device),
	.create = lamp_create,
	.leaving = lamp_leaving,
	.left = lamp_left,
	.destroyed = lamp_destroyed,
	.wants_place = lamp_wants_place,
};

// ---- two types of objects

static int nobjects;

static int thing_create(struct object *obj, struct vpmem_error *error)
{
	(void)obj, (void)error;
	nobjects++;
	return 0;
}

static int thing_destroy(struct object *obj, struct vpmem_error *error)
{
	(void)obj, (void)error;
	nobjects--;
	return 0;
}

static const struct prop object_props[] = {
	{ .name = "id", .type = PROP_ID, .offset = offsetof(struct object_config, id), .hidden = true },
};
static const struct prop_class socket_class = {
	.name = "socket-e27", .prefix = "", .props = object_props, .nprops = 1
};
static const struct prop_class wall_class = { .name = "wall-brick", .prefix = "", .props = object_props, .nprops = 1 };
static const struct object_type socket_type = { .props = &socket_class, .base = "socket", .example = "" };
static const struct object_type wall_type = { .props = &wall_class, .base = "wall", .example = "" };
static const struct object_kind socket_kind = {
	.type = &socket_type, .size = sizeof(struct object), .create = thing_create, .destroy = thing_destroy
};
static const struct object_kind wall_kind = {
	.type = &wall_type, .size = sizeof(struct object), .create = thing_create, .destroy = thing_destroy
};

// In the place of fake_host's.
const struct object_kind *fake_host_object_kind(unsigned idx)
{
	return idx == 0 ? &socket_kind : idx == 1 ? &wall_kind : NULL;
}

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &lamp_kind : NULL;
}

// ---- helpers

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	steps[0] = '\0';
	create_error = nobjects = 0;
	return rc;
}

static int teardown(void **state)
{
	int rc = fake_host_teardown(state);

	assert_int_equal(nobjects, 0);
	return rc;
}

static void add_object(const struct object_type *type, const char *id)
{
	struct object_config *cfg = calloc(1, sizeof(*cfg));

	*cfg = (struct object_config) { .type = type, .id = strdup(id) };
	assert_int_equal(machine_add_object(m, &cfg, &err), 0);
	assert_null(cfg);
}

static struct lamp_config *lamp(const char *id, const char *socket, const char *wall)
{
	struct lamp_config *cfg = calloc(1, sizeof(*cfg));

	*cfg = (struct lamp_config) { .dev = { .model = &lamp_model, .id = strdup(id), .bus_nr = -1, .slot = -1 },
		                      .socket = socket ? strdup(socket) : NULL,
		                      .wall = wall ? strdup(wall) : NULL };
	return cfg;
}

static int add(struct lamp_config *cfg)
{
	struct device_config *dev = &cfg->dev;
	int rc = machine_add_device(m, &dev, &err);

	assert_int_equal(dev == NULL, rc == 0);
	device_config_free(dev);
	return rc;
}

// ---- the tests

static void a_kind_hears_of_each_step_in_order(void **state)
{
	struct device *dev;

	(void)state;
	assert_int_equal(add(lamp("l1", NULL, NULL)), 0);
	dev = machine_find_device(m, "l1");
	assert_ptr_equal(dev, machine_find_device(m, "/machine/peripheral/l1"));
	assert_ptr_equal(dev, machine_find_device_in_slot(m, dev->slot));
	fake_host->destroy_error = -EIO;
	machine_detach_device(dev);
	machine_remove_device(dev, false);
	machine_free_device(dev);
	assert_string_equal(steps, "create leaving left destroyed-with-error ");
	assert_int_equal(m->close_error, -EIO);
	assert_null(machine_find_device(m, "l1"));
}

static void what_a_device_names_is_there_and_of_its_type(void **state)
{
	(void)state;
	add_object(&socket_type, "s1");
	add_object(&wall_type, "w1");
	assert_int_equal(add(lamp("l1", "s2", NULL)), -ENODEV);
	assert_string_equal(err.text, "Device 's2' not found");
	assert_string_equal(err.hint, "did you mean socket=s1?");
	assert_int_equal(add(lamp("l1", "w1", NULL)), -EINVAL);
	assert_string_equal(err.text, "Invalid parameter type for 'socket', expected: socket");
	assert_int_equal(add(lamp("l1", NULL, "s1")), -EINVAL);
	assert_string_equal(err.text, "Invalid parameter type for 'wall', expected: wall");
	assert_string_equal(steps, "");
	assert_int_equal(add(lamp("l1", "s1", "w1")), 0);
}

static void an_object_for_one_device_is_busy_and_a_shared_one_is_not(void **state)
{
	struct device *dev;

	(void)state;
	add_object(&socket_type, "s1");
	add_object(&socket_type, "s2");
	add_object(&wall_type, "w1");
	assert_int_equal(add(lamp("l1", "s1", "w1")), 0);
	assert_int_equal(add(lamp("l2", "s1", "w1")), -EBUSY);
	assert_string_equal(err.text, "can't use already busy socket: s1");
	assert_int_equal(add(lamp("l2", "s2", "w1")), 0);
	assert_int_equal(machine_object_del(m, "s1", &err), -EBUSY);
	assert_string_equal(err.text, "object 's1' is in use, can not be deleted");
	assert_int_equal(machine_object_del(m, "w1", &err), 0);
	// The last one that leaves frees the object.
	dev = m->devices[0];
	machine_detach_device(dev);
	machine_remove_device(dev, false);
	machine_free_device(dev);
	assert_int_equal(machine_object_del(m, "s1", &err), 0);
}

static void a_failure_leaves_nothing(void **state)
{
	(void)state;
	add_object(&socket_type, "s1");
	create_error = -EMFILE;
	assert_int_equal(add(lamp("l1", "s1", NULL)), -EMFILE);
	assert_string_equal(err.text, "no light");
	assert_non_null(strstr(err.hint, "ulimit"));
	assert_int_equal(m->ndevices, 0);
	assert_false(m->objects[0]->in_use);
}

static void an_id_is_one_devices(void **state)
{
	(void)state;
	assert_int_equal(add(lamp("l1", NULL, NULL)), 0);
	assert_int_equal(add(lamp("l1", NULL, NULL)), -EEXIST);
	assert_string_equal(err.text, "Duplicate device ID 'l1'");
}

/* A place besides slot and bus comes first, as a fixed address of a pmem device does. */
static void a_kind_may_want_a_place(void **state)
{
	struct lamp_config *big = lamp("big", NULL, NULL);
	struct device_config *cfgs[] = { &lamp("any", NULL, NULL)->dev, &big->dev };

	(void)state;
	big->watts = 2000;
	fake_host->opts.devices = cfgs;
	fake_host->opts.ndevices = COUNT(cfgs);
	assert_int_equal(machine_add_devices(m, &err), 0);
	assert_string_equal(m->devices[0]->cfg->id, "big");
	assert_string_equal(m->devices[1]->cfg->id, "any");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_kind_hears_of_each_step_in_order),
		TEST(what_a_device_names_is_there_and_of_its_type),
		TEST(an_object_for_one_device_is_busy_and_a_shared_one_is_not),
		TEST(a_failure_leaves_nothing),
		TEST(an_id_is_one_devices),
		TEST(a_kind_may_want_a_place),
	};

	return cmocka_run_group_tests_name("machine_device", tests, NULL, NULL);
}
