// SPDX-License-Identifier: Apache-2.0
// memory-backend-file: its properties and their checks.
#include "config.h"
#include "props.h"

#include <assert.h>
#include <json-c/json.h>

// PROP_WORD writes an unsigned into these.
static_assert(sizeof(enum vpmem_rom) == sizeof(unsigned), "rom");
static_assert(sizeof(enum vpmem_writeback) == sizeof(unsigned), "writeback");

static const char *const rom_words[] = {
	[VPMEM_ROM_AUTO] = "auto", [VPMEM_ROM_ON] = "on", [VPMEM_ROM_OFF] = "off", NULL
};
static const char *const writeback_words[] = {
	[VPMEM_WRITEBACK_AUTO] = "auto", [VPMEM_WRITEBACK_HOST] = "host", [VPMEM_WRITEBACK_GUEST] = "guest", NULL
};

#define BACKING(field) offsetof(struct memdev_config, backing.field)

static const struct prop memory_backend_file_props[] = {
	{ .name = "align",
	  .type = PROP_SIZE,
	  .offset = BACKING(align),
	  .def = "0",
	  .help = "Alignment of the mapping, a power of two; 0: chosen" },
	{ .name = "discard-data",
	  .type = PROP_BOOL,
	  .offset = BACKING(discard_data),
	  .def = "off",
	  .help = "Discard the contents of the file when the VM ends" },
	{ .name = "mem-path",
	  .type = PROP_STR,
	  .type_name = "string",
	  .offset = offsetof(struct memdev_config, mem_path),
	  .required = true,
	  .help = "File, block device, or directory for a scratch file" },
	{ .name = "offset",
	  .type = PROP_SIZE,
	  .offset = BACKING(offset),
	  .def = "0",
	  .help = "Offset of the memory in the file (ex: 1G)" },
	{ .name = "pmem-writeback",
	  .type = PROP_WORD,
	  .type_name = "PmemWriteback",
	  .offset = BACKING(writeback),
	  .words = writeback_words,
	  .def = "auto",
	  .help = "With pmem=on, who writes back CPU caches for a flush: auto, host (fdatasync), guest" },
	{ .name = "pmem",
	  .type = PROP_BOOL,
	  .offset = BACKING(pmem),
	  .def = "off",
	  .help = "The file is on persistent memory of the host (DAX): map it with MAP_SYNC" },
	{ .name = "readonly",
	  .type = PROP_BOOL,
	  .offset = BACKING(readonly),
	  .def = "off",
	  .help = "Open the file read-only" },
	{ .name = "rom",
	  .type = PROP_WORD,
	  .type_name = "OnOffAuto",
	  .offset = BACKING(rom),
	  .words = rom_words,
	  .def = "auto",
	  .help = "Map without write permission; auto: as readonly" },
	{ .name = "share",
	  .type = PROP_BOOL,
	  .offset = BACKING(share),
	  .def = "off",
	  .help = "Stores go to the file; off: copy-on-write" },
	{ .name = "size",
	  .type = PROP_SIZE,
	  .offset = BACKING(size),
	  .not_zero = true,
	  .help = "Size of the memory region (ex: 500M); default: the size of the file" },
};

const struct prop_class memory_backend_file_class = {
	.name = "memory-backend-file",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.base = &memory_backend_class,
	.props = memory_backend_file_props,
	.nprops = sizeof(memory_backend_file_props) / sizeof(memory_backend_file_props[0]),
};

static int check(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	struct memdev_config *cfg = object_config_as(obj, &memory_backend_file_type);

	cfg->backing.id = obj->id;
	cfg->backing.path = cfg->mem_path;
	cfg->dump_set = json_object_object_get_ex(props, "dump", NULL);
	return vpmem_backing_check(&cfg->backing, err);
}

const struct object_type memory_backend_file_type = {
	.props = &memory_backend_file_class,
	.config_size = sizeof(struct memdev_config),
	.base = MEMORY_BACKEND,
	.example = ",share=on,mem-path=FILE",
	.check = check,
};
