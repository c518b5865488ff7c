// SPDX-License-Identifier: Apache-2.0
/*
 * device_fault_test.c - devices and back ends that cannot be created: whatever the host refuses, in its turn, the error says
 * so and nothing is left behind: no descriptor, no timer, no listener, no slot taken.
 *
 * Memory that would leak is the address sanitizer's to find.
 */
#include "failing_calls.h"
#include "net_worker.h"
#include "user_rig.h"
#include "vhost_user_net.h"
#include "virtio_serial.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CALLS_MAX 60u

/* What a test creates, with u->err; *fd: a connection that was opened before, -1 if it takes none. */
typedef int (*create_fn)(struct rig_user *u, int fd);

static bool is_refusal(int rc)
{
	return rc == -ENOMEM || rc == -EMFILE || rc == -EAGAIN;
}

static void nothing_is_left(struct rig_user *u)
{
	struct vhost_rig *r = u->r;

	assert_null(pci_bus_device(r->rig.bus, SLOT));
	assert_int_equal(r->loop.nsources, 0);
	assert_int_equal(r->loop.ntimers, 0);
	assert_null(r->rig.fake.vm.memory.listeners);
	/* The file that is RAM is the rig's. */
	assert_int_equal(count_fds(), r->nfds + 1);
}

/* Lets one call after the other fail until none does; what was created then is destroyed. Returns how many failed. */
static unsigned refuse_each(struct rig_user *u, bool connects, create_fn create, void (*destroy)(struct rig_user *u))
{
	unsigned n = 0;
	bool failed;

	do {
		int fd = connects ? fake_user_start(&u->fake) : -1, rc;

		u->err = (struct vpmem_error) { .text = "" };
		fail_call(++n);
		rc = create(u, fd);
		failed = call_has_failed();
		assert_int_equal(u->err.text[0] != '\0', failed);
		if (failed)
			assert_true(is_refusal(rc));
		else
			assert_int_equal(rc, 0);
		if (!failed)
			destroy(u);
		fake_user_end(&u->fake);
		nothing_is_left(u);
		assert_true(n < CALLS_MAX);
	} while (failed);
	return n - 1;
}

static void destroy_device(struct rig_user *u)
{
	virtio_pci_destroy(u->r->vp);
	u->r->vp = NULL;
}

/* ---- a console device and its ports ----------------------------------------------------------------------------- */

static int create_serial(struct rig_user *u, int fd)
{
	const struct virtio_serial_options opts = { .pci = vhost_rig_place(u->r), .mem = &u->r->mem, .max_ports = 31 };

	(void)fd;
	return virtio_serial_create(&opts, &u->r->vp, &u->err);
}

static void a_console_device_leaves_nothing_behind(void **state)
{
	struct rig_user *u = *state;

	/* The device, its queues, its name, its eventfd; the transport's. */
	assert_in_range(refuse_each(u, false, create_serial, destroy_device), 6, CALLS_MAX);
	assert_int_equal(create_serial(u, -1), 0);
}

static void a_loop_without_room_takes_no_console_device(void **state)
{
	struct rig_user *u = *state;
	struct loop_source none = { .fd = -1 };
	unsigned nfds = count_fds(), n = 0;

	while (loop_add(&u->r->loop, &none) == 0)
		n++;
	assert_int_equal(create_serial(u, -1), -ENOSPC);
	assert_string_equal(u->err.text, "virtio-serial-pci: No space left on device");
	while (n-- > 0)
		loop_del(&u->r->loop, &none);
	assert_int_equal(count_fds(), nfds);
	nothing_is_left(u);
}

static void a_port_leaves_its_number_free(void **state)
{
	static const struct virtio_serial_port_ops ops = { .output = NULL };
	struct rig_user *u = *state;
	struct virtio_serial_port_options opts = { .nr = 1, .name = "org.example", .ops = &ops, .owner = u };
	struct virtio_serial_port *port;
	unsigned n = 0;
	bool failed;

	assert_int_equal(create_serial(u, -1), 0);
	do {
		int rc;

		fail_call(++n);
		rc = virtio_serial_port_add(u->r->vp, &opts, &port, &u->err);
		failed = call_has_failed();
		assert_int_equal(rc, failed ? -ENOMEM : 0);
	} while (failed);
	assert_int_equal(n - 1, 2); /* the port, its name */
	virtio_serial_port_remove(port);
}

