// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_keys.h - bytes of a terminal into keys: UTF-8 characters, control keys, and the escape sequences of
 * the keys that a line editor knows.
 *
 * The sequences of terminals are told apart here, byte by byte, and not by libedit, which wants to read
 * the rest of a sequence at once: a network may cut one anywhere. Whatever is not known is dropped.
 */
#ifndef PMVM_HMP_KEYS_H
#define PMVM_HMP_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

enum {
	KEY_NONE = 0,
	KEY_HOME = 0x01, /* Ctrl-a, and so on: what a terminal sends, or would */
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
	KEY_KILL_LINE = 0x15,
	KEY_KILL_WORD = 0x17,
	KEY_YANK = 0x19,
	KEY_WORD_LEFT = 0x1c, /* no byte of a terminal gives these four: only a sequence does */
	KEY_WORD_RIGHT = 0x1d,
	KEY_DELETE_WORD = 0x1e,
	KEY_BACKSPACE_WORD = 0x1f,
};

/* Zero is the initial state. */
struct keys {
	enum { KEYS_GROUND, KEYS_ESCAPE, KEYS_CSI, KEYS_SS3 } state;
	unsigned number; /* CSI: the first parameter */
	bool more_params;
	bool after_cr;      /* a line feed that follows is the same Enter */
	unsigned utf8_left; /* bytes of the character that are missing */
	uint32_t utf8, utf8_min;
};

/* Takes a byte. Returns the key that it completes, or KEY_NONE. Characters are 0x20 and above. */
wchar_t keys_feed(struct keys *keys, uint8_t byte);

#endif
