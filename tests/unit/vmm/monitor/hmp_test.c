// SPDX-License-Identifier: Apache-2.0
// Tests of HMP: what a line does, what a person sees, and that nothing a client sends does harm.
#include "monitor_fixture.h"

#include "command.h"
#include "hmp_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BANNER "pmvm " VPMEM_VERSION " monitor - type 'help' for more information\r\n(pmvm) "

struct line {
	const char *line, *output, *args; /* args NULL: nothing ran */
};

#define TRY(name) "Try \"help " name "\" for more information\r\n"

static const struct line lines[] = {
	{ "", "", NULL },
	{ "  \t ", "", NULL },
	{ "cont", "", "{}" },
	{ "c", "", "{}" },
	{ "  cont  ", "", "{}" },
	{ "cont x", "cont: extraneous characters at the end of line\r\n" TRY("cont"), NULL },
	{ "co", "unknown command: 'co'\r\nTry \"help\" for more information\r\n", NULL },
	{ "foo bar", "unknown command: 'foo'\r\nTry \"help\" for more information\r\n", NULL },
	{ "query-commands", "unknown command: 'query-commands'\r\nTry \"help\" for more information\r\n", NULL },
	{ "info status", "VM status: running\r\n", "{}" },
	{ "info   status ", "VM status: running\r\n", "{}" },
	{ "info foo", "unknown command: 'info foo'\r\n" TRY("info"), NULL },
	{ "info one", "", "{}" },
	{ "info one two", "", "{\"name\":\"two\"}" },
	{ "device_del nv1", "", "{\"id\":\"nv1\"}" },
	{ "device_del \"a b\\\"\\\\\\n\"", "", "{\"id\":\"a b\\\"\\\\\\n\"}" },
	{ "device_del \"\"", "", "{\"id\":\"\"}" },
	{ "device_del", "device_del: string expected\r\n" TRY("device_del"), NULL },
	{ "device_del a b", "device_del: extraneous characters at the end of line\r\n" TRY("device_del"), NULL },
	{ "device_del \"a", "unterminated string\r\n" TRY("device_del"), NULL },
	{ "device_del \"a\\", "unterminated string\r\n" TRY("device_del"), NULL },
	{ "device_del \"\\q\"", "unsupported escape code: '\\q'\r\n" TRY("device_del"), NULL },
	{ "device_add virtio-pmem-pci,memdev=m1,id=nv1", "",
	  "{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\",\"id\":\"nv1\"}" },
	{ "device_add x y", "device_add: extraneous characters at the end of line\r\n" TRY("device_add"), NULL },
	{ "device_add", "", "{}" },
	{ "device_add {\"driver\": \"x\", \"shmem\": true}", "", "typed {\"driver\":\"x\",\"shmem\":true}" },
	{ "device_add \"x,memdev=a b\"", "", "{\"driver\":\"x\",\"memdev\":\"a b\"}" },
	{ "object_add memory-backend-file,id=m1,mem-path=/a b/c,size=1G  ", "",
	  "{\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"\\/a b\\/c\",\"size\":\"1G\"}" },
	{ "object_add t,host-nodes=0,host-nodes=2", "", "{\"qom-type\":\"t\",\"host-nodes\":[\"0\",\"2\"]}" },
	{ "device_add x,shmem,\033[2J",
	  "warning: short-form boolean option 'shmem' deprecated\r\nPlease use shmem=on instead\r\n"
	  "warning: short-form boolean option '\033[2J' deprecated\r\nPlease use \033[2J=on instead\r\n",
	  "{\"driver\":\"x\",\"shmem\":\"on\",\"\\u001b[2J\":\"on\"}" },
	{ "object_add", "object_add: string expected\r\n" TRY("object_add"), NULL },
	{ "object_add help",
	  "List of user creatable objects:\r\n  memory-backend-file\r\n  memory-backend-memfd\r\n  memory-backend-ram\r\n  rng-builtin\r\n  rng-random\r\n",
	  NULL },
	{ "object_add foo,help", "Error: Parameter 'qom-type' does not accept value 'foo'\r\n", NULL },
	{ "device_add help",
	  "Storage devices:\r\nname \"vhost-user-blk-pci\", bus PCI, desc \"A disk, by a vhost-user back end\"\r\n"
	  "name \"vhost-user-fs-pci\", bus PCI, desc \"A folder of the host, by virtiofsd or another vhost-user back end\"\r\n\r\n"
	  "Misc devices:\r\nname \"vhost-user-device-pci\", bus PCI, desc \"Any virtio device, by a vhost-user back end\"\r\n"
	  "name \"vhost-vsock-pci\", bus PCI, desc \"Sockets between host and guest: vsock, by the "
	  "kernel's vhost\"\r\n"
	  "name \"virtio-balloon-pci\", bus PCI, alias \"virtio-balloon\", desc \"A balloon: memory of the guest goes "
	  "back to the host\"\r\n"
	  "name \"virtio-pmem-pci\", bus PCI, desc \"Persistent memory: a file as /dev/pmemN\"\r\n"
	  "name \"virtio-rng-pci\", bus PCI, alias \"virtio-rng\", desc \"Entropy: random bytes of the host for "
	  "/dev/hwrng\"\r\n"
	  "name \"vmgenid\", desc \"VM generation ID: the guest sees that it is a copy\"\r\n\r\n"
	  "Input devices:\r\nname \"virtconsole\", bus virtio-serial-bus, desc \"Port of virtio-serial-pci: "
	  "/dev/hvcN in the guest\"\r\n"
	  "name \"virtio-serial-pci\", bus PCI, alias \"virtio-serial\", desc \"Controller of console ports: "
	  "virtconsole, virtserialport\"\r\n"
	  "name \"virtserialport\", bus virtio-serial-bus, desc \"Port of virtio-serial-pci: "
	  "/dev/virtio-ports/NAME in the guest\"\r\n\r\n"
	  "Network devices:\r\nname \"virtio-net-pci\", bus PCI, alias \"virtio-net\", desc \"A network card, by the kernel's vhost\"\r\n",
	  NULL },
	{ "object_del x", "Error: Device 'x' not found\r\nhint: did you mean y?\r\n", NULL },
	{ "help cont", "cont|c  -- resume emulation\r\n", NULL },
	{ "? c", "cont|c  -- resume emulation\r\n", NULL },
	{ "help info status", "info status  -- show the current VM status\r\n", NULL },
	{ "help foo", "unknown command: 'foo'\r\n", NULL },
	{ "help info foo", "unknown command: 'info foo'\r\n", NULL },
	{ "info", "info one [name] -- show one\r\ninfo status  -- show the current VM status\r\n", NULL },
	{ "help info", "info one [name] -- show one\r\ninfo status  -- show the current VM status\r\n", NULL },
	{ "help",
	  "cont|c  -- resume emulation\r\n"
	  "device_add driver[,prop=value][,...] -- add device, like -device on the command line\r\n"
	  "device_del device -- remove device\r\n"
	  "help|? [cmd] -- show the help\r\n"
	  "info [subcommand] -- show various information about the system state\r\n"
	  "object_add [qom-type=]type,id=str[,prop=value][,...] -- create QOM object\r\n"
	  "object_del id -- destroy QOM object\r\n",
	  NULL },
};

