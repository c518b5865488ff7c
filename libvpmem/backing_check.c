// SPDX-License-Identifier: Apache-2.0
/*
 * backing_check.c - options of a memory backend that contradict each other, whatever the file is.
 */
#include "backing.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

const char *const vpmem_policy_words[] = {
	[VPMEM_POLICY_DEFAULT] = "default",       [VPMEM_POLICY_PREFERRED] = "preferred", [VPMEM_POLICY_BIND] = "bind",
	[VPMEM_POLICY_INTERLEAVE] = "interleave", [VPMEM_POLICY_INTERLEAVE + 1] = NULL,
};

static int check_numa(const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	if ((unsigned)opts->policy > VPMEM_POLICY_INTERLEAVE)
		return err_fail(err, -EINVAL, "Parameter 'policy' is not valid");
	if (opts->policy == VPMEM_POLICY_DEFAULT && opts->host_nodes != 0)
		return err_fail(err, -EINVAL,
		                "host-nodes must be empty for policy default, or you should explicitly "
		                "specify a policy other than default");
	if (opts->policy != VPMEM_POLICY_DEFAULT && opts->host_nodes == 0)
		return err_fail(err, -EINVAL, "host-nodes must be set for policy %s", vpmem_policy_words[opts->policy]);
	return 0;
}

int backing_check_units(const struct vpmem_backing_options *opts, uint64_t page_size, struct vpmem_error *err)
{
	if (opts->align % page_size != 0)
		return err_fail(err, -EINVAL, "alignment 0x%" PRIx64 " must be multiples of page size 0x%" PRIx64,
		                opts->align, page_size);
	if (opts->align & (opts->align - 1))
		return err_fail(err, -EINVAL, "alignment 0x%" PRIx64 " must be a power of two", opts->align);
	if (opts->offset % page_size != 0)
		return err_fail(err, -EINVAL, "offset 0x%" PRIx64 " must be multiples of page size 0x%" PRIx64,
		                opts->offset, page_size);
	return 0;
}

static int check_rom(const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	if (opts->rom == VPMEM_ROM_ON && !opts->readonly)
		return err_fail(err, -EINVAL, "property 'rom' = 'on' is not supported with 'readonly' = 'off'");
	if (opts->rom == VPMEM_ROM_OFF && opts->readonly && opts->share)
		return err_fail(err, -EINVAL,
		                "property 'rom' = 'off' is incompatible with 'readonly' = 'on' and 'share' = 'on'");
	return 0;
}

static int check_real_pmem(const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	if (opts->pmem && opts->readonly) {
		err_fail(err, -EINVAL, "property 'pmem' = 'on' is not supported with 'readonly' = 'on'");
		err_hint(err, "leave pmem out: nothing is stored, so nothing has to be made durable");
		return -EINVAL;
	}
	if (opts->pmem && !opts->share) {
		err_fail(err, -EINVAL, "property 'pmem' = 'on' is not supported with 'share' = 'off'");
		err_hint(err, "add share=on: a copy on write never reaches the persistent memory");
		return -EINVAL;
	}
	if (opts->writeback != VPMEM_WRITEBACK_AUTO && !opts->pmem)
		return err_fail(err, -EINVAL, "property 'pmem-writeback' is not supported with 'pmem' = 'off'");
	if ((unsigned)opts->writeback > VPMEM_WRITEBACK_GUEST)
		return err_fail(err, -EINVAL, "Parameter 'pmem-writeback' is not valid");
	return 0;
}

int vpmem_backing_check(const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	int rc;

	if (!opts->path || !*opts->path)
		return err_fail(err, -EINVAL, "Parameter 'mem-path' is missing");
	rc = check_numa(opts, err);
	if (rc == 0)
		rc = backing_check_units(opts, (uint64_t)sysconf(_SC_PAGESIZE), err);
	if (rc)
		return rc;
	if (opts->prealloc && !opts->reserve)
		return err_fail(err, -EINVAL, "'prealloc=on' and 'reserve=off' are incompatible");
	rc = check_rom(opts, err);
	return rc ? rc : check_real_pmem(opts, err);
}
