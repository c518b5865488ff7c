// SPDX-License-Identifier: Apache-2.0
/*
 * virtq_race_fuzz.c - the same guest as in virtq_flush_fuzz.c, and beside it a second processor that stores
 * into guest memory while the queue is served.
 *
 * The first byte says how many of the bytes that follow are that processor's stores: place (two bytes, of
 * which the top bit makes it an aligned store of 16 bits) and value (two bytes). It goes round them while a
 * queue is served, for a bounded number of stores. What a race does is not known in advance, so the oracle's
 * model of a chain rests; its rules about order, completion and syncs stay, and so do the guard pages.
 *
 * Guest memory is written by atomic stores here and read by guest_access.h there, so the thread sanitizer
 * knows that these races are meant, and would show any other.
 */
#include "flush_rig.h"

#include <semaphore.h>
#include <stdatomic.h>

#define STEPS_MAX 100u
#define STORES_MAX 3000u
#define PLACES_MAX 64u

static struct {
	sem_t go, done;
	atomic_bool serving;
	unsigned nplaces;
	struct {
		uint16_t place, val;
	} stores[PLACES_MAX];
	uint8_t *bytes[RIG_RAM_SIZE]; /* of guest memory */
} other;

/* The fuzzer counts what each input reaches, and its counters belong to one thread: this one leaves none. */
#define NOT_COUNTED __attribute__((no_sanitize("coverage")))

NOT_COUNTED static void store_one(unsigned n)
{
	unsigned place = (other.stores[n].place & 0x7fffu) % RIG_RAM_SIZE;
	uint16_t val = other.stores[n].val;

	if (other.stores[n].place & 0x8000u)
		__atomic_store_n((uint16_t *)(void *)other.bytes[place & ~1u], val, __ATOMIC_RELAXED);
	else
		__atomic_store_n(other.bytes[place], (uint8_t)val, __ATOMIC_RELAXED);
}

NOT_COUNTED static void *other_processor(void *opaque)
{
	(void)opaque;
	for (;;) {
		while (sem_wait(&other.go))
			;
		/* At least once round, also if the server is through already. */
		for (unsigned i = 0; other.nplaces && i < STORES_MAX; i++) {
			if (i >= other.nplaces && !atomic_load_explicit(&other.serving, memory_order_relaxed))
				break;
			store_one(i % other.nplaces);
		}
		sem_post(&other.done);
	}
	return NULL;
}

static void serve_begins(struct flush_rig *rig)
{
	(void)rig;
	atomic_store(&other.serving, true);
	sem_post(&other.go);
}

static void serve_ends(struct flush_rig *rig)
{
	(void)rig;
	atomic_store(&other.serving, false);
	while (sem_wait(&other.done))
		;
}

static void start_other_processor(void)
{
	static pthread_t thread;

	if (thread)
		return;
	for (unsigned i = 0; i < RIG_RAM_SIZE; i++)
		other.bytes[i] = flush_rig_byte(i);
	sem_init(&other.go, 0, 0);
	sem_init(&other.done, 0, 0);
	CHECK(pthread_create(&thread, NULL, other_processor, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct flush_rig rig;
	struct input in = { .data = data, .len = len };

	flush_rig_start(&rig, false);
	start_other_processor();
	other.nplaces = take8(&in) % (PLACES_MAX + 1);
	for (unsigned i = 0; i < other.nplaces; i++) {
		other.stores[i].place = take16(&in);
		other.stores[i].val = take16(&in);
	}
	rig.serve_begins = serve_begins;
	rig.serve_ends = serve_ends;
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		flush_rig_step(&rig, &in);
	flush_rig_serve(&rig);
	flush_rig_end(&rig);
	return 0;
}
