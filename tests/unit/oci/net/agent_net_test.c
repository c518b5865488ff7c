// SPDX-License-Identifier: Apache-2.0
// The guest's network becomes what the container's namespace was: a second namespace plays the guest.
#include "agent_net.h"

#include "net_rig.h"
#include "nics.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct vpmem_error err;

static struct json_object *read_network(const struct net_rig *rig)
{
	struct json_object *network = NULL;
	struct nics nics;

	if (nics_make(rig->path, &nics, &err) < 0 || nics_join(&nics, &network, &err) < 0)
		fail_msg("%s", err.text);
	nics_fini(&nics);
	return network;
}

static int configure(const struct net_rig *guest, struct json_object *network)
{
	int old_fd = enter_netns(guest->container_fd), rc;

	rc = agent_net_configure(network, &err);
	leave_netns(old_fd);
	return rc;
}

/* The NIC of the guest has the MAC of the link, as nics_make chooses it. */
static void add_guest_nic(const struct net_rig *guest)
{
	add_link(guest, "far", "enp0s3", LINK_MAC);
	outside("ip link set far up");
}

/* ip(8) shows the same in both; what follows from the state of a cable differs. */
static void assert_same(const struct net_rig *container, const struct net_rig *guest, const char *command)
{
	char whole[300];

	snprintf(whole, sizeof(whole), "(%s) | sort >/tmp/pmvm-net-%d.1", command, getpid());
	in_container(container, whole);
	snprintf(whole, sizeof(whole), "(%s) | sort | diff /tmp/pmvm-net-%d.1 - && rm /tmp/pmvm-net-%d.1", command,
	         getpid(), getpid());
	in_container(guest, whole);
}

static void the_guest_has_what_the_namespace_had(void **state)
{
	struct net_rig container, guest;
	struct json_object *network;

	(void)state;
	net_rig_begin(&container, true);
	net_rig_begin(&guest, false);
	add_guest_nic(&guest);
	in_container(
		&container,
		"ip addr add 10.1.2.2/32 peer 10.1.2.1 dev eth0 label eth0:1 && "
		"ip -6 addr add fd00::2/64 dev eth0 nodad && ip -6 addr add fd00:1::2/64 dev eth0 nodad noprefixroute && "
		"ip -6 route add default via fd00::1 metric 50 && "
		"ip route add 10.9.0.0/16 via 10.8.0.1 dev eth0 onlink mtu 1300 && "
		"ip route add 10.7.0.0/16 via 10.1.1.7 src 10.1.1.2 metric 9 && "
		"ip route add 10.6.0.0/16 nexthop via 10.1.1.6 weight 2 nexthop via 10.1.1.5 && "
		"ip route add 10.5.0.0/16 via inet6 fd00::5 dev eth0 && ip route add blackhole 10.4.0.0/16 && "
		"ip neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev eth0 && "
		"ip neigh add fd00::9 lladdr 02:00:00:00:00:0a dev eth0 && "
		"echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra");
	network = read_network(&container);
	if (configure(&guest, network) < 0)
		fail_msg("%s", err.text);
	assert_same(&container, &guest, "ip -o addr show dev eth0 | sed 's/^[0-9]*//; s/ tentative//; s/ nodad//'");
	assert_same(&container, &guest, "ip -4 route; ip -6 route");
	assert_same(&container, &guest, "ip neigh show nud permanent");
	assert_same(&container, &guest,
	            "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu "
	            "/proc/sys/net/ipv6/conf/eth0/accept_ra");
	in_container(&guest, "ip -o link show dev lo | grep -q UP");
	json_object_put(network);
	net_rig_end(&guest);
	net_rig_end(&container);
}

static struct json_object *parse(const char *text)
{
	struct json_object *network = json_tokener_parse(text);

	assert_non_null(network);
	return network;
}

