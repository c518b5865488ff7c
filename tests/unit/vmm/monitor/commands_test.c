// SPDX-License-Identifier: Apache-2.0
// What every command does and answers.
#include "qmp_rig.h"
#include "unit_test.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define M1 \
	"{\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", \"share\": true, \"mem-path\": \"p.img\", \"size\": 67108864}"
#define M2 "{\"qom-type\": \"memory-backend-file\", \"id\": \"m2\", \"mem-path\": \"q.img\"}"
#define NV1 "{\"driver\": \"virtio-pmem-pci\", \"id\": \"nv1\", \"memdev\": \"m1\"}"
#define NV2 "{\"driver\": \"virtio-pmem-pci\", \"id\": \"nv2\", \"memdev\": \"m2\"}"

static int start(void **state)
{
	static struct qmp_rig rig;

	qmp_rig_start(&rig);
	*state = &rig;
	return 0;
}

static int end(void **state)
{
	qmp_rig_close(*state);
	return 0;
}

static void expect_return(struct qmp_rig *rig, const char *command, const char *args, const char *expected)
{
	struct json_object *ret = qmp_rig_run(rig, command, args);
	struct text text = { 0 };

	json_text_add(&text, ret, false);
	text_add(&text, "", 1);
	assert_string_equal(text.buf, expected);
	text_free(&text);
	json_object_put(ret);
}

static void the_guest_is_stopped_and_continued(void **state)
{
	struct qmp_rig *rig = *state;

	expect_return(rig, "query-status", NULL, "{\"status\": \"running\", \"running\": true}");
	expect_return(rig, "stop", NULL, "{}");
	expect_return(rig, "query-status", NULL, "{\"status\": \"paused\", \"running\": false}");
	expect_return(rig, "cont", NULL, "{}");
	expect_return(rig, "query-status", "{}", "{\"status\": \"running\", \"running\": true}");
	expect_return(rig, "system_powerdown", NULL, "{}");
	expect_return(rig, "system_reset", NULL, "{}");
	expect_return(rig, "quit", NULL, "{}");
	assert_string_equal(rig->fake->calls, "stop;cont;powerdown;request 1 host-qmp-system-reset;"
	                                      "request 3 host-qmp-quit;");
	assert_int_equal(REQUEST_RESET, 1);
	assert_int_equal(REQUEST_QUIT, 3);
}

static void network_back_ends_come_and_go(void **state)
{
	struct qmp_rig *rig = *state;

	expect_return(rig, "netdev_add", "{\"type\": \"tap\", \"id\": \"n0\", \"vhost\": true, \"queues\": 2}", "{}");
	expect_return(rig, "netdev_del", "{\"id\": \"n0\"}", "{}");
	expect_return(rig, "set_link", "{\"name\": \"net1\", \"up\": false}", "{}");
	expect_return(rig, "set_link", "{\"name\": \"net1\", \"up\": true}", "{}");
	assert_string_equal(rig->fake->calls, "netdev_add tap n0;netdev_del n0;set_link net1 off;set_link net1 on;");
}

static void the_balloon_is_as_in_qemu(void **state)
{
	struct qmp_rig *rig = *state;

	rig->fake->has_balloon = true;
	expect_return(rig, "balloon", "{\"value\": 33554432}", "{}");
	expect_return(rig, "query-balloon", NULL, "{\"actual\": 67112960}");
	assert_string_equal(rig->fake->calls, "balloon 33554432;");
}

