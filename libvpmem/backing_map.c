// SPDX-License-Identifier: Apache-2.0
/*
 * backing_map.c - the mapping of a memory backend, and the memory properties: NUMA policy, merge, dump, huge
 * pages.
 */
#include "backing.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Reserves addresses for the mapping at a multiple of align: KVM can use large pages only where guest and host
 * address agree modulo the large page's size, and the guest-physical side will be a multiple of it too.
 * The rest at both ends is unmapped if it is large. If not, it stays as a guard.
 */
static uint8_t *reserve_hva(struct vpmem_backing *b, uint64_t align)
{
	uint8_t *room, *hva;
	uint64_t before;

	if (b->map_len + align < b->map_len) {
		errno = ENOMEM;
		return NULL;
	}
	room = mmap(NULL, b->map_len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	before = round_up((uintptr_t)room, align) - (uintptr_t)room;
	hva = room + before;
	b->room = room;
	b->room_len = b->map_len + align;
	if (align > BACKING_HUGE_SIZE) {
		if (before)
			munmap(room, before);
		munmap(hva + b->map_len, align - before);
		b->room = hva;
		b->room_len = b->map_len;
	}
	return hva;
}

static int not_pmem(const struct vpmem_backing *b, struct vpmem_error *err)
{
	err_fail(err, -EOPNOTSUPP, "pmem=on: backing store %s is not on persistent memory: %s", b->path,
	         b->is_block ? "a block device is mapped through the page cache" :
	                       "its file system does not map it by DAX with MAP_SYNC");
	err_hint(err, "leave pmem out, every flush is an fdatasync then; or use a file on ext4 or xfs mounted with "
	              "-o dax on an NVDIMM, or a /dev/daxX.Y");
	return -EOPNOTSUPP;
}

/* The next step after a failed mapping, where the reason is known. */
static void hint_map(const struct vpmem_backing *b, const struct vpmem_backing_options *opts, int rc,
                     struct vpmem_error *err)
{
	struct rlimit limit;

	if (rc == -ENODEV)
		err_hint(err, "its file system does not support %s mappings (9p does with cache=mmap): use another one",
		         opts->share ? "shared" : "such");
	if (rc != -ENOMEM)
		return;
	if (b->is_huge)
		err_hint(err, "there are too few free huge pages: add some (/proc/sys/vm/nr_hugepages)%s",
		         opts->reserve && !opts->prealloc ? ", or reserve=off" : "");
	else if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		err_hint(err,
		         "this process may have %" PRIu64 " MiB of address space: raise the limit (ulimit -v), "
		         "or use a smaller size",
		         (uint64_t)limit.rlim_cur >> 20);
	else if (!opts->share && opts->reserve)
		err_hint(err, "reserve=off does not set memory aside for what the guest may write");
}

static int map_file(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	int prot = b->rom ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = MAP_FIXED | (opts->share ? MAP_SHARED : MAP_PRIVATE) | (opts->reserve ? 0 : MAP_NORESERVE);
	uint64_t align = b->align > BACKING_HUGE_SIZE ? b->align : BACKING_HUGE_SIZE;
	uint8_t *hva = reserve_hva(b, align);
	int rc;

	/* VALIDATE: a kernel or file system without MAP_SYNC then fails with EOPNOTSUPP. */
	if (opts->pmem)
		flags = (flags & ~MAP_SHARED) | MAP_SHARED_VALIDATE | MAP_SYNC;

	if (hva && mmap(hva, b->map_len, prot, flags, b->fd, (off_t)b->offset) != MAP_FAILED) {
		b->hva = hva;
		return 0;
	}
	rc = -errno;
	if (rc == -EOPNOTSUPP && opts->pmem) {
		not_pmem(b, err);
	} else {
		err_fail(err, rc, "%s: unable to map backing store %s for guest RAM: %m", b->id, b->path);
		hint_map(b, opts, rc, err);
	}
	backing_unmap(b);
	return rc;
}

/* Errors are ignored: a kernel without huge pages or page merging works as well. */
static void advise(const struct vpmem_backing *b, const struct vpmem_backing_options *opts)
{
	/* Without this, fork would turn the guest's private pages into copies. Shared pages are never copied. */
	if (!opts->share)
		madvise(b->hva, b->map_len, MADV_DONTFORK);
	madvise(b->hva, b->map_len, MADV_HUGEPAGE);
	/* Shared pages are never merged. */
	if (opts->merge && !opts->share)
		madvise(b->hva, b->map_len, MADV_MERGEABLE);
	if (!opts->dump)
		madvise(b->hva, b->map_len, MADV_DONTDUMP);
}

static int bind_nodes(const struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	static const int modes[] = {
		[VPMEM_POLICY_PREFERRED] = MPOL_PREFERRED,
		[VPMEM_POLICY_BIND] = MPOL_BIND,
		[VPMEM_POLICY_INTERLEAVE] = MPOL_INTERLEAVE,
	};
	unsigned long nodes = opts->host_nodes;

	if (opts->policy == VPMEM_POLICY_DEFAULT)
		return 0;
	/* The kernel uses one bit less than the given number. */
	if (syscall(SYS_mbind, b->hva, b->map_len, modes[opts->policy], &nodes, 8 * sizeof(nodes) + 1,
	            MPOL_MF_STRICT | MPOL_MF_MOVE))
		return err_fail(err, -errno, "cannot bind memory to host NUMA nodes: %m");
	return 0;
}

int backing_map(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	int rc;

	b->map_len = round_up(b->size, b->page_size);
	b->align = b->size >= BACKING_GIANT_SIZE ? BACKING_GIANT_SIZE : BACKING_HUGE_SIZE;
	if (opts->align)
		b->align = opts->align;
	rc = map_file(b, opts, err);
	if (rc)
		return rc;
	advise(b, opts);
	rc = bind_nodes(b, opts, err);
	if (!rc && opts->prealloc)
		rc = backing_prealloc(b, err);
	if (rc)
		backing_unmap(b);
	return rc;
}

void backing_unmap(struct vpmem_backing *b)
{
	if (b->room)
		munmap(b->room, b->room_len);
	b->room = b->hva = NULL;
}
