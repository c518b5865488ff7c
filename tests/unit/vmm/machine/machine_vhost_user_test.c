// SPDX-License-Identifier: Apache-2.0
// Devices with a vhost-user back end: their chardev and its peers, RAM that can be shared, and what each kind asks for.
#include "machine_vhost_user.h"

#include "error.h"
#include "machine_chardev.h"
#include "machine_memdev.h"
#include "peer_rig.h"
#include "vhost_user_device.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit_test.h"

#define BIT(n) (UINT64_C(1) << (n))
#define LIMIT 100u

extern const struct device_kind vhost_user_blk_pci_kind, vhost_user_device_pci_kind, vhost_user_fs_pci_kind;

static struct machine *m;
static struct vpmem_error err;

/* The device model of this test. */
static struct vhost_user_device {
	struct vhost_user_options opts;
	struct vhost_user_state state;
	bool exists, closed, expects, unlocked;
	int open_error, connect_error;
	unsigned nopens, nconnects;
} back;

// ---- the kinds of this test, and the device model

const struct object_kind *fake_host_object_kind(unsigned idx)
{
	return idx == 0 ? &memory_backend_file_kind : NULL;
}

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	static const struct device_kind *const kinds[] = { &vhost_user_blk_pci_kind, &vhost_user_fs_pci_kind,
		                                           &vhost_user_device_pci_kind, NULL };

	return kinds[idx];
}

static bool lock_is_free(void)
{
	bool is_free = pthread_mutex_trylock(&m->lock) == 0;

	if (is_free)
		pthread_mutex_unlock(&m->lock);
	return is_free;
}

int vhost_user_device_open(const struct vhost_user_options *opts, int fd, struct vhost_user_device **out,
                           struct vpmem_error *error)
{
	assert_true(fd >= 0);
	close(fd);
	back.nopens++;
	back.opts = *opts;
	back.unlocked = lock_is_free();
	if (back.open_error)
		return error_set(error, back.open_error, "no back end");
	back.state = (struct vhost_user_state) { .connected = true, .why = "" };
	*out = &back;
	return 0;
}

int vhost_user_device_plug(struct vhost_user_device *dev, const struct virtio_pci_config *place,
                           struct virtio_pci **out, struct vpmem_error *error)
{
	const struct virtio_pmem_options plugged = { .pci = *place };

	assert_ptr_equal(dev, &back);
	return virtio_pmem_create(&plugged, out, error);
}

int vhost_user_device_connect(struct vhost_user_device *dev, int fd)
{
	close(fd);
	dev->nconnects++;
	dev->state.connected = dev->connect_error == 0;
	dev->opts.owner.changed(dev->opts.owner.owner);
	return dev->connect_error;
}

void vhost_user_device_expect(struct vhost_user_device *dev, bool expect)
{
	dev->expects = expect;
}

struct vhost_user_state vhost_user_device_state(const struct vhost_user_device *dev)
{
	return dev->state;
}

bool vhost_user_device_was_closed(const struct vhost_user_device *dev)
{
	return dev->closed;
}

// ---- helpers

static int setup(void **state)
{
	int rc = peer_rig_setup(state);

	m = peers.m;
	m->opts->ncpus = 3;
	memset(&back, 0, sizeof(back));
	return rc;
}

static int teardown(void **state)
{
	machine_drop_devices(m);
	return peer_rig_teardown(state);
}

static struct vhost_user_config *configure(const struct device_model *model)
{
	struct vhost_user_config *cfg = calloc(1, sizeof(*cfg));

	*cfg = (struct vhost_user_config) {
		.dev = { .model = model, .id = strdup("u0"), .bus_nr = -1, .slot = -1, .event_idx = true },
		.chardev = strdup("c0"),
		.nqueues = 2,
		.queue_size = 64
	};
	return cfg;
}

static int add(struct vhost_user_config *cfg)
{
	struct device_config *dev = &cfg->dev;
	int rc = machine_device_add(m, &dev, &err);

	device_config_free(dev);
	return rc;
}

