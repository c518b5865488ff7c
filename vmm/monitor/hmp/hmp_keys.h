// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_keys.h - bytes of a terminal into keys: UTF-8 characters, control keys, and the escape sequences of the keys
 * that a line editor knows.
 *
 * The decoder takes one byte at a time, because a network may split a sequence anywhere. It never waits for time to
 * pass: an Escape that was pressed alone has no effect, and the next byte that cannot continue a sequence is taken as a
 * key. Unknown control characters, unknown sequences and bytes that are not UTF-8 give no key.
 */
#ifndef PMVM_HMP_KEYS_H
#define PMVM_HMP_KEYS_H

#include <stdbool.h>
#include <stdint.h>

/* A key is a character (0x20 and above, never a control character) or one of these. */
enum {
	KEY_NONE = 0,
	KEY_HOME = 0x01, /* Ctrl-a; the others likewise have the code of their control key */
	KEY_LEFT = 0x02,
	KEY_DELETE = 0x04,
	KEY_END = 0x05,
	KEY_RIGHT = 0x06,
	KEY_BACKSPACE = 0x08,
	KEY_TAB = 0x09,
	KEY_KILL_TO_END = 0x0b,
	KEY_CLEAR_SCREEN = 0x0c,
	KEY_ENTER = 0x0d,
	KEY_DOWN = 0x0e,
	KEY_UP = 0x10,
	KEY_REDRAW = 0x12,
	KEY_TRANSPOSE = 0x14,
	KEY_KILL_TO_START = 0x15,
	KEY_KILL_ARGUMENT = 0x17, /* back to a space */
	KEY_YANK = 0x19,
	KEY_WORD_LEFT = 0x1c, /* these four come from sequences only, not from the control keys of their codes */
	KEY_WORD_RIGHT = 0x1d,
	KEY_KILL_WORD_RIGHT = 0x1e,
	KEY_KILL_WORD_LEFT = 0x1f,
};

/* Zero is the initial state. */
struct keys {
	enum { KEYS_GROUND, KEYS_ESCAPE, KEYS_CSI, KEYS_SS3, KEYS_LINUX_F } state;
	unsigned number; /* CSI: the first parameter */
	bool more_params;
	bool after_cr;      /* a line feed that follows is the same Enter */
	unsigned utf8_left; /* bytes of the character that are missing */
	uint32_t utf8, utf8_min;
};

/* Takes a byte. Returns the key that it completes, or KEY_NONE. */
uint32_t keys_feed(struct keys *keys, uint8_t byte);

#endif