static void the_machine_says_what_it_is(void **state)
{
	struct qmp_rig *rig = *state;
	char name[] = "test vm", uuid[] = "550e8400-e29b-41d4-a716-446655440000";

	expect_return(rig, "query-version", NULL,
	              "{\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 8}, \"package\": \"pmvm " VPMEM_VERSION
	              "\"}");
	expect_return(rig, "query-kvm", NULL, "{\"enabled\": true, \"present\": true}");
	expect_return(rig, "query-accelerators", NULL, "{\"enabled\": \"kvm\", \"present\": [\"kvm\"]}");
	expect_return(rig, "query-name", NULL, "{}");
	expect_return(rig, "query-uuid", NULL, "{\"UUID\": \"00000000-0000-0000-0000-000000000000\"}");
	rig->fake->opts.name = name;
	rig->fake->opts.uuid = uuid;
	expect_return(rig, "query-name", NULL, "{\"name\": \"test vm\"}");
	expect_return(rig, "query-uuid", NULL, "{\"UUID\": \"550e8400-e29b-41d4-a716-446655440000\"}");
	rig->fake->m.vcpus.vcpu[1].nbus_locks = 3;
	rig->fake->m.vcpus.vcpu[1].nnotify = 2;
	expect_return(rig, "query-cpus-fast", NULL,
	              "[{\"thread-id\": 100, \"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 0}, "
	              "\"qom-path\": \"/machine/unattached/device[0]\", \"target\": \"x86_64\", \"cpu-index\": 0, "
	              "\"bus-locks\": 0, \"notify-exits\": 0}, "
	              "{\"thread-id\": 101, \"props\": {\"core-id\": 1, \"thread-id\": 0, \"socket-id\": 0}, "
	              "\"qom-path\": \"/machine/unattached/device[1]\", \"target\": \"x86_64\", \"cpu-index\": 1, "
	              "\"bus-locks\": 3, \"notify-exits\": 2}]");
}

/* The session of QEMU's documentation, as far as it is JSON. */
static void a_device_comes_and_goes(void **state)
{
	struct qmp_rig *rig = *state;

	expect_return(rig, "query-memory-size-summary", NULL, "{\"base-memory\": 134217728, \"plugged-memory\": 0}");
	expect_return(rig, "query-memory-devices", NULL, "[]");
	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	expect_return(rig, "query-memory-devices", NULL,
	              "[{\"type\": \"virtio-pmem\", \"data\": {\"memdev\": \"/objects/m1\", \"memaddr\": 5368709120, "
	              "\"size\": 67108864, \"id\": \"nv1\"}}]");
	expect_return(rig, "query-memory-size-summary", NULL,
	              "{\"base-memory\": 134217728, \"plugged-memory\": 67108864}");
	expect_return(rig, "device_del", "{\"id\": \"nv1\"}", "{}");
	assert_int_equal(rig->fake->m.pmems[0]->dev.unplug, UNPLUG_REQUESTED);
	rig->fake->m.pmems[0]->dev.unplug = UNPLUG_NONE;
	expect_return(rig, "device_del", "{\"id\": \"/machine/peripheral/nv1\"}", "{}");
	assert_int_equal(rig->fake->m.pmems[0]->dev.unplug, UNPLUG_REQUESTED);
	expect_return(rig, "object-add", M2, "{}");
	assert_int_equal(rig->fake->nopen, 2);
	expect_return(rig, "object-del", "{\"id\": \"m2\"}", "{}");
	assert_int_equal(rig->fake->nopen, 1);
}

/* Another thread may be taking it down. */
static void a_device_that_the_guest_released_is_not_listed(void **state)
{
	struct qmp_rig *rig = *state;
	struct virtio_pci *vp;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	rig->fake->m.pmems[0]->dev.unplug = UNPLUG_EJECTED;
	vp = rig->fake->m.pmems[0]->dev.vp;
	rig->fake->m.pmems[0]->dev.vp = NULL;
	expect_return(rig, "query-memory-devices", NULL, "[]");
	expect_return(rig, "query-memory-size-summary", NULL, "{\"base-memory\": 134217728, \"plugged-memory\": 0}");
	expect_return(rig, "query-pmem", NULL, "[]");
	expect_return(rig, "qom-list", "{\"path\": \"/machine/peripheral\"}",
	              "[{\"name\": \"type\", \"type\": \"string\"}]");
	qmp_rig_expect_error(rig, "qom-get", "{\"path\": \"/machine/peripheral/nv1\", \"property\": \"memaddr\"}",
	                     "DeviceNotFound", "Device '/machine/peripheral/nv1' not found");
	rig->fake->m.pmems[0]->dev.vp = vp;
}