static void a_line_does_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct hmp_out out = { 0 };

		fake_args[0] = '\0';
		hmp_run_line(rig.monitor, lines[i].line, &out);
		assert_false(out.text.failed);
		if (strcmp(text_str(&out.text), lines[i].output) != 0)
			fail_msg("'%s' prints '%s'", lines[i].line, text_str(&out.text));
		if (strcmp(fake_args, lines[i].args ? lines[i].args : "") != 0)
			fail_msg("'%s' has the arguments '%s'", lines[i].line, fake_args);
		text_free(&out.text);
	}
}

/* What a client writes must not reach the terminal of the operator: it could forge lines, and send control characters. */
static void warnings_do_not_reach_standard_error(void **state)
{
	FILE *file = tmpfile();
	int stderr_fd = dup(STDERR_FILENO);
	struct hmp_out out = { 0 };

	(void)state;
	assert_non_null(file);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	hmp_run_line(rig.monitor, "device_add x,forged\033[2J,noshmem", &out);
	hmp_run_line(rig.monitor, "object_add x,noshare", &out);
	assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	assert_non_null(strstr(text_str(&out.text), "'noshmem' deprecated\r\nPlease use shmem=off"));
	text_free(&out.text);
	assert_int_equal(lseek(fileno(file), 0, SEEK_END), 0);
	fclose(file);
	close(stderr_fd);
}

