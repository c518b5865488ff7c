// SPDX-License-Identifier: Apache-2.0
// How commands fail: QEMU's texts and classes, for every command that can.
#include "qmp_rig.h"
#include "unit_test.h"

#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What follows the text of an error. */
#define HINT(text) " (hint: " text ")"

#define FILE_M1 "\"qom-type\": \"memory-backend-file\", \"id\": \"m1\""

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

struct failure {
	const char *command, *args, *error_class, *desc;
};

static void expect_failures(struct qmp_rig *rig, const struct failure *failures, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		qmp_rig_expect_error(rig, failures[i].command, failures[i].args, failures[i].error_class,
		                     failures[i].desc);
}

/* Every command without arguments refuses one, every other one what it does not know. */
static void unknown_arguments_are_refused(void **state)
{
	unsigned nchecked = 0;

	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];

		if (cmd->args)
			continue;
		qmp_rig_expect_error(*state, cmd->name, "{\"bogus\": 1}", "GenericError",
		                     "Parameter 'bogus' is unexpected");
		nchecked++;
	}
	assert_in_range(nchecked, 15, command_count);
	assert_string_equal(((struct qmp_rig *)*state)->fake->calls, "");
}

static void arguments_are_checked(void **state)
{
	static const struct failure failures[] = {
		{ "human-monitor-command", NULL, "GenericError", "Parameter 'command-line' is missing" },
		{ "human-monitor-command", "{\"command-line\": 1}", "GenericError",
		  "Invalid parameter type for 'command-line', expected: string" },
		{ "human-monitor-command", "{\"command-line\": \"x\", \"cpu-index\": \"0\"}", "GenericError",
		  "Invalid parameter type for 'cpu-index', expected: integer" },
		{ "human-monitor-command", "{\"command-line\": \"x\", \"cpu-index\": 2}", "GenericError",
		  "Parameter 'cpu-index' expects a CPU number" },
		{ "human-monitor-command", "{\"command-line\": \"x\", \"cpu-index\": -1}", "GenericError",
		  "Parameter 'cpu-index' expects a CPU number" },
		{ "human-monitor-command", "{\"command-line\": \"x\", \"y\": 2}", "GenericError",
		  "Parameter 'y' is unexpected" },
		{ "human-monitor-command", "{\"command-line\": \"fail\"}", "GenericError", "out of memory" },
		{ "object-del", NULL, "GenericError", "Parameter 'id' is missing" },
		{ "object-del", "{\"id\": null}", "GenericError", "Invalid parameter type for 'id', expected: string" },
		{ "object-del", "{\"id\": \"m1\", \"x\": 1}", "GenericError", "Parameter 'x' is unexpected" },
		{ "device_del", "{}", "GenericError", "Parameter 'id' is missing" },
		{ "device_del", "{\"id\": 7}", "GenericError", "Invalid parameter type for 'id', expected: string" },
		{ "qom-list", NULL, "GenericError", "Parameter 'path' is missing" },
		{ "qom-get", "{\"path\": \"/\"}", "GenericError", "Parameter 'property' is missing" },
		{ "qom-get", "{\"property\": \"type\"}", "GenericError", "Parameter 'path' is missing" },
		{ "qom-get", "{\"path\": [], \"property\": \"type\"}", "GenericError",
		  "Invalid parameter type for 'path', expected: string" },
		{ "device-list-properties", NULL, "GenericError", "Parameter 'typename' is missing" },
	};

	expect_failures(*state, failures, COUNT(failures));
}

