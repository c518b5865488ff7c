// SPDX-License-Identifier: Apache-2.0
// Controllers of ports, and ports on their buses: which bus, which chardev, the events, and who goes with whom.
#include "fake_host.h"
#include "machine_chardev.h"
#include "machine_find.h"
#include "machine_hotplug.h"
#include "virtio_serial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit_test.h"

static struct machine *m;
static struct vpmem_error err;

// ---- the kinds of this test, and the device model

extern const struct device_kind virtio_serial_pci_kind, virtconsole_kind, virtserialport_kind;

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	static const struct device_kind *const kinds[] = { &virtio_serial_pci_kind, &virtconsole_kind,
		                                           &virtserialport_kind };

	return idx < COUNT(kinds) ? kinds[idx] : NULL;
}

int virtio_serial_create(const struct virtio_serial_options *opts, struct virtio_pci **out, struct vpmem_error *error)
{
	const struct virtio_pmem_options plugged = { .pci = opts->pci };

	assert_int_equal(opts->max_ports, 31);
	return virtio_pmem_create(&plugged, out, error);
}

struct virtio_serial_port {
	struct virtio_pci *vp;
	const struct virtio_serial_port_ops *ops;
	void *owner;
	bool console, connected;
	uint8_t got[64];
	size_t ngot, room;
};
static struct virtio_serial_port ports[4];
static unsigned nports;

int virtio_serial_port_add(struct virtio_pci *vp, const struct virtio_serial_port_options *opts,
                           struct virtio_serial_port **out, struct vpmem_error *error)
{
	(void)error;
	assert_false(vp->unplugged);
	*out = &ports[nports++ % COUNT(ports)];
	**out = (struct virtio_serial_port) {
		.vp = vp, .ops = opts->ops, .owner = opts->owner, .console = opts->console, .room = 64
	};
	return 0;
}

void virtio_serial_port_remove(struct virtio_serial_port *port)
{
	assert_false(port->vp->unplugged);
	port->vp = NULL;
}

uint32_t virtio_serial_port_nr(const struct virtio_serial_port *port)
{
	return 1 + (uint32_t)(port - ports);
}

void virtio_serial_port_connect(struct virtio_serial_port *port, bool connected)
{
	port->connected = connected;
}

void virtio_serial_port_writable(struct virtio_serial_port *port)
{
	(void)port;
}

size_t virtio_serial_port_room(struct virtio_serial_port *port)
{
	return port->room;
}

void virtio_serial_port_input(struct virtio_serial_port *port, const uint8_t *buf, size_t len)
{
	assert_true(len <= port->room);
	memcpy(port->got + port->ngot, buf, len);
	port->ngot += len;
	port->room -= len;
}

// ---- helpers

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	nports = 0;
	return rc;
}

static int teardown(void **state)
{
	machine_drop_devices(m);
	machine_chardevs_down(m);
	return fake_host_teardown(state);
}

static void add_controller(const char *id)
{
	struct serial_device_config *cfg = calloc(1, sizeof(*cfg));
	struct device_config *dev = &cfg->dev;

	*cfg = (struct serial_device_config) {
		.dev = { .model = &virtio_serial_pci_model, .id = id ? strdup(id) : NULL, .bus_nr = -1, .slot = -1 },
		.max_ports = 31,
	};
	assert_int_equal(machine_device_add(m, &dev, &err), 0);
}

static int add_port(const struct device_model *model, const char *id, const char *bus, const char *chardev,
                    const char *name)
{
	struct port_config *cfg = calloc(1, sizeof(*cfg));
	struct device_config *dev = &cfg->dev;
	int rc;

	*cfg = (struct port_config) {
		.dev = { .model = model,
		         .id = id ? strdup(id) : NULL,
		         .bus = bus ? strdup(bus) : NULL,
		         .bus_nr = -1,
		         .slot = -1 },
		.chardev = chardev ? strdup(chardev) : NULL,
		.name = name ? strdup(name) : NULL,
		.nr = UINT32_MAX,
	};
	rc = machine_device_add(m, &dev, &err);
	device_config_free(dev);
	return rc;
}