static void add_blk(void)
{
	peer_rig_listen();
	peer_rig_connect();
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), 0);
}

static bool is_busy(void)
{
	return chardev_is_busy(chardev_find(&m->chardevs, "c0"));
}

/* The device model noticed the end of its connection. */
static void lose(bool closed)
{
	back.state.connected = false;
	back.state.why = "it died";
	back.closed = closed;
	back.opts.owner.changed(back.opts.owner.owner);
}

// ---- the tests

static void a_disk_has_a_queue_for_each_processor(void **state)
{
	struct vhost_user_config *cfg = configure(&vhost_user_blk_pci_model);

	(void)state;
	cfg->nqueues = VHOST_USER_QUEUES_AUTO;
	cfg->discard = true;
	peer_rig_listen();
	peer_rig_connect();
	assert_int_equal(add(cfg), 0);
	assert_true(back.unlocked);
	assert_string_equal(back.opts.model, "vhost-user-blk-pci");
	assert_int_equal(back.opts.device_id, 2);
	assert_int_equal(back.opts.nqueues, 3);
	assert_true(back.opts.fewer_queues && back.opts.backend_config && back.opts.resumes);
	assert_true(back.opts.features & BIT(VIRTIO_BLK_F_DISCARD) && back.opts.features & BIT(29));
	assert_false(back.opts.features & (BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(28)));
	assert_int_equal(back.opts.writable_off, 32);
	assert_int_equal(back.opts.nqueues_off, 34);
	assert_true(back.expects && is_busy());
}

static void a_folder_has_its_own_configuration(void **state)
{
	struct vhost_user_config *cfg = configure(&vhost_user_fs_pci_model);

	(void)state;
	cfg->tag = strdup("host");
	peer_rig_listen();
	peer_rig_connect();
	assert_int_equal(add(cfg), 0);
	assert_int_equal(back.opts.device_id, 26);
	assert_int_equal(back.opts.nqueues, 3);
	assert_false(back.opts.fewer_queues || back.opts.backend_config || back.opts.resumes);
	assert_int_equal(back.opts.config_size, 40);
	assert_string_equal((const char *)back.opts.config, "host");
	assert_int_equal(back.opts.config[36], 2);
}

static void any_device_is_what_its_id_says(void **state)
{
	struct vhost_user_config *cfg = configure(&vhost_user_device_pci_model);

	(void)state;
	cfg->virtio_id = 4;
	cfg->config_size = 9;
	peer_rig_listen();
	peer_rig_connect();
	assert_int_equal(add(cfg), 0);
	assert_int_equal(back.opts.device_id, 4);
	assert_int_equal(back.opts.nqueues, 2);
	assert_int_equal(back.opts.config_size, 9);
	assert_true(back.opts.backend_config && back.opts.always_writable);
	/* Nothing of the ring's that the transport does not know: packed rings, a reset of a queue. */
	assert_false(back.opts.features & (BIT(34) | BIT(40)));
}

static void ram_must_be_shared(void **state)
{
	(void)state;
	peer_rig_listen();
	peer_rig_connect();
	m->ram_memdev = NULL;
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), -EINVAL);
	assert_string_equal(err.text, "Failed initializing vhost-user memory map, consider using -object "
	                              "memory-backend-file share=on");
	assert_false(is_busy());
}

static void the_chardev_must_be_a_socket_with_a_peer(void **state)
{
	struct chardev_config null = { .kind = CHARDEV_NULL, .id = (char *)"c0" };
	struct chardev *chr;

	(void)state;
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), -EINVAL);
	assert_string_equal(err.text, "Property 'vhost-user-blk.chardev' can't find value 'c0'");
	assert_int_equal(machine_chardev_add(m, &null, &chr, &err), 0);
	assert_int_equal(add(configure(&vhost_user_device_pci_model)), -EINVAL);
	assert_string_equal(err.text, "chardev 'c0' is no socket");
	assert_int_equal(machine_chardev_remove(m, "c0", &err), 0);
	peer_rig_listen();
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), -ENOTCONN);
	assert_string_equal(err.text, "chardev 'c0': no back end is connected");
	assert_false(is_busy());
	assert_int_equal(back.nopens, 0);
	peer_rig_connect();
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), 0);
	assert_int_equal(back.nopens, 1);
}

