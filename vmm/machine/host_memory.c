// SPDX-License-Identifier: Apache-2.0
// Memory of the host for a guest: anonymous or a memfd, of small or huge pages, mapped with its properties.
#include "host_memory.h"

#include "config.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define ALIGN (UINT64_C(2) << 20) /* so that large pages are possible */
#define KIB 1024u
#define MIB (KIB * KIB)

// ---- the memfd

static unsigned memfd_flags(const struct memdev_config *cfg)
{
	unsigned flags = MFD_CLOEXEC | (cfg->seal ? MFD_ALLOW_SEALING : 0);

	if (!cfg->hugetlb)
		return flags;
	flags |= MFD_HUGETLB;
	if (cfg->hugetlbsize > 0)
		flags |= (unsigned)__builtin_ctzll(cfg->hugetlbsize) << MFD_HUGE_SHIFT;
	return flags;
}

static int no_memfd(const struct memdev_config *cfg, int rc, struct vpmem_error *err)
{
	error_set(err, rc, "%s: failed to create memfd: %s", cfg->obj.id, strerror(-rc));
	if (cfg->hugetlb && cfg->hugetlbsize > 0)
		error_hint(err,
		           "the host has no huge pages of %" PRIu64
		           " KiB: /sys/kernel/mm/hugepages lists the sizes that it has",
		           cfg->hugetlbsize / KIB);
	else if (cfg->hugetlb)
		error_hint(err, "the host's kernel has no huge pages (CONFIG_HUGETLBFS): leave hugetlb out");
	return rc;
}

static int size_error(int rc, const struct memdev_config *cfg, uint64_t page_size, struct vpmem_error *err)
{
	if (cfg->backing.size % page_size != 0) {
		error_set(err, rc, "%s: memory size 0x%" PRIx64 " must be a multiple of the page size 0x%" PRIx64,
		          cfg->obj.id, cfg->backing.size, page_size);
		error_hint(err, "its pages have %" PRIu64 " KiB: use another size, or other pages (hugetlbsize)",
		           page_size / KIB);
		return rc;
	}
	return error_set(err, rc, "%s: failed to resize memfd to %" PRIu64 ": %s", cfg->obj.id, cfg->backing.size,
	                 strerror(-rc));
}

enum memfd_step { MEMFD_CREATE, MEMFD_SIZE, MEMFD_SEAL };

struct memfd_in {
	uint64_t size;
	unsigned flags; // of memfd_create; with MFD_ALLOW_SEALING the size is sealed
};

struct memfd_out {
	uint64_t page_size;   // 0: there is no memfd
	enum memfd_step step; // on failure: which one failed
};

