// SPDX-License-Identifier: Apache-2.0
// KVM's dirty log as runs of pages: from the bitmap of a memory slot, or from the vCPU's ring.
#include "write_back.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define WORD_PAGES 64u

static struct vm *vm;
static enum mode mode;
static uint64_t *bitmap;
static size_t nwords;
static uint32_t *pages; // in the order of the ring
static uint32_t ring_next;
static struct run *runs;

void log_open(struct vm *of, enum mode with, const struct window *window)
{
	size_t npages = window->size / PAGE_SIZE;

	vm = of;
	mode = with;
	nwords = npages / WORD_PAGES;
	bitmap = calloc(nwords, sizeof(*bitmap));
	pages = calloc(RING_ENTRIES, sizeof(*pages));
	runs = calloc(npages, sizeof(*runs));
	if (!bitmap || !pages || !runs)
		die("calloc");
}

static void add_page(struct dirty *dirty, uint32_t page)
{
	struct run *last = dirty->nruns > 0 ? &dirty->runs[dirty->nruns - 1] : NULL;

	if (last && last->first_page + last->npages == page)
		last->npages++;
	else
		dirty->runs[dirty->nruns++] = (struct run) { .first_page = page, .npages = 1 };
}

static void clear_words(size_t first, size_t end)
{
	struct kvm_clear_dirty_log clear = { .slot = WINDOW_SLOT,
		                             .first_page = first * WORD_PAGES,
		                             .num_pages = (uint32_t)((end - first) * WORD_PAGES),
		                             .dirty_bitmap = bitmap + first };

	if (ioctl(vm->vm_fd, KVM_CLEAR_DIRTY_LOG, &clear) < 0)
		die("KVM_CLEAR_DIRTY_LOG");
}

static void take_bitmap(struct dirty *dirty)
{
	struct kvm_dirty_log get = { .slot = WINDOW_SLOT, .dirty_bitmap = bitmap };
	size_t first = nwords, end = 0;

	if (ioctl(vm->vm_fd, KVM_GET_DIRTY_LOG, &get) < 0)
		die("KVM_GET_DIRTY_LOG");
	for (size_t i = 0; i < nwords; i++) {
		if (bitmap[i] == 0)
			continue;
		if (first == nwords)
			first = i;
		end = i + 1;
		for (uint64_t word = bitmap[i]; word != 0; word &= word - 1)
			add_page(dirty, (uint32_t)(i * WORD_PAGES) + (uint32_t)__builtin_ctzll(word));
	}
	// A store after this is dirty again, for the next flush; what the pages hold from here on is written by this one.
	if (end > 0 && mode != MODE_UNARMED)
		clear_words(first, end);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void take_ring(struct dirty *dirty)
{
	bool sorted = true;
	size_t npages = 0;

	// The release in KVM's push of an entry pairs with this acquire.
	while (npages < RING_ENTRIES) {
		struct kvm_dirty_gfn *entry = &vm->ring[ring_next % RING_ENTRIES];

		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
			break;
		pages[npages] = (uint32_t)entry->offset;
		sorted = sorted && (npages == 0 || pages[npages - 1] < pages[npages]);
		npages++;
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		ring_next++;
	}
	if (npages > 0 && ioctl(vm->vm_fd, KVM_RESET_DIRTY_RINGS, 0) < 0)
		die("KVM_RESET_DIRTY_RINGS");
	if (!sorted)
		qsort(pages, npages, sizeof(*pages), by_number);
	for (size_t i = 0; i < npages; i++)
		if (i == 0 || pages[i] != pages[i - 1])
			add_page(dirty, pages[i]);
}

struct dirty log_take(void)
{
	struct dirty dirty = { .runs = runs };

	if (mode == MODE_RING)
		take_ring(&dirty);
	else
		take_bitmap(&dirty);
	return dirty;
}