static void properties_are_listed(void **state)
{
	struct hmp_out out = { 0 };

	(void)state;
	hmp_run_line(rig.monitor, "device_add virtio-pmem-pci,help", &out);
	assert_non_null(strstr(text_str(&out.text), "  memaddr=<uint64>"));
	hmp_run_line(rig.monitor, "object_add memory-backend-file,help", &out);
	assert_non_null(strstr(text_str(&out.text), "  mem-path=<string>"));
	assert_null(strstr(text_str(&out.text), "Error"));
	text_free(&out.text);
}

static void a_client_is_greeted_and_served(void **state)
{
	int fd = rig_connect(rig.hmp_path), other = rig_connect(rig.hmp_path);
	const char *text;

	(void)state;
	assert_string_equal(rig_read_until(fd, "(pmvm) "), BANNER);
	assert_string_equal(rig_read_until(other, "(pmvm) "), BANNER);
	rig_send(fd, "info status\r");
	text = rig_read_until(fd, "\r\n(pmvm) ");
	assert_non_null(strstr(text, "info status\r\n"));
	// Behind the echo of the line, its output and the prompt: nothing more.
	text = strstr(text, "VM status") ? strstr(text, "VM status") : rig_read_until(fd, "(pmvm) ");
	assert_string_equal(text, "VM status: running\r\n(pmvm) ");
	rig_send(other, "foo\n");
	assert_non_null(strstr(rig_read_until(other, "information\r\n(pmvm) "), "unknown command: 'foo'"));
	close(fd);
	close(other);
}

// Lines with Tab in them: each is run, and its arguments show how it was completed.
struct completion {
	const char *keys, *args, *shown;
};

static const struct completion completions[] = {
	{ "device_d\tn\t", "{\"id\":\"nv1\"}", NULL },
	{ "device_a\tvirtio-p\tmemd\tm\t", "{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"mem1\"}", NULL },
	{ "object_a\tm\tf\tsi\t4G", "{\"qom-type\":\"memory-backend-file\",\"size\":\"4G\"}", NULL },
	{ "device_a\tvirtio-\tr\tmax\t7", "{\"driver\":\"virtio-rng-pci\",\"max-bytes\":\"7\"}", NULL },
	{ "object_a\tr\tr\tfi\tx", "{\"qom-type\":\"rng-random\",\"filename\":\"x\"}", NULL },
	{ "object_d\tm\t", "", "Device 'x' not found" },
	{ "info s\t", "{}", "VM status" },
	{ "inf\ts\t", "{}", "VM status" },
	{ "help con\t", "", "cont|c  -- resume" },
	{ "help info s\t", "", "info status  -- show" },
	{ "device_del  nv1 x\t", "", "extraneous" },
	{ "device_\t\t", "", "device_add\r\ndevice_del\r\n" },
};

static void tab_completes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(completions) / sizeof(completions[0]); i++) {
		int fd = rig_connect(rig.hmp_path);
		const char *text;

		rig_read_until(fd, "(pmvm) ");
		fake_args[0] = '\0';
		rig_send(fd, completions[i].keys);
		rig_send(fd, "\rhelp xyz\r");
		text = rig_read_until(fd, "unknown command: 'xyz'\r\n(pmvm) ");
		if (strcmp(fake_args, completions[i].args) != 0)
			fail_msg("'%s' has the arguments '%s'", completions[i].keys, fake_args);
		if (completions[i].shown && !strstr(text, completions[i].shown))
			fail_msg("'%s' shows '%s'", completions[i].keys, text);
		close(fd);
		rig_turn();
		rig_turn();
	}
}

