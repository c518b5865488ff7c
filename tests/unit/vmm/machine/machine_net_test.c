// SPDX-License-Identifier: Apache-2.0
// Network back ends and cards: which has which, what comes to the card, and what a deleted back end leaves.
#include "machine_net.h"

#include "error.h"
#include "fake_card.h"
#include "fake_host.h"
#include "machine_device.h"
#include "machine_netdev.h"
#include "net_port.h"
#include "net_worker.h"
#include "tap.h"
#include "vhost_user_net.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit_test.h"

#define BIT(n) (UINT64_C(1) << (n))

static struct machine *m;
static struct vpmem_error err;

// ---- taps, and cards

struct tap {
	struct tap_options opts;
};

extern const struct device_kind virtio_net_pci_kind;

static unsigned ntaps, nworkers, ndiscarding;
static int tap_error;

int tap_open(const struct tap_options *opts, struct tap **out, struct vpmem_error *error)
{
	if (tap_error)
		return error_set(error, tap_error, "no tap");
	*out = calloc(1, sizeof(**out));
	(*out)->opts = *opts;
	ntaps++;
	return 0;
}

void tap_close(struct tap *tap)
{
	free(tap);
	ntaps--;
}

unsigned tap_nqueues(const struct tap *tap)
{
	return tap->opts.nqueues;
}

bool tap_has_header(const struct tap *tap)
{
	return !tap->opts.no_header;
}

uint64_t tap_offloads(const struct tap *tap)
{
	return tap->opts.no_header ? 0 : BIT(VIRTIO_NET_F_GUEST_CSUM);
}

int tap_fd(const struct tap *tap, unsigned idx)
{
	(void)tap;
	return 100 + (int)idx;
}

int tap_set_offloads(struct tap *tap, uint64_t features)
{
	(void)tap, (void)features;
	return 0;
}

int tap_set_queues(struct tap *tap, unsigned n)
{
	(void)tap, (void)n;
	return 0;
}

struct net_worker {
	struct net_port *port;
};

int net_worker_create(const struct net_worker_options *opts, struct net_worker **out, struct vpmem_error *error)
{
	(void)error;
	*out = calloc(1, sizeof(**out));
	(*out)->port = opts->port.port;
	nworkers++;
	return 0;
}

void net_worker_destroy(struct net_worker *w)
{
	nworkers -= w != NULL;
	free(w);
}

struct vhost_backend *net_worker_backend(struct net_worker *w)
{
	return (struct vhost_backend *)w;
}

uint64_t net_worker_features(void)
{
	return 77;
}

void net_worker_set_discard(struct net_worker *w, bool discard)
{
	(void)w;
	ndiscarding += discard ? 1u : -1u;
}

// ---- another process: machine_netdev_vhost_user_test.c

int vhost_user_net_open(const struct vhost_user_net_options *opts, int fd, struct vhost_user_net **out,
                        struct vpmem_error *error)
{
	(void)opts, (void)fd, (void)out;
	return error_set(error, -ENOTSUP, "not here");
}

int vhost_user_net_watch(struct vhost_user_net *net)
{
	(void)net;
	return 0;
}

int vhost_user_net_connect(struct vhost_user_net *net, int fd)
{
	(void)net, (void)fd;
	return 0;
}

bool vhost_user_net_was_closed(const struct vhost_user_net *net)
{
	(void)net;
	return true;
}

void vhost_user_net_disconnect(struct vhost_user_net *net)
{
	(void)net;
}

void vhost_user_net_close(struct vhost_user_net *net)
{
	(void)net;
}

struct vhost_backend *vhost_user_net_backend(struct vhost_user_net *net)
{
	(void)net;
	return NULL;
}

uint64_t vhost_user_net_features(const struct vhost_user_net *net)
{
	(void)net;
	return 0;
}

unsigned vhost_user_net_regions_max(const struct vhost_user_net *net)
{
	(void)net;
	return 0;
}

