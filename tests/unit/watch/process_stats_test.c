// SPDX-License-Identifier: Apache-2.0
// What the kernel knows about a process, with this process.
#include "process_stats.h"
#include "unit_test.h"

#include <json-c/json.h>
#include <unistd.h>

static struct json_object *cpus_of(int tid)
{
	struct json_object *list = json_object_new_array(), *cpu = json_object_new_object();

	json_object_object_add(cpu, "thread-id", json_object_new_int(tid));
	json_object_array_add(list, cpu);
	return list;
}

static void reads_a_process(void **state)
{
	struct json_object *cpus = cpus_of(getpid());
	struct process_stats stats;

	(void)state;
	process_stats_read(&stats, getpid(), cpus);
	assert_true(stats.is_known);
	assert_true(stats.cpu_s >= 0 && stats.vcpu_s[0] >= 0 && stats.cpu_s < 1e6);
	assert_true(stats.resident_size > 4096);
	assert_int_equal(stats.nvcpus, 1);
	json_object_put(cpus);
}

/* The peer is another process than the machine: nothing is said about it. */
static void believes_no_other_process(void **state)
{
	struct json_object *cpus = cpus_of(1), *none = json_object_new_array();
	struct process_stats stats;

	(void)state;
	process_stats_read(&stats, getpid(), cpus);
	assert_false(stats.is_known);
	process_stats_read(&stats, getpid(), none);
	assert_false(stats.is_known);
	process_stats_read(&stats, getpid(), NULL);
	assert_false(stats.is_known);
	process_stats_read(&stats, 0, cpus);
	assert_false(stats.is_known);
	json_object_put(none);
	json_object_put(cpus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_process),
		cmocka_unit_test(believes_no_other_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
