// SPDX-License-Identifier: Apache-2.0
/*
 * balloon_fuzz.c - the balloon device: any bytes of guest memory, descriptors, rings, pages and ranges, resets, pauses, a
 * clock, and a host that refuses.
 *
 * What holds: what goes back to the host is whole pages of RAM, and a huge page only if the guest gave each page of it, or
 * named it in a range; one hold of the lock has a bounded number of calls and bytes; a chain is returned once; of guest
 * memory nothing changes but the used rings; a machine that is stopped, or was reset, gives nothing back.
 */
#include "balloon_rig.h"
#include "fake_log.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#define STEPS_MAX 300u
#define USED_RING_SIZE (4u + 8u * BALLOON_QUEUE_SIZE_MAX + 2u)
#define HUGE_PAGES (RIG_HUGE_PAGE >> 12)

static struct balloon_rig rig;
static uint8_t before[RIG_RAM_SIZE];
static unsigned held[BALLOON_QUEUES][BALLOON_QUEUE_SIZE_MAX]; /* chains that the device has, by their heads */
static bool may_return;
static uint32_t features;

int __real_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	int rc = __real_virtq_pop(q, chain);

	CHECK(!rig.b.paused);
	// A driver may offer a head twice, which the device cannot know.
	if (rc == 0)
		held[q - rig.b.queues][chain->head]++;
	return rc;
}

void __real_virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	CHECK(len == 0 && head < BALLOON_QUEUE_SIZE_MAX && held[q - rig.b.queues][head]-- > 0);
	__real_virtq_push(q, head, len);
}

// ---- steps

/* In RAM of either kind, or anywhere. */
static uint64_t take_gpa(struct input *in)
{
	uint32_t val = take32(in);

	if (val & 1u << 31)
		return input_take(in, 8);
	return val & 1u << 30 ? RIG_HUGE_GPA + val % RIG_HUGE_SIZE : RIG_RAM_GPA + val % RIG_RAM_SIZE;
}

static void write_memory(struct input *in)
{
	uint32_t off = take32(in) % 0x20000u;

	for (uint8_t n = take8(in); n > 0 && off < RIG_RAM_SIZE; n--)
		rig.ram[off++] = take8(in);
}

static void write_desc(struct input *in)
{
	uint8_t where = take8(in);
	uint64_t gpa = take_gpa(in);
	uint32_t len = take32(in);
	uint8_t flags = take8(in);

	balloon_rig_desc(&rig, where >> 6, where % 64, gpa, len, flags, take8(in));
}

/* A request as a good driver makes it. */
static void good_pages(struct input *in)
{
	uint8_t what = take8(in);
	uint32_t pfn = RIG_PFN(take_gpa(in));
	unsigned n = take16(in) % 600u;

	balloon_rig_pages(&rig, what & 1 ? BALLOON_DEFLATE : BALLOON_INFLATE, (what >> 1) % 32, pfn, n,
	                  (int8_t)take8(in));
}

static void good_range(struct input *in)
{
	uint64_t gpa = take_gpa(in) & ~UINT64_C(0xfff);
	uint16_t head = take8(in) % RIG_QUEUE_SIZE;

	balloon_rig_range(&rig, head, gpa, take32(in) % (1u << 23));
}

static bool is_used_ring(uint64_t off)
{
	uint64_t in_ring = off % 0x4000;

	return off < 0x10000 && in_ring >= 0x2000 && in_ring < 0x2000 + USED_RING_SIZE;
}

static void check_memory(void)
{
	const uint64_t block = 256;

	for (uint64_t i = 0; i < RIG_RAM_SIZE; i += block)
		for (uint64_t k = i; memcmp(rig.ram + i, before + i, block) != 0 && k < i + block; k++)
			CHECK(rig.ram[k] == before[k] || is_used_ring(k));
}

