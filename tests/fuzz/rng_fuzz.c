// SPDX-License-Identifier: Apache-2.0
/*
 * rng_fuzz.c - the entropy device: any bytes of guest memory, descriptors and rings, resets, a clock, and a file that is
 * short, slow, at its end or broken.
 *
 * What holds: a chain is returned once, and before the next one is taken; no period gives more than the quota; besides the
 * used ring, no more bytes of guest memory change than were returned.
 */
#include "fake_log.h"
#include "fuzz.h"
#include "rng_rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MAX 500u
#define SOURCE_FD 1000 /* nobody has it */
#define USED_RING_SIZE (4u + 8u * RNG_QUEUE_SIZE_MAX + 2u)

static struct rng_rig rig;
static uint8_t before[RIG_RAM_SIZE];
static unsigned npopped, npushed;
static uint64_t given, given_in_period, given_in_serve;
static uint8_t source[4]; /* what the next reads do */
static unsigned nreads;

ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	uint8_t what;

	if (fd != SOURCE_FD)
		return __real_read(fd, buf, len);
	CHECK(len > 0 && len <= VIRTIO_RNG_CHUNK_SIZE);
	what = source[nreads++ % sizeof(source)];
	if (what < 3)
		errno = what == 0 ? EAGAIN : what == 1 ? EIO : EINTR;
	// A read that is interrupted is repeated; not for ever.
	if (what < 2 || (what == 2 && nreads < 1000))
		return -1;
	if (what == 3)
		return 0;
	if (what < len)
		len = what;
	memset(buf, what, len);
	return (ssize_t)len;
}

int __real_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain);
int __wrap_virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	int rc = __real_virtq_pop(q, chain);

	CHECK(npopped == npushed);
	npopped += rc == 0;
	return rc;
}

void __real_virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t len);
void __wrap_virtq_push(struct virtq *q, uint16_t head, uint32_t len)
{
	npushed++;
	CHECK(npushed == npopped && head == rig.rng.request.head && len <= VIRTIO_RNG_CHUNK_SIZE);
	given_in_serve += len;
	__real_virtq_push(q, head, len);
}

// ---- steps

/* In RAM, or anywhere. */
static uint64_t take_gpa(struct input *in)
{
	uint32_t val = take32(in);

	return val & 1u << 31 ? input_take(in, 8) : RIG_RAM_GPA + val % RIG_RAM_SIZE;
}

static void write_memory(struct input *in)
{
	uint32_t off = take32(in) % RIG_RAM_SIZE;

	for (uint8_t n = take8(in); n > 0 && off < RIG_RAM_SIZE; n--)
		rig.ram[off++] = take8(in);
}

static void write_desc(struct input *in)
{
	uint8_t where = take8(in);
	uint64_t gpa = take_gpa(in);
	uint32_t len = take32(in);
	uint8_t flags = take8(in);

	rng_rig_desc(&rig, where & 0x80 ? RIG_INDIRECT : RIG_DESC, where % 32, gpa, len, flags, take8(in));
}

/* A request as a good driver makes it. */
static void good_request(struct input *in)
{
	uint8_t head = take8(in) % RNG_QUEUE_SIZE_MAX;

	rng_rig_request(&rig, head, take16(in) % 0x1000u);
}

/* A request in the middle was forgotten; it is not returned in the new life. */
static void forget_requests(void)
{
	npushed = npopped;
}

static bool is_used_ring(uint64_t off)
{
	uint64_t used_off = RIG_USED - RIG_RAM_GPA;

	return off >= used_off && off < used_off + USED_RING_SIZE;
}

static void check_memory(void)
{
	const uint64_t block = 256;
	uint64_t nchanged = 0;

	for (uint64_t i = 0; i < RIG_RAM_SIZE; i += block)
		for (uint64_t k = i; memcmp(rig.ram + i, before + i, block) != 0 && k < i + block; k++)
			nchanged += rig.ram[k] != before[k] && !is_used_ring(k);
	CHECK(nchanged <= given_in_serve);
}

static void serve(struct input *in)
{
	uint64_t period = rig.rng.period_end_ms;
	int timeout_ms = -2;
	enum rng_wait wait;

	for (unsigned i = 0; i < sizeof(source); i++)
		source[i] = take8(in);
	nreads = 0;
	given_in_serve = 0;
	memcpy(before, rig.ram, sizeof(before));
	wait = rng_rig_serve(&rig, &timeout_ms);
	check_memory();
	if (rig.rng.period_end_ms != period)
		given_in_period = 0;
	given_in_period += given_in_serve;
	CHECK(given_in_period <= rig.rng.max_bytes);
	CHECK(rig.rng.quota <= rig.rng.max_bytes);
	CHECK(wait == RNG_WAIT_KICK || wait == RNG_WAIT_SOURCE ? timeout_ms == -1 : timeout_ms > 0);
	CHECK(wait != RNG_WAIT_SOURCE || rig.rng.source_fd >= 0);
	given += given_in_serve;
}

static void step(struct input *in)
{
	switch (take8(in) % 9) {
	case 0:
		write_memory(in);
		break;
	case 1:
		write_desc(in);
		break;
	case 2:
		rng_rig_offer(&rig, take16(in));
		break;
	case 3:
		good_request(in);
		break;
	case 4:
	case 5:
		serve(in);
		break;
	case 6:
		rig.now_ms += take16(in);
		break;
	case 7:
		virtio_reset(&rig.rng.dev.virtio);
		forget_requests();
		if (take8(in) & 1)
			rng_rig_start(&rig);
		break;
	case 8:
		virtio_queue_reset(&rig.rng.dev.virtio, 0);
		if (!rig.rng.queue.regs.enabled)
			forget_requests();
		virtio_queue_enable(&rig.rng.dev.virtio, 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { .data = data, .len = len };
	uint8_t setup = take8(&in);
	uint64_t max_bytes = setup & 2 ? INT64_MAX : take16(&in);
	uint32_t period_ms = 1u + take16(&in);

	fake_log_clear();
	npopped = npushed = 0;
	given = given_in_period = 0;
	rng_rig_init(&rig, setup & 1 ? SOURCE_FD : -1, max_bytes, period_ms);
	rng_rig_start(&rig);
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		step(&in);
	rng_rig_fini(&rig);
	return 0;
}