static void objects_fail_as_in_qemu(void **state)
{
	static const struct failure failures[] = {
		{ "object-add", NULL, "GenericError",
		  "Parameter 'qom-type' is missing" HINT(
			  "for example memory-backend-file,id=mem1,share=on,mem-path=FILE") },
		{ "object-add", "{\"qom-type\": \"memory-backend-file\"}", "GenericError",
		  "Parameter 'id' is missing" },
		{ "object-add", "{\"qom-type\": \"memory-backend-xx\", \"id\": \"m1\"}", "GenericError",
		  "Parameter 'qom-type' does not accept value 'memory-backend-xx'" HINT(
			  "did you mean memory-backend-ram?") },
		{ "object-add", "{\"qom-type\": 1, \"id\": \"m1\"}", "GenericError",
		  "Invalid parameter type for 'qom-type', expected: string" HINT(
			  "for example memory-backend-file,id=mem1,share=on,mem-path=FILE") },
		{ "object-add", "{" FILE_M1 "}", "GenericError", "Parameter 'mem-path' is missing" },
		{ "object-add", "{\"qom-type\": \"memory-backend-file\", \"id\": \"1x\", \"mem-path\": \"p\"}",
		  "GenericError",
		  "Parameter 'id' expects an identifier" HINT(
			  "identifiers consist of letters, digits, '-', '.', '_', starting with a letter") },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"bogus\": 1}", "GenericError",
		  "Parameter 'bogus' is unexpected" },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"size\": \"64M\"}", "GenericError",
		  "Parameter 'size' expects uint64" HINT("in JSON a size is a number of bytes: 67108864") },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"size\": -1}", "GenericError",
		  "Parameter 'size' expects uint64" },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"size\": 0}", "GenericError",
		  "property 'size' of memory-backend-file doesn't take value '0'" },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"share\": \"on\"}", "GenericError",
		  "Invalid parameter type for 'share', expected: boolean" },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": 1}", "GenericError",
		  "Invalid parameter type for 'mem-path', expected: string" },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"policy\": \"bind\"}", "GenericError",
		  "host-nodes must be set for policy bind" },
		{ "object-add", "{" FILE_M1 ", \"mem-path\": \"p\", \"prealloc\": true, \"reserve\": false}",
		  "GenericError", "'prealloc=on' and 'reserve=off' are incompatible" },
		{ "object-del", "{\"id\": \"m9\"}", "GenericError", "object 'm9' not found" },
	};
	struct qmp_rig *rig = *state;

	expect_failures(rig, failures, COUNT(failures));
	assert_int_equal(rig->fake->nopen, 0);
	json_object_put(qmp_rig_run(rig, "object-add", "{" FILE_M1 ", \"mem-path\": \"p\"}"));
	qmp_rig_expect_error(rig, "object-add", "{" FILE_M1 ", \"mem-path\": \"p\"}", "GenericError",
	                     "attempt to add duplicate property 'm1' to object (type 'container')");
	json_object_put(qmp_rig_run(rig, "device_add", "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m1\"}"));
	qmp_rig_expect_error(rig, "object-del", "{\"id\": \"m1\"}", "GenericError",
	                     "object 'm1' is in use, can not be deleted");
}

static void netdevs_fail_as_in_qemu(void **state)
{
	static const struct failure failures[] = {
		{ "netdev_add", "{\"id\": \"n0\"}", "GenericError",
		  "Parameter 'type' is missing" HINT("for example tap,id=n0,ifname=tap0,script=no,downscript=no") },
		{ "netdev_add", "{\"type\": \"tap\"}", "GenericError", "Parameter 'id' is missing" },
		{ "netdev_add", "{\"type\": \"bridge\", \"id\": \"n0\"}", "GenericError",
		  "Parameter 'type' does not accept value 'bridge'" HINT(
			  "the types of network back ends here are dgram, stream, tap, user, vhost-user") },
		{ "netdev_add", "{\"type\": \"tap\", \"id\": \"n0\", \"vhost\": \"on\"}", "GenericError",
		  "Invalid parameter type for 'vhost', expected: boolean" },
		{ "netdev_add", "{\"type\": \"user\", \"id\": \"n0\", \"restrict\": true}", "GenericError",
		  "'restrict=on' is not supported" HINT(
			  "passt cannot isolate a guest: use -netdev stream to a switch of your own, or -nic none") },
		{ "netdev_add", "{\"type\": \"stream\", \"id\": \"n0\", \"addr\": {\"type\": \"inet\", \"host\": 1}}",
		  "GenericError", "Invalid parameter type for 'addr.host', expected: string" },
		{ "netdev_add", "{\"type\": \"tap\", \"id\": \"taken\"}", "GenericError", "Duplicate ID 'taken'" },
		{ "netdev_del", "{\"id\": \"nope\"}", "DeviceNotFound", "Device 'nope' not found" },
		{ "set_link", "{\"name\": \"nope\", \"up\": true}", "DeviceNotFound", "Device 'nope' not found" },
		{ "set_link", "{\"name\": \"nope\"}", "GenericError", "Parameter 'up' is missing" },
		{ "set_link", "{\"name\": \"nope\", \"up\": \"on\"}", "GenericError",
		  "Invalid parameter type for 'up', expected: boolean" },
	};

	expect_failures(*state, failures, COUNT(failures));
}