static void a_long_line_is_refused(void **state)
{
	static char line[6001];
	int fd = rig_connect(rig.hmp_path);

	(void)state;
	rig_read_until(fd, "(pmvm) ");
	memset(line, 'x', 6000);
	rig_send(fd, line);
	rig_send(fd, "\r");
	assert_non_null(strstr(rig_read_until(fd, "dropped\r\n(pmvm) "), "Error: a line has at most 4096 characters"));
	rig_send(fd, "cont\r");
	rig_read_until(fd, "(pmvm) ");
	close(fd);
}

// ---- a console with a monitor

static struct serial_side {
	size_t room, len;
	char text[256];
} serial;

static size_t serial_room(void *owner)
{
	(void)owner;
	return serial.room;
}

static void serial_receive(void *owner, const uint8_t *buf, size_t len)
{
	(void)owner;
	assert_true(serial.len + len < sizeof(serial.text));
	memcpy(serial.text + serial.len, buf, len);
	serial.len += len;
	serial.text[serial.len] = '\0';
}

static void nothing(void *owner)
{
	(void)owner;
}

static void on_quit(void *owner)
{
	(void)owner;
	rig.nquits++;
}

static void mux_up(bool with_monitor)
{
	const struct chardev_config cfg = { .kind = CHARDEV_STDIO, .mux = true, .id = (char *)"console" };
	const struct chardev_front front = { .room = serial_room, .receive = serial_receive, .writable = nothing };

	memset(&serial, 0, sizeof(serial));
	serial.room = 16;
	monitor_destroy(rig.monitor);
	rig_take_stdio();
	assert_int_equal(chardev_list_add(&rig.machine.chardevs, &cfg, &rig.machine.loop, on_quit, NULL,
	                                  &rig.machine.console, NULL),
	                 0);
	assert_int_equal(chardev_claim(rig.machine.console, CHARDEV_DEVICE, NULL), 0);
	chardev_set_front(rig.machine.console, &front);
	rig.opts.nmonitors = with_monitor;
	rig.opts.monitors[0] = (struct monitor_config) { .protocol = MONITOR_HMP, .chardev = (char *)"console" };
	assert_int_equal(monitor_create(&rig.machine, &rig.monitor, NULL), 0);
}

static void mux_down(void)
{
	monitor_destroy(rig.monitor);
	rig.monitor = NULL;
	chardev_list_close(&rig.machine.chardevs);
	rig_give_stdio();
}

static void turns(unsigned count)
{
	while (count-- > 0)
		rig_turn();
}

static void the_console_switches_to_its_monitor_and_back(void **state)
{
	(void)state;
	mux_up(true);
	rig_send(rig.in_fd, "ls\r");
	turns(3);
	assert_string_equal(serial.text, "ls\r");
	rig_send(rig.in_fd, "\001c");
	assert_string_equal(rig_read_until(rig.out_fd, "(pmvm) "), BANNER);
	rig_send(rig.in_fd, "info status\r");
	rig_read_until(rig.out_fd, "VM status: running\r\n(pmvm) ");
	// The guest's output goes on.
	chardev_write(rig.machine.console, (const uint8_t *)"guest\n", 6);
	rig_read_until(rig.out_fd, "guest\n");
	rig_send(rig.in_fd, "\001cdate\r\001cinfo status\r\001cx");
	rig_read_until(rig.out_fd, "VM status: running\r\n(pmvm) \r\n");
	turns(3);
	assert_string_equal(serial.text, "ls\rdate\rx");
	mux_down();
}

/* -chardev stdio,mux=on with a monitor and nothing else. */
static void a_monitor_that_shares_with_nobody_has_the_input(void **state)
{
	(void)state;
	monitor_destroy(rig.monitor);
	rig.opts.nmonitors = 0;
	rig_take_stdio();
	rig_add_monitor(MONITOR_HMP, &(struct chardev_config) { .kind = CHARDEV_STDIO, .mux = true });
	assert_int_equal(monitor_create(&rig.machine, &rig.monitor, NULL), 0);
	assert_string_equal(rig_read_until(rig.out_fd, "(pmvm) "), BANNER);
	// There is nothing to switch to.
	rig_send(rig.in_fd, "\001cinfo status\r");
	rig_read_until(rig.out_fd, "VM status: running\r\n(pmvm) ");
	monitor_destroy(rig.monitor);
	rig.monitor = NULL;
	rig_give_stdio();
}

