// SPDX-License-Identifier: Apache-2.0
// The command line of pmvm, and where the guest finds what.
#include "vm_args.h"

#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vm_config minimal(void)
{
	return (struct vm_config) {
		.pmvm = "/bin/pmvm",
		.kernel = "/k",
		.initrd = "/i",
		.ram_size = UINT64_C(64) << 20,
		.cpus = 3,
		.cid = 4294967290u,
		.port = 77,
		.qmp_fd = 5,
		.vhost_vsock_fd = 6,
		.share_fd = -1,
	};
}

// All words with a blank between them. The caller frees it.
static char *line_of(const struct vm_config *cfg)
{
	struct vpmem_error err = { 0 };
	char **argv = vm_args_make(cfg, &err), *line = calloc(1, 65536);

	assert_non_null(argv);
	for (char **word = argv; *word; word++) {
		strcat(line, *word);
		strcat(line, " ");
	}
	vm_args_free(argv);
	return line;
}

static void assert_contains(const struct vm_config *cfg, const char *part)
{
	char *line = line_of(cfg);

	if (!strstr(line, part))
		fail_msg("%s: not in: %s", part, line);
	free(line);
}

static void test_memory_is_whole_mib(void **state)
{
	struct vm_config cfg = minimal();

	(void)state;
	cfg.ram_size = 1000000000;
	assert_contains(&cfg, " -m 976896K ");
	assert_contains(&cfg, ",size=976896K ");
	cfg.ram_size = 1;
	assert_contains(&cfg, " -m 1024K ");
	cfg.ram_size = UINT64_MAX;
	assert_contains(&cfg, " -m 18014398509481984K ");
}

static void test_room_for_what_is_plugged_later(void **state)
{
	struct vm_config cfg = minimal();
	char bus[VM_WORD_SIZE], addr[VM_WORD_SIZE], address[VM_ADDRESS_SIZE], tag[VM_TAG_SIZE];

	(void)state;
	cfg.root = "/run/a,b/images";
	assert_contains(&cfg, " -run-with chroot=/run/a,,b/images ");
	assert_contains(&cfg, " -machine memory-backend=ram,pci-buses=3 ");
	cfg.uid = 1879048200;
	assert_contains(&cfg, " -run-with user=1879048200:1879048200,chroot=/run/a,,b/images ");
	vm_pmem_place(0, bus, addr);
	assert_string_equal(bus, "pcie.0");
	assert_string_equal(addr, "0xd");
	// The last one is on a bus that is there.
	vm_pmem_place(VM_PMEM_MAX - 1, bus, addr);
	assert_string_equal(bus, "pcie.2");
	assert_string_equal(addr, "0xa");
	assert_string_equal(vm_pmem_address(VM_PMEM_MAX - 1, address), "0000:02:0a.0");
	assert_string_equal(vm_share_tag(0, tag), "share");
	assert_string_equal(vm_share_tag(12, tag), "share-12");
}

static void test_minimal(void **state)
{
	struct vm_config cfg = minimal();
	char *line = line_of(&cfg);

	(void)state;
	assert_ptr_equal(strstr(line, "/bin/pmvm -nodefaults "), line);
	assert_null(strstr(line, "-run-with"));
	assert_null(strstr(line, "-netdev"));
	assert_null(strstr(line, "pmem"));
	assert_null(strstr(line, "vhost-user"));
	assert_null(strstr(line, "console="));
	free(line);
	assert_contains(&cfg, " -serial none ");
	cfg.uid = 1879048200;
	assert_contains(&cfg, " -run-with user=1879048200:1879048200 -smp ");
	assert_contains(&cfg, " -smp 3 -m 65536K ");
	assert_contains(&cfg, " memory-backend-memfd,id=ram,share=on,size=65536K -machine memory-backend=ram ");
	assert_contains(&cfg, " panic=-1 cryptomgr.notests initcall_blacklist=tracer_init_tracefs pmvm.port=77 ");
	assert_contains(&cfg, " vhost-vsock-pci,guest-cid=4294967290,vhostfd=6,");
	assert_contains(&cfg, " socket,id=qmp,fd=5 -mon chardev=qmp,mode=control ");
}

