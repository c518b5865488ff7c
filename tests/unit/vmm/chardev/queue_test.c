// SPDX-License-Identifier: Apache-2.0
// Bytes that wait come out as they went in, however the ring wraps and grows.
#include "queue.h"
#include "unit_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void bytes_come_out_in_order(void **state)
{
	struct queue q = { .buf = NULL };
	uint8_t next_in = 0, next_out = 0;
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t buf[700];
		size_t n = (unsigned)rand_r(&seed) % sizeof(buf), span;
		const uint8_t *head;

		for (size_t i = 0; i < n; i++)
			buf[i] = next_in++;
		assert_int_equal(queue_put(&q, buf, n), 0);
		// Longer for a while than one takes, then shorter.
		for (unsigned pieces = round / 1000 % 2 ? 4 : 1; pieces > 0; pieces--) {
			head = queue_head(&q, &span);
			span = span < 350 ? span : 350;
			for (size_t i = 0; i < span; i++)
				assert_int_equal(head[i], next_out++);
			queue_drop(&q, span);
		}
	}
	queue_clear(&q);
}

static void an_empty_queue_keeps_little_memory(void **state)
{
	static uint8_t buf[1 << 20];
	struct queue q = { .buf = NULL };
	size_t len;

	(void)state;
	assert_null(queue_head(&q, &len));
	assert_int_equal(len, 0);
	assert_int_equal(queue_put(&q, buf, sizeof(buf)), 0);
	while (q.len > 0) {
		queue_head(&q, &len);
		queue_drop(&q, len);
	}
	assert_true(q.size <= 4096);
	queue_clear(&q);
}

static void what_no_memory_holds_changes_nothing(void **state)
{
	struct queue q = { .buf = NULL };
	size_t len;

	(void)state;
	assert_int_equal(queue_put(&q, (const uint8_t *)"abc", 3), 0);
	assert_int_equal(queue_put(&q, (const uint8_t *)"", SIZE_MAX), -ENOMEM);
	assert_int_equal(queue_put(&q, (const uint8_t *)"", SIZE_MAX / 2 + 2), -ENOMEM);
	assert_memory_equal(queue_head(&q, &len), "abc", 3);
	assert_int_equal(len, 3);
	queue_clear(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_out_in_order),
		cmocka_unit_test(an_empty_queue_keeps_little_memory),
		cmocka_unit_test(what_no_memory_holds_changes_nothing),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
