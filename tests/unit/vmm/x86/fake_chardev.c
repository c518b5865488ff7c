// SPDX-License-Identifier: Apache-2.0
// For tests: a character device whose other side is the test.
#include "fake_chardev.h"

#include <string.h>

void chardev_set_front(struct chardev *chr, const struct chardev_front *front)
{
	chr->front = *front;
}

size_t chardev_write(struct chardev *chr, const uint8_t *buf, size_t len)
{
	size_t taken = len < chr->out_room ? len : chr->out_room;

	if (taken > chr->out_size - chr->out_len)
		taken = chr->out_size - chr->out_len;
	memcpy(chr->out + chr->out_len, buf, taken);
	chr->out_len += taken;
	chr->out_room -= taken;
	if (chr->out_room == 0 && chr->room_in_write > 0) {
		chr->out_room = chr->room_in_write;
		chr->front.writable(chr->front.owner);
	}
	return taken;
}

void fake_chardev_deliver(struct chardev *chr)
{
	while (chr->in_len > 0) {
		size_t room = chr->front.room(chr->front.owner);
		size_t len = room < chr->in_len ? room : chr->in_len;
		const uint8_t *from = chr->in;

		if (len == 0)
			return;
		chr->in += len;
		chr->in_len -= len;
		chr->front.receive(chr->front.owner, from, len);
	}
}

void chardev_accept(struct chardev *chr)
{
	chr->naccepts++;
	fake_chardev_deliver(chr);
}

void fake_chardev_drain(struct chardev *chr, size_t len)
{
	chr->out_room += len;
	chr->front.writable(chr->front.owner);
}
