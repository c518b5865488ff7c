// SPDX-License-Identifier: Apache-2.0
/*
 * fake_chardev.h - for tests: a character device whose other side is the test. It takes output only as far as
 * `out_room` allows, hands over input as far as the front end has room, and like the real one may call
 * `writable` from inside chardev_write.
 */
#ifndef PMVM_TEST_FAKE_CHARDEV_H
#define PMVM_TEST_FAKE_CHARDEV_H

#include "chardev.h"

struct chardev {
	struct chardev_front front;
	uint8_t *out; /* what the front end wrote; out_size bytes of room for it */
	size_t out_len, out_size;
	size_t out_room;      /* bytes taken before the device is full */
	size_t room_in_write; /* once full: this much is added at once, inside chardev_write */
	const uint8_t *in;    /* what is to arrive */
	size_t in_len;
	unsigned naccepts;
};

/* Input that waits goes to the front end as far as it has room. */
void fake_chardev_deliver(struct chardev *chr);

/* The other side took something. */
void fake_chardev_drain(struct chardev *chr, size_t len);

#endif
