// SPDX-License-Identifier: Apache-2.0
// What the kernel knows about a process, with this process, and a directory like KVM's in debugfs.
#include "process_stats.h"
#include "unit_test.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct json_object *cpus_of(int tid)
{
	struct json_object *list = json_object_new_array(), *cpu = json_object_new_object();

	json_object_object_add(cpu, "thread-id", json_object_new_int(tid));
	json_object_array_add(list, cpu);
	return list;
}

static void write_count(const char *directory, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void reads_a_process(void **state)
{
	struct json_object *cpus = cpus_of(getpid());
	struct process_stats stats;

	(void)state;
	process_stats_read(&stats, getpid(), cpus, "/nonexistent");
	assert_true(stats.is_known);
	assert_true(stats.cpu_s >= 0 && stats.vcpu_s[0] >= 0 && stats.cpu_s < 1e6);
	assert_true(stats.resident_size > 4096);
	assert_int_equal(stats.nvcpus, 1);
	assert_false(stats.has_exits);
	json_object_put(cpus);
}

/* The peer is another process than the machine: nothing is said about it. */
static void believes_no_other_process(void **state)
{
	struct json_object *cpus = cpus_of(1), *none = json_object_new_array();
	struct process_stats stats;

	(void)state;
	process_stats_read(&stats, getpid(), cpus, "/nonexistent");
	assert_false(stats.is_known);
	process_stats_read(&stats, getpid(), none, "/nonexistent");
	assert_false(stats.is_known);
	process_stats_read(&stats, getpid(), NULL, "/nonexistent");
	assert_false(stats.is_known);
	process_stats_read(&stats, 0, cpus, "/nonexistent");
	assert_false(stats.is_known);
	json_object_put(none);
	json_object_put(cpus);
}

static void reads_exits(void **state)
{
	char root[] = "/tmp/pmvm-debugfs-XXXXXX", kvm[128], machine[160], command[192];
	struct json_object *cpus = cpus_of(getpid());
	struct process_stats stats;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(kvm, sizeof(kvm), "%s/kvm", root);
	snprintf(machine, sizeof(machine), "%s/%d-14", kvm, getpid());
	assert_int_equal(mkdir(kvm, 0700), 0);
	assert_int_equal(mkdir(machine, 0700), 0);
	write_count(machine, "exits", "1234\n");
	write_count(machine, "io_exits", "17\n");
	write_count(machine, "halt_exits", "text\n");
	process_stats_read(&stats, getpid(), cpus, root);
	assert_true(stats.has_exits);
	assert_int_equal(stats.exits, 1234);
	assert_string_equal(exit_reasons[0], "io");
	assert_true(stats.has_reason[0]);
	assert_int_equal(stats.exits_by_reason[0], 17);
	for (unsigned i = 1; i < EXIT_REASONS; i++)
		assert_false(stats.has_reason[i]);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
	json_object_put(cpus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_process),
		cmocka_unit_test(believes_no_other_process),
		cmocka_unit_test(reads_exits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
