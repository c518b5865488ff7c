// SPDX-License-Identifier: Apache-2.0
// The text of `info` for the values that the commands return.
#include "command.h"
#include "hmp_out.h"
#include "qmp_rig.h"
#include "unit_test.h"

#include <errno.h>
#include <string.h>

static int start(void **state)
{
	static struct qmp_rig rig;
	static char name[] = "vm1";

	qmp_rig_start(&rig);
	rig.fake->opts.name = name;
	json_object_put(qmp_rig_run(&rig, "object-add",
	                            "{\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", \"mem-path\": \"p.img\", "
	                            "\"share\": true, \"host-nodes\": [0, 2, 3], \"policy\": \"bind\"}"));
	json_object_put(qmp_rig_run(&rig, "device_add",
	                            "{\"driver\": \"virtio-pmem-pci\", \"id\": \"nv1\", \"memdev\": \"m1\"}"));
	*state = &rig;
	return 0;
}

static int end(void **state)
{
	qmp_rig_close(*state);
	return 0;
}

static const struct command *find_hmp(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (command_table[i]->hmp_name && !strcmp(command_table[i]->hmp_name, name))
			return command_table[i];
	fail_msg("no command %s", name);
	return NULL;
}

static void expect_shown(struct qmp_rig *rig, const char *name, const char *expected)
{
	const struct command_context ctx = { .machine = &rig->fake->m, .text = true };
	const struct command *cmd = find_hmp(name);
	struct json_object *ret;
	struct vpmem_error err;
	struct hmp_out out = { 0 };

	assert_int_equal(command_run(cmd, &ctx, NULL, &ret, &err), 0);
	cmd->hmp_print(ret, &out);
	assert_string_equal(text_str(&out.text), expected);
	text_free(&out.text);
	json_object_put(ret);
}

static void the_machine_is_shown(void **state)
{
	struct qmp_rig *rig = *state;

	expect_shown(rig, "info version", "8.2.0 pmvm " VPMEM_VERSION "\r\n");
	expect_shown(rig, "info status", "VM status: running\r\n");
	rig->fake->m.run_state = RUN_STATE_PRELAUNCH;
	expect_shown(rig, "info status", "VM status: paused (prelaunch)\r\n");
	expect_shown(rig, "info name", "vm1\r\n");
	expect_shown(rig, "info uuid", "00000000-0000-0000-0000-000000000000\r\n");
	expect_shown(rig, "info kvm", "kvm support: enabled\r\n");
	expect_shown(rig, "info accelerators", "[kvm]\r\n");
	expect_shown(rig, "info cpus", "* CPU #0: thread_id=100\r\n  CPU #1: thread_id=101\r\n");
}

static void memory_is_shown(void **state)
{
	struct qmp_rig *rig = *state;

	expect_shown(rig, "info memory-devices",
	             "Memory device [virtio-pmem]: \"nv1\"\r\n"
	             "  memaddr: 0x140000000\r\n"
	             "  size: 33554432\r\n"
	             "  memdev: /objects/m1\r\n");
	expect_shown(rig, "info memory_size_summary", "base memory: 134217728\r\nplugged memory: 33554432\r\n");
	expect_shown(rig, "info memdev",
	             "memory backend: m1\r\n"
	             "  size:  33554432\r\n"
	             "  merge: true\r\n"
	             "  dump: true\r\n"
	             "  prealloc: false\r\n"
	             "  share: true\r\n"
	             "  reserve: true\r\n"
	             "  policy: bind\r\n"
	             "  host nodes: 0,2-3\r\n"
	             "memory backend: pc.ram\r\n"
	             "  size:  134217728\r\n"
	             "  merge: false\r\n"
	             "  dump: true\r\n"
	             "  prealloc: false\r\n"
	             "  share: false\r\n"
	             "  reserve: true\r\n"
	             "  policy: default\r\n"
	             "  host nodes: \r\n"
	             "\r\n");
}

static void the_bus_is_shown(void **state)
{
	expect_shown(*state, "info pci",
	             "  Bus  0, device   0, function 0:\r\n"
	             "    Host bridge: PCI device 1b36:0008\r\n"
	             "      PCI subsystem 1af4:1100\r\n"
	             "      id \"\"\r\n"
	             "  Bus  0, device   1, function 0:\r\n"
	             "    Class 0255: PCI device 1af4:105b\r\n"
	             "      PCI subsystem 1af4:1100\r\n"
	             "      IRQ 17, pin A\r\n"
	             "      BAR0: 64 bit prefetchable memory at 0x800008000 [0x80000ffff].\r\n"
	             "      id \"nv1\"\r\n");
}

static void statistics_are_shown(void **state)
{
	struct qmp_rig *rig = *state;

	rig->fake->stats = (struct vpmem_stats) { .requests = 10,
		                                  .completed = 9,
		                                  .failed = 1,
		                                  .syncs = 2,
		                                  .interrupts = 8,
		                                  .sync_errors = 1,
		                                  .sync_ns = 5000,
		                                  .sync_ns_max = 3000,
		                                  .error = -EIO,
		                                  .error_time = 1700000000 };
	rig->fake->stats.sync_histogram[1] = 2;
	expect_shown(rig, "info pmem",
	             "pmem device: \"nv1\"\r\n"
	             "  file: p.img\r\n"
	             "  memdev: /objects/m1\r\n"
	             "  memaddr: 0x140000000\r\n"
	             "  size: 33554432 (resident: 4096, allocated: 8192)\r\n"
	             "  state: failed: Input/output error (errno 5) at 2023-11-14T22:13:20Z\r\n"
	             "  flushes: 10 requested, 9 completed, 1 failed\r\n"
	             "  syncs: 2, errors: 1, interrupts: 8\r\n"
	             "  sync latency: mean 2.50 us, max 3.00 us\r\n"
	             "    < 2.05 us   2\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		TEST(the_machine_is_shown),
		TEST(memory_is_shown),
		TEST(the_bus_is_shown),
		TEST(statistics_are_shown),
	};

	return cmocka_run_group_tests_name("info", tests, NULL, NULL);
}