int vhost_user_net_set_pairs(struct vhost_user_net *net, unsigned npairs)
{
	(void)net, (void)npairs;
	return 0;
}

void vhost_user_net_describe(struct vhost_user_net *net, uint16_t mtu, const uint8_t *mac)
{
	(void)net, (void)mtu, (void)mac;
}

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &virtio_net_pci_kind : NULL;
}

// ---- what the tests do

static int setup(void **state)
{
	int rc = fake_host_setup(state);

	m = &fake_host->m;
	ntaps = ndiscarding = 0;
	tap_error = 0;
	memset(&card, 0, sizeof(card));
	return rc;
}

static int teardown(void **state)
{
	machine_drop_devices(m);
	machine_drop_netdevs(m);
	assert_int_equal(ntaps, 0);
	assert_int_equal(nworkers, 0);
	return fake_host_teardown(state);
}

static int add_tap(const char *id, uint32_t queues, bool vnet_hdr, bool vhost)
{
	struct tap_config *tap = calloc(1, sizeof(*tap));
	struct object_config *cfg = &tap->obj;
	int rc;

	cfg->type = &netdev_tap_type;
	cfg->id = strdup(id);
	tap->queues = queues;
	tap->vnet_hdr = vnet_hdr;
	tap->vhost = vhost;
	rc = machine_netdev_add(m, &cfg, &err);
	assert_int_equal(cfg == NULL, rc == 0);
	object_config_free(cfg);
	return rc;
}

static int add_netdev(const char *id, uint32_t queues, bool vnet_hdr)
{
	return add_tap(id, queues, vnet_hdr, true);
}

static struct net_config *new_card(const char *id, const char *netdev)
{
	struct net_config *net = calloc(1, sizeof(*net));

	net->dev =
		(struct device_config) { .model = &virtio_net_pci_model, .id = strdup(id), .bus_nr = -1, .slot = -1 };
	net->dev.event_idx = net->dev.indirect_desc = true;
	net->netdev = strdup(netdev);
	net->rx_queue_size = net->tx_queue_size = 512;
	for (unsigned i = 0; i < NET_FEATURES; i++)
		net->features[i] = true;
	return net;
}

static int add_card(struct net_config *net)
{
	struct device_config *cfg = &net->dev;
	int rc = machine_add_device(m, &cfg, &err);

	device_config_free(cfg);
	return rc;
}

static void remove_card(struct device *dev)
{
	machine_detach_device(dev);
	machine_remove_device(dev, false);
	machine_free_device(dev);
}

