// SPDX-License-Identifier: Apache-2.0
// -numa, and what the guest's RAM is made of: an object that -machine memory-backend= or -numa node,memdev= names.
#include "error.h"
#include "keyval.h"
#include "options_internal.h"
#include "suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static const struct prop numa_props[] = {
	{ .name = "cpus", .type = PROP_NODES, .offset = offsetof(struct numa_args, cpus) },
	{ .name = "initiator", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "0", .why = "there is node 0 only" },
	{ .name = "mem", .type = PROP_STR, .offset = offsetof(struct numa_args, mem) },
	{ .name = "memdev", .type = PROP_STR, .offset = offsetof(struct numa_args, memdev) },
	{ .name = "nodeid", .type = PROP_UINT32, .offset = offsetof(struct numa_args, nodeid) },
	{ .name = "type", .type = PROP_STR, .offset = PROP_NOWHERE },
};
static const struct prop_class numa_class = {
	.name = "numa",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = numa_props,
	.nprops = sizeof(numa_props) / sizeof(numa_props[0]),
};

#define ONE_NODE "the machine has one node: -numa node,memdev=ID"

static int check_type(const char *type, struct vpmem_error *err)
{
	static const char *const others[] = { "cpu", "dist", "hmat-cache", "hmat-lb" };

	if (!type)
		return error_set(err, -EINVAL, "Parameter 'type' is missing");
	if (strcmp(type, "node") == 0)
		return 0;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(type, others[i]) != 0)
			continue;
		error_set(err, -ENOTSUP, "'%s' is not supported", type);
		error_hint(err, ONE_NODE);
		return -ENOTSUP;
	}
	error_set(err, -EINVAL, "Parameter 'type' does not accept value '%.200s'", type);
	error_hint(err, ONE_NODE);
	return -EINVAL;
}

static int check_node(const struct numa_args *numa, unsigned nnodes, struct vpmem_error *err)
{
	if (numa->mem) {
		error_set(err, -EINVAL, "Parameter -numa node,mem is not supported by this machine type");
		error_hint(err, "Use -numa node,memdev instead");
		return -EINVAL;
	}
	if (nnodes == 0 && numa->nodeid == 0)
		return 0;
	if (nnodes > 0 && numa->nodeid == 0)
		error_set(err, -EINVAL, "a second NUMA node is not supported");
	else
		error_set(err, -EINVAL, "NUMA node %" PRIu32 " is not supported", numa->nodeid);
	error_hint(err, ONE_NODE);
	return -EINVAL;
}

int handle_numa(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "type", .list_key = "cpus" };
	struct numa_args numa = { 0 };
	struct json_object *json, *type = NULL;
	bool help = false;
	int rc;

	json = keyval_parse(arg, &syntax, &help);
	if (!json)
		return error_set(cl->err, -ENOMEM, "out of memory");
	if (help)
		props_help(&numa_class, stdout);
	json_object_object_get_ex(json, "type", &type);
	rc = help ? HANDLED_HELP : check_type(json_object_get_string(type), cl->err);
	if (rc == 0)
		rc = props_apply(&numa_class, json, PROPS_TEXT, &numa, cl->err);
	json_object_put(json);
	if (rc == 0)
		rc = check_node(&numa, cl->nnodes, cl->err);
	if (rc == 0 && numa.memdev)
		rc = option_string(cl, &cl->numa_memdev, numa.memdev);
	cl->nnodes++;
	cl->numa_cpus = numa.cpus;
	cl->numa_place = cl->now;
	props_release(&numa_class, &numa);
	return rc;
}

// ---- at the end: the object is there, and its size is that of -m

static const struct memdev_config *find_backend(const struct machine_config *opts, const char *id, struct suggest *s)
{
	for (unsigned i = 0; i < opts->nobjects; i++) {
		struct object_config *obj = opts->objects[i];

		if (!object_type_is(obj->type, MEMORY_BACKEND))
			continue;
		if (strcmp(obj->id, id) == 0)
			return memdev_config_of(obj);
		suggest_offer(s, obj->id);
	}
	return NULL;
}