static void the_balloon_fails_as_in_qemu(void **state)
{
	static const struct failure without[] = {
		{ "balloon", "{\"value\": 0}", "DeviceNotActive", "No balloon device has been activated" },
		{ "query-balloon", NULL, "DeviceNotActive", "No balloon device has been activated" },
		{ "balloon", NULL, "GenericError", "Parameter 'value' is missing" },
		{ "balloon", "{\"value\": \"64M\"}", "GenericError",
		  "Invalid parameter type for 'value', expected: integer" },
	};
	static const struct failure with[] = {
		{ "balloon", "{\"value\": 0}", "GenericError", "Parameter 'target' expects a size" },
		{ "balloon", "{\"value\": -5}", "GenericError", "Parameter 'target' expects a size" },
	};
	struct qmp_rig *rig = *state;

	expect_failures(rig, without, COUNT(without));
	rig->fake->has_balloon = true;
	expect_failures(rig, with, COUNT(with));
	assert_string_equal(rig->fake->calls, "");
}

#define DEVICE "\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m1\""

static void devices_fail_as_in_qemu(void **state)
{
	static const struct failure failures[] = {
		{ "device_add", NULL, "GenericError",
		  "Parameter 'driver' is missing" HINT("for example virtio-pmem-pci,memdev=mem1") },
		{ "device_add", "{\"driver\": 5}", "GenericError",
		  "Invalid parameter type for 'driver', expected: string" HINT(
			  "for example virtio-pmem-pci,memdev=mem1") },
		{ "device_add", "{\"driver\": \"virtio-pmem-xxx\"}", "GenericError",
		  "'virtio-pmem-xxx' is not a valid device model name" HINT(
			  "the device models here are vhost-user-blk-pci, vhost-user-device-pci, vhost-user-fs-pci, "
			  "vhost-vsock-pci, virtconsole, virtio-balloon-pci, virtio-net-pci, virtio-pmem-pci, "
			  "virtio-rng-pci, virtio-serial-pci, virtserialport, vmgenid") },
		{ "device_add", "{\"driver\": \"vmgenid\", \"guid\": \"x\"}", "GenericError",
		  "Property 'vmgenid.guid' doesn't take value 'x'" HINT(
			  "it is auto, or a UUID such as 324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87") },
		{ "query-vm-generation-id", NULL, "GenericError", "VM Generation ID device not found" },
		{ "device_add", "{\"driver\": \"virtio-pmem-pci\"}", "GenericError", "'memdev' property must be set" },
		{ "device_add", "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"zz\"}", "DeviceNotFound",
		  "Device 'zz' not found" },
		{ "device_add", "{" DEVICE ", \"foo\": 1}", "GenericError",
		  "Property 'virtio-pmem-pci.foo' not found" },
		{ "device_add", "{" DEVICE ", \"bus\": \"nobus\"}", "GenericError",
		  "Bus 'nobus' not found" HINT(
			  "buses are pcie.0 to pcie.7: leave bus out for the first one that has room") },
		{ "device_add", "{" DEVICE ", \"id\": 1}", "GenericError",
		  "Invalid parameter type for 'id', expected: string" },
		{ "device_add", "{" DEVICE ", \"id\": \"1\"}", "GenericError",
		  "Parameter 'id' expects an identifier" HINT(
			  "identifiers consist of letters, digits, '-', '.', '_', starting with a letter") },
		{ "device_add", "{" DEVICE ", \"memaddr\": 4096}", "GenericError",
		  "address must be aligned to 0x200000 bytes" },
		{ "device_add", "{" DEVICE ", \"memaddr\": null}", "GenericError",
		  "Invalid parameter type for 'memaddr', expected: string" },
		{ "device_add", "{" DEVICE ", \"memaddr\": {\"a\": 1}}", "GenericError",
		  "Invalid parameter type for 'memaddr', expected: string" },
		{ "device_add", "{" DEVICE ", \"memaddr\": 1.5}", "GenericError",
		  "Invalid parameter type for 'memaddr', expected: string" },
		{ "device_add", "{" DEVICE ", \"memaddr\": -1}", "GenericError",
		  "Parameter 'memaddr' expects integer" },
		{ "device_add", "{" DEVICE ", \"event_idx\": \"maybe\"}", "GenericError",
		  "Parameter 'event_idx' expects 'on' or 'off'" },
		{ "device_add", "{" DEVICE ", \"event_idx\": 1}", "GenericError",
		  "Parameter 'event_idx' expects 'on' or 'off'" },
		{ "device_del", "{\"id\": \"nv9\"}", "DeviceNotFound", "Device 'nv9' not found" },
	};
	struct qmp_rig *rig = *state;

	json_object_put(qmp_rig_run(rig, "object-add", "{" FILE_M1 ", \"mem-path\": \"p\"}"));
	json_object_put(qmp_rig_run(rig, "object-add",
	                            "{\"qom-type\": \"memory-backend-file\", \"id\": \"m2\", \"mem-path\": \"q\"}"));
	expect_failures(rig, failures, COUNT(failures));
	assert_int_equal(rig->fake->m.npmems, 0);
	json_object_put(qmp_rig_run(rig, "device_add", "{" DEVICE ", \"id\": \"nv1\"}"));
	qmp_rig_expect_error(rig, "device_add", "{" DEVICE ", \"id\": \"nv2\"}", "GenericError",
	                     "can't use already busy memdev: m1");
	qmp_rig_expect_error(rig, "device_add",
	                     "{\"driver\": \"virtio-pmem-pci\", \"memdev\": \"m2\", \"id\": \"nv1\"}", "GenericError",
	                     "Duplicate device ID 'nv1'");
	json_object_put(qmp_rig_run(rig, "device_del", "{\"id\": \"nv1\"}"));
	qmp_rig_expect_error(rig, "device_del", "{\"id\": \"nv1\"}", "GenericError",
	                     "Device nv1 is already in the process of unplug");
}