/* A chardev with a peer; returns the peer's end. */
static int add_socket(const char *id)
{
	struct chardev_config cfg = { .kind = CHARDEV_SOCKET, .id = (char *)id };
	struct chardev *chr;
	char number[16];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	snprintf(number, sizeof(number), "%d", fds[0]);
	cfg.fd = number;
	assert_int_equal(machine_chardev_add(m, &cfg, &chr, &err), 0);
	return fds[1];
}

static const char *bus_of(const char *id)
{
	return machine_find_device(m, id)->cfg->bus;
}

// ---- buses

static void a_port_goes_on_the_bus_that_it_names_or_on_the_last_one(void **state)
{
	(void)state;
	assert_int_equal(add_port(&virtconsole_model, "p", NULL, NULL, NULL), -ENODEV);
	assert_string_equal(err.text, "No 'virtio-serial-bus' bus found for device 'virtconsole'");
	add_controller("s");
	assert_int_equal(add_port(&virtconsole_model, "a", NULL, NULL, NULL), 0);
	add_controller(NULL);
	add_controller(NULL);
	assert_int_equal(add_port(&virtserialport_model, "b", NULL, NULL, NULL), 0);
	assert_int_equal(add_port(&virtserialport_model, "c", "virtio-serial-bus.0", NULL, NULL), 0);
	assert_string_equal(bus_of("a"), "s.0");
	assert_string_equal(bus_of("b"), "virtio-serial-bus.1");
	assert_ptr_equal(machine_find_device(m, "c")->parent, m->devices[2]);
	assert_int_equal(add_port(&virtserialport_model, "d", "t.0", NULL, NULL), -ENODEV);
	assert_string_equal(err.text, "Bus 't.0' not found");
	assert_int_equal(add_port(&virtserialport_model, "d", "pcie.0", NULL, NULL), -ENODEV);
	assert_string_equal(err.text, "Device 'virtserialport' can't go on PCIE bus");
	assert_int_equal(add_port(&virtserialport_model, "a", NULL, NULL, NULL), -EEXIST);
}

static void the_controller_takes_its_ports_with_it(void **state)
{
	static const char *const ids[] = { "b", "a", "", "s" };

	(void)state;
	add_controller("t");
	assert_int_equal(add_port(&virtserialport_model, "x", NULL, NULL, NULL), 0);
	add_controller("s");
	assert_int_equal(add_port(&virtserialport_model, "a", NULL, NULL, NULL), 0);
	assert_int_equal(add_port(&virtserialport_model, "b", NULL, NULL, NULL), 0);
	// A port goes at once, with one event.
	assert_int_equal(machine_device_del(m, "x", &err), 0);
	assert_int_equal(fake_host->nevents, 1);
	assert_string_equal(fake_host->events[0].path, "/machine/peripheral/x");
	assert_null(machine_find_device(m, "x"));
	// A controller is the guest's to release.
	assert_int_equal(machine_device_del(m, "s", &err), 0);
	assert_int_equal(fake_host->nevents, 1);
	m->pci_hotplug.eject(m, machine_find_device(m, "s")->slot);
	machine_join_unplugs(m);
	assert_int_equal(fake_host->nevents, 5);
	for (unsigned i = 0; i < COUNT(ids); i++) {
		assert_int_equal(fake_host->events[1 + i].kind, MACHINE_EVENT_DEVICE_DELETED);
		assert_string_equal(fake_host->events[1 + i].device, ids[i]);
	}
	assert_int_equal(m->ndevices, 1);
	// Slot 0, which no device has, is none of a port.
	assert_int_equal(add_port(&virtserialport_model, "a", NULL, NULL, NULL), 0);
	assert_null(machine_find_device_in_slot(m, 31 * 32));
	assert_int_equal(machine_find_device(m, "a")->slot, DEVICES_MAX);
}

// ---- character devices

