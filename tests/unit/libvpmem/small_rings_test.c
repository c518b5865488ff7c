// SPDX-License-Identifier: Apache-2.0
/*
 * small_rings_test.c - every small ring: all queues of 1, 2 and 4 descriptors, and all indirect tables of 1
 * and 2, over all classes of flags, next and length, each served as one request.
 *
 * For every one of them:
 *   1. serving it ends;
 *   2. the chain is returned exactly once, by its head; a head outside the table is never returned;
 *   3. no byte changes but the status that was found, the used ring, and nothing outside guest memory
 *      (a page that faults lies on either side of it);
 *   4. used.len is the number of bytes written: 4, and then they hold 0 or -1; or 0;
 *   5. the status is 0 exactly if the chain is a flush in due form, after exactly one sync; in every other
 *      case there is no sync;
 *   6. the device needs a reset exactly if the chain breaks a MUST of the specification.
 * What is due form, and a MUST, is said a second time here, by a model that works on the classes instead
 * of the bytes.
 *
 * Classes: lengths 0 to 5 stand for empty, too short, exact and too long; "outside" for every bad address
 * (virtq_test has the edges). A descriptor without NEXT has one class whatever its next field says; one that
 * ends the walk (empty, outside, bad indirect) has one whatever else it says. For 4 descriptors the lengths
 * are 2 and 4 only. The descriptors' buffers are disjoint and alike, so for 4 descriptors head 0 stands
 * for all heads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "pmem.h"
#include "driver.h"
#include "fake_backing.h"

#define CLASSES_MAX 128
#define TABLE_MAX 2 /* entries of an indirect table */
#define OUTSIDE_GPA GUEST_END
#define NO_HEAD 0xffffu

/* A descriptor as the model sees it. */
enum kind {
	BUFFER,
	OUTSIDE,   /* a buffer outside guest memory */
	TABLE,     /* indirect: the table under test, or the good one */
	TABLE_BAD, /* indirect, and wrong in itself */
};

struct class
{
	enum kind kind;
	bool writable;
	bool next;
	uint32_t len;
	uint16_t next_idx;
	unsigned flags; /* TABLE, TABLE_BAD: besides INDIRECT */
};

struct ring {
	unsigned size; /* of the queue */
	struct class desc[4];
	unsigned table_size; /* of the indirect table */
	struct class table[TABLE_MAX];
	bool indirect; /* negotiated */
};

struct answer {
	bool returned, needs_reset;
	unsigned nstatus; /* bytes of a status that was found: 4 or 0 */
	unsigned nplaces; /* different bytes that they are: a loop can find one twice */
	bool flush;
};

/* ---- the model ----------------------------------------------------------------------------------- */

static struct answer model(const struct ring *ring, unsigned head)
{
	struct answer answer = { .returned = head < ring->size, .needs_reset = true };
	const struct class *entries = ring->desc;
	unsigned nentries = ring->size, nread = 0, nbuffers = 0, idx = head;
	unsigned taken[4 + TABLE_MAX] = { 0 };
	bool in_table = false, ordered = true, whole = false;

	for (;;) {
		const struct class *c;

		/* every buffer of a chain that is too long was looked at before */
		if (nbuffers == ring->size || idx >= nentries)
			break;
		c = &entries[idx];
		if (c->kind == TABLE || c->kind == TABLE_BAD) {
			if (c->kind == TABLE_BAD || in_table || !ring->indirect)
				break;
			in_table = true;
			entries = ring->table;
			nentries = ring->table_size;
			idx = 0;
			continue;
		}
		nbuffers++;
		if (c->len == 0) {
			answer.needs_reset = false;
			break;
		}
		if (c->kind == OUTSIDE)
			break;
		if (c->writable) {
			unsigned missing = 4 - answer.nstatus, take = c->len < missing ? c->len : missing;
			unsigned buffer = in_table ? 4 + idx : idx;

			answer.nstatus += take;
			taken[buffer] = take > taken[buffer] ? take : taken[buffer];
		} else {
			ordered = ordered && answer.nstatus == 0;
			nread += c->len;
		}
		if (!c->next) {
			whole = true;
			answer.needs_reset = false;
			break;
		}
		idx = c->next_idx;
	}
	answer.nstatus = answer.nstatus < 4 ? 0 : 4;
	for (unsigned i = 0; i < 4 + TABLE_MAX && answer.nstatus; i++)
		answer.nplaces += taken[i];
	answer.flush = whole && ordered && nread == 4 && answer.nstatus == 4;
	return answer;
}