static void devices_are_listed_by_address(void **state)
{
	struct qmp_rig *rig = *state;
	struct json_object *list;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "object-add", M2, "{}");
	expect_return(rig, "device_add",
	              "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m1\", \"memaddr\": 17179869184}", "{}");
	expect_return(rig, "device_add",
	              "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m2\", \"memaddr\": \"0x100000000\"}", "{}");
	list = qmp_rig_run(rig, "query-memory-devices", NULL);
	assert_string_equal(json_object_to_json_string_ext(list,
	                                                   JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
	                    "[{\"type\":\"virtio-pmem\",\"data\":{\"memdev\":\"/objects/m2\",\"memaddr\":4294967296,"
	                    "\"size\":33554432}},"
	                    "{\"type\":\"virtio-pmem\",\"data\":{\"memdev\":\"/objects/m1\",\"memaddr\":17179869184,"
	                    "\"size\":67108864}}]");
	json_object_put(list);
}

/* As in QEMU: a device's properties are text, whatever the type in JSON is. */
static void device_add_takes_text_and_native_values(void **state)
{
	struct qmp_rig *rig = *state;
	const struct pmem_config *cfg;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "object-add", M2, "{}");
	expect_return(rig, "device_add",
	              "{\"driver\": \"virtio-pmem-pci\", \"id\": \"a\", \"memdev\": \"m1\", \"event_idx\": \"off\", "
	              "\"indirect_desc\": false, \"addr\": \"1f.0\", \"memaddr\": \"4294967296\"}",
	              "{}");
	cfg = rig->fake->m.pmems[0]->cfg;
	assert_false(cfg->dev.event_idx);
	assert_false(cfg->dev.indirect_desc);
	assert_true(cfg->dev.queue_reset);
	assert_int_equal(cfg->dev.slot, 0x1f);
	assert_int_equal(cfg->memaddr, UINT64_C(4294967296));
	expect_return(rig, "device_add",
	              "{\"driver\": \"virtio-pmem-pci\", \"id\": \"b\", \"memdev\": \"m2\", \"event_idx\": true, "
	              "\"addr\": 10, \"memaddr\": 8589934592}",
	              "{}");
	cfg = rig->fake->m.pmems[1]->cfg;
	assert_true(cfg->dev.event_idx);
	assert_int_equal(cfg->dev.slot, 0x10);
	assert_int_equal(cfg->memaddr, UINT64_C(8589934592));
}

static void backends_and_ram_are_listed(void **state)
{
	struct qmp_rig *rig = *state;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "object-add",
	              "{\"qom-type\": \"memory-backend-file\", \"id\": \"m2\", \"mem-path\": \"q\", \"merge\": false, "
	              "\"dump\": false, \"prealloc\": true, \"host-nodes\": [0, 3], \"policy\": \"bind\"}",
	              "{}");
	expect_return(
		rig, "query-memdev", NULL,
		"[{\"share\": true, \"reserve\": true, \"prealloc\": false, \"host-nodes\": [], \"merge\": true, "
		"\"dump\": true, \"policy\": \"default\", \"size\": 67108864, \"id\": \"m1\"}, "
		"{\"share\": false, \"reserve\": true, \"prealloc\": true, \"host-nodes\": [0, 3], "
		"\"merge\": false, \"dump\": false, \"policy\": \"bind\", \"size\": 33554432, \"id\": \"m2\"}, "
		"{\"share\": false, \"reserve\": true, \"prealloc\": false, \"host-nodes\": [], \"merge\": false, "
		"\"dump\": true, \"policy\": \"default\", \"size\": 134217728, \"id\": \"pc.ram\"}]");
}

/* RAM that is made of an object is that object, and not one more. */
static void ram_of_a_memory_backend_is_shown_once(void **state)
{
	struct qmp_rig *rig = *state;

	expect_return(rig, "object-add", "{\"qom-type\": \"memory-backend-memfd\", \"id\": \"r\", \"size\": 134217728}",
	              "{}");
	rig->fake->m.ram_memdev = rig->fake->m.memdevs[0];
	expect_return(rig, "query-memdev", NULL,
	              "[{\"share\": true, \"reserve\": true, \"prealloc\": false, \"host-nodes\": [], \"merge\": true, "
	              "\"dump\": true, \"policy\": \"default\", \"size\": 134217728, \"id\": \"r\"}]");
	expect_return(rig, "qom-get", "{\"path\": \"/objects/r\", \"property\": \"seal\"}", "true");
	expect_return(rig, "qom-get", "{\"path\": \"/objects/r\", \"property\": \"size\"}", "134217728");
}