/* ---- a device and a network card of another process ------------------------------------------------------------------- */

static int create_user_device(struct rig_user *u, int fd)
{
	const struct vhost_user_options opts = user_options(u);
	const struct virtio_pci_config place = vhost_rig_place(u->r);
	int rc = vhost_user_device_open(&opts, fd, &u->dev, &u->err);

	return rc ? rc : vhost_user_device_plug(u->dev, &place, &u->r->vp, &u->err);
}

static void a_vhost_user_device_leaves_nothing_behind(void **state)
{
	struct rig_user *u = *state;

	/*
	 * The device, the back end's channel; its queues, its id, an eventfd for errors, two tables of two eventfds; the
	 * transport's.
	 */
	assert_in_range(refuse_each(u, true, create_user_device, destroy_device), 12, CALLS_MAX);
}

static void a_loop_without_room_takes_no_vhost_user_device(void **state)
{
	struct rig_user *u = *state;
	struct loop_source none = { .fd = -1 };
	unsigned n = 0;

	while (loop_add(&u->r->loop, &none) == 0)
		n++;
	assert_int_equal(create_user_device(u, fake_user_start(&u->fake)), -ENOSPC);
	assert_string_equal(u->err.text, "vhost-user-blk-pci: No space left on device");
	while (n-- > 0)
		loop_del(&u->r->loop, &none);
	fake_user_end(&u->fake);
	nothing_is_left(u);
}

static struct vhost_user_net *net;

static void on_lost(void *owner, bool again)
{
	(void)owner, (void)again;
}

static int open_net(struct rig_user *u, int fd)
{
	const struct vhost_user_net_options opts = {
		.id = "n0", .npairs = 1, .loop = &u->r->loop, .lost = on_lost, .owner = u
	};

	return vhost_user_net_open(&opts, fd, &net, &u->err);
}

static void close_net(struct rig_user *u)
{
	(void)u;
	vhost_user_net_close(net);
}

static void a_vhost_user_netdev_leaves_nothing_behind(void **state)
{
	struct rig_user *u = *state;

	u->fake.protocol_features = ~BIT(9); /* no configuration, and so no channel */
	/* The netdev, its id. */
	assert_int_equal(refuse_each(u, true, open_net, close_net), 2);
}

/* ---- a thread as the back end of a network card ------------------------------------------------------------------------ */

static struct net_worker *worker;
static int wake_efd;

static int poll_fd(void *port)
{
	(void)port;
	return -1;
}

/* The thread may call it before the test ends it. */
static bool flush(void *port)
{
	(void)port;
	return true;
}

static void set_wake_efd(void *port, int efd)
{
	(void)port;
	wake_efd = efd;
}

static int create_worker(struct rig_user *u, int fd)
{
	const struct net_worker_options opts = {
		.name = "net1",
		.mem = &u->r->mem,
		.port = { .poll_fd = poll_fd, .flush = flush, .set_wake_efd = set_wake_efd },
	};

	(void)fd;
	wake_efd = -1;
	return net_worker_create(&opts, &worker, &u->err);
}

static void destroy_worker(struct rig_user *u)
{
	(void)u;
	assert_true(wake_efd >= 0);
	net_worker_destroy(worker);
}

static void a_worker_of_a_card_leaves_nothing_behind(void **state)
{
	struct rig_user *u = *state;

	/* The worker, its name, its eventfd, its thread. */
	assert_int_equal(refuse_each(u, false, create_worker, destroy_worker), 4);
	/* A port knows no descriptor that is closed. */
	assert_int_equal(wake_efd, -1);
	for (unsigned n = 1; n <= 4; n++) {
		fail_call(n);
		assert_true(create_worker(u, -1) < 0);
		assert_true(call_has_failed());
		assert_int_equal(wake_efd, -1);
	}
	net_worker_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, user_rig_setup, user_rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_console_device_leaves_nothing_behind),
		TEST(a_loop_without_room_takes_no_console_device),
		TEST(a_port_leaves_its_number_free),
		TEST(a_vhost_user_device_leaves_nothing_behind),
		TEST(a_loop_without_room_takes_no_vhost_user_device),
		TEST(a_vhost_user_netdev_leaves_nothing_behind),
		TEST(a_worker_of_a_card_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("device_fault", tests, NULL, NULL);
}
