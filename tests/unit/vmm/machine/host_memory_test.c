// SPDX-License-Identifier: Apache-2.0
// Memory of the host for a guest: each property as the kernel sees it, and what a host without it says.
#include "host_memory.h"

#include "config.h"
#include "forked_broker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "unit_test.h"

#define MIB (UINT64_C(1) << 20)
#define SIZE (4 * MIB)

// ---- a kernel that refuses what a test wants

static struct {
	int memfd_error, populate_error;
	unsigned memfd_flags;
	uint64_t page_size; // of the memfd; 0: the kernel's answer
	int map_error;      // for the memory itself
	bool no_flags;      // MFD_HUGETLB does not reach the kernel
	const char *meminfo;
} host;

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags)
{
	host.memfd_flags = flags;
	if (host.memfd_error) {
		errno = host.memfd_error;
		return -1;
	}
	if (host.no_flags)
		flags &= MFD_CLOEXEC | MFD_ALLOW_SEALING;
	return __real_memfd_create(name, flags);
}

int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	int rc = __real_fstatfs64(fd, fs);

	if (host.page_size > 0)
		fs->f_bsize = (__fsword_t)host.page_size;
	return rc;
}

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (host.map_error && prot != PROT_NONE) {
		errno = host.map_error;
		return MAP_FAILED;
	}
	return __real_mmap64(addr, len, prot, flags, fd, off);
}

int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (host.populate_error && advice == 23 /* MADV_POPULATE_WRITE */) {
		errno = host.populate_error;
		return -1;
	}
	return __real_madvise(addr, len, advice);
}

FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode)
{
	if (host.meminfo && strcmp(path, "/proc/meminfo") == 0)
		return fmemopen((void *)(uintptr_t)host.meminfo, strlen(host.meminfo), "r");
	return __real_fopen64(path, mode);
}

// ---- helpers

static struct memdev_config cfg;
static struct host_memory mem;
static struct vpmem_error err;

static int setup(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	cfg = (struct memdev_config) { .obj.id = (char *)"ram",
		                       .backing = { .size = SIZE, .reserve = true, .merge = true, .dump = true },
		                       .seal = true };
	mem = (struct host_memory) { .fd = -1 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_memory_close(&mem);
	return 0;
}

static int open_memory(bool memfd)
{
	const struct host_memory_options opts = { .cfg = &cfg, .memfd = memfd, .dump = cfg.backing.dump };

	return host_memory_open(&opts, &mem, &err);
}

static bool has_vm_flag(const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool here = false, found = false;
	uint64_t begin, end;
	char line[1024];

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2)
			here = begin <= (uintptr_t)mem.hva && (uintptr_t)mem.hva < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

static uint64_t resident_pages(void)
{
	static unsigned char pages[SIZE / 4096];
	uint64_t n = 0;

	assert_int_equal(mincore(mem.hva, SIZE, pages), 0);
	for (unsigned i = 0; i < SIZE / 4096; i++)
		n += pages[i] & 1;
	return n;
}

static void nothing_is_left(void)
{
	assert_null(mem.area);
	assert_null(mem.hva);
	assert_int_equal(mem.fd, -1);
}

// ---- the tests

static void private_memory_has_no_file(void **state)
{
	(void)state;
	assert_int_equal(open_memory(false), 0);
	assert_int_equal(mem.fd, -1);
	assert_int_equal(mem.size, SIZE);
	assert_int_equal((uintptr_t)mem.hva % (2 * MIB), 0);
	assert_int_equal(resident_pages(), 0);
	mem.hva[SIZE - 1] = 1;
	assert_false(has_vm_flag(" sh"));
	assert_false(has_vm_flag(" dd"));
	assert_true(has_vm_flag(" dc"));
	if (access("/sys/kernel/mm/ksm", F_OK) == 0)
		assert_true(has_vm_flag(" mg"));
}

static void properties_reach_the_kernel(void **state)
{
	(void)state;
	cfg.backing.merge = cfg.backing.dump = cfg.backing.reserve = false;
	assert_int_equal(open_memory(false), 0);
	assert_true(has_vm_flag(" dd"));
	assert_true(has_vm_flag(" nr"));
	assert_false(has_vm_flag(" mg"));
}

/* As another process does: it gets the descriptor, and its size cannot change under the guest. */
static void a_memfd_is_the_same_memory_for_another_mapping(void **state)
{
	uint8_t *other;

	(void)state;
	cfg.backing.share = true;
	assert_int_equal(open_memory(true), 0);
	assert_true(mem.fd >= 0);
	assert_true(has_vm_flag(" sh"));
	other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mem.fd, 0);
	assert_ptr_not_equal(other, MAP_FAILED);
	mem.hva[SIZE - 1] = 42;
	assert_int_equal(other[SIZE - 1], 42);
	munmap(other, SIZE);
	assert_int_equal(ftruncate(mem.fd, 0), -1);
	assert_int_equal(ftruncate(mem.fd, 2 * SIZE), -1);
	assert_true(fcntl(mem.fd, F_GETFD) & FD_CLOEXEC);
}

