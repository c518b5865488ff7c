// SPDX-License-Identifier: Apache-2.0
// A netdev whose back end is another process: its chardev and its peers, what the card gets, and its link.
#include "machine_netdev.h"

#include "error.h"
#include "fake_card.h"
#include "machine_chardev.h"
#include "machine_memdev.h"
#include "net_worker.h"
#include "peer_rig.h"
#include "vhost_user_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit_test.h"

extern const struct device_kind virtio_net_pci_kind;

static struct machine *m;
static struct vpmem_error err;

/* The connection of this test. */
static struct vhost_user_net {
	struct vhost_user_net_options opts;
	bool connected, unlocked, was_closed;
	int open_error, connect_error;
	unsigned nopens, nconnects, ncloses, npairs;
	uint16_t mtu;
	uint8_t mac_end;
} back;

const struct object_kind *fake_host_object_kind(unsigned idx)
{
	return idx == 0 ? &memory_backend_file_kind : NULL;
}

const struct device_kind *fake_host_device_kind(unsigned idx)
{
	return idx == 0 ? &virtio_net_pci_kind : NULL;
}

int vhost_user_net_open(const struct vhost_user_net_options *opts, int fd, struct vhost_user_net **out,
                        struct vpmem_error *error)
{
	assert_true(fd >= 0);
	close(fd);
	back.nopens++;
	back.opts = *opts;
	back.unlocked = pthread_mutex_trylock(&m->lock) == 0;
	if (back.unlocked)
		pthread_mutex_unlock(&m->lock);
	if (back.open_error)
		return error_set(error, back.open_error, "no back end");
	back.connected = true;
	*out = &back;
	return 0;
}

int vhost_user_net_watch(struct vhost_user_net *net)
{
	assert_true(net->connected);
	return 0;
}

int vhost_user_net_connect(struct vhost_user_net *net, int fd)
{
	close(fd);
	net->nconnects++;
	net->connected = net->connect_error == 0;
	return net->connect_error;
}

bool vhost_user_net_was_closed(const struct vhost_user_net *net)
{
	return net->was_closed;
}

void vhost_user_net_disconnect(struct vhost_user_net *net)
{
	net->connected = false;
}

void vhost_user_net_close(struct vhost_user_net *net)
{
	back.ncloses += net != NULL;
}

struct vhost_backend *vhost_user_net_backend(struct vhost_user_net *net)
{
	return (struct vhost_backend *)net;
}

uint64_t vhost_user_net_features(const struct vhost_user_net *net)
{
	(void)net;
	return 77;
}

unsigned vhost_user_net_regions_max(const struct vhost_user_net *net)
{
	(void)net;
	return 8;
}

int vhost_user_net_set_pairs(struct vhost_user_net *net, unsigned npairs)
{
	net->npairs = npairs;
	return 0;
}

void vhost_user_net_describe(struct vhost_user_net *net, uint16_t mtu, const uint8_t *mac)
{
	net->mtu = mtu;
	net->mac_end = mac[5];
}

/* Of other netdevs. */
int net_worker_create(const struct net_worker_options *opts, struct net_worker **out, struct vpmem_error *error)
{
	(void)opts, (void)out;
	return error_set(error, -ENOTSUP, "not here");
}

void net_worker_destroy(struct net_worker *w)
{
	assert_null(w);
}

struct vhost_backend *net_worker_backend(struct net_worker *w)
{
	(void)w;
	return NULL;
}

uint64_t net_worker_features(void)
{
	return 0;
}

void net_worker_set_discard(struct net_worker *w, bool discard)
{
	(void)w, (void)discard;
}

// ---- helpers

static int setup(void **state)
{
	int rc = peer_rig_setup(state);

	m = peers.m;
	memset(&back, 0, sizeof(back));
	memset(&card, 0, sizeof(card));
	return rc;
}

static int teardown(void **state)
{
	machine_drop_devices(m);
	machine_drop_netdevs(m);
	assert_int_equal(back.ncloses, back.nopens > 0 && !back.open_error);
	return peer_rig_teardown(state);
}

static int add_netdev(uint32_t queues)
{
	struct netdev_vhost_user_config *user = calloc(1, sizeof(*user));
	struct object_config *cfg = &user->obj;
	int rc;

	cfg->type = &netdev_vhost_user_type;
	cfg->id = strdup("n0");
	user->chardev = strdup("c0");
	user->queues = queues;
	rc = machine_netdev_add(m, &cfg, &err);
	object_config_free(cfg);
	return rc;
}

static void add_card(void)
{
	struct net_config *net = calloc(1, sizeof(*net));
	struct device_config *cfg = &net->dev;

	net->dev = (struct device_config) {
		.model = &virtio_net_pci_model, .id = strdup("net0"), .bus_nr = -1, .slot = -1
	};
	net->netdev = strdup("n0");
	net->rx_queue_size = net->tx_queue_size = 256;
	assert_int_equal(machine_add_device(m, &cfg, &err), 0);
}

static void add_all(uint32_t queues)
{
	peer_rig_listen();
	peer_rig_connect();
	assert_int_equal(add_netdev(queues), 0);
	add_card();
}

static bool is_busy(void)
{
	return chardev_is_busy(chardev_find(&m->chardevs, "c0"));
}

