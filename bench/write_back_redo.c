// SPDX-License-Identifier: Apache-2.0
/*
 * A redo log in a file of its own, for bench-write-back: all pages of a flush by one sequential write. When the log is
 * full, the last version of each page in it is written to its place.
 *
 * An entry is its header pages and the pages themselves. The pages are copied first, because the guest may store to
 * them while the checksum is computed and while the disk reads them.
 */
#include "write_back.h"

#include <errno.h>
#include <fcntl.h>
#include <nmmintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_SIZE (32u << 20)
#define MAGIC 0x676f6c206f646572u

struct header {
	uint64_t magic, sequence;
	uint32_t checksum; // of everything after it in the entry
	uint32_t npages;
	uint32_t pages[];
};

static const struct window *window;
static int log_fd;
static uint8_t *copy; // of the whole log
static size_t next_off;
static uint64_t sequence;
static uint32_t *place;  // of each page of the window: its last version in the log, in pages from 1; or 0
static uint32_t *listed; // the pages that have one
static size_t nlisted;

void redo_open(const struct window *of, const char *path)
{
	size_t npages = of->size / PAGE_SIZE;

	window = of;
	log_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
	copy = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	place = calloc(npages, sizeof(*place));
	listed = calloc(npages, sizeof(*listed));
	if (log_fd < 0 || copy == MAP_FAILED || !place || !listed)
		die(path);
	// Every block is written once: later writes change data only.
	if (pwrite(log_fd, copy, LOG_SIZE, 0) != LOG_SIZE || fdatasync(log_fd) < 0)
		die(path);
}

/* The bytes after the last group of four words are left out: only the cost matters here. */
__attribute__((target("sse4.2"))) static uint32_t checksum(const uint8_t *from, size_t len)
{
	uint64_t sum = ~0u, words[4];

	for (size_t i = 0; i + sizeof(words) <= len; i += sizeof(words)) {
		memcpy(words, from + i, sizeof(words));
		sum = _mm_crc32_u64(sum, words[0]);
		sum = _mm_crc32_u64(sum, words[1]);
		sum = _mm_crc32_u64(sum, words[2]);
		sum = _mm_crc32_u64(sum, words[3]);
	}
	return (uint32_t)sum;
}

static void write_to_place(uint32_t page, uint32_t npages)
{
	size_t len = (size_t)npages * PAGE_SIZE;

	if (pwrite(window->direct_fd, copy + (size_t)(place[page] - 1) * PAGE_SIZE, len, (off_t)page * PAGE_SIZE) !=
	    (ssize_t)len)
		die("pwrite of the log's pages");
}

void redo_apply(void)
{
	uint32_t npages;

	for (size_t i = 0; i < nlisted; i += npages) {
		for (npages = 1; i + npages < nlisted; npages++)
			if (listed[i + npages] != listed[i] + npages ||
			    place[listed[i + npages]] != place[listed[i]] + npages)
				break;
		write_to_place(listed[i], npages);
	}
	if (fdatasync(window->fd) < 0)
		die("fdatasync");
	for (size_t i = 0; i < nlisted; i++)
		place[listed[i]] = 0;
	nlisted = 0;
	next_off = 0;
}

static void add_pages(const struct run *run, struct header *header, uint8_t *to)
{
	memcpy(to, window->hva + (size_t)run->first_page * PAGE_SIZE, (size_t)run->npages * PAGE_SIZE);
	for (uint32_t i = 0; i < run->npages; i++) {
		uint32_t page = run->first_page + i;

		header->pages[header->npages++] = page;
		if (place[page] == 0)
			listed[nlisted++] = page;
		place[page] = (uint32_t)((size_t)(to - copy) / PAGE_SIZE) + i + 1;
	}
}

void redo_write(const struct dirty *dirty)
{
	size_t npages = 0, header_size, entry_size;
	struct header *header;
	uint8_t *to;

	for (size_t i = 0; i < dirty->nruns; i++)
		npages += dirty->runs[i].npages;
	header_size = sizeof(*header) + npages * sizeof(header->pages[0]);
	header_size += (PAGE_SIZE - header_size % PAGE_SIZE) % PAGE_SIZE;
	entry_size = header_size + npages * PAGE_SIZE;
	if (entry_size > LOG_SIZE) {
		errno = EFBIG;
		die("a flush is larger than the log");
	}
	if (next_off + entry_size > LOG_SIZE)
		redo_apply();
	header = (struct header *)(void *)(copy + next_off);
	*header = (struct header) { .magic = MAGIC, .sequence = sequence++ };
	to = copy + next_off + header_size;
	for (size_t i = 0; i < dirty->nruns; i++) {
		add_pages(&dirty->runs[i], header, to);
		to += (size_t)dirty->runs[i].npages * PAGE_SIZE;
	}
	header->checksum = checksum((uint8_t *)&header->npages, entry_size - offsetof(struct header, npages));
	if (pwrite(log_fd, header, entry_size, (off_t)next_off) != (ssize_t)entry_size || fdatasync(log_fd) < 0)
		die("pwrite to the log");
	next_off += entry_size;
}