static void test_console(void **state)
{
	struct vm_config cfg = minimal();

	(void)state;
	cfg.console_path = "/run/a,b/log";
	assert_contains(&cfg, " -serial file:/run/a,,b/log ");
	assert_contains(&cfg, " console=ttyS0 ");
}

static void test_shares(void **state)
{
	struct vm_config cfg = minimal();

	(void)state;
	cfg.share_fd = 9;
	assert_contains(&cfg, " -chardev socket,id=share,fd=9 -device vhost-user-fs-pci,chardev=share,tag=share,addr=");
}

static void test_nics(void **state)
{
	const struct vm_nic nics[] = {
		{ .tap_fd = 10, .vhost_fd = 11, .mac = { 2, 0, 0xab, 0, 0, 1 } },
		{ .tap_fd = 12, .vhost_fd = -1, .mac = { 2, 0, 0, 0, 0, 2 } },
	};
	struct vm_config cfg = minimal();

	(void)state;
	cfg.nics = nics;
	cfg.nnics = 2;
	assert_contains(&cfg, " tap,id=net0,fd=10,vhost=on,vhostfd=11 ");
	assert_contains(&cfg, " virtio-net-pci,netdev=net0,mac=02:00:ab:00:00:01,");
	assert_contains(&cfg, " tap,id=net1,fd=12,vhost=off ");
}

// The address of a device on the command line is the one in the message to the agent, and no two are the same.
static void test_addresses(void **state)
{
	struct vm_pmem pmem[VM_PMEM_MAX];
	struct vm_nic nics[VM_NICS_MAX];
	struct vm_config cfg = minimal();
	char *line;
	bool taken[8][32] = { { false } };

	(void)state;
	for (size_t i = 0; i < VM_PMEM_MAX; i++)
		pmem[i] = (struct vm_pmem) { .path = "/layer", .readonly = i % 2 == 0 };
	for (size_t i = 0; i < VM_NICS_MAX; i++)
		nics[i] = (struct vm_nic) { .tap_fd = 1, .vhost_fd = 2 };
	cfg.pmem = pmem;
	cfg.npmem = VM_PMEM_MAX;
	cfg.nics = nics;
	cfg.nnics = VM_NICS_MAX;
	cfg.share_fd = 3;
	line = line_of(&cfg);
	for (const char *at = line; (at = strstr(at, "addr=")); at++) {
		const char *bus = at - strlen("bus=pcie.N,");
		unsigned nr = strncmp(bus, "bus=pcie.", 9) == 0 ? (unsigned)(bus[9] - '0') : 0;
		unsigned slot = (unsigned)strtoul(at + 5, NULL, 0);

		assert_in_range(slot, 1, 31);
		assert_in_range(nr, 0, 7);
		assert_false(taken[nr][slot]);
		taken[nr][slot] = true;
	}
	for (size_t i = 0; i < VM_PMEM_MAX; i++) {
		char address[VM_ADDRESS_SIZE], expected[128];
		unsigned bus, slot;

		assert_int_equal(sscanf(vm_pmem_address(i, address), "0000:%2x:%2x.0", &bus, &slot), 2);
		snprintf(expected, sizeof(expected), "virtio-pmem-pci,memdev=image%zu,bus=pcie.%u,addr=%#x ", i, bus,
		         slot);
		assert_non_null(strstr(line, expected));
		snprintf(expected, sizeof(expected), "id=image%zu,share=on,readonly=%s,mem-path=/layer ", i,
		         i % 2 == 0 ? "on" : "off");
		assert_non_null(strstr(line, expected));
	}
	free(line);
}

static void test_limits(void **state)
{
	struct vm_config cfg = minimal();
	struct vpmem_error err = { 0 };

	(void)state;
	cfg.npmem = VM_PMEM_MAX + 1;
	assert_null(vm_args_make(&cfg, &err));
	assert_non_null(strstr(err.text, "61 image layers"));
	assert_non_null(strstr(err.hint, "--squash-all"));
	cfg.npmem = 0;
	cfg.nnics = VM_NICS_MAX + 1;
	assert_null(vm_args_make(&cfg, &err));
	assert_non_null(strstr(err.text, "network interfaces"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_room_for_what_is_plugged_later),
		cmocka_unit_test(test_memory_is_whole_mib),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_nics),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
