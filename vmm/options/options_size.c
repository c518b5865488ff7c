// SPDX-License-Identifier: Apache-2.0
// -m and -smp: how much memory and how many processors. Both merge when they are repeated, as in QEMU.
#include "error.h"
#include "keyval.h"
#include "log.h"
#include "options_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define RAM_SLOTS_MAX 256u

#define MEM(prop_name, prop_type, field)                                                         \
	{                                                                                        \
		.name = prop_name, .type = prop_type, .offset = offsetof(struct mem_args, field) \
	}
static const struct prop mem_props[] = {
	MEM("maxmem", PROP_OPT_SIZE, maxmem),
	MEM("size", PROP_OPT_SIZE, size),
	MEM("slots", PROP_OPT_NUMBER, slots),
};
static const struct prop_class mem_class = {
	.name = "memory",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = mem_props,
	.nprops = sizeof(mem_props) / sizeof(mem_props[0]),
};

#define SMP(prop_name)                                                       \
	{                                                                    \
		.name = #prop_name, .type = PROP_UINT64, .type_name = "num", \
		.offset = offsetof(struct smp_args, prop_name)               \
	}
// Levels of other architectures' machines.
#define ONE(prop_name)                                                                                          \
	{                                                                                                       \
		.name = prop_name, .type = PROP_UINT64, .type_name = "num", .offset = PROP_NOWHERE, .only = "1" \
	}
static const struct prop smp_props[] = {
	ONE("books"),   ONE("clusters"), SMP(cores),     SMP(cpus),    SMP(dies),
	ONE("drawers"), SMP(maxcpus),    ONE("modules"), SMP(sockets), SMP(threads),
};
static const struct prop_class smp_class = {
	.name = "smp-opts",
	.prefix = "smp.",
	.unknown = PROP_UNKNOWN_UNEXPECTED,
	.props = smp_props,
	.nprops = sizeof(smp_props) / sizeof(smp_props[0]),
};

#define NOT_GIVEN UINT64_MAX
#define SMP_FIELDS 6u

// The idx-th number of the struct; SMP_FIELDS of them, in the order of the struct.
static uint64_t *smp_field(struct smp_args *smp, unsigned idx)
{
	uint64_t *const fields[] = {
		&smp->cpus, &smp->maxcpus, &smp->sockets, &smp->dies, &smp->cores, &smp->threads,
	};

	return fields[idx];
}

// "-m 512" means MiB; maxmem=512 and all other sizes are bytes.
static int scale_size(struct cmdline *cl, const char *text)
{
	bool has_suffix = text[1] != 'x' && text[1] != 'X' && !isdigit((unsigned char)text[strlen(text) - 1]);

	if (has_suffix)
		return 0;
	if (cl->mem.size > UINT64_MAX >> 20)
		return error_set(cl->err, -ERANGE, "Value '%s' is out of range for parameter 'size'", text);
	cl->mem.size <<= 20;
	return 0;
}

int handle_m(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "size" };
	struct json_object *size, *json;
	bool help = false;
	int rc;

	cl->mem.place = cl->now;
	json = keyval_parse(arg, &syntax, &help);
	if (!json)
		return error_set(cl->err, -ENOMEM, "out of memory");
	if (help)
		props_help(&mem_class, stdout);
	rc = help ? HANDLED_HELP : props_apply(&mem_class, json, PROPS_TEXT, &cl->mem, cl->err);
	if (rc == 0 && json_object_object_get_ex(json, "size", &size))
		rc = scale_size(cl, json_object_get_string(size));
	cl->mem.has_maxmem |= json_object_object_get_ex(json, "maxmem", NULL);
	cl->mem.has_slots |= json_object_object_get_ex(json, "slots", NULL);
	json_object_put(json);
	return rc;
}

// In QEMU, maxmem and slots reserve address space for memory devices. pmvm always has such a window, and only checks them.
static int check_maxmem(struct cmdline *cl)
{
	const struct mem_args *mem = &cl->mem;
	uint64_t size = cl->opts->ram_size;

	if (!mem->has_maxmem)
		return mem->has_slots && mem->slots > 0 ?
		               error_set(cl->err, -EINVAL, "slots specified but no max-size") :
		               0;
	if (mem->maxmem < size)
		return error_set(cl->err, -EINVAL,
		                 "invalid value of maxmem: maximum memory size (0x%" PRIx64 ") must be "
		                 "at least the initial memory size (0x%" PRIx64 ")",
		                 mem->maxmem, size);
	if (mem->slots > 0 && mem->maxmem == size)
		return error_set(cl->err, -EINVAL,
		                 "invalid value of maxmem: memory slots were specified but maximum "
		                 "memory size (0x%" PRIx64 ") is equal to the initial memory size "
		                 "(0x%" PRIx64 ")",
		                 mem->maxmem, size);
	if (mem->slots > RAM_SLOTS_MAX)
		return error_set(cl->err, -EINVAL, "unsupported amount of memory slots: %" PRIu64, mem->slots);
	if (mem->maxmem % 4096 != 0)
		return error_set(cl->err, -EINVAL, "maximum memory size must by aligned to multiple of 4096 bytes");
	return 0;
}