/* ---- the classes --------------------------------------------------------------------------------- */

struct classes {
	unsigned n;
	struct class at[CLASSES_MAX];
};

static void add(struct classes *classes, struct class c)
{
	assert_true(classes->n < CLASSES_MAX);
	classes->at[classes->n++] = c;
}

/* All classes for a table of this many entries. */
static struct classes all_classes(unsigned nentries, const uint32_t *lens, unsigned nlens)
{
	struct classes classes = { 0 };

	for (unsigned writable = 0; writable < 2; writable++) {
		add(&classes, (struct class) { .kind = BUFFER, .writable = writable, .len = 0 });
		add(&classes, (struct class) { .kind = OUTSIDE, .writable = writable, .len = 4 });
		for (unsigned i = 0; i < nlens; i++) {
			struct class c = { .kind = BUFFER, .writable = writable, .len = lens[i] };

			add(&classes, c);
			c.next = true;
			/* the first index outside the table too */
			for (c.next_idx = 0; c.next_idx <= nentries; c.next_idx++)
				add(&classes, c);
		}
	}
	add(&classes, (struct class) { .kind = TABLE });
	add(&classes, (struct class) { .kind = TABLE, .flags = F_WRITE });
	add(&classes, (struct class) { .kind = TABLE_BAD, .flags = F_NEXT });
	add(&classes, (struct class) { .kind = TABLE_BAD, .len = 8 });
	add(&classes, (struct class) { .kind = TABLE_BAD, .len = 40 });
	return classes;
}

static const uint32_t all_lens[] = { 1, 2, 3, 4, 5 };
static const uint32_t few_lens[] = { 2, 4 };

/* ---- one ring ------------------------------------------------------------------------------------ */

/* A device without a worker: the test serves the queue itself. */
struct fixture {
	struct driver d;
	struct vpmem_device dev;
	struct vpmem_backing *backing;
	uint64_t nrings;
};

static struct fixture fixture;

/* The buffers of descriptor i (of the table: i + 4), 8 bytes each; one that is read holds zeros. */
static uint64_t read_gpa(unsigned i)
{
	return DATA_GPA + 8 * i;
}

static uint64_t write_gpa(unsigned i)
{
	return DATA_GPA + 0x80 + 8 * i;
}

static void put(struct driver *d, uint64_t table_gpa, unsigned entry, unsigned buffer, const struct class *c,
                unsigned table_size)
{
	uint64_t gpa = c->writable ? write_gpa(buffer) : read_gpa(buffer);
	uint32_t len = c->len;
	unsigned flags = (c->writable ? F_WRITE : 0) | (c->next ? F_NEXT : 0);

	if (c->kind == OUTSIDE)
		gpa = OUTSIDE_GPA - 2;
	if (c->kind == TABLE || c->kind == TABLE_BAD) {
		gpa = TABLE_GPA;
		len = c->len ? c->len : 16 * table_size;
		flags = F_INDIRECT | c->flags;
	}
	driver_table_desc(d, table_gpa, entry, gpa, len, flags, c->next_idx);
}

static void restart(struct fixture *f, const struct ring *ring)
{
	struct vpmem_device *dev = &f->dev;
	uint64_t features = FEATURE_VERSION_1 | (ring->indirect ? FEATURE_INDIRECT : 0);
	struct vpmem_queue regs = {
		.size = (uint16_t)ring->size,
		.desc_gpa = DESC_GPA,
		.driver_gpa = AVAIL_GPA,
		.device_gpa = USED_GPA,
	};

	vpmem_device_set_status(dev, 0);
	vpmem_device_set_driver_features(dev, 0, (uint32_t)features);
	vpmem_device_set_driver_features(dev, 1, (uint32_t)(features >> 32));
	vpmem_device_set_status(dev, STATUS_ACK | STATUS_DRIVER | STATUS_FEATURES_OK);
	vpmem_queue_set(dev, 0, &regs);
	vpmem_queue_enable(dev, 0);
	vpmem_device_set_status(dev, STATUS_RUNNING);
	assert_int_equal(vpmem_device_status(dev), STATUS_RUNNING);
	f->d.size = (uint16_t)ring->size;
	f->d.avail_idx = 0;
	driver_store(&f->d, AVAIL_GPA, 0, 4);
	driver_store(&f->d, USED_GPA, 0, 4);
}