static void a_chardev_has_one_port(void **state)
{
	int peer = add_socket("c");

	(void)state;
	add_controller("s");
	assert_int_equal(add_port(&virtserialport_model, "p", NULL, "zz", NULL), -EINVAL);
	assert_string_equal(err.text, "Property 'virtserialport.chardev' can't find value 'zz'");
	assert_int_equal(add_port(&virtserialport_model, "p", NULL, "c", "n"), 0);
	assert_int_equal(add_port(&virtconsole_model, "q", NULL, "c", NULL), -EBUSY);
	assert_string_equal(err.text, "Property 'virtconsole.chardev' can't take value 'c': Device 'c' is in use");
	assert_int_equal(add_port(&virtserialport_model, "q", NULL, NULL, "n"), -EEXIST);
	assert_string_equal(err.text, "virtio-serial-bus: A port already exists by name n");
	assert_int_equal(machine_chardev_remove(m, "c", &err), -EBUSY);
	assert_int_equal(machine_device_del(m, "p", &err), 0);
	assert_int_equal(machine_chardev_remove(m, "c", &err), 0);
	close(peer);
}

static void data_goes_through_the_chardev(void **state)
{
	int peer = add_socket("c");
	uint8_t big[0x8000] = { 0 };
	char buf[16] = "";
	size_t n = 0;

	(void)state;
	add_controller("s");
	assert_int_equal(add_port(&virtserialport_model, "p", NULL, "c", NULL), 0);
	assert_true(ports[0].connected);
	assert_false(chardev_is_open(chardev_find(&m->chardevs, "c")));
	ports[0].ops->guest_open(ports[0].owner, true);
	assert_true(chardev_is_open(chardev_find(&m->chardevs, "c")));
	assert_int_equal(ports[0].ops->output(ports[0].owner, (const uint8_t *)"hello\n", 6), 6);
	assert_int_equal(read(peer, buf, sizeof(buf)), 6);
	assert_string_equal(buf, "hello\n");
	ports[0].room = 3;
	assert_int_equal(write(peer, "abcdef", 6), 6);
	assert_int_equal(loop_once(&m->loop), 0);
	assert_int_equal(ports[0].ngot, 3);
	ports[0].room = 60;
	ports[0].ops->readable(ports[0].owner);
	assert_int_equal(ports[0].ngot, 6);
	assert_memory_equal(ports[0].got, "abcdef", 6);
	// The peer does not read: a port takes no more at some time.
	while (ports[0].ops->output(ports[0].owner, big, sizeof(big)) == sizeof(big) && n < 1000)
		n++;
	assert_true(n < 1000);
	close(peer);
	while (ports[0].connected)
		assert_int_equal(loop_once(&m->loop), 0);
}

static void a_console_takes_all_and_is_always_connected(void **state)
{
	int peer = add_socket("c");
	uint8_t big[0x8000] = { 0 };

	(void)state;
	add_controller("s");
	assert_int_equal(add_port(&virtconsole_model, "p", NULL, "c", NULL), 0);
	assert_true(ports[0].console && ports[0].connected);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(ports[0].ops->output(ports[0].owner, big, sizeof(big)), sizeof(big));
	close(peer);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ports[0].ops->output(ports[0].owner, big, sizeof(big)), sizeof(big));
	assert_true(ports[0].connected);
	assert_int_equal(add_port(&virtconsole_model, "q", NULL, NULL, NULL), 0);
	assert_false(ports[1].connected);
	assert_int_equal(ports[1].ops->output(ports[1].owner, big, 9), 9);
}

// ---- events

static void open_and_close_are_reported_once_a_second(void **state)
{
	(void)state;
	add_controller("s");
	assert_int_equal(add_port(&virtserialport_model, "p", NULL, NULL, NULL), 0);
	assert_int_equal(add_port(&virtserialport_model, NULL, NULL, NULL, NULL), 0);
	for (unsigned i = 0; i < 1000; i++) {
		ports[0].ops->guest_open(ports[0].owner, i % 2 == 0);
		ports[1].ops->guest_open(ports[1].owner, i % 2 == 0);
	}
	assert_int_equal(fake_host->nevents, 1);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_VSERPORT_CHANGE);
	assert_string_equal(fake_host->events[0].device, "p");
	assert_true(fake_host->events[0].open);
	while (fake_host->nevents < 2)
		assert_int_equal(loop_once(&m->loop), 0);
	assert_false(fake_host->events[1].open);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_port_goes_on_the_bus_that_it_names_or_on_the_last_one),
		TEST(the_controller_takes_its_ports_with_it),
		TEST(a_chardev_has_one_port),
		TEST(data_goes_through_the_chardev),
		TEST(a_console_takes_all_and_is_always_connected),
		TEST(open_and_close_are_reported_once_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
