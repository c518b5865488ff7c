// SPDX-License-Identifier: Apache-2.0
// The network of a machine in a container's namespace: the test is the guest, and holds the tap.
#include "nics.h"

#include "net_rig.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#define ARP_REQUEST 257
#define ARP_REPLY 258

static struct vpmem_error err;

static const char *text_at(struct json_object *network, const char *path)
{
	struct json_object *value;

	if (json_pointer_get(network, path, &value) < 0)
		fail_msg("%s is not in %s", path, json_object_to_json_string(network));
	return json_object_get_string(value);
}

static void assert_length(struct json_object *network, const char *list, size_t n)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(network, list, &value));
	assert_int_equal(json_object_array_length(value), n);
}

/* Made and joined; what the agent would get is of no interest. */
static void join(struct nics *nics, const struct net_rig *rig)
{
	struct json_object *network = NULL;

	if (nics_make(rig->path, nics, &err) < 0 || nics_join(nics, &network, &err) < 0)
		fail_msg("%s", err.text);
	json_object_put(network);
}

/* As after SIGKILL: what a process has is closed, and nothing else is done. */
static void kill_machine(struct nics *nics)
{
	nics_release(nics);
	close(nics->netns_fd);
}

static bool has_filters(const struct net_rig *rig)
{
	return try_in_container(rig, "test -n \"$(tc filter show dev eth0 ingress)\"") == 0;
}

static bool has_ingress(const struct net_rig *rig)
{
	return try_in_container(rig, "tc qdisc show dev eth0 | grep -q ingress") == 0;
}

static void assert_frames_pass(const struct net_rig *rig, int tap_fd)
{
	uint8_t frame[FRAME_LEN];

	make_frame(frame, 1);
	send_outside(rig, frame, sizeof(frame));
	assert_int_equal(receive_tap(tap_fd), 1);
	make_frame(frame, 2);
	send_tap(tap_fd, frame, sizeof(frame));
	assert_int_equal(receive_outside(rig), 2);
}

/* ---- frames ------------------------------------------------------------------------------------------------------- */

static void frames_pass_in_both_directions(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	join(&nics, &rig);
	assert_int_equal(nics.n, 1);
	assert_string_equal(nics.nics[0].link_name, "eth0");
	assert_frames_pass(&rig, nics.nics[0].tap_fd);
	nics_fini(&nics);
	net_rig_end(&rig);
}

/* The host answers as long as there is no mirror, which shows that the question is one. */
static void the_guest_alone_answers_for_the_addresses(void **state)
{
	uint8_t request[FRAME_LEN], mark[FRAME_LEN];
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	make_arp_request(request);
	make_frame(mark, 3);
	send_outside(&rig, request, sizeof(request));
	assert_int_equal(receive_outside(&rig), ARP_REPLY);

	join(&nics, &rig);
	send_outside(&rig, request, sizeof(request));
	assert_int_equal(receive_tap(nics.nics[0].tap_fd), ARP_REQUEST);
	/* An answer of the host's would be before the mark. */
	send_tap(nics.nics[0].tap_fd, mark, sizeof(mark));
	assert_int_equal(receive_outside(&rig), 3);
	nics_fini(&nics);
	net_rig_end(&rig);
}

static void the_host_does_not_answer_the_guest(void **state)
{
	uint8_t request[FRAME_LEN], mark[FRAME_LEN];
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	make_arp_request(request);
	make_frame(mark, 4);
	join(&nics, &rig);
	send_tap(nics.nics[0].tap_fd, request, sizeof(request));
	assert_int_equal(receive_outside(&rig), ARP_REQUEST);
	send_outside(&rig, mark, sizeof(mark));
	assert_int_equal(receive_tap(nics.nics[0].tap_fd), 4);
	nics_fini(&nics);
	net_rig_end(&rig);
}

/* ---- what the agent gets -------------------------------------------------------------------------------------------- */