/* How many bytes of the write buffers are no longer as they were, and is each of them this value? */
static unsigned written(const struct driver *d, uint8_t val, bool *all_val)
{
	const uint8_t *bytes = driver_hva(d, write_gpa(0));
	unsigned n = 0;

	*all_val = true;
	for (unsigned i = 0; i < 8 * 8; i++) {
		if (bytes[i] == 0x5a)
			continue;
		n++;
		*all_val = *all_val && bytes[i] == val;
	}
	return n;
}

static void serve(struct fixture *f, const struct ring *ring, unsigned head)
{
	static uint8_t before[0x100];
	struct driver *d = &f->d;
	struct answer answer = model(ring, head);
	uint16_t used_idx = driver_used_idx(d);
	unsigned nsyncs = fake_backing_nsyncs(f->backing);
	bool needs_reset, all_val;

	for (unsigned i = 0; i < ring->size; i++)
		put(d, DESC_GPA, i, i, &ring->desc[i], ring->table_size);
	for (unsigned i = 0; i < ring->table_size; i++)
		put(d, TABLE_GPA, i, 4 + i, &ring->table[i], ring->table_size);
	memset(driver_hva(d, read_gpa(0)), 0, 8 * 8);
	memset(driver_hva(d, write_gpa(0)), 0x5a, 8 * 8);
	memcpy(before, driver_hva(d, DESC_GPA), 64);
	memcpy(before + 64, driver_hva(d, TABLE_GPA), 64);
	memcpy(before + 128, driver_hva(d, read_gpa(0)), 64);

	driver_avail(d, (uint16_t)head);
	pmem_serve_queue(&f->dev); /* 1 */

	assert_int_equal((uint16_t)(driver_used_idx(d) - used_idx), answer.returned); /* 2 */
	if (answer.returned) {
		assert_int_equal(driver_used(d, used_idx).id, head);
		assert_int_equal(driver_used(d, used_idx).len, answer.nstatus); /* 4 */
	}
	assert_int_equal(written(d, answer.flush ? 0 : 0xff, &all_val), answer.nplaces); /* 3, 4 */
	assert_true(all_val);
	assert_memory_equal(before, driver_hva(d, DESC_GPA), 64); /* 3 */
	assert_memory_equal(before + 64, driver_hva(d, TABLE_GPA), 64);
	assert_memory_equal(before + 128, driver_hva(d, read_gpa(0)), 64);
	assert_int_equal(fake_backing_nsyncs(f->backing) - nsyncs, answer.flush); /* 5 */
	needs_reset = vpmem_device_status(&f->dev) & STATUS_NEEDS_RESET;
	assert_int_equal(needs_reset, answer.needs_reset); /* 6 */
	if (needs_reset)
		restart(f, ring);
	f->nrings++;
}

/* ---- all rings ----------------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	driver_ram_init(&f->d);
	f->backing = fake_backing_create(VPMEM_GRANULE);
	f->dev.name = (char *)"nv1";
	f->dev.backing = f->backing;
	f->dev.kick_efd = -1;
	f->dev.callbacks = driver_callbacks(&f->d);
	virtio_init(&f->dev.virtio, &(struct virtio_config) {
					    .mem = &f->d.mem,
					    .features = FEATURE_VERSION_1 | FEATURE_INDIRECT,
					    .queues = f->dev.queues,
					    .nqueues = VPMEM_QUEUE_COUNT,
					    .queue_size_max = VPMEM_QUEUE_SIZE_MAX,
					    .callbacks = pmem_virtio_callbacks(&f->dev),
				    });
	fair_lock_init(&f->dev.lock);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	print_message("%llu rings\n", (unsigned long long)f->nrings);
	fair_lock_destroy(&f->dev.lock);
	driver_ram_free(&f->d);
	fake_backing_destroy(f->backing);
	return 0;
}

/* The next combination of n digits to the base of nclasses; false after the last. */
static bool advance(unsigned *digits, unsigned n, unsigned nclasses)
{
	for (unsigned i = 0; i < n; i++) {
		if (++digits[i] < nclasses)
			return true;
		digits[i] = 0;
	}
	return false;
}