static void the_bus_is_shown(void **state)
{
	struct qmp_rig *rig = *state;
	struct json_object *list, *region;
	static const char bridge[] =
		"{\"bus\": 0, \"slot\": 0, \"function\": 0, \"class_info\": {\"class\": 1536, \"desc\": \"Host bridge\"}, "
		"\"id\": {\"device\": 8, \"vendor\": 6966, \"subsystem\": 4352, \"subsystem-vendor\": 6900}, "
		"\"irq_pin\": 0, \"qdev_id\": \"\", \"regions\": []}";
	char expected[2048];

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	for (unsigned mapped = 0; mapped < 2; mapped++) {
		rig->fake->bar_mapped = mapped;
		snprintf(expected, sizeof(expected),
		         "[{\"bus\": 0, \"devices\": [%s, {\"bus\": 0, \"slot\": 1, \"function\": 0, "
		         "\"class_info\": {\"class\": 255}, \"id\": {\"device\": 4187, \"vendor\": 6900, "
		         "\"subsystem\": 4352, \"subsystem-vendor\": 6900}, \"irq_pin\": 1, \"irq\": 17, "
		         "\"qdev_id\": \"nv1\", \"regions\": [{\"prefetch\": true, \"mem_type_64\": true, \"bar\": 0, "
		         "\"size\": 32768, \"address\": %s, \"type\": \"memory\"}]}]}]",
		         bridge, mapped ? "34359771136" : "-1");
		expect_return(rig, "query-pci", NULL, expected);
	}
	rig->fake->bar_io = true;
	expect_return(rig, "object-add", M2, "{}");
	expect_return(rig, "device_add", NV2, "{}");
	list = qmp_rig_run(rig, "query-pci", NULL);
	assert_int_equal(json_pointer_get(list, "/0/devices/2/regions/0", &region), 0);
	assert_string_equal(json_object_to_json_string(region),
	                    "{ \"bar\": 0, \"size\": 32768, \"address\": 34359803904, \"type\": \"io\" }");
	json_object_put(list);
}

static int64_t number(struct json_object *obj, const char *key)
{
	struct json_object *val;

	assert_true(json_object_object_get_ex(obj, key, &val));
	assert_true(json_object_is_type(val, json_type_int));
	return json_object_get_int64(val);
}

static void every_bus_is_shown(void **state)
{
	struct qmp_rig *rig = *state;
	struct json_object *list;

	rig->fake->nbuses = 3;
	list = qmp_rig_run(rig, "query-pci", NULL);
	assert_int_equal(json_object_array_length(list), 3);
	for (unsigned nr = 0; nr < 3; nr++) {
		struct json_object *bus = json_object_array_get_idx(list, nr);

		assert_int_equal(number(bus, "bus"), nr);
	}
	json_object_put(list);
}

// ---- query-vhost-user

static void vhost_user_devices_have_a_state(void **state)
{
	struct qmp_rig *rig = *state;
	struct vhost_user_info *info = &rig->fake->vhost_user;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	expect_return(rig, "query-vhost-user", NULL, "[]");
	*info = (struct vhost_user_info) {
		.chardev = "c0", .connected = true, .condition = VHOST_USER_IDLE, .message = ""
	};
	expect_return(
		rig, "query-vhost-user", NULL,
		"[{\"id\": \"nv1\", \"path\": \"/machine/peripheral/nv1\", \"chardev\": \"c0\", \"connected\": true, "
		"\"state\": \"idle\"}]");
	*info = (struct vhost_user_info) { .chardev = "c0", .condition = VHOST_USER_NEEDS_RESET, .message = "it died" };
	expect_return(
		rig, "query-vhost-user", NULL,
		"[{\"id\": \"nv1\", \"path\": \"/machine/peripheral/nv1\", \"chardev\": \"c0\", \"connected\": false, "
		"\"state\": \"needs-reset\", \"message\": \"it died\"}]");
}

