// SPDX-License-Identifier: Apache-2.0
// The properties that every memory backend has.
#include "config.h"
#include "props.h"

#include <assert.h>
#include <string.h>

// PROP_WORD writes an unsigned into this.
static_assert(sizeof(enum vpmem_policy) == sizeof(unsigned), "policy");

#define BACKING(field) offsetof(struct memdev_config, backing.field)

static const struct prop memory_backend_props[] = {
	{ .name = "dump",
	  .type = PROP_BOOL,
	  .offset = BACKING(dump),
	  .def = "on",
	  .help = "Set to 'off' to exclude from core dump" },
	{ .name = "host-nodes",
	  .type = PROP_NODES,
	  .offset = BACKING(host_nodes),
	  .help = "NUMA nodes of the host to bind to: N or N-M" },
	{ .name = "id", .type = PROP_ID, .offset = offsetof(struct memdev_config, obj.id), .hidden = true },
	{ .name = "merge",
	  .type = PROP_BOOL,
	  .offset = BACKING(merge),
	  .def = "on",
	  .help = "Mark memory as mergeable" },
	{ .name = "policy",
	  .type = PROP_WORD,
	  .type_name = "HostMemPolicy",
	  .offset = BACKING(policy),
	  .words = vpmem_policy_words,
	  .def = "default",
	  .help = "NUMA policy: default, preferred, bind, interleave" },
	{ .name = "prealloc-context",
	  .type = PROP_LINK,
	  .type_name = "link<thread-context>",
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = "there are no thread-context objects here: leave it out" },
	{ .name = "prealloc-threads",
	  .type = PROP_COUNT,
	  .offset = PROP_NOWHERE,
	  .def = "1",
	  .not_zero = true,
	  .help = "Accepted; there is one thread" },
	{ .name = "prealloc",
	  .type = PROP_BOOL,
	  .offset = BACKING(prealloc),
	  .def = "off",
	  .help = "Reserve the memory, or the file's blocks, before the guest starts" },
	{ .name = "qom-type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "reserve",
	  .type = PROP_BOOL,
	  .offset = BACKING(reserve),
	  .def = "on",
	  .help = "Reserve swap space (or huge pages) if applicable" },
	{ .name = "x-use-canonical-path-for-ramblock-id",
	  .type = PROP_BOOL,
	  .offset = PROP_NOWHERE,
	  .help = "Accepted, has no effect" },
};

const struct prop_class memory_backend_class = {
	.name = "memory-backend",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = memory_backend_props,
	.nprops = sizeof(memory_backend_props) / sizeof(memory_backend_props[0]),
};

struct memdev_config *memdev_config_of(struct object_config *cfg)
{
	assert(object_type_is(cfg->type, MEMORY_BACKEND));
	return (struct memdev_config *)cfg;
}