static void a_memfd_without_seals_can_change(void **state)
{
	(void)state;
	cfg.seal = false;
	assert_int_equal(open_memory(true), 0);
	assert_int_equal(fcntl(mem.fd, F_GET_SEALS), F_SEAL_SEAL);
	assert_int_equal(ftruncate(mem.fd, 2 * SIZE), 0);
}

static void shared_memory_is_a_memfd_also_for_memory_backend_ram(void **state)
{
	(void)state;
	cfg.backing.share = true;
	assert_int_equal(open_memory(false), 0);
	assert_true(mem.fd >= 0);
}

static void prealloc_has_every_page(void **state)
{
	(void)state;
	cfg.backing.prealloc = true;
	assert_int_equal(open_memory(false), 0);
	assert_int_equal(resident_pages(), SIZE / 4096);
	host_memory_close(&mem);
	cfg.backing.share = true;
	assert_int_equal(open_memory(true), 0);
	assert_int_equal(resident_pages(), SIZE / 4096);
}

/* The kernel would end a process. */
static void prealloc_of_more_than_there_is_is_refused_before(void **state)
{
	(void)state;
	host.meminfo = "MemTotal: 9999999 kB\nMemFree: 9999999 kB\nMemAvailable: 2048 kB\nSwapFree: 1024 kB\n";
	cfg.backing.prealloc = true;
	assert_int_equal(open_memory(false), -ENOMEM);
	assert_string_equal(err.text, "prealloc: ram: cannot populate 4194304 bytes of memory: Cannot allocate memory");
	assert_non_null(strstr(err.hint, "3 MiB of memory and swap available"));
	nothing_is_left();
	host.meminfo = "MemAvailable: 2048 kB\nSwapFree: 2048 kB\n";
	assert_int_equal(open_memory(false), 0);
}

static void prealloc_that_fails_leaves_nothing(void **state)
{
	(void)state;
	host.populate_error = EFAULT;
	cfg.backing.prealloc = true;
	assert_int_equal(open_memory(true), -EFAULT);
	assert_non_null(strstr(err.text, "prealloc: ram: cannot populate 4194304 bytes of memory: Bad address"));
	nothing_is_left();
}

static void huge_pages_are_those_of_the_size(void **state)
{
	(void)state;
	host.no_flags = true;
	host.page_size = 2 * MIB;
	cfg.hugetlb = true;
	assert_int_equal(open_memory(true), 0);
	assert_int_equal(host.memfd_flags, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	host_memory_close(&mem);
	cfg.hugetlbsize = 2 * MIB;
	assert_int_equal(open_memory(true), 0);
	assert_int_equal(host.memfd_flags, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_HUGE_2MB);
	host_memory_close(&mem);
	// The mapping begins at a page.
	host.page_size = cfg.hugetlbsize = 1024 * MIB;
	cfg.backing.size = 1024 * MIB;
	cfg.backing.reserve = false;
	assert_int_equal(open_memory(true), 0);
	assert_int_equal((uintptr_t)mem.hva % (1024 * MIB), 0);
	assert_int_equal(host.memfd_flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING), MFD_HUGETLB | MFD_HUGE_1GB);
}