static int set_up_memfd(int fd, const struct memfd_in *in, struct memfd_out *out)
{
	struct statfs fs;

	out->page_size = fstatfs(fd, &fs) == 0 ? (uint64_t)fs.f_bsize : (uint64_t)sysconf(_SC_PAGESIZE);
	out->step = MEMFD_SIZE;
	if (in->size % out->page_size != 0)
		return -EINVAL;
	if (ftruncate(fd, (off_t)in->size) < 0)
		return -errno;
	out->step = MEMFD_SEAL;
	if (in->flags & MFD_ALLOW_SEALING && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

static int serve_memfd(struct broker_call *call)
{
	const struct memfd_in *in = call->in;
	int rc, fd;

	if (in->flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | (unsigned)MFD_HUGE_MASK << MFD_HUGE_SHIFT))
		return -EINVAL;
	fd = memfd_create("memory-backend-memfd", in->flags);
	if (fd < 0)
		return -errno;
	rc = set_up_memfd(fd, in, call->out);
	if (rc < 0)
		close(fd);
	else
		call->fds[call->nfds++] = fd;
	return rc;
}

const struct broker_op host_memory_memfd_op = {
	.name = "memfd",
	.in_size = sizeof(struct memfd_in),
	.out_size = sizeof(struct memfd_out),
	.serve = serve_memfd,
};

static int create_memfd(const struct memdev_config *cfg, struct host_memory *mem, uint64_t *page_size,
                        struct vpmem_error *err)
{
	const struct memfd_in in = { .size = cfg->backing.size, .flags = memfd_flags(cfg) };
	struct memfd_out out = { .step = MEMFD_CREATE };
	struct broker_call call = { .in = &in, .out = &out };
	int rc = broker_call(&host_memory_memfd_op, &call);

	if (out.page_size > 0)
		*page_size = out.page_size;
	if (rc == 0)
		mem->fd = call.fds[0];
	else if (out.step == MEMFD_CREATE)
		no_memfd(cfg, rc, err);
	else if (out.step == MEMFD_SIZE)
		size_error(rc, cfg, *page_size, err);
	else
		error_set(err, rc, "%s: failed to seal memfd: %s", cfg->obj.id, strerror(-rc));
	return rc;
}

// ---- the mapping

static int no_mapping(const struct memdev_config *cfg, uint64_t page_size, int rc, struct vpmem_error *err)
{
	uint64_t size = cfg->backing.size;

	error_set(err, rc, "%s: unable to map backing store for guest RAM: %s", cfg->obj.id, strerror(-rc));
	if (rc != -ENOMEM)
		return rc;
	if (cfg->hugetlb)
		error_hint(err,
		           "it needs %" PRIu64 " free huge pages of %" PRIu64 " KiB: write a larger number to "
		           "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages, or leave hugetlb out",
		           size / page_size, page_size / KIB, page_size / KIB);
	else
		error_hint(err, "it asks for %" PRIu64 " MiB: give the guest less, or the host more memory or swap",
		           size / MIB);
	return rc;
}

static int map(const struct memdev_config *cfg, struct host_memory *mem, uint64_t page_size, struct vpmem_error *err)
{
	const struct vpmem_backing_options *opts = &cfg->backing;
	uint64_t align = page_size > ALIGN ? page_size : ALIGN;
	int flags = (opts->share ? MAP_SHARED : MAP_PRIVATE) | (mem->fd < 0 ? MAP_ANONYMOUS : 0) |
	            (opts->reserve ? 0 : MAP_NORESERVE);
	uint8_t *area = MAP_FAILED;

	if (opts->size <= UINT64_MAX - align)
		area = mmap(NULL, opts->size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	else
		errno = ENOMEM;
	if (area == MAP_FAILED)
		return no_mapping(cfg, page_size, -errno, err);
	mem->area = area;
	mem->area_size = opts->size + align;
	mem->hva = area + -(uintptr_t)area % align;
	mem->size = opts->size;
	if (mmap(mem->hva, mem->size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, mem->fd, 0) == MAP_FAILED)
		return no_mapping(cfg, page_size, -errno, err);
	return 0;
}

// Errors are ignored: a kernel without large pages or page merging works as well.
static void advise(const struct host_memory_options *opts, const struct host_memory *mem)
{
	const struct vpmem_backing_options *b = &opts->cfg->backing;

	// Without this, fork would turn private pages into copies. Shared pages are never copied, and never merged.
	if (!b->share)
		(void)madvise(mem->hva, mem->size, MADV_DONTFORK);
	if (!opts->cfg->hugetlb)
		(void)madvise(mem->hva, mem->size, MADV_HUGEPAGE);
	if (b->merge && !b->share)
		(void)madvise(mem->hva, mem->size, MADV_MERGEABLE);
	if (!opts->dump)
		(void)madvise(mem->hva, mem->size, MADV_DONTDUMP);
}

static int bind_nodes(const struct memdev_config *cfg, const struct host_memory *mem, struct vpmem_error *err)
{
	static const int modes[] = {
		[VPMEM_POLICY_PREFERRED] = MPOL_PREFERRED,
		[VPMEM_POLICY_BIND] = MPOL_BIND,
		[VPMEM_POLICY_INTERLEAVE] = MPOL_INTERLEAVE,
	};
	unsigned long nodes = cfg->backing.host_nodes;

	if (cfg->backing.policy == VPMEM_POLICY_DEFAULT)
		return 0;
	// The kernel uses one bit less than the given number.
	if (syscall(SYS_mbind, mem->hva, mem->size, modes[cfg->backing.policy], &nodes, 8 * sizeof(nodes) + 1,
	            MPOL_MF_STRICT | MPOL_MF_MOVE) < 0)
		return error_set(err, -errno, "cannot bind memory to host NUMA nodes: %s", strerror(errno));
	return 0;
}

// ---- prealloc

struct available_out {
	uint64_t size;
};

static int serve_available(struct broker_call *call)
{
	static const char available[] = "MemAvailable:", swap[] = "SwapFree:";
	struct available_out *out = call->out;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, available, strlen(available)) == 0)
			out->size += strtoull(line + strlen(available), NULL, 10) * KIB;
		if (strncmp(line, swap, strlen(swap)) == 0)
			out->size += strtoull(line + strlen(swap), NULL, 10) * KIB;
	}
	fclose(file);
	return 0;
}

const struct broker_op host_memory_available_op = {
	.name = "meminfo",
	.out_size = sizeof(struct available_out),
	.serve = serve_available,
};

// What the host can give without killing a process: free memory and swap, in bytes. UINT64_MAX: unknown.
static uint64_t available_size(void)
{
	struct available_out out;
	struct broker_call call = { .out = &out };

	return broker_call(&host_memory_available_op, &call) == 0 ? out.size : UINT64_MAX;
}

static int too_little(const struct memdev_config *cfg, int rc, struct vpmem_error *err)
{
	error_set(err, rc, "prealloc: %s: cannot populate %" PRIu64 " bytes of memory: %s", cfg->obj.id,
	          cfg->backing.size, strerror(-rc));
	return rc;
}

// A host that has too little ends a process, perhaps this one, and reports no error: so it is asked before.
static int populate(const struct memdev_config *cfg, const struct host_memory *mem, struct vpmem_error *err)
{
	uint64_t available = cfg->hugetlb ? UINT64_MAX : available_size();

	if (mem->size > available) {
		too_little(cfg, -ENOMEM, err);
		error_hint(err,
		           "the host has %" PRIu64 " MiB of memory and swap available: give the guest less, or leave "
		           "prealloc out",
		           available / MIB);
		return -ENOMEM;
	}
	return madvise(mem->hva, mem->size, MADV_POPULATE_WRITE) < 0 ? too_little(cfg, -errno, err) : 0;
}

// ----

int host_memory_open(const struct host_memory_options *opts, struct host_memory *out, struct vpmem_error *err)
{
	const struct memdev_config *cfg = opts->cfg;
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	int rc = 0;

	*out = (struct host_memory) { .fd = -1 };
	if (opts->memfd || cfg->backing.share)
		rc = create_memfd(cfg, out, &page_size, err);
	out->page_size = page_size;
	if (rc == 0)
		rc = map(cfg, out, page_size, err);
	if (rc == 0) {
		advise(opts, out);
		rc = bind_nodes(cfg, out, err);
	}
	if (rc == 0 && cfg->backing.prealloc)
		rc = populate(cfg, out, err);
	if (rc < 0)
		host_memory_close(out);
	return rc;
}

void host_memory_close(struct host_memory *mem)
{
	if (mem->area)
		munmap(mem->area, mem->area_size);
	if (mem->fd >= 0)
		close(mem->fd);
	*mem = (struct host_memory) { .fd = -1 };
}
