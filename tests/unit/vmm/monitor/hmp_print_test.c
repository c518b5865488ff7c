// SPDX-License-Identifier: Apache-2.0
// The printers of the commands: JSON in, QEMU's text out.
#include "command.h"

#include "hmp_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct print {
	const char *command, *json, *text;
};

static const struct print prints[] = {
	{ "query-status", "{\"running\":true,\"status\":\"running\"}", "VM status: running\r\n" },
	{ "query-status", "{\"running\":false,\"status\":\"paused\"}", "VM status: paused\r\n" },
	{ "query-status", "{\"running\":false,\"status\":\"prelaunch\"}", "VM status: paused (prelaunch)\r\n" },
	{ "query-version", "{\"qemu\":{\"major\":8,\"minor\":2,\"micro\":0},\"package\":\"pmvm " VPMEM_VERSION "\"}",
	  "8.2.0 pmvm " VPMEM_VERSION "\r\n" },
	{ "query-version", "{\"qemu\":{\"major\":8,\"minor\":2,\"micro\":0},\"package\":\"\"}", "8.2.0\r\n" },
	{ "query-name", "{\"name\":\"vm1\"}", "vm1\r\n" },
	{ "query-name", "{}", "" },
	{ "query-uuid", "{\"UUID\":\"550e8400-e29b-41d4-a716-446655440000\"}",
	  "550e8400-e29b-41d4-a716-446655440000\r\n" },
	{ "query-kvm", "{\"enabled\":true,\"present\":true}", "kvm support: enabled\r\n" },
	{ "query-accelerators", "{\"enabled\":\"kvm\",\"present\":[\"kvm\",\"tcg\"]}", "[kvm] tcg\r\n" },
	{ "query-cpus-fast", "[{\"cpu-index\":0,\"thread-id\":1234},{\"cpu-index\":1,\"thread-id\":1235}]",
	  "* CPU #0: thread_id=1234\r\n  CPU #1: thread_id=1235\r\n" },
	{ "query-cpus-fast",
	  "[{\"cpu-index\":0,\"thread-id\":1,\"bus-locks\":0,\"notify-exits\":2},"
	  "{\"cpu-index\":1,\"thread-id\":2,\"bus-locks\":3,\"notify-exits\":0}]",
	  "* CPU #0: thread_id=1 notify_exits=2\r\n  CPU #1: thread_id=2 bus_locks=3\r\n" },
	{ "query-memory-devices",
	  "[{\"type\":\"virtio-pmem\",\"data\":{\"memdev\":\"/objects/m1\",\"memaddr\":4294967296,"
	  "\"size\":67108864,\"id\":\"nv1\"}},"
	  "{\"type\":\"virtio-pmem\",\"data\":{\"memdev\":\"/objects/m2\",\"memaddr\":1,\"size\":2}}]",
	  "Memory device [virtio-pmem]: \"nv1\"\r\n  memaddr: 0x100000000\r\n  size: 67108864\r\n"
	  "  memdev: /objects/m1\r\n"
	  "Memory device [virtio-pmem]: \"\"\r\n  memaddr: 0x1\r\n  size: 2\r\n  memdev: /objects/m2\r\n" },
	{ "query-memdev",
	  "[{\"share\":true,\"reserve\":true,\"prealloc\":false,\"host-nodes\":[0,2,3,4],\"size\":67108864,"
	  "\"merge\":true,\"dump\":true,\"policy\":\"default\",\"id\":\"m1\"}]",
	  "memory backend: m1\r\n  size:  67108864\r\n  merge: true\r\n  dump: true\r\n  prealloc: false\r\n"
	  "  share: true\r\n  reserve: true\r\n  policy: default\r\n  host nodes: 0,2-4\r\n\r\n" },
	{ "query-memory-size-summary", "{\"base-memory\":268435456,\"plugged-memory\":67108864}",
	  "base memory: 268435456\r\nplugged memory: 67108864\r\n" },
	{ "query-vm-generation-id", "{\"guid\":\"324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87\"}",
	  "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87\r\n" },
	{ "query-sandbox", "{\"mode\":\"off\"}", "sandbox: off\r\n" },
	{ "query-sandbox",
	  "{\"mode\":\"on\",\"no-new-privileges\":true,\"undumpable\":true,\"empty-root\":true,\"landlock\":2,"
	  "\"namespaces\":[\"user\",\"mount\"],"
	  "\"threads\":[{\"kind\":\"main\",\"system-calls\":44},{\"kind\":\"vcpu\",\"system-calls\":15}],"
	  "\"broker\":{\"pid\":7,\"paths\":[\"/a\",\"/b\"],\"truncated\":false,\"any-address\":true}}",
	  "sandbox: on\r\nnamespaces: user, mount\r\nroot directory: empty\r\nlandlock: version 2\r\n"
	  "system calls: main 44, vcpu 15\r\n"
	  "broker: process 7, permits:\r\n  /a\r\n  /b\r\n  any address\r\n" },
	{ "query-sandbox",
	  "{\"mode\":\"log\",\"no-new-privileges\":true,\"undumpable\":true,\"empty-root\":false,\"landlock\":0,"
	  "\"namespaces\":[],\"threads\":[],\"namespaces-error\":\"Operation not permitted\","
	  "\"broker\":{\"pid\":7,\"paths\":[\"/a\"],\"truncated\":true,\"any-address\":false}}",
	  "sandbox: log\r\nnamespaces: none: Operation not permitted\r\nroot directory: the host's\r\n"
	  "landlock: none\r\nsystem calls: not filtered\r\nbroker: process 7, permits:\r\n  /a\r\n  and more\r\n" },
	{ "query-net-clients",
	  "[{\"name\":\"n1\",\"index\":0,\"type\":\"user\",\"info\":\"net=10.0.2.0,restrict=off\"},"
	  "{\"name\":\"n0\",\"index\":0,\"type\":\"vhost-user\",\"info\":\"vhost-user0 to c0\",\"peer\":\"net1\"},"
	  "{\"name\":\"n0\",\"index\":1,\"type\":\"vhost-user\",\"info\":\"vhost-user1 to c0\",\"peer\":\"net1\"},"
	  "{\"name\":\"net1\",\"index\":0,\"type\":\"nic\",\"info\":\"model=a\",\"link\":true,\"peer\":\"n0\"},"
	  "{\"name\":\"net1\",\"index\":1,\"type\":\"nic\",\"info\":\"model=a\",\"link\":true,\"peer\":\"n0\"}]",
	  "n1: index=0,type=user,net=10.0.2.0,restrict=off\r\n"
	  "net1: index=0,type=nic,model=a\r\n \\ n0: index=0,type=vhost-user,vhost-user0 to c0\r\n"
	  "net1: index=1,type=nic,model=a\r\n \\ n0: index=1,type=vhost-user,vhost-user1 to c0\r\n" },
	{ "query-balloon", "{\"actual\":68157439}", "balloon: actual=64\r\n" },
	{ "query-pci",
	  "[{\"bus\":0,\"devices\":[{\"bus\":0,\"slot\":2,\"function\":0,\"class_info\":{\"class\":255},"
	  "\"id\":{\"vendor\":6900,\"device\":4187,\"subsystem-vendor\":6900,\"subsystem\":4352},\"irq\":10,"
	  "\"irq_pin\":1,\"qdev_id\":\"nv1\",\"regions\":["
	  "{\"bar\":1,\"type\":\"memory\",\"address\":4273995776,\"size\":4096,\"prefetch\":false,"
	  "\"mem_type_64\":false},"
	  "{\"bar\":4,\"type\":\"memory\",\"address\":34359738368,\"size\":16384,\"prefetch\":true,"
	  "\"mem_type_64\":true},"
	  "{\"bar\":0,\"type\":\"io\",\"address\":49152,\"size\":32}]},"
	  "{\"bus\":0,\"slot\":0,\"function\":0,\"class_info\":{\"class\":1536,\"desc\":\"Host bridge\"},"
	  "\"id\":{\"vendor\":32902,\"device\":10688},\"qdev_id\":\"\",\"regions\":[]}]}]",
	  "  Bus  0, device   2, function 0:\r\n    Class 0255: PCI device 1af4:105b\r\n"
	  "      PCI subsystem 1af4:1100\r\n      IRQ 10, pin A\r\n"
	  "      BAR1: 32 bit memory at 0xfec00000 [0xfec00fff].\r\n"
	  "      BAR4: 64 bit prefetchable memory at 0x800000000 [0x800003fff].\r\n"
	  "      BAR0: I/O at 0xc000 [0xc01f].\r\n      id \"nv1\"\r\n"
	  "  Bus  0, device   0, function 0:\r\n    Host bridge: PCI device 8086:29c0\r\n      id \"\"\r\n" },
	{ "query-pmem",
	  "[{\"id\":\"nv1\",\"memdev\":\"/objects/m1\",\"mem-path\":\"/d/p.img\",\"memaddr\":4294967296,"
	  "\"size\":67108864,\"resident\":4096,\"allocated\":8192,\"share\":true,\"readonly\":false,"
	  "\"flushes\":{\"requested\":12,\"completed\":11,\"failed\":1},"
	  "\"syncs\":{\"count\":4,\"errors\":1,\"in-flight-ns\":1500,\"total-ns\":8000,\"max-ns\":5000000,"
	  "\"histogram\":[{\"below-ns\":1000,\"count\":0},{\"below-ns\":4000,\"count\":3},{\"count\":1}]},"
	  "\"interrupts\":11,\"state\":\"failed\",\"error\":{\"errno\":28,\"message\":\"No space left on device\","
	  "\"time\":86400}},"
	  "{\"memdev\":\"/objects/m2\",\"mem-path\":\"q\",\"memaddr\":0,\"size\":1,"
	  "\"share\":false,\"readonly\":true,\"flushes\":{},\"syncs\":{\"count\":0},\"interrupts\":0,"
	  "\"state\":\"ok\"}]",
	  "pmem device: \"nv1\"\r\n  file: /d/p.img\r\n  memdev: /objects/m1\r\n  memaddr: 0x100000000\r\n"
	  "  size: 67108864 (resident: 4096, allocated: 8192)\r\n"
	  "  state: failed: No space left on device (errno 28) at 1970-01-02T00:00:00Z\r\n"
	  "  flushes: 12 requested, 11 completed, 1 failed\r\n  syncs: 4, errors: 1, interrupts: 11\r\n"
	  "  a sync is under way for 1.50 us\r\n  sync latency: mean 2.00 us, max 5.00 ms\r\n"
	  "    < 4.00 us   3\r\n    longer      1\r\n"
	  "pmem device: \"\"\r\n  file: q, read-only, private: the guest's stores do not reach it\r\n"
	  "  memdev: /objects/m2\r\n  memaddr: 0x0\r\n  size: 1\r\n  state: ok\r\n"
	  "  flushes: 0 requested, 0 completed, 0 failed\r\n  syncs: 0, errors: 0, interrupts: 0\r\n" },
	{ "query-vhost-user",
	  "[{\"id\":\"fs0\",\"path\":\"/p\",\"chardev\":\"c0\",\"connected\":true,\"state\":\"running\"},"
	  "{\"path\":\"/q\",\"chardev\":\"c1\",\"connected\":false,\"state\":\"needs-reset\",\"message\":\"it died\"}]",
	  "fs0: chardev c0, running\r\n/q: chardev c1, needs-reset: it died\r\n" },
};