// Ctrl-a is the console's escape character, so Home takes it twice there.
static void the_monitor_of_a_console_edits_lines(void **state)
{
	(void)state;
	mux_up(true);
	rig_send(rig.in_fd, "\001c");
	rig_read_until(rig.out_fd, BANNER);
	rig_send(rig.in_fd, "nfo statu\001\001i\005s\r");
	rig_read_until(rig.out_fd, "VM status: running\r\n(pmvm) ");
	// A sequence that arrives in pieces.
	rig_send(rig.in_fd, "\033");
	turns(2);
	rig_send(rig.in_fd, "[");
	turns(2);
	rig_send(rig.in_fd, "A\r");
	rig_read_until(rig.out_fd, "VM status: running\r\n(pmvm) ");
	assert_int_equal(serial.len, 0);
	mux_down();
}

// What was typed for the guest waits while the person is at the monitor, and more than the buffers hold stays
// in the kernel.
static void nothing_typed_is_lost_at_a_switch(void **state)
{
	char text[200] = "";

	(void)state;
	mux_up(true);
	serial.room = 0;
	memset(text, 'a', sizeof(text) - 1);
	rig_send(rig.in_fd, text);
	rig_send(rig.in_fd, "\001c");
	rig_read_until(rig.out_fd, BANNER);
	rig_send(rig.in_fd, "info status\r\001cb");
	rig_read_until(rig.out_fd, "VM status: running\r\n(pmvm) \r\n");
	turns(3);
	assert_int_equal(serial.len, 0);
	serial.room = 7;
	for (unsigned i = 0; i < 5; i++) {
		chardev_accept(rig.machine.console);
		rig_turn();
	}
	assert_int_equal(serial.len, 200);
	assert_int_equal(serial.text[199], 'b');
	mux_down();
}

static void a_console_alone_has_no_monitor(void **state)
{
	(void)state;
	mux_up(false);
	rig_send(rig.in_fd, "a\001cb\001h");
	assert_null(strstr(rig_read_until(rig.out_fd, "C-a\r\n"), "C-a c"));
	assert_string_equal(serial.text, "ab");
	mux_down();
	mux_up(true);
	rig_send(rig.in_fd, "\001h");
	assert_non_null(strstr(rig_read_until(rig.out_fd, "sends C-a\r\n"), "C-a c    switch"));
	mux_down();
}

static void garbage_does_no_harm(void **state)
{
	static const char *const likely[] = {
		"device_add ", "object_add ", "help ", "info ",  "{\"a\":", "\"",   "\\",
		",",           "=",           "\t",    "\033[A", "\r",      "\177",
	};
	unsigned seed = 7;
	int fd = rig_connect(rig.hmp_path);
	char buf[4096];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned pick = (unsigned)rand_r(&seed) >> 4;
		uint8_t byte = (uint8_t)pick;

		if (pick & 0x100)
			(void)!write(fd, likely[pick % (sizeof(likely) / sizeof(likely[0]))],
			             strlen(likely[pick % (sizeof(likely) / sizeof(likely[0]))]));
		else
			(void)!write(fd, &byte, 1);
		if (i % 16 == 0)
			rig_turn();
		while (read(fd, buf, sizeof(buf)) > 0)
			;
	}
	turns(200);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	rig_send(fd, "\r\rcont\rhelp xyz\r");
	rig_read_until(fd, "unknown command: 'xyz'\r\n(pmvm) ");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_does_what_it_says, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(warnings_do_not_reach_standard_error, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(properties_are_listed, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_client_is_greeted_and_served, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(tab_completes, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_long_line_is_refused, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(the_console_switches_to_its_monitor_and_back, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_monitor_that_shares_with_nobody_has_the_input, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(the_monitor_of_a_console_edits_lines, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(nothing_typed_is_lost_at_a_switch, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(a_console_alone_has_no_monitor, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(garbage_does_no_harm, rig_up, rig_down),
	};

	return cmocka_run_group_tests_name("hmp", tests, NULL, NULL);
}