static void the_agent_gets_what_the_namespace_has(void **state)
{
	struct json_object *network;
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	in_container(&rig, "ip -6 addr add fd00::2/64 dev eth0 nodad && ip -6 route add default via fd00::1 && "
	                   "ip neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev eth0");
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	assert_int_equal(nics_join(&nics, &network, &err), 0);
	assert_length(network, "interfaces", 1);
	assert_length(network, "unused", 0);
	assert_string_equal(text_at(network, "/interfaces/0/name"), "eth0");
	assert_string_equal(text_at(network, "/interfaces/0/mac"), LINK_MAC);
	assert_string_equal(text_at(network, "/interfaces/0/hwaddr"), LINK_MAC);
	assert_string_equal(text_at(network, "/interfaces/0/mtu"), "1400");
	assert_string_equal(text_at(network, "/interfaces/0/addresses/0/address"), "10.1.1.2");
	assert_string_equal(text_at(network, "/interfaces/0/addresses/0/prefix"), "24");
	assert_string_equal(text_at(network, "/interfaces/0/addresses/0/broadcast"), "10.1.1.255");
	assert_string_equal(text_at(network, "/routes/0/to"), "0.0.0.0/0");
	assert_string_equal(text_at(network, "/routes/0/nexthops/0/via"), "10.1.1.1");
	assert_string_equal(text_at(network, "/routes/0/nexthops/0/interface"), "eth0");
	assert_string_equal(text_at(network, "/neighbours/0/address"), "10.1.1.9");
	assert_string_equal(text_at(network, "/neighbours/0/hwaddr"), "02:00:00:00:00:09");
	assert_non_null(strstr(json_object_to_json_string_ext(network, 0), "\"fd00::2\""));
	assert_non_null(strstr(json_object_to_json_string_ext(network, 0), "\"fd00::1\""));
	/* Those of the host's own, the table "local" for one, are not the guest's. */
	assert_null(strstr(json_object_to_json_string_ext(network, 0), "127.0.0"));
	json_object_put(network);
	nics_fini(&nics);
	net_rig_end(&rig);
}

static void no_network_is_empty(void **state)
{
	struct json_object *network;
	struct nics nics;

	(void)state;
	assert_int_equal(nics_make(NULL, &nics, &err), 0);
	assert_int_equal(nics.n, 0);
	assert_int_equal(nics_join(&nics, &network, &err), 0);
	assert_length(network, "interfaces", 0);
	json_object_put(network);
	nics_fini(&nics);
}

static void a_namespace_with_lo_alone_has_a_spare_nic(void **state)
{
	struct json_object *network;
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, false);
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	assert_int_equal(nics.n, 1);
	assert_int_equal(nics_join(&nics, &network, &err), 0);
	assert_length(network, "interfaces", 0);
	assert_length(network, "unused", 1);
	json_object_put(network);
	nics_fini(&nics);
	net_rig_end(&rig);
}

/* The engine finds it by the process that has entered it. */
static void a_namespace_without_a_path_is_made(void **state)
{
	struct json_object *network;
	struct net_rig rig;
	struct nics nics;
	int old_fd;

	(void)state;
	net_rig_begin(&rig, false);
	assert_int_equal(nics_make_namespace(&nics, &err), 0);
	assert_int_equal(nics.n, 1);
	old_fd = enter_netns(nics.netns_fd);
	outside("ip tuntap add dev tap0 mode tap && ip addr add 10.0.2.100/24 dev tap0");
	leave_netns(old_fd);
	assert_int_not_equal(system("ip link show tap0 2>/dev/null"), 0);
	assert_int_equal(nics_join(&nics, &network, &err), 0);
	assert_length(network, "interfaces", 1);
	json_object_put(network);
	nics_fini(&nics);
	net_rig_end(&rig);
}