static void check_return(uint64_t gpa, uint64_t size, bool reported)
{
	bool huge = gpa >= RIG_HUGE_GPA;
	uint64_t first = huge ? RIG_HUGE_GPA : RIG_RAM_GPA, all = huge ? RIG_HUGE_SIZE : RIG_RAM_SIZE;
	uint64_t page = huge ? RIG_HUGE_PAGE : BALLOON_PAGE_SIZE;

	CHECK(size > 0 && gpa >= first && gpa - first < all && size <= all - (gpa - first));
	CHECK((gpa - first) % page == 0 && size % page == 0);
	CHECK(reported ? size <= BALLOON_TURN_SIZE : size <= (huge ? page : BALLOON_TURN_PAGES * page));
}

/* The counts are those of the bits. */
static void check_given(void)
{
	const struct balloon_memory *memory = &rig.b.memory;

	for (unsigned huge = 0; memory->given[1] && huge < RIG_HUGE_SIZE / RIG_HUGE_PAGE; huge++) {
		unsigned n = 0;

		for (unsigned i = 0; i < HUGE_PAGES / 64; i++)
			n += (unsigned)__builtin_popcountll(memory->given[1][huge * HUGE_PAGES / 64 + i]);
		CHECK(n == memory->ngiven[1][huge]);
	}
}

static void serve(struct input *in)
{
	int timeout_ms;

	rig.return_error = take8(in) % 8 == 0 ? ENOMEM : 0;
	rig.nreturns = 0;
	memcpy(before, rig.ram, sizeof(before));
	timeout_ms = balloon_serve(&rig.b);
	check_memory();
	check_given();
	for (unsigned i = 0; i < rig.nreturns && i < RIG_RETURNS_MAX; i++)
		check_return(rig.returns[i].gpa, rig.returns[i].size, rig.returns[i].reported);
	CHECK(rig.turn_max.ncalls <= BALLOON_TURN_PAGES && rig.turn_max.size <= BALLOON_TURN_PAGES * RIG_HUGE_PAGE);
	CHECK(rig.nreturns == 0 || (may_return && !rig.b.paused));
	CHECK(timeout_ms >= -1 && (timeout_ms == -1 || rig.b.stats_interval_s > 0));
	CHECK(!rig.b.request.taken || rig.b.paused);
}

static void reset(struct input *in)
{
	balloon_rig_reset(&rig);
	memset(held, 0, sizeof(held));
	may_return = take8(in) & 1;
	if (may_return)
		balloon_rig_start(&rig, features);
}

static void step(struct input *in)
{
	uint16_t queue;

	switch (take8(in) % 11) {
	case 0:
		write_memory(in);
		break;
	case 1:
		write_desc(in);
		break;
	case 2:
		queue = take8(in) % BALLOON_QUEUES;
		balloon_rig_offer(&rig, queue, take16(in));
		break;
	case 3:
	case 4:
		good_pages(in);
		break;
	case 5:
		good_range(in);
		break;
	case 6:
		serve(in);
		break;
	case 7:
		rig.now_ms += take16(in);
		rig.b.stats_interval_s = take8(in) % 4;
		rig.b.stats_due_ms = rig.b.stats_interval_s ? rig.now_ms : 0;
		break;
	case 8:
		reset(in);
		break;
	case 9:
		queue = take8(in) % BALLOON_QUEUES;
		virtio_queue_reset(&rig.b.dev.virtio, queue);
		memset(held[queue], 0, sizeof(held[queue]));
		virtio_queue_enable(&rig.b.dev.virtio, queue);
		break;
	case 10:
		rig.b.paused = take8(in) % 4 == 0;
		rig.b.poison_val = take8(in) % 4 == 0;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { .data = data, .len = len };
	uint8_t setup = take8(&in);

	fake_log_clear();
	memset(held, 0, sizeof(held));
	features = setup & 2 ? UINT32_C(1) << BALLOON_F_MUST_TELL_HOST : 0;
	balloon_rig_init(&rig, setup & 1);
	balloon_rig_start(&rig, features | UINT32_C(1) << BALLOON_F_REPORTING | UINT32_C(1) << BALLOON_F_STATS_VQ);
	may_return = true;
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		step(&in);
	balloon_rig_fini(&rig);
	return 0;
}