static void a_card_gets_what_its_tap_can(void **state)
{
	struct net_config *net = new_card("net1", "n0");

	(void)state;
	assert_int_equal(add_netdev("n0", 3, true), 0);
	net->host_mtu = 9000;
	net->features[NET_HOST_TSO4] = false;
	net->dev.event_idx = false;
	assert_int_equal(add_card(net), 0);
	assert_int_equal(card.opts.tap.npairs, 3);
	assert_int_equal(card.opts.tap.offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_false(card.opts.tap.no_header);
	assert_int_equal(card.opts.tap.fd(card.opts.tap.tap, 2), 102);
	assert_null(card.opts.vhost_fds);
	assert_int_equal(card.opts.host_mtu, 9000);
	assert_int_equal(card.opts.queue_size, 512);
	/* mq=off, event_idx=off, host_tso4=off. */
	assert_int_equal(card.opts.features_off, BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(29));
	assert_ptr_equal(card.opts.pci.loop, &m->loop);
}

static void a_change_of_the_filter_is_an_event_of_the_card(void **state)
{
	(void)state;
	assert_int_equal(add_netdev("n0", 1, true), 0);
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	fake_host->nevents = 0;
	card.opts.owner.filter_changed(card.opts.owner.owner);
	assert_int_equal(fake_host->nevents, 1);
	assert_int_equal(fake_host->events[0].kind, MACHINE_EVENT_NIC_RX_FILTER_CHANGED);
	assert_string_equal(fake_host->events[0].device, "net1");
	assert_string_equal(fake_host->events[0].path, "/machine/peripheral/net1/virtio-backend");
	assert_ptr_equal(machine_net_filter(m->devices[0]), &card.filter);
}

static void a_card_is_shown_with_its_netdev(void **state)
{
	struct net_info info;

	(void)state;
	assert_int_equal(add_netdev("n0", 2, true), 0);
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	assert_true(machine_net_info(m->devices[0], &info));
	assert_string_equal(info.netdev, "n0");
	assert_memory_equal(info.mac, card.opts.mac, 6);
	assert_true(info.link_is_up && info.npairs == 2);
	assert_int_equal(machine_netdev_del(m, "n0", &err), 0);
	assert_true(machine_net_info(m->devices[0], &info));
	assert_null(info.netdev);
	assert_false(info.link_is_up);
}

static void addresses_are_chosen_one_after_the_other(void **state)
{
	static const uint8_t first[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, own[] = { 2, 0, 0, 0, 0, 1 };
	struct net_config *net = new_card("net2", "n1");

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(add_netdev((const char *[]) { "n0", "n1", "n2" }[i], 1, false), 0);
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	assert_memory_equal(card.opts.mac, first, 6);
	assert_true(card.opts.tap.no_header);
	net->mac_text = strdup("02:00:00:00:00:01");
	memcpy(net->mac, own, 6);
	assert_int_equal(add_card(net), 0);
	assert_memory_equal(card.opts.mac, own, 6);
	assert_int_equal(add_card(new_card("net3", "n2")), 0);
	assert_int_equal(card.opts.mac[5], 0x57);
}

static void a_netdev_has_one_card(void **state)
{
	(void)state;
	assert_int_equal(add_card(new_card("net1", "n0")), -EINVAL);
	assert_string_equal(err.text, "Property 'virtio-net-device.netdev' can't find value 'n0'");
	assert_int_equal(add_netdev("n0", 1, true), 0);
	assert_int_equal(add_netdev("n0", 1, true), -EEXIST);
	assert_string_equal(err.text, "Duplicate ID 'n0'");
	card.error = -ENOENT;
	assert_int_equal(add_card(new_card("net1", "n0")), -ENOENT);
	card.error = 0;
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	assert_int_equal(add_card(new_card("net2", "n0")), -EBUSY);
	assert_string_equal(err.text, "Property 'virtio-net-device.netdev' can't take value 'n0', it's in use");
	remove_card(m->devices[0]);
	assert_int_equal(ntaps, 1);
	assert_int_equal(add_card(new_card("net2", "n0")), 0);
}

static void links_go_down_and_up(void **state)
{
	(void)state;
	assert_int_equal(add_netdev("n0", 1, true), 0);
	assert_int_equal(machine_set_link(m, "n0", false, &err), -ENODEV);
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	assert_int_equal(machine_set_link(m, "net1", false, &err), 0);
	assert_false(card.link_is_up);
	assert_int_equal(machine_set_link(m, "n0", true, &err), 0);
	assert_true(card.link_is_up);
	assert_int_equal(machine_set_link(m, "net2", true, &err), -ENODEV);
	assert_string_equal(err.text, "Device 'net2' not found");
}

static void a_deleted_netdev_ends_with_its_card(void **state)
{
	(void)state;
	assert_int_equal(machine_netdev_del(m, "n0", &err), -ENODEV);
	assert_int_equal(add_netdev("n0", 1, true), 0);
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	assert_int_equal(machine_netdev_del(m, "n0", &err), 0);
	assert_false(card.link_is_up);
	assert_int_equal(ntaps, 1);
	assert_int_equal(machine_set_link(m, "net1", true, &err), 0);
	assert_false(card.link_is_up);
	/* The id is free. */
	assert_int_equal(add_netdev("n0", 1, true), 0);
	assert_int_equal(ntaps, 2);
	remove_card(m->devices[0]);
	assert_int_equal(ntaps, 1);
	assert_int_equal(machine_netdev_del(m, "n0", &err), 0);
	assert_int_equal(ntaps, 0);
	tap_error = -EPERM;
	assert_int_equal(add_netdev("n0", 1, true), -EPERM);
	assert_int_equal(m->nnetdevs, 0);
}

static void without_vhost_a_thread_has_each_pair(void **state)
{
	(void)state;
	assert_int_equal(add_tap("n0", 3, true, false), 0);
	card.error = -ENOMEM;
	assert_int_equal(add_card(new_card("net1", "n0")), -ENOMEM);
	assert_int_equal(nworkers, 0);
	card.error = 0;
	assert_int_equal(add_card(new_card("net1", "n0")), 0);
	assert_int_equal(nworkers, 3);
	assert_int_equal(card.opts.tap.npairs, 3);
	assert_int_equal(card.opts.tap.offloads, 0);
	assert_non_null(card.opts.backends.list);
	assert_int_equal(card.opts.backends.features, 77);
	assert_int_equal(machine_set_link(m, "net1", false, &err), 0);
	assert_int_equal(ndiscarding, 3);
	assert_int_equal(machine_set_link(m, "net1", true, &err), 0);
	assert_int_equal(ndiscarding, 0);
	remove_card(m->devices[0]);
	assert_int_equal(nworkers, 0);
	assert_int_equal(machine_netdev_del(m, "n0", &err), 0);
}

/* A script stands for passt: it writes its arguments to the file beside it. */
static void passt_gets_what_its_netdev_says(void **state)
{
	char dir[] = "/tmp/machine_net_test-XXXXXX", path[64], args[512] = "", *old = strdup(getenv("PATH"));
	struct user_config *user = calloc(1, sizeof(*user));
	struct object_config *cfg = &user->obj;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/passt", dir);
	file = fopen(path, "w");
	fprintf(file, "#!/bin/sh\necho \"$*\" >%s/args\necho $$\nexec /bin/cat <&3\n", dir);
	fclose(file);
	assert_int_equal(chmod(path, 0700), 0);
	setenv("PATH", dir, 1);
	cfg->type = &netdev_user_type;
	cfg->id = strdup("n0");
	user->ipv4 = true;
	strcpy(user->address, "10.0.2.15");
	strcpy(user->netmask, "255.255.255.0");
	strcpy(user->gateway, "10.0.2.2");
	user->dnssearch = strdup("one.test\ntwo.test");
	user->hostfwd = strdup("tcp::2222-:22\nudp:127.0.0.1:53-:54");
	assert_int_equal(machine_netdev_add(m, &cfg, &err), 0);
	setenv("PATH", old, 1);
	unlink(path);
	snprintf(path, sizeof(path), "%s/args", dir);
	file = fopen(path, "r");
	assert_non_null(fgets(args, sizeof(args), file));
	fclose(file);
	unlink(path);
	rmdir(dir);
	free(old);
	assert_non_null(strstr(args, " --ipv4-only --address 10.0.2.15 --netmask 255.255.255.0 --gateway 10.0.2.2 "
	                             "--search one.test --search two.test --tcp-ports 2222:22 "
	                             "--udp-ports 127.0.0.1/53:54\n"));
	assert_int_equal(machine_netdev_del(m, "n0", &err), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_card_gets_what_its_tap_can),
		TEST(a_change_of_the_filter_is_an_event_of_the_card),
		TEST(a_card_is_shown_with_its_netdev),
		TEST(addresses_are_chosen_one_after_the_other),
		TEST(a_netdev_has_one_card),
		TEST(links_go_down_and_up),
		TEST(a_deleted_netdev_ends_with_its_card),
		TEST(without_vhost_a_thread_has_each_pair),
		TEST(passt_gets_what_its_netdev_says),
	};

	return cmocka_run_group_tests_name("machine_net", tests, NULL, NULL);
}