int finish_m(struct cmdline *cl)
{
	uint64_t size = cl->mem.size;

	cl->now = cl->mem.place;
	if (size > RAM_SIZE_MAX) {
		error_set(cl->err, -EINVAL, "memory size (0x%" PRIx64 ") must be at most 0x%" PRIx64, size,
		          RAM_SIZE_MAX);
		error_hint(cl->err, "a number without K, M, G or T counts MiB");
		return -EINVAL;
	}
	if (size > 0 && size < RAM_SIZE_MIN) {
		error_set(cl->err, -EINVAL, "memory size (0x%" PRIx64 ") must be at least 0x%" PRIx64, size,
		          RAM_SIZE_MIN);
		error_hint(cl->err, "a Linux guest needs about 128M");
		return -EINVAL;
	}
	if (size > 0)
		cl->opts->ram_size = (size + RAM_GRANULE - 1) / RAM_GRANULE * RAM_GRANULE;
	return check_maxmem(cl);
}

int handle_smp(struct cmdline *cl, const char *arg)
{
	struct smp_args given;
	int rc;

	// 0 cannot mean "not given": it is an error.
	for (unsigned i = 0; i < SMP_FIELDS; i++)
		*smp_field(&given, i) = NOT_GIVEN;
	cl->smp.place = cl->now;
	rc = option_keyval(cl, arg, "cpus", &smp_class, &given);
	for (unsigned i = 0; i < SMP_FIELDS && rc == 0; i++) {
		uint64_t val = *smp_field(&given, i);

		if (val == NOT_GIVEN)
			continue;
		if (val == 0)
			rc = error_set(cl->err, -EINVAL,
			               "Invalid CPU topology: CPU topology parameters must be greater "
			               "than zero");
		*smp_field(&cl->smp, i) = val;
	}
	return rc;
}

// Fills in what was not given: cores before sockets, then threads, as QEMU does since 6.2.
static void complete_topology(struct smp_args *smp)
{
	if (smp->dies == 0)
		smp->dies = 1;
	if (smp->maxcpus == 0)
		smp->maxcpus = smp->cpus;
	if (smp->maxcpus == 0) {
		smp->sockets += smp->sockets == 0;
		smp->cores += smp->cores == 0;
		smp->threads += smp->threads == 0;
	} else if (smp->cores == 0) {
		smp->sockets += smp->sockets == 0;
		smp->threads += smp->threads == 0;
		smp->cores = smp->maxcpus / (smp->sockets * smp->dies * smp->threads);
	} else if (smp->sockets == 0) {
		smp->threads += smp->threads == 0;
		smp->sockets = smp->maxcpus / (smp->dies * smp->cores * smp->threads);
	}
	if (smp->threads == 0)
		smp->threads = smp->maxcpus / (smp->sockets * smp->dies * smp->cores);
	if (smp->maxcpus == 0)
		smp->maxcpus = smp->sockets * smp->dies * smp->cores * smp->threads;
	if (smp->cpus == 0)
		smp->cpus = smp->maxcpus;
}

static int check_topology(const struct smp_args *smp, struct vpmem_error *err)
{
	uint64_t product = smp->sockets * smp->dies * smp->cores * smp->threads;
	char text[160];

	snprintf(text, sizeof(text),
	         "sockets (%" PRIu64 ") * dies (%" PRIu64 ") * cores (%" PRIu64 ") * threads (%" PRIu64 ")",
	         smp->sockets, smp->dies, smp->cores, smp->threads);
	if (product != smp->maxcpus)
		return error_set(err, -EINVAL,
		                 "Invalid CPU topology: product of the hierarchy must match maxcpus: "
		                 "%s != maxcpus (%" PRIu64 ")",
		                 text, smp->maxcpus);
	if (smp->maxcpus < smp->cpus)
		return error_set(err, -EINVAL,
		                 "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
		                 "%s == maxcpus (%" PRIu64 ") < smp_cpus (%" PRIu64 ")",
		                 text, smp->maxcpus, smp->cpus);
	return 0;
}

// Within these limits no product of four numbers overflows.
static int check_limits(struct smp_args *smp, struct vpmem_error *err)
{
	uint64_t most = smp->cpus > smp->maxcpus ? smp->cpus : smp->maxcpus;

	if (most > CPUS_MAX)
		return error_set(err, -EINVAL,
		                 "Invalid SMP CPUs %" PRIu64 ". The max CPUs supported by machine "
		                 "'pmvm' is %u",
		                 most, CPUS_MAX);
	for (unsigned i = 0; i < SMP_FIELDS; i++)
		if (*smp_field(smp, i) > UINT16_MAX)
			return error_set(err, -ERANGE, "Invalid CPU topology: %" PRIu64 " is too large",
			                 *smp_field(smp, i));
	return 0;
}

int finish_smp(struct cmdline *cl)
{
	struct smp_args smp = cl->smp;
	bool shaped = smp.sockets > 1 || smp.threads > 1 || smp.dies > 1;
	int rc;

	if (!smp.place.option)
		return 0;
	cl->now = smp.place;
	rc = check_limits(&smp, cl->err);
	if (rc < 0)
		return rc;
	complete_topology(&smp);
	rc = check_topology(&smp, cl->err);
	if (rc == 0)
		rc = check_limits(&smp, cl->err);
	if (rc < 0)
		return rc;
	if (smp.maxcpus > smp.cpus)
		log_warn("-smp: maxcpus=%" PRIu64 " is ignored: processors cannot be added later", smp.maxcpus);
	if (shaped)
		log_warn("-smp: the guest sees one socket with %" PRIu64 " cores of one thread each", smp.cpus);
	cl->opts->ncpus = (unsigned)smp.cpus;
	return 0;
}