// ---- query-net-clients

static void add_netdev(struct machine *m, const char *text, unsigned npairs)
{
	struct json_object *json = json_tokener_parse(text);
	struct netdev *netdev = calloc(1, sizeof(*netdev));
	struct vpmem_error err;

	assert_int_equal(config_netdev(json, PROPS_JSON, &netdev->obj.cfg, &err), 0);
	json_object_put(json);
	netdev->npairs = npairs;
	m->netdevs[m->nnetdevs++] = &netdev->obj;
}

static void network_cards_are_shown_with_their_back_ends(void **state)
{
	static const char *const netdevs[] = {
		"{\"type\": \"tap\", \"id\": \"a\", \"fds\": \"3:4\"}",
		"{\"type\": \"user\", \"id\": \"b\", \"net\": \"192.168.7.0/24\"}",
		"{\"type\": \"stream\", \"id\": \"c\", \"addr\": {\"type\": \"unix\", \"path\": \"s\"}}",
		"{\"type\": \"dgram\", \"id\": \"d\", \"local\": {\"type\": \"fd\", \"str\": \"9\"}}",
		"{\"type\": \"vhost-user\", \"id\": \"e\", \"chardev\": \"c0\"}",
	};
	struct qmp_rig *rig = *state;
	struct machine *m = &rig->fake->m;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	for (unsigned i = 0; i < 5; i++)
		add_netdev(m, netdevs[i], i == 0 ? 2 : 1);
	rig->fake->net = (struct net_info) { .netdev = "a", .mac = { 2, 0, 0, 0, 0, 0xab }, .npairs = 2 };
	expect_return(
		rig, "query-net-clients", NULL,
		"[{\"name\": \"a\", \"index\": 0, \"type\": \"tap\", \"info\": \"fd=3\", \"peer\": \"nv1\"}, "
		"{\"name\": \"a\", \"index\": 1, \"type\": \"tap\", \"info\": \"fd=4\", \"peer\": \"nv1\"}, "
		"{\"name\": \"b\", \"index\": 0, \"type\": \"user\", \"info\": \"net=192.168.7.0,restrict=off\"}, "
		"{\"name\": \"c\", \"index\": 0, \"type\": \"stream\", \"info\": \"unix:s\"}, "
		"{\"name\": \"d\", \"index\": 0, \"type\": \"dgram\", \"info\": \"fd=9\"}, "
		"{\"name\": \"e\", \"index\": 0, \"type\": \"vhost-user\", \"info\": \"vhost-user0 to c0\"}, "
		"{\"name\": \"nv1\", \"index\": 0, \"type\": \"nic\", \"info\": "
		"\"model=virtio-pmem-pci,macaddr=02:00:00:00:00:ab\", \"link\": false, \"peer\": \"a\"}, "
		"{\"name\": \"nv1\", \"index\": 1, \"type\": \"nic\", \"info\": "
		"\"model=virtio-pmem-pci,macaddr=02:00:00:00:00:ab\", \"link\": false, \"peer\": \"a\"}]");
	while (m->nnetdevs > 0) {
		struct object *netdev = m->netdevs[--m->nnetdevs];

		object_config_free(netdev->cfg);
		free(netdev);
	}
}

// ---- query-rx-filter