/* slirp4netns makes its tap in a namespace between create and start. */
static void a_link_made_after_create_is_joined(void **state)
{
	struct json_object *network;
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, false);
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	add_link(&rig, "far", "tap0", LINK_MAC);
	add_link(&rig, "far2", "tap1", LINK_MAC);
	in_container(&rig, "ip addr add 10.0.2.100/24 dev tap0 && ip link set tap0 mtu 65520 up");
	assert_int_equal(nics_join(&nics, &network, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "interface tap1: the machine was created with 1 network interfaces"));
	in_container(&rig, "test -z \"$(tc filter show dev tap0 ingress)\"");
	outside("ip link del far2");
	assert_int_equal(nics_join(&nics, &network, &err), 0);
	assert_string_equal(text_at(network, "/interfaces/0/name"), "tap0");
	assert_string_equal(text_at(network, "/interfaces/0/mtu"), "65520");
	assert_string_not_equal(text_at(network, "/interfaces/0/mac"), LINK_MAC);
	assert_string_equal(text_at(network, "/interfaces/0/hwaddr"), LINK_MAC);
	json_object_put(network);
	nics_fini(&nics);
	net_rig_end(&rig);
}

static void each_link_has_its_nic(void **state)
{
	struct json_object *network;
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	in_container(&rig, "ip link add name eth1 type veth peer name eth2"); /* down */
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	assert_int_equal(nics.n, 3);
	assert_int_equal(nics_join(&nics, &network, &err), 0);
	assert_length(network, "interfaces", 3);
	for (size_t i = 0; i < nics.n; i++)
		if (strcmp(nics.nics[i].link_name, "eth0") == 0)
			assert_frames_pass(&rig, nics.nics[i].tap_fd);
	json_object_put(network);
	nics_fini(&nics);
	net_rig_end(&rig);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

static void nothing_stays_after_the_end(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	join(&nics, &rig);
	assert_true(has_filters(&rig));
	nics_fini(&nics);
	assert_false(has_ingress(&rig));
	assert_int_equal(try_in_container(&rig, "ip -o link | grep -q pmvm"), 1);
	net_rig_end(&rig);
}

static void filters_of_others_stay(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	in_container(&rig, "tc qdisc add dev eth0 clsact && "
	                   "tc filter add dev eth0 ingress pref 9 protocol 0x88b6 u32 match u32 0 0 flowid 1:1");
	join(&nics, &rig);
	assert_frames_pass(&rig, nics.nics[0].tap_fd);
	nics_fini(&nics);
	in_container(&rig, "tc filter show dev eth0 ingress | grep -q 'pref 9 '");
	assert_int_equal(try_in_container(&rig, "tc filter show dev eth0 ingress | grep -q mirred"), 1);
	net_rig_end(&rig);
}

static void the_mirrors_of_a_killed_machine_are_replaced(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	join(&nics, &rig);
	kill_machine(&nics);
	assert_true(has_filters(&rig));
	join(&nics, &rig);
	assert_frames_pass(&rig, nics.nics[0].tap_fd);
	nics_fini(&nics);
	assert_false(has_ingress(&rig));
	net_rig_end(&rig);
}

static void the_mirrors_of_a_killed_machine_are_removed(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	join(&nics, &rig);
	/* A machine that lives keeps them. */
	assert_int_equal(nics_clean(rig.path, &err), 0);
	assert_true(has_filters(&rig));
	kill_machine(&nics);
	assert_int_equal(nics_clean(rig.path, &err), 0);
	assert_false(has_ingress(&rig));
	assert_int_equal(nics_clean(rig.path, &err), 0);
	assert_int_equal(nics_clean("/run/netns/gone", &err), 0);
	assert_int_equal(nics_clean(NULL, &err), 0);
	net_rig_end(&rig);
}

/* ---- refused ------------------------------------------------------------------------------------------------------------ */

static void assert_refused(const char *path, int rc, const char *text)
{
	struct nics nics;

	assert_int_equal(nics_make(path, &nics, &err), rc);
	if (!strstr(err.text, text))
		fail_msg("'%s' is not in '%s'", text, err.text);
	assert_int_equal(nics.n, 0);
	assert_int_equal(nics.netns_fd, -1);
}

static void a_second_machine_in_a_namespace_is_refused(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	assert_refused(rig.path, -EBUSY, "not supported");
	assert_non_null(strstr(err.text, rig.path));
	nics_fini(&nics);
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	nics_fini(&nics);
	net_rig_end(&rig);
}

static void what_is_no_network_of_its_own_is_refused(void **state)
{
	(void)state;
	assert_refused("/run/netns/gone", -ENOENT, "/run/netns/gone: No such file");
	assert_refused("/proc/self/ns/net", -EOPNOTSUPP, "host's network");
	assert_refused("/proc/self/ns/uts", -EINVAL, "not a network namespace");
	assert_refused("/dev/null", -EINVAL, "not a network namespace");
}

static void links_that_cannot_be_joined_are_refused(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	in_container(&rig, "ip tuntap add dev wg0 mode tun");
	assert_int_equal(nics_make(rig.path, &nics, &err), 0); /* it is down */
	assert_int_equal(nics.n, 1);
	nics_fini(&nics);
	in_container(&rig, "ip link set wg0 up");
	assert_refused(rig.path, -EOPNOTSUPP, "interface wg0 (tun)");
	in_container(&rig, "ip link del wg0 && ip link add name mac0 link eth0 type macvlan");
	assert_refused(rig.path, -EOPNOTSUPP, "interface mac0 (macvlan)");
	in_container(&rig, "ip link del mac0 && ip link add name 'a\xc3\xa4' type veth peer name ab");
	assert_refused(rig.path, -EOPNOTSUPP, "not printable ASCII");
	net_rig_end(&rig);
}

static void too_many_links_are_refused(void **state)
{
	struct net_rig rig;

	(void)state;
	net_rig_begin(&rig, true);
	in_container(&rig, "for i in 1 2 3 4; do ip link add name a$i type veth peer name b$i || exit 1; done");
	assert_refused(rig.path, -EOPNOTSUPP, "more than 8 interfaces");
	net_rig_end(&rig);
}

/* The bridge is joined, its ports are not. */
static void ports_of_a_bridge_are_left_to_it(void **state)
{
	struct net_rig rig;
	struct nics nics;

	(void)state;
	net_rig_begin(&rig, true);
	in_container(&rig, "ip link add name br0 type bridge && ip link set eth0 master br0 && ip link set br0 up");
	assert_int_equal(nics_make(rig.path, &nics, &err), 0);
	assert_int_equal(nics.n, 1);
	assert_string_equal(nics.nics[0].link_name, "br0");
	nics_fini(&nics);
	net_rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_pass_in_both_directions),
		cmocka_unit_test(the_guest_alone_answers_for_the_addresses),
		cmocka_unit_test(the_host_does_not_answer_the_guest),
		cmocka_unit_test(the_agent_gets_what_the_namespace_has),
		cmocka_unit_test(no_network_is_empty),
		cmocka_unit_test(a_namespace_with_lo_alone_has_a_spare_nic),
		cmocka_unit_test(a_namespace_without_a_path_is_made),
		cmocka_unit_test(a_link_made_after_create_is_joined),
		cmocka_unit_test(each_link_has_its_nic),
		cmocka_unit_test(nothing_stays_after_the_end),
		cmocka_unit_test(filters_of_others_stay),
		cmocka_unit_test(the_mirrors_of_a_killed_machine_are_replaced),
		cmocka_unit_test(the_mirrors_of_a_killed_machine_are_removed),
		cmocka_unit_test(a_second_machine_in_a_namespace_is_refused),
		cmocka_unit_test(what_is_no_network_of_its_own_is_refused),
		cmocka_unit_test(links_that_cannot_be_joined_are_refused),
		cmocka_unit_test(too_many_links_are_refused),
		cmocka_unit_test(ports_of_a_bridge_are_left_to_it),
	};

	return net_rig_possible() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