/* On the host eth0 and eth1 may be the other way round. */
static void names_are_exchanged(void **state)
{
	struct json_object *network = parse(
		"{\"interfaces\":[{\"name\":\"eth1\",\"mac\":\"52:54:00:00:00:10\",\"hwaddr\":\"52:54:00:00:00:20\",\"mtu\":1500},"
		"{\"name\":\"eth0\",\"mac\":\"52:54:00:00:00:11\",\"hwaddr\":\"52:54:00:00:00:21\",\"mtu\":1500,\"up\":true}]}");
	struct net_rig guest;

	(void)state;
	net_rig_begin(&guest, false);
	in_container(
		&guest,
		"ip link add name eth0 address 52:54:00:00:00:10 type veth peer name eth1 address 52:54:00:00:00:11");
	if (configure(&guest, network) < 0)
		fail_msg("%s", err.text);
	in_container(&guest, "ip -o link show dev eth1 | grep -q 52:54:00:00:00:20");
	in_container(&guest, "ip -o link show dev eth0 | grep -q 52:54:00:00:00:21");
	in_container(&guest, "ip -o link show dev eth0 | grep -q '[<,]UP[,>]'");
	in_container(&guest, "! ip -o link show dev eth1 | grep -q '[<,]UP[,>]'");
	json_object_put(network);
	net_rig_end(&guest);
}

static void without_network_there_is_lo(void **state)
{
	struct net_rig guest;

	(void)state;
	net_rig_begin(&guest, false);
	assert_int_equal(configure(&guest, NULL), 0);
	in_container(&guest, "ip -o addr show dev lo | grep -q 127.0.0.1/8");
	net_rig_end(&guest);
}

#define NIC "\"name\":\"eth0\",\"mac\":\"" LINK_MAC "\",\"hwaddr\":\"" LINK_MAC "\",\"mtu\":1500,\"up\":true"

static void what_cannot_be_is_refused_by_name(void **state)
{
	static const struct {
		const char *network, *text;
	} cases[] = {
		{ "{\"interfaces\":[{\"mac\":\"52:54:00:00:00:77\"}]}", "no NIC 52:54:00:00:00:77" },
		{ "{\"interfaces\":[{\"mac\":\"52:54\"}]}", "'52:54' is no hardware address" },
		{ "{\"interfaces\":[{}]}", "'' is no hardware address" },
		{ "{\"interfaces\":[5]}", "'' is no hardware address" },
		{ "{\"unused\":[5]}", "is no hardware address" },
		{ "{\"interfaces\":[{" NIC ",\"addresses\":[{\"address\":\"10.0.0.1\"}]}]}", "without its prefix" },
		{ "{\"interfaces\":[{" NIC ",\"addresses\":[{\"address\":\"10.0.0\",\"prefix\":8}]}]}",
		  "'10.0.0' is no address" },
		{ "{\"interfaces\":[{" NIC ",\"addresses\":[{\"address\":\"10.0.0.1\",\"prefix\":64}]}]}",
		  "address 10.0.0.1" },
		{ "{\"routes\":[{\"to\":\"10.0.0.0/33\"}]}", "'10.0.0.0/33' is no address" },
		{ "{\"routes\":[{}]}", "'' is no address" },
		{ "{\"routes\":[{\"to\":\"10.0.0.0/8\",\"nexthops\":[{\"interface\":\"nowhere\"}]}]}",
		  "no interface 'nowhere'" },
		{ "{\"routes\":[{\"to\":\"10.0.0.0/8\",\"nexthops\":[{\"interface\":\"lo\",\"via\":\"10.9.9.9\"}]}]}",
		  "route to 10.0.0.0/8" },
		{ "{\"routes\":[{\"to\":\"10.0.0.0/8\",\"src\":\"fd00::1\"}]}", "another family" },
		{ "{\"routes\":[{\"to\":\"10.0.0.0/8\",\"type\":99}]}", "route to 10.0.0.0/8" },
		{ "{\"neighbours\":[{\"interface\":\"lo\",\"address\":\"x\"}]}", "'x' is no address" },
		{ "{\"neighbours\":[{}]}", "no interface ''" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *network = parse(cases[i].network);
		struct net_rig guest;

		net_rig_begin(&guest, false);
		add_guest_nic(&guest);
		if (configure(&guest, network) >= 0)
			fail_msg("%s is not refused", cases[i].network);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: '%s' is not in '%s'", cases[i].network, cases[i].text, err.text);
		json_object_put(network);
		net_rig_end(&guest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_has_what_the_namespace_had),
		cmocka_unit_test(names_are_exchanged),
		cmocka_unit_test(without_network_there_is_lo),
		cmocka_unit_test(what_cannot_be_is_refused_by_name),
	};

	return net_rig_possible() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