static void the_filter_of_a_card_is_shown(void **state)
{
	struct qmp_rig *rig = *state;
	struct machine *m = &rig->fake->m;

	expect_return(rig, "query-rx-filter", NULL, "[]");
	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	rig->fake->net = (struct net_info) { .netdev = "a", .mac = { 2, 0, 0, 0, 0, 0xab }, .npairs = 1 };
	rig->fake->filter = (struct vhost_net_filter) {
		.modes = { [VIRTIO_NET_CTRL_RX_ALLMULTI] = true, [VIRTIO_NET_CTRL_RX_NOBCAST] = true },
		.unicast_overflow = true,
		.nunicast = 1,
		.nmulticast = 2,
		.macs = { { 2, 1 }, { 3, 2 }, { 3, 3 } }
	};
	expect_return(rig, "query-rx-filter", "{\"name\": \"nv1\"}",
	              "[{\"name\": \"nv1\", \"promiscuous\": false, \"multicast\": \"all\", \"unicast\": \"normal\", "
	              "\"vlan\": \"all\", \"broadcast-allowed\": false, \"multicast-overflow\": false, "
	              "\"unicast-overflow\": true, \"main-mac\": \"02:00:00:00:00:ab\", \"vlan-table\": [], "
	              "\"unicast-table\": [\"02:01:00:00:00:00\"], "
	              "\"multicast-table\": [\"03:02:00:00:00:00\", \"03:03:00:00:00:00\"]}]");
	rig->fake->filter = (struct vhost_net_filter) { .modes = { [VIRTIO_NET_CTRL_RX_PROMISC] = true,
		                                                   [VIRTIO_NET_CTRL_RX_ALLUNI] = true,
		                                                   [VIRTIO_NET_CTRL_RX_ALLMULTI] = true,
		                                                   [VIRTIO_NET_CTRL_RX_NOMULTI] = true },
		                                        .multicast_overflow = true };
	expect_return(rig, "query-rx-filter", NULL,
	              "[{\"name\": \"nv1\", \"promiscuous\": true, \"multicast\": \"none\", \"unicast\": \"all\", "
	              "\"vlan\": \"all\", \"broadcast-allowed\": true, \"multicast-overflow\": true, "
	              "\"unicast-overflow\": false, \"main-mac\": \"02:00:00:00:00:ab\", \"vlan-table\": [], "
	              "\"unicast-table\": [], \"multicast-table\": []}]");
	qmp_rig_expect_error(rig, "query-rx-filter", "{\"name\": \"nv2\"}", "GenericError",
	                     "invalid net client name: nv2");
	add_netdev(m, "{\"type\": \"user\", \"id\": \"b\"}", 1);
	qmp_rig_expect_error(rig, "query-rx-filter", "{\"name\": \"b\"}", "GenericError", "net client(b) isn't a NIC");
	object_config_free(m->netdevs[0]->cfg);
	free(m->netdevs[--m->nnetdevs]);
}

// ---- query-pmem

static void pmem_statistics_are_shown(void **state)
{
	struct qmp_rig *rig = *state;
	struct json_object *list, *info, *part;

	expect_return(rig, "object-add", M1, "{}");
	expect_return(rig, "device_add", NV1, "{}");
	rig->fake->stats = (struct vpmem_stats) { .requests = 10,
		                                  .completed = 9,
		                                  .failed = 1,
		                                  .syncs = 7,
		                                  .interrupts = 8,
		                                  .sync_errors = 2,
		                                  .sync_ns = 5000,
		                                  .sync_ns_max = 3000 };
	rig->fake->stats.sync_histogram[0] = 4;
	rig->fake->stats.sync_histogram[VPMEM_SYNC_BUCKETS - 1] = 3;
	list = qmp_rig_run(rig, "query-pmem", NULL);
	assert_int_equal(json_object_array_length(list), 1);
	info = json_object_array_get_idx(list, 0);
	assert_string_equal(json_object_get_string(json_object_object_get(info, "id")), "nv1");
	assert_string_equal(json_object_get_string(json_object_object_get(info, "memdev")), "/objects/m1");
	assert_string_equal(json_object_get_string(json_object_object_get(info, "mem-path")), "p.img");
	assert_string_equal(json_object_get_string(json_object_object_get(info, "state")), "ok");
	assert_false(json_object_object_get_ex(info, "error", NULL));
	assert_true(json_object_get_boolean(json_object_object_get(info, "share")));
	assert_false(json_object_get_boolean(json_object_object_get(info, "readonly")));
	assert_int_equal(number(info, "memaddr"), 5368709120);
	assert_int_equal(number(info, "size"), 67108864);
	assert_int_equal(number(info, "resident"), 4096);
	assert_int_equal(number(info, "allocated"), 8192);
	assert_int_equal(number(info, "interrupts"), 8);
	part = json_object_object_get(info, "flushes");
	assert_int_equal(number(part, "requested"), 10);
	assert_int_equal(number(part, "completed"), 9);
	assert_int_equal(number(part, "failed"), 1);
	part = json_object_object_get(info, "syncs");
	assert_int_equal(number(part, "count"), 7);
	assert_int_equal(number(part, "errors"), 2);
	assert_int_equal(number(part, "total-ns"), 5000);
	assert_int_equal(number(part, "max-ns"), 3000);
	assert_false(json_object_object_get_ex(part, "in-flight-ns", NULL));
	part = json_object_object_get(part, "histogram");
	assert_int_equal(json_object_array_length(part), VPMEM_SYNC_BUCKETS);
	assert_int_equal(number(json_object_array_get_idx(part, 0), "below-ns"), 1024);
	assert_int_equal(number(json_object_array_get_idx(part, 0), "count"), 4);
	assert_int_equal(number(json_object_array_get_idx(part, 24), "below-ns"), INT64_C(1) << 34);
	assert_int_equal(number(json_object_array_get_idx(part, 25), "count"), 3);
	assert_false(json_object_object_get_ex(json_object_array_get_idx(part, 25), "below-ns", NULL));
	json_object_put(list);
}