static void values_are_shown_as_qemu_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(prints) / sizeof(prints[0]); i++) {
		struct json_object *json = json_tokener_parse(prints[i].json);
		struct hmp_out out = { 0 };

		assert_non_null(json);
		command_find(prints[i].command)->hmp_print(json, &out);
		assert_string_equal(text_str(&out.text), prints[i].text);
		text_free(&out.text);
		json_object_put(json);
	}
}

static void times_of_errors_are_dates(void **state)
{
	static const struct {
		const char *time, *text;
	} times[] = {
		{ "1", "1970-01-01T00:00:01Z" },          { "951782399", "2000-02-28T23:59:59Z" },
		{ "951782400", "2000-02-29T00:00:00Z" },  { "978307199", "2000-12-31T23:59:59Z" },
		{ "1709251199", "2024-02-29T23:59:59Z" }, { "1735689600", "2025-01-01T00:00:00Z" },
		{ "4107542400", "2100-03-01T00:00:00Z" }, { "13601088000", "2401-01-01T00:00:00Z" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct json_object *json;
		struct hmp_out out = { 0 };
		char text[256];

		snprintf(text, sizeof(text),
		         "[{\"state\":\"failed\",\"error\":{\"errno\":5,\"message\":\"\",\"time\":%s}}]",
		         times[i].time);
		json = json_tokener_parse(text);
		assert_non_null(json);
		command_find("query-pmem")->hmp_print(json, &out);
		assert_non_null(strstr(text_str(&out.text), times[i].text));
		text_free(&out.text);
		json_object_put(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_shown_as_qemu_does),
		cmocka_unit_test(times_of_errors_are_dates),
	};

	return cmocka_run_group_tests_name("hmp_print", tests, NULL, NULL);
}