static int not_found(const char *id, bool by_numa, const struct suggest *s, struct vpmem_error *err)
{
	error_set(err, -ENODEV, by_numa ? "memdev=%.200s is ambiguous" : "Memory backend '%.200s' not found", id);
	if (s->best)
		error_hint(err, "did you mean %s?", s->best);
	else
		error_hint(err, "it names an object: -object memory-backend-memfd,id=%.64s,size=SIZE", id);
	return -ENODEV;
}

// A file whose size is not given is measured when it is open: machine_memory.c.
static int check_size(const struct cmdline *cl, uint64_t size, bool by_numa, struct vpmem_error *err)
{
	uint64_t ram_size = cl->opts->ram_size;

	if (size == 0 || size == ram_size || (cl->mem.size == 0 && !by_numa))
		return 0;
	if (by_numa)
		error_set(err, -EINVAL,
		          "total memory for NUMA nodes (0x%" PRIx64 ") should equal RAM size (0x%" PRIx64 ")", size,
		          ram_size);
	else
		error_set(err, -EINVAL, "Machine memory size does not match the size of the memory backend");
	error_hint(err, "the object has %" PRIu64 " bytes: -m %" PRIu64 "B", size, size);
	return -EINVAL;
}

static bool is_read_only(const struct memdev_config *memdev)
{
	return memdev->backing.readonly && memdev->backing.rom != VPMEM_ROM_OFF;
}

static int check_backend(struct cmdline *cl, const char *id, bool by_numa)
{
	struct suggest s = { .word = id };
	const struct memdev_config *memdev = find_backend(cl->opts, id, &s);
	int rc;

	if (!memdev)
		return not_found(id, by_numa, &s, cl->err);
	if (is_read_only(memdev)) {
		error_set(cl->err, -EINVAL, "memory backend '%s' is read-only", id);
		error_hint(cl->err, "RAM is written: leave readonly out, or use readonly=on,rom=off,share=off");
		return -EINVAL;
	}
	rc = check_size(cl, memdev->backing.size, by_numa, cl->err);
	// Without -m it is the object's, whatever that is.
	if (rc == 0 && cl->mem.size == 0 && !by_numa)
		cl->opts->ram_size = 0;
	return rc;
}

// One node: the guest has it without being told, and all its processors and memory are there.
static int check_numa(struct cmdline *cl)
{
	unsigned ncpus = cl->opts->ncpus;

	if (cl->opts->memory_backend && cl->numa_memdev) {
		error_set(cl->err, -EINVAL,
		          "'-machine memory-backend' and '-numa memdev' properties are mutually exclusive");
		error_hint(cl->err, "leave one of them out");
		return -EINVAL;
	}
	if (ncpus < 64 && cl->numa_cpus >> ncpus != 0)
		return error_set(cl->err, -EINVAL, "CPU index (%d) should be smaller than maxcpus (%u)",
		                 63 - __builtin_clzll(cl->numa_cpus), ncpus);
	if (cl->numa_memdev)
		return 0;
	error_set(cl->err, -EINVAL, "total memory for NUMA nodes (0x0) should equal RAM size (0x%" PRIx64 ")",
	          cl->opts->ram_size);
	error_hint(cl->err, ONE_NODE);
	return -EINVAL;
}

int finish_memory(struct cmdline *cl)
{
	int rc = 0;

	if (cl->nnodes > 0) {
		cl->now = cl->numa_place;
		rc = check_numa(cl);
		if (rc == 0)
			rc = check_backend(cl, cl->numa_memdev, true);
		if (rc == 0)
			rc = option_string(cl, &cl->opts->memory_backend, cl->numa_memdev);
	} else if (cl->opts->memory_backend) {
		cl->now = cl->backend_place;
		rc = check_backend(cl, cl->opts->memory_backend, false);
	}
	return rc;
}