static void a_failed_device_says_why(void **state)
{
	struct qmp_rig *rig = *state;
	struct json_object *list, *info, *error;

	expect_return(rig, "object-add",
	              "{\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", \"mem-path\": \"p\", "
	              "\"readonly\": true}",
	              "{}");
	expect_return(rig, "device_add", "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m1\"}", "{}");
	rig->fake->stats = (struct vpmem_stats) { .error = -EIO, .error_time = 1700000000, .sync_started_ns = 1 };
	rig->fake->usage_error = -ENOSYS;
	list = qmp_rig_run(rig, "query-pmem", NULL);
	info = json_object_array_get_idx(list, 0);
	assert_false(json_object_object_get_ex(info, "id", NULL));
	assert_false(json_object_object_get_ex(info, "resident", NULL));
	assert_false(json_object_object_get_ex(info, "allocated", NULL));
	assert_true(json_object_get_boolean(json_object_object_get(info, "readonly")));
	assert_string_equal(json_object_get_string(json_object_object_get(info, "state")), "failed");
	error = json_object_object_get(info, "error");
	assert_int_equal(number(error, "errno"), EIO);
	assert_int_equal(number(error, "time"), 1700000000);
	assert_string_equal(json_object_get_string(json_object_object_get(error, "message")), strerror(EIO));
	assert_true(number(json_object_object_get(info, "syncs"), "in-flight-ns") > 0);
	json_object_put(list);
}

// ---- HMP by QMP

static void a_line_of_hmp_is_run(void **state)
{
	struct qmp_rig *rig = *state;

	expect_return(rig, "human-monitor-command", "{\"command-line\": \"info \\u00e9\"}",
	              "\"line: info \\u00E9\\r\\n\"");
	expect_return(rig, "human-monitor-command", "{\"command-line\": \"\", \"cpu-index\": 1}", "\"\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(the_guest_is_stopped_and_continued),
		TEST(network_back_ends_come_and_go),
		TEST(the_balloon_is_as_in_qemu),
		TEST(the_machine_says_what_it_is),
		TEST(a_device_comes_and_goes),
		TEST(a_device_that_the_guest_released_is_not_listed),
		TEST(devices_are_listed_by_address),
		TEST(device_add_takes_text_and_native_values),
		TEST(backends_and_ram_are_listed),
		TEST(ram_of_a_memory_backend_is_shown_once),
		TEST(the_bus_is_shown),
		TEST(every_bus_is_shown),
		TEST(vhost_user_devices_have_a_state),
		TEST(network_cards_are_shown_with_their_back_ends),
		TEST(the_filter_of_a_card_is_shown),
		TEST(pmem_statistics_are_shown),
		TEST(a_failed_device_says_why),
		TEST(a_line_of_hmp_is_run),
	};

	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
