// SPDX-License-Identifier: Apache-2.0
// query-stats, with files in KVM's format in the place of KVM.
#include "qmp_rig.h"
#include "unit_test.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAME_SIZE 48u

struct entry {
	const char *name;
	uint32_t flags;
	int16_t exponent;
	uint16_t n;
	uint32_t bucket_size;
	uint64_t values[4];
};

static const struct entry entries[] = {
	{ "exits", KVM_STATS_TYPE_CUMULATIVE, 0, 1, 0, { 1000 } },
	{ "nested_run", KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN, 0, 1, 0, { 1 } },
	{ "halt_wait_ns", KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10, -9, 1, 0, { 7 } },
	{ "halt_wait_hist",
	  KVM_STATS_TYPE_LINEAR_HIST | KVM_STATS_UNIT_BYTES | KVM_STATS_BASE_POW2,
	  10,
	  3,
	  64,
	  { 1, 2, 3 } },
	{ "of_a_later_kernel", 0xfu << KVM_STATS_TYPE_SHIFT, 0, 1, 0, { 5 } },
};
#define NENTRIES (sizeof(entries) / sizeof(entries[0]))

/* What a file says is `first` more than the entries have. */
static int stats_file(uint64_t first, struct kvm_stats_header header)
{
	uint64_t values[16] = { 0 };
	uint32_t nvalues = 0;
	int fd = memfd_create("stats", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	for (unsigned i = 0; i < NENTRIES; i++) {
		const struct entry *entry = &entries[i];
		char desc[sizeof(struct kvm_stats_desc) + NAME_SIZE] = { 0 };
		const struct kvm_stats_desc head = { .flags = entry->flags,
			                             .exponent = entry->exponent,
			                             .size = entry->n,
			                             .offset = nvalues * 8,
			                             .bucket_size = entry->bucket_size };

		memcpy(desc, &head, sizeof(head));
		memcpy(desc + sizeof(head), entry->name, strlen(entry->name));
		assert_int_equal(pwrite(fd, desc, sizeof(desc), (off_t)(header.desc_offset + i * sizeof(desc))),
		                 sizeof(desc));
		for (unsigned j = 0; j < entry->n; j++)
			values[nvalues++] = entry->values[j] + (i == 0 ? first : 0);
	}
	assert_int_equal(pwrite(fd, values, nvalues * 8, header.data_offset), nvalues * 8);
	return fd;
}

static struct kvm_stats_header good_header(void)
{
	return (struct kvm_stats_header) {
		.name_size = NAME_SIZE, .num_desc = NENTRIES, .id_offset = 24, .desc_offset = 128, .data_offset = 1024
	};
}

static int start(void **state)
{
	static struct qmp_rig rig;

	qmp_rig_start(&rig);
	rig.fake->m.kvm.vm_fd = -1;
	for (unsigned i = 0; i < 2; i++)
		rig.fake->m.vcpus.vcpu[i].stats =
			(struct kvm_stats) { .is_asked = true, .fd = stats_file(i, good_header()) };
	*state = &rig;
	return 0;
}

static int end(void **state)
{
	struct qmp_rig *rig = *state;

	for (unsigned i = 0; i < 2; i++)
		kvm_stats_close(&rig->fake->m.vcpus.vcpu[i].stats);
	qmp_rig_close(rig);
	return 0;
}

static void expect(struct qmp_rig *rig, const char *command, const char *args, const char *result)
{
	struct json_object *ret = qmp_rig_run(rig, command, args);

	assert_string_equal(
		json_object_to_json_string_ext(ret, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), result);
	json_object_put(ret);
}

#define VCPU(idx, stats) \
	"{\"provider\":\"kvm\",\"qom-path\":\"/machine/unattached/device[" #idx "]\",\"stats\":[" stats "]}"

static void all_values_are_shown(void **state)
{
	expect(*state, "query-stats", "{\"target\": \"vcpu\", \"vcpus\": [\"/machine/unattached/device[1]\"]}",
	       "[" VCPU(1, "{\"name\":\"exits\",\"value\":1001},{\"name\":\"nested_run\",\"value\":true},"
	                   "{\"name\":\"halt_wait_ns\",\"value\":7},{\"name\":\"halt_wait_hist\",\"value\":[1,2,3]},"
	                   "{\"name\":\"of_a_later_kernel\",\"value\":5}") "]");
}

static void a_client_chooses_names(void **state)
{
	const char *exits = "[" VCPU(0, "{\"name\":\"exits\",\"value\":1000}") "," VCPU(
		1, "{\"name\":\"exits\",\"value\":1001}") "]";

	expect(*state, "query-stats",
	       "{\"target\": \"vcpu\", \"providers\": [{\"provider\": \"kvm\", \"names\": [\"exits\", \"none\"]}]}",
	       exits);
	expect(*state, "query-stats",
	       "{\"target\": \"vcpu\", \"providers\": [{\"provider\": \"kvm\", \"names\": [\"none\"]}]}", "[]");
	expect(*state, "query-stats", "{\"target\": \"vcpu\", \"providers\": []}", "[]");
	expect(*state, "query-stats", "{\"target\": \"vcpu\", \"vcpus\": []}", "[]");
}

static void wrong_arguments_are_refused(void **state)
{
	qmp_rig_expect_error(*state, "query-stats", NULL, "GenericError", "Parameter 'target' is missing");
	qmp_rig_expect_error(*state, "query-stats", "{\"target\": \"disk\"}", "GenericError",
	                     "Parameter 'target' does not accept value 'disk'");
	qmp_rig_expect_error(*state, "query-stats", "{\"target\": \"vm\", \"vcpus\": []}", "GenericError",
	                     "Parameter 'vcpus' is unexpected");
}

static void what_the_values_are_is_shown(void **state)
{
	expect(*state, "query-stats-schemas", "{\"provider\": \"kvm\"}",
	       "[{\"provider\":\"kvm\",\"target\":\"vcpu\",\"stats\":["
	       "{\"name\":\"exits\",\"type\":\"cumulative\",\"exponent\":0},"
	       "{\"name\":\"nested_run\",\"type\":\"instant\",\"unit\":\"boolean\",\"exponent\":0},"
	       "{\"name\":\"halt_wait_ns\",\"type\":\"cumulative\",\"unit\":\"seconds\",\"base\":10,\"exponent\":-9},"
	       "{\"name\":\"halt_wait_hist\",\"type\":\"linear-histogram\",\"unit\":\"bytes\",\"base\":2,\"exponent\":10,"
	       "\"bucket-size\":64}]}]");
}

/* Linux before 5.14, or a vCPU that does not leave the guest. */
static void without_statistics_there_are_none(void **state)
{
	struct qmp_rig *rig = *state;

	for (unsigned i = 0; i < 2; i++)
		kvm_stats_close(&rig->fake->m.vcpus.vcpu[i].stats);
	expect(rig, "query-stats", "{\"target\": \"vm\"}", "[]");
	expect(rig, "query-stats", "{\"target\": \"vcpu\"}", "[]");
	expect(rig, "query-stats-schemas", NULL, "[]");
}

static void a_file_of_another_form_is_not_read(void **state)
{
	struct qmp_rig *rig = *state;
	struct kvm_stats *stats = &rig->fake->m.vcpus.vcpu[0].stats;
	struct kvm_stats_header headers[] = { good_header(), good_header(), good_header(), good_header() };
	const char *args = "{\"target\": \"vcpu\", \"vcpus\": [\"/machine/unattached/device[0]\"]}";

	headers[0].name_size = 1u << 20;
	headers[1].num_desc = 1u << 20;
	headers[2].num_desc = NENTRIES + 1; // the last one has no value
	headers[3].desc_offset = 4096;
	for (unsigned i = 0; i < 4; i++) {
		kvm_stats_close(stats);
		*stats = (struct kvm_stats) { .is_asked = true, .fd = stats_file(0, good_header()) };
		assert_int_equal(pwrite(stats->fd, &headers[i], sizeof(headers[i]), 0), sizeof(headers[i]));
		expect(rig, "query-stats", args, "[]");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_values_are_shown, start, end),
		cmocka_unit_test_setup_teardown(a_client_chooses_names, start, end),
		cmocka_unit_test_setup_teardown(wrong_arguments_are_refused, start, end),
		cmocka_unit_test_setup_teardown(what_the_values_are_is_shown, start, end),
		cmocka_unit_test_setup_teardown(without_statistics_there_are_none, start, end),
		cmocka_unit_test_setup_teardown(a_file_of_another_form_is_not_read, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