static void expect_event(enum machine_event_kind kind)
{
	assert_true(fake_host->nevents > 0);
	assert_int_equal(fake_host->events[fake_host->nevents - 1].kind, kind);
	assert_string_equal(fake_host->events[fake_host->nevents - 1].device, "n0");
}

static void lose(bool again)
{
	back.connected = false;
	back.opts.lost(back.opts.owner, again);
}

// ---- the tests

static void a_card_has_one_back_end_for_its_pairs(void **state)
{
	(void)state;
	add_all(3);
	assert_true(back.unlocked && is_busy());
	assert_int_equal(back.opts.npairs, 3);
	assert_string_equal(back.opts.id, "n0");
	expect_event(MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED);
	assert_int_equal(card.opts.tap.npairs, 3);
	assert_true(card.opts.backends.is_one);
	assert_ptr_equal(card.backend, &back);
	assert_int_equal(card.opts.backends.features, 77);
	assert_int_equal(card.opts.backends.regions_max, 8);
	assert_int_equal(card.opts.tap.offloads, 0);
	assert_int_equal(card.opts.tap.set_queues(card.opts.tap.tap, 2), 0);
	assert_int_equal(back.npairs, 2);
	card.opts.tap.describe(card.opts.tap.tap, 1400, (const uint8_t[]) { 2, 0, 0, 0, 0, 7 });
	assert_int_equal(back.mtu, 1400);
	assert_int_equal(back.mac_end, 7);
}

static void the_chardev_must_be_a_unix_socket_with_a_peer(void **state)
{
	(void)state;
	assert_int_equal(add_netdev(1), -EINVAL);
	assert_string_equal(err.text, "chardev \"c0\" not found");
	peer_rig_add_chardev((struct chardev_config) { .kind = CHARDEV_NULL });
	assert_int_equal(add_netdev(1), -EINVAL);
	assert_string_equal(err.text, "chardev \"c0\" is not reconnectable");
	assert_int_equal(machine_chardev_remove(m, "c0", &err), 0);
	peer_rig_listen();
	assert_int_equal(add_netdev(1), -ENOTCONN);
	assert_string_equal(err.text, "chardev 'c0': no back end is connected");
	assert_false(is_busy());
	peer_rig_connect();
	m->ram_memdev = NULL;
	assert_int_equal(add_netdev(1), -EINVAL);
	assert_non_null(strstr(err.text, "Failed initializing vhost-user memory map"));
	m->ram_memdev = fake_host_memdev("other");
	back.open_error = -EPROTO;
	assert_int_equal(add_netdev(1), -EPROTO);
	assert_false(is_busy());
	back.open_error = 0;
	peer_rig_connect();
	assert_int_equal(add_netdev(1), 0);
	assert_int_equal(back.nopens, 2);
	assert_int_equal(machine_chardev_remove(m, "c0", &err), -EBUSY);
}

static void the_link_is_there_with_the_back_end(void **state)
{
	(void)state;
	add_all(1);
	lose(true);
	assert_false(card.link_is_up);
	expect_event(MACHINE_EVENT_NETDEV_VHOST_USER_DISCONNECTED);
	assert_int_equal(machine_set_link(m, "net0", true, &err), 0);
	assert_false(card.link_is_up);
	/* One that is unsuitable makes room for the next. */
	back.connect_error = -EPROTO;
	back.was_closed = true;
	peer_rig_connect();
	assert_int_equal(back.nconnects, 1);
	assert_false(card.link_is_up);
	back.connect_error = 0;
	peer_rig_connect();
	assert_int_equal(back.nconnects, 2);
	assert_true(card.link_is_up);
	expect_event(MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED);
	/* After one that hung, none is taken. */
	lose(false);
	peer_rig_connect();
	assert_int_equal(back.nconnects, 2);
	assert_false(card.link_is_up);
}

static void after_one_that_hangs_or_sends_nonsense_none_is_taken(void **state)
{
	static const int errors[] = { -ETIMEDOUT, -EPROTO };

	for (unsigned i = 0; i < 2; i++) {
		add_all(1);
		lose(true);
		back.connect_error = errors[i];
		back.was_closed = false;
		peer_rig_connect();
		assert_int_equal(back.nconnects, 1);
		back.connect_error = 0;
		peer_rig_connect();
		assert_int_equal(back.nconnects, 1);
		assert_false(card.link_is_up);
		if (i == 0) {
			teardown(state);
			setup(state);
		}
	}
}

static void a_deleted_netdev_frees_its_chardev_at_once(void **state)
{
	(void)state;
	add_all(1);
	assert_int_equal(machine_netdev_del(m, "n0", &err), 0);
	assert_false(card.link_is_up || is_busy() || back.connected);
	assert_int_equal(back.ncloses, 0);
	assert_int_equal(machine_chardev_remove(m, "c0", &err), 0);
	machine_drop_devices(m);
	assert_int_equal(back.ncloses, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_card_has_one_back_end_for_its_pairs),
		TEST(the_chardev_must_be_a_unix_socket_with_a_peer),
		TEST(the_link_is_there_with_the_back_end),
		TEST(after_one_that_hangs_or_sends_nonsense_none_is_taken),
		TEST(a_deleted_netdev_frees_its_chardev_at_once),
	};

	return cmocka_run_group_tests_name("machine_netdev_vhost_user", tests, NULL, NULL);
}