static void a_guest_that_is_off_does_not_continue(void **state)
{
	struct qmp_rig *rig = *state;

	rig->fake->m.run_state = RUN_STATE_SHUTDOWN;
	qmp_rig_expect_error(rig, "cont", NULL, "GenericError", "Resetting the Virtual Machine is required");
}

/* As HMP asks: values are text, and errors come with the next step. */
static void text_arguments_are_checked_as_text(void **state)
{
	struct qmp_rig *rig = *state;
	const struct command_context ctx = { .machine = &rig->fake->m, .text = true };
	struct json_object *args =
		json_tokener_parse("{" FILE_M1 ", \"mem-path\": \"p\", \"size\": \"64M\", \"share\": \"on\"}");
	struct json_object *ret = NULL;
	struct vpmem_error err;

	assert_int_equal(command_run(command_find("object-add"), &ctx, args, &ret, &err), 0);
	assert_int_equal(rig->fake->m.memdevs[0]->cfg->backing.size, 64 << 20);
	json_object_object_add(args, "share", json_object_new_string("maybe"));
	assert_true(command_run(command_find("object-add"), &ctx, args, &ret, &err) < 0);
	assert_string_equal(err.text, "Parameter 'share' expects 'on' or 'off'");
	json_object_put(args);
	assert_true(command_run(command_find("object-add"), &ctx, NULL, &ret, &err) < 0);
	assert_string_equal(err.text, "Parameter 'qom-type' is missing");
	assert_string_not_equal(err.hint, "");
	assert_true(command_run(command_find("device_add"), &ctx, NULL, &ret, &err) < 0);
	assert_string_equal(err.text, "Parameter 'driver' is missing");
	assert_string_not_equal(err.hint, "");
	assert_true(command_run(command_find("device_del"), &ctx, NULL, &ret, &err) < 0);
	assert_string_equal(err.text, "Parameter 'id' is missing");
	assert_int_equal(command_run(command_find("qmp_capabilities"), &ctx, NULL, &ret, &err), -ENOSYS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(unknown_arguments_are_refused),
		TEST(arguments_are_checked),
		TEST(objects_fail_as_in_qemu),
		TEST(netdevs_fail_as_in_qemu),
		TEST(the_balloon_fails_as_in_qemu),
		TEST(devices_fail_as_in_qemu),
		TEST(a_guest_that_is_off_does_not_continue),
		TEST(text_arguments_are_checked_as_text),
	};

	return cmocka_run_group_tests_name("command errors", tests, NULL, NULL);
}