static void a_host_without_free_huge_pages_is_named(void **state)
{
	(void)state;
	host.no_flags = true;
	host.page_size = 2 * MIB;
	host.map_error = ENOMEM;
	cfg.hugetlb = true;
	assert_int_equal(open_memory(true), -ENOMEM);
	assert_string_equal(err.text, "ram: unable to map backing store for guest RAM: Cannot allocate memory");
	assert_non_null(strstr(err.hint, "2 free huge pages of 2048 KiB"));
	assert_non_null(strstr(err.hint, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
	nothing_is_left();
}

static void a_host_without_pages_of_the_size_is_named(void **state)
{
	(void)state;
	host.memfd_error = ENODEV;
	cfg.hugetlb = true;
	cfg.hugetlbsize = 4 * MIB;
	assert_int_equal(open_memory(true), -ENODEV);
	assert_string_equal(err.text, "ram: failed to create memfd: No such device");
	assert_non_null(strstr(err.hint, "no huge pages of 4096 KiB"));
	cfg.hugetlbsize = 0;
	assert_int_equal(open_memory(true), -ENODEV);
	assert_non_null(strstr(err.hint, "CONFIG_HUGETLBFS"));
}

static void a_size_of_half_a_page_is_refused(void **state)
{
	(void)state;
	host.no_flags = true;
	host.page_size = 2 * MIB;
	cfg.hugetlb = true;
	cfg.backing.size = 3 * MIB;
	assert_int_equal(open_memory(true), -EINVAL);
	assert_string_equal(err.text, "ram: memory size 0x300000 must be a multiple of the page size 0x200000");
	assert_non_null(strstr(err.hint, "2048 KiB"));
	nothing_is_left();
}

static void too_much_memory_is_an_error(void **state)
{
	(void)state;
	cfg.backing.size = UINT64_MAX - 4095;
	assert_int_equal(open_memory(false), -ENOMEM);
	assert_string_equal(err.text, "ram: unable to map backing store for guest RAM: Cannot allocate memory");
	nothing_is_left();
}

static const struct broker_op *const broker_ops[] = { &host_memory_memfd_op, &host_memory_available_op };

static void the_broker_makes_a_memfd(void **state)
{
	(void)state;
	forked_broker_start(broker_ops, COUNT(broker_ops), NULL);
	assert_int_equal(open_memory(true), 0);
	assert_int_equal(forked_broker_stop(), 1);
	assert_int_equal(host.memfd_flags, 0);
	mem.hva[SIZE - 1] = 1;
	assert_int_equal(ftruncate(mem.fd, 0), -1);
	host_memory_close(&mem);

	host.page_size = 2 * MIB;
	cfg.backing.size = 3 * MIB;
	forked_broker_start(broker_ops, COUNT(broker_ops), NULL);
	assert_int_equal(open_memory(true), -EINVAL);
	assert_string_equal(err.text, "ram: memory size 0x300000 must be a multiple of the page size 0x200000");
	nothing_is_left();
	assert_int_equal(forked_broker_stop(), 1);
}

static void the_broker_reads_how_much_memory_there_is(void **state)
{
	(void)state;
	host.meminfo = "MemAvailable: 2048 kB\nSwapFree: 1024 kB\n";
	forked_broker_start(broker_ops, COUNT(broker_ops), NULL);
	host.meminfo = NULL;
	cfg.backing.prealloc = true;
	assert_int_equal(open_memory(false), -ENOMEM);
	assert_non_null(strstr(err.hint, "3 MiB of memory and swap available"));
	assert_int_equal(forked_broker_stop(), 1);
}

static void a_memfd_of_other_flags_is_refused(void **state)
{
	struct {
		uint64_t size;
		unsigned flags;
	} in = { .size = SIZE, .flags = 0x10 /* MFD_EXEC */ };
	uint64_t out[2];
	struct broker_call call = { .in = &in, .out = out };

	(void)state;
	assert_int_equal(host_memory_memfd_op.in_size, sizeof(in));
	assert_int_equal(broker_call(&host_memory_memfd_op, &call), -EINVAL);
}

static void nodes_that_are_not_there_are_an_error(void **state)
{
	(void)state;
	cfg.backing.policy = VPMEM_POLICY_BIND;
	cfg.backing.host_nodes = UINT64_C(1) << 63;
	assert_true(open_memory(false) < 0);
	assert_non_null(strstr(err.text, "cannot bind memory to host NUMA nodes"));
	nothing_is_left();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(private_memory_has_no_file),
		TEST(properties_reach_the_kernel),
		TEST(a_memfd_is_the_same_memory_for_another_mapping),
		TEST(a_memfd_without_seals_can_change),
		TEST(shared_memory_is_a_memfd_also_for_memory_backend_ram),
		TEST(prealloc_has_every_page),
		TEST(prealloc_of_more_than_there_is_is_refused_before),
		TEST(prealloc_that_fails_leaves_nothing),
		TEST(huge_pages_are_those_of_the_size),
		TEST(a_host_without_free_huge_pages_is_named),
		TEST(a_host_without_pages_of_the_size_is_named),
		TEST(a_size_of_half_a_page_is_refused),
		TEST(too_much_memory_is_an_error),
		TEST(nodes_that_are_not_there_are_an_error),
		TEST(the_broker_makes_a_memfd),
		TEST(the_broker_reads_how_much_memory_there_is),
		TEST(a_memfd_of_other_flags_is_refused),
	};

	return cmocka_run_group_tests_name("host_memory", tests, NULL, NULL);
}
