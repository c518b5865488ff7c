// SPDX-License-Identifier: Apache-2.0
// query-stats, query-stats-schemas: what KVM counts of the machine and of each vCPU.
#include "command.h"

#include "error.h"
#include "json_get.h"
#include "json_make.h"
#include "kvm.h"
#include "kvm_stats.h"
#include "machine.h"
#include "schema_make.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

static ENUM(provider_type, "StatsProvider", "kvm");
static ENUM(target_type, "StatsTarget", "vm", "vcpu");
static OBJECT(request_type, "StatsRequest", MEMBER("provider", provider_type), OPTIONAL("names", schema_strs));
static ARRAY(requests_type, request_type);
static OBJECT(filter_type, "StatsFilter", MEMBER("target", target_type), OPTIONAL("providers", requests_type),
              OPTIONAL("vcpus", schema_strs));
static OBJECT(stats_type, "Stats", MEMBER("name", schema_str), MEMBER("value", schema_any));
static ARRAY(stats_list_type, stats_type);
static OBJECT(result_type, "StatsResult", MEMBER("provider", provider_type), OPTIONAL("qom-path", schema_str),
              MEMBER("stats", stats_list_type));
static ARRAY(results_type, result_type);

static OBJECT(schemas_args_type, "query-stats-schemas-arg", OPTIONAL("provider", provider_type));
static ENUM(kind_type, "StatsType", "cumulative", "instant", "peak", "linear-histogram", "log2-histogram");
static ENUM(unit_type, "StatsUnit", "bytes", "seconds", "cycles", "boolean");
static OBJECT(value_type, "StatsSchemaValue", MEMBER("name", schema_str), MEMBER("type", kind_type),
              OPTIONAL("unit", unit_type), OPTIONAL("base", schema_int), MEMBER("exponent", schema_int),
              OPTIONAL("bucket-size", schema_int));
static ARRAY(values_type, value_type);
static OBJECT(schema_type, "StatsSchema", MEMBER("provider", provider_type), MEMBER("target", target_type),
              MEMBER("stats", values_type));
static ARRAY(schemas_type, schema_type);

/* Whether a list of strings has the text; one that is not there has every text. */
static bool has(struct json_object *list, const char *text)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), text) == 0)
			return true;
	return !list;
}

// ---- values

struct wanted {
	struct json_object *requests; /* of query-stats; NULL: all */
	struct json_object *stats;    /* the array that is filled */
};

/* A request without names, or with an empty list of them, is one for all. No request at all asks for nothing. */
static bool is_wanted(const struct wanted *wanted, const char *name)
{
	for (size_t i = 0; wanted->requests && i < json_object_array_length(wanted->requests); i++) {
		struct json_object *names = get(json_object_array_get_idx(wanted->requests, i), "names");

		if (!names || json_object_array_length(names) == 0 || has(names, name))
			return true;
	}
	return !wanted->requests;
}

static struct json_object *one_value(const struct kvm_stats_desc *desc, uint64_t value)
{
	return (desc->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_BOOLEAN ? json_object_new_boolean(value != 0) :
	                                                                       json_object_new_uint64(value);
}

static void add_value(void *opaque, const struct kvm_stats_desc *desc, const uint64_t *values)
{
	const struct wanted *wanted = opaque;
	struct json_object *stat, *list;

	if (!is_wanted(wanted, desc->name))
		return;
	stat = json_object_new_object();
	put_str(stat, "name", desc->name);
	if (desc->size == 1) {
		put(stat, "value", one_value(desc, values[0]));
	} else {
		list = json_object_new_array();
		for (unsigned i = 0; i < desc->size; i++)
			add_to(list, json_object_new_uint64(values[i]));
		put(stat, "value", list);
	}
	add_to(wanted->stats, stat);
}

/* path: of a vCPU; NULL: of the machine. */
static void add_result(struct json_object *results, int fd, struct json_object *requests, const char *path)
{
	struct wanted wanted = { .requests = requests, .stats = json_object_new_array() };
	struct json_object *result;

	if (kvm_stats_each(fd, add_value, &wanted) < 0 || json_object_array_length(wanted.stats) == 0) {
		json_object_put(wanted.stats);
		return;
	}
	result = json_object_new_object();
	put_str(result, "provider", "kvm");
	if (path)
		put_str(result, "qom-path", path);
	put(result, "stats", wanted.stats);
	add_to(results, result);
}

static void add_machine(struct json_object *results, const struct machine *m, struct json_object *requests)
{
	struct kvm_stats stats;

	if (kvm_stats_open(&stats, m->kvm.vm_fd) < 0)
		return;
	add_result(results, stats.fd, requests, NULL);
	kvm_stats_close(&stats);
}

static void add_vcpus(struct json_object *results, struct machine *m, struct json_object *requests,
                      struct json_object *paths)
{
	char path[64];