/* A good indirect table: type and status. */
static void good_table(struct ring *ring)
{
	ring->table_size = 2;
	ring->table[0] = (struct class) { .kind = BUFFER, .len = 4, .next = true, .next_idx = 1 };
	ring->table[1] = (struct class) { .kind = BUFFER, .len = 4, .writable = true };
}

/* Only a status: to be complete with a type that comes before the table. */
static void status_table(struct ring *ring)
{
	ring->table_size = 1;
	ring->table[0] = (struct class) { .kind = BUFFER, .len = 4, .writable = true };
}

static void check_direct(struct fixture *f, struct ring *ring, const struct classes *classes, unsigned nheads)
{
	unsigned digits[4] = { 0 };

	restart(f, ring);
	do {
		for (unsigned i = 0; i < ring->size; i++)
			ring->desc[i] = classes->at[digits[i]];
		for (unsigned head = 0; head < nheads; head++)
			serve(f, ring, head);
	} while (advance(digits, ring->size, classes->n));
	serve(f, ring, ring->size);
	serve(f, ring, NO_HEAD);
}

static void queues_of_1_and_2(void **state)
{
	for (unsigned size = 1; size <= 2; size++) {
		struct classes classes = all_classes(size, all_lens, 5);

		for (unsigned variant = 0; variant < 4; variant++) {
			struct ring ring = { .size = size, .indirect = variant & 1 };

			if (variant & 2)
				good_table(&ring);
			else
				status_table(&ring);
			check_direct(*state, &ring, &classes, size);
		}
	}
}

static void queues_of_4(void **state)
{
	struct classes classes = all_classes(4, few_lens, 2);
	struct ring ring = { .size = 4, .indirect = true };

	status_table(&ring);
	check_direct(*state, &ring, &classes, 1);
}

/* The table under test is reached from descriptor 0, or from descriptor 1 after a type. */
static void indirect_tables(void **state)
{
	struct fixture *f = *state;

	for (unsigned size = 1; size <= 4; size *= 2) {
		for (unsigned table_size = 1; table_size <= TABLE_MAX; table_size++) {
			struct classes classes = all_classes(table_size, all_lens, 5);
			struct ring ring = { .size = size, .table_size = table_size, .indirect = true };
			unsigned digits[TABLE_MAX] = { 0 };

			ring.desc[0] = (struct class) { .kind = BUFFER, .len = 4, .next = true, .next_idx = 1 };
			ring.desc[size > 1] = (struct class) { .kind = TABLE };
			restart(f, &ring);
			do {
				for (unsigned i = 0; i < table_size; i++)
					ring.table[i] = classes.at[digits[i]];
				for (unsigned head = 0; head <= (size > 1); head++)
					serve(f, &ring, head);
			} while (advance(digits, table_size, classes.n));
		}
	}
}

/* The model itself: a test of which everything fails would pass too. */
static void the_model_knows_good_from_bad(void **state)
{
	struct ring ring = { .size = 2, .indirect = true };
	struct answer answer;

	(void)state;
	status_table(&ring);
	ring.desc[0] = (struct class) { .kind = BUFFER, .len = 4, .next = true, .next_idx = 1 };
	ring.desc[1] = (struct class) { .kind = BUFFER, .len = 4, .writable = true };
	answer = model(&ring, 0);
	assert_true(answer.flush && !answer.needs_reset && answer.nstatus == 4);
	ring.desc[1] = (struct class) { .kind = TABLE };
	answer = model(&ring, 0);
	assert_true(answer.flush && !answer.needs_reset);
	ring.indirect = false;
	answer = model(&ring, 0);
	assert_true(!answer.flush && answer.needs_reset);
	ring.desc[1] = (struct class) { .kind = BUFFER, .len = 4, .next = true, .next_idx = 0 };
	answer = model(&ring, 0);
	assert_true(!answer.flush && answer.needs_reset && answer.nstatus == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_knows_good_from_bad),
		cmocka_unit_test_setup_teardown(queues_of_1_and_2, setup, teardown),
		cmocka_unit_test_setup_teardown(queues_of_4, setup, teardown),
		cmocka_unit_test_setup_teardown(indirect_tables, setup, teardown),
	};

	return cmocka_run_group_tests_name("small_rings", tests, NULL, NULL);
}