static void a_chardev_has_one_user(void **state)
{
	struct vhost_user_config *cfg = configure(&vhost_user_blk_pci_model);

	(void)state;
	add_blk();
	free(cfg->dev.id);
	cfg->dev.id = strdup("u1");
	assert_int_equal(add(cfg), -EBUSY);
	assert_string_equal(err.text, "chardev 'c0' is already in use");
	assert_int_equal(machine_chardev_remove(m, "c0", &err), -EBUSY);
}

static void a_device_that_fails_leaves_the_chardev(void **state)
{
	(void)state;
	peer_rig_listen();
	peer_rig_connect();
	back.open_error = -EPROTO;
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), -EPROTO);
	assert_false(is_busy());
	/* The next peer can come. */
	back.open_error = 0;
	peer_rig_connect();
	fake_host->create_error = -ENOSPC;
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), -ENOSPC);
	assert_false(is_busy());
	fake_host->create_error = 0;
	peer_rig_connect();
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), 0);
}

static void one_that_has_ended_is_followed_by_another(void **state)
{
	struct vhost_user_info info;

	(void)state;
	add_blk();
	lose(true);
	assert_true(back.expects);
	assert_int_equal(fake_host->nevents, 1);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_VHOST_USER_CHANGE);
	assert_string_equal(fake_host->events[0].device, "u0");
	assert_true(machine_vhost_user_info(m->devices[0], &info));
	assert_string_equal(info.chardev, "c0");
	assert_string_equal(info.message, "it died");
	assert_true(!info.connected && info.condition == VHOST_USER_DISCONNECTED);
	peer_rig_connect();
	assert_int_equal(back.nconnects, 1);
	assert_int_equal(fake_host->nevents, 2);
	/* One that is refused makes room for one more. */
	lose(true);
	back.connect_error = -EPROTO;
	peer_rig_connect();
	assert_int_equal(back.nconnects, 2);
	back.connect_error = 0;
	peer_rig_connect();
	assert_int_equal(back.nconnects, 3);
	back.state.running = true;
	assert_true(machine_vhost_user_info(m->devices[0], &info));
	assert_int_equal(info.condition, VHOST_USER_RUNS);
	back.state.needs_reset = true;
	assert_true(machine_vhost_user_info(m->devices[0], &info));
	assert_int_equal(info.condition, VHOST_USER_NEEDS_RESET);
}

static void one_that_hangs_is_the_last(void **state)
{
	(void)state;
	add_blk();
	lose(false);
	assert_false(back.expects);
	peer_rig_connect();
	assert_int_equal(back.nconnects, 0);
	/* With the device the place of the peer is free again. */
	machine_drop_devices(m);
	assert_false(is_busy());
	for (unsigned i = 0; i < LIMIT && !chardev_connected(chardev_find(&m->chardevs, "c0")); i++)
		peer_rig_turn();
	assert_int_equal(add(configure(&vhost_user_blk_pci_model)), 0);
	assert_int_equal(back.nopens, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_disk_has_a_queue_for_each_processor),
		TEST(a_folder_has_its_own_configuration),
		TEST(any_device_is_what_its_id_says),
		TEST(ram_must_be_shared),
		TEST(the_chardev_must_be_a_socket_with_a_peer),
		TEST(a_chardev_has_one_user),
		TEST(a_device_that_fails_leaves_the_chardev),
		TEST(one_that_has_ended_is_followed_by_another),
		TEST(one_that_hangs_is_the_last),
	};

	return cmocka_run_group_tests_name("machine_vhost_user", tests, NULL, NULL);
}