	vcpus_open_stats(&m->vcpus);
	for (unsigned i = 0; i < m->vcpus.n; i++) {
		snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		if (has(paths, path))
			add_result(results, m->vcpus.vcpu[i].stats.fd, requests, path);
	}
}

static int query_stats(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                       struct vpmem_error *err)
{
	struct json_object *requests = get(args, "providers"), *paths = get(args, "vcpus"), *results;
	bool is_vm = strcmp(get_str(args, "target"), "vm") == 0;

	if (is_vm && paths)
		return error_set(err, -EINVAL, "Parameter 'vcpus' is unexpected");
	results = json_object_new_array();
	if (is_vm)
		add_machine(results, ctx->machine, requests);
	else
		add_vcpus(results, ctx->machine, requests, paths);
	return command_return(results, ret, err);
}

const struct command cmd_query_stats = {
	.name = "query-stats",
	.args = &filter_type,
	.ret = &results_type,
	.run = query_stats,
};

// ---- schemas

/* The word for a number of a field of desc->flags; NULL: a later kernel has more of them than is known here. */
static const char *word(const char *const *words, unsigned n, uint32_t flags, uint32_t mask, unsigned shift)
{
	uint32_t number = (flags & mask) >> shift;

	return number < n ? words[number] : NULL;
}

static void add_schema_value(void *opaque, const struct kvm_stats_desc *desc, const uint64_t *values)
{
	static const char *const kinds[] = { "cumulative", "instant", "peak", "linear-histogram", "log2-histogram" };
	static const char *const units[] = { NULL, "bytes", "seconds", "cycles", "boolean" };
	const char *kind = word(kinds, 5, desc->flags, KVM_STATS_TYPE_MASK, KVM_STATS_TYPE_SHIFT);
	const char *unit = word(units, 5, desc->flags, KVM_STATS_UNIT_MASK, KVM_STATS_UNIT_SHIFT);
	struct json_object *value;

	(void)values;
	if (!kind)
		return;
	value = json_object_new_object();
	put_str(value, "name", desc->name);
	put_str(value, "type", kind);
	if (unit)
		put_str(value, "unit", unit);
	if (desc->exponent)
		put_int(value, "base", (desc->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW10 ? 10 : 2);
	put_int(value, "exponent", desc->exponent);
	if ((desc->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_LINEAR_HIST)
		put_uint(value, "bucket-size", desc->bucket_size);
	add_to(opaque, value);
}

static void add_schema(struct json_object *schemas, int fd, const char *target)
{
	struct json_object *values = json_object_new_array(), *schema;

	if (kvm_stats_each(fd, add_schema_value, values) < 0) {
		json_object_put(values);
		return;
	}
	schema = json_object_new_object();
	put_str(schema, "provider", "kvm");
	put_str(schema, "target", target);
	put(schema, "stats", values);
	add_to(schemas, schema);
}

static int query_stats_schemas(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                               struct vpmem_error *err)
{
	struct json_object *schemas = json_object_new_array();
	struct machine *m = ctx->machine;
	struct kvm_stats stats;

	(void)args;
	if (kvm_stats_open(&stats, m->kvm.vm_fd) == 0) {
		add_schema(schemas, stats.fd, "vm");
		kvm_stats_close(&stats);
	}
	vcpus_open_stats(&m->vcpus);
	for (unsigned i = 0; i < m->vcpus.n; i++) {
		if (m->vcpus.vcpu[i].stats.fd < 0)
			continue;
		// All vCPUs have the same.
		add_schema(schemas, m->vcpus.vcpu[i].stats.fd, "vcpu");
		break;
	}
	return command_return(schemas, ret, err);
}

const struct command cmd_query_stats_schemas = {
	.name = "query-stats-schemas",
	.args = &schemas_args_type,
	.ret = &schemas_type,
	.run = query_stats_schemas,
};
