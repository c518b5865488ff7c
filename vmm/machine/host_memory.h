// SPDX-License-Identifier: Apache-2.0
/*
 * host_memory.h - memory of the host for a guest without a file behind it: anonymous, or a memfd, which another process
 * can map as well. What memory-backend-ram and memory-backend-memfd are made of.
 */
#ifndef PMVM_HOST_MEMORY_H
#define PMVM_HOST_MEMORY_H

#include "broker.h"

#include <stdbool.h>
#include <stdint.h>

struct memdev_config;
struct vpmem_error;

struct host_memory {
	uint8_t *area; /* the addresses that were reserved: the memory, and guards around it */
	uint64_t area_size;
	uint8_t *hva; /* in it, aligned to 2 MiB, or to the huge page; NULL: there is none */
	uint64_t size;
	uint64_t page_size; /* the least part of it that can go back to the host: a page, or a huge page of hugetlb */
	int fd;             /* of the memfd; -1: none */
};

/* Memory that is private to this process is anonymous, unless it is of huge pages or `memfd`. */
struct host_memory_options {
	const struct memdev_config *cfg; /* borrowed; its `backing.dump` does not count */
	bool memfd;
	bool dump; /* false: MADV_DONTDUMP */
};

/*
 * Maps it, with all properties: NUMA policy, merge, dump, huge pages. With prealloc every page is there when it returns,
 * which may take long: a host that has too little memory is noticed before, and is -ENOMEM. On failure nothing is left.
 */
int host_memory_open(const struct host_memory_options *opts, struct host_memory *out, struct vpmem_error *err);
/* A memfd of its size, perhaps sealed; and how much memory the host can give. */
extern const struct broker_op host_memory_memfd_op, host_memory_available_op;
/* Legal for one that is empty. */
void host_memory_close(struct host_memory *mem);

#endif
