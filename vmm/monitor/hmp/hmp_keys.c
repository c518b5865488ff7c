// SPDX-License-Identifier: Apache-2.0
// Bytes of a terminal into keys.
#include "hmp_keys.h"

#define ESC 0x1b
#define DEL 0x7f

// The control keys that have a function; the others give no key.
static const bool known_control[0x20] = {
	[KEY_HOME] = true,         [KEY_LEFT] = true,          [KEY_DELETE] = true, [KEY_END] = true,
	[KEY_RIGHT] = true,        [KEY_BACKSPACE] = true,     [KEY_TAB] = true,    [KEY_KILL_TO_END] = true,
	[KEY_CLEAR_SCREEN] = true, [KEY_DOWN] = true,          [KEY_UP] = true,     [KEY_REDRAW] = true,
	[KEY_TRANSPOSE] = true,    [KEY_KILL_TO_START] = true, [KEY_YANK] = true,   [KEY_KILL_ARGUMENT] = true,
};

static uint32_t cursor_key(uint8_t final)
{
	switch (final) {
	case 'A':
		return KEY_UP;
	case 'B':
		return KEY_DOWN;
	case 'C':
		return KEY_RIGHT;
	case 'D':
		return KEY_LEFT;
	case 'H':
		return KEY_HOME;
	case 'F':
		return KEY_END;
	default:
		return KEY_NONE;
	}
}

// ESC [ number ~: the editing keys of a VT220, and those of the Linux console and of rxvt.
static uint32_t editing_key(unsigned number)
{
	switch (number) {
	case 1:
	case 7:
		return KEY_HOME;
	case 4:
	case 8:
		return KEY_END;
	case 3:
		return KEY_DELETE;
	default:
		return KEY_NONE;
	}
}

// ESC [ parameters final. With a modifier, as in 1;5C, the cursor moves by a word.
static uint32_t feed_csi(struct keys *keys, uint8_t byte)
{
	uint32_t key;

	if (byte >= '0' && byte <= '9') {
		if (!keys->more_params && keys->number < 1000)
			keys->number = keys->number * 10 + (byte - '0');
		return KEY_NONE;
	}
	if (byte < 0x40) {
		keys->more_params |= byte == ';';
		return KEY_NONE;
	}
	// The function keys of the Linux console, ESC [ [ A, have one character more.
	keys->state = byte == '[' ? KEYS_LINUX_F : KEYS_GROUND;
	if (byte == '~')
		return editing_key(keys->number);
	key = cursor_key(byte);
	if (keys->more_params && key == KEY_LEFT)
		return KEY_WORD_LEFT;
	if (keys->more_params && key == KEY_RIGHT)
		return KEY_WORD_RIGHT;
	return key;
}

static uint32_t feed_ground(struct keys *keys, uint8_t byte);

static uint32_t feed_escape(struct keys *keys, uint8_t byte)
{
	keys->state = KEYS_GROUND;
	switch (byte) {
	case '[':
		keys->state = KEYS_CSI;
		keys->number = 0;
		keys->more_params = false;
		return KEY_NONE;
	case 'O':
		keys->state = KEYS_SS3;
		return KEY_NONE;
	case 'b':
		return KEY_WORD_LEFT;
	case 'f':
		return KEY_WORD_RIGHT;
	case 'd':
		return KEY_KILL_WORD_RIGHT;
	case KEY_BACKSPACE:
	case DEL:
		return KEY_KILL_WORD_LEFT;
	default:
		// Escape was pressed by itself.
		return feed_ground(keys, byte);
	}
}

static uint32_t feed_utf8(struct keys *keys, uint8_t byte)
{
	uint32_t ch;

	keys->utf8 = keys->utf8 << 6 | (byte & 0x3f);
	if (--keys->utf8_left > 0)
		return KEY_NONE;
	ch = keys->utf8;
	// Overlong, a surrogate, beyond Unicode, or a control character of ISO 6429.
	if (ch < keys->utf8_min || ch > 0x10ffff || (ch >= 0xd800 && ch < 0xe000) || ch < 0xa0)
		return KEY_NONE;
	return ch;
}

static void begin_utf8(struct keys *keys, uint8_t byte)
{
	if (byte >= 0xc2 && byte <= 0xdf) {
		keys->utf8_left = 1;
		keys->utf8 = byte & 0x1f;
		keys->utf8_min = 0x80;
	} else if (byte >= 0xe0 && byte <= 0xef) {
		keys->utf8_left = 2;
		keys->utf8 = byte & 0xf;
		keys->utf8_min = 0x800;
	} else if (byte >= 0xf0 && byte <= 0xf4) {
		keys->utf8_left = 3;
		keys->utf8 = byte & 0x7;
		keys->utf8_min = 0x10000;
	}
}

static uint32_t feed_ground(struct keys *keys, uint8_t byte)
{
	bool after_cr = keys->after_cr;

	keys->after_cr = byte == '\r';
	if (byte == '\r')
		return KEY_ENTER;
	if (byte == '\n')
		return after_cr ? KEY_NONE : KEY_ENTER;
	if (byte == ESC) {
		keys->state = KEYS_ESCAPE;
		return KEY_NONE;
	}
	if (byte == DEL)
		return KEY_BACKSPACE;
	if (byte < 0x20)
		return known_control[byte] ? byte : KEY_NONE;
	if (byte < 0x80)
		return byte;
	begin_utf8(keys, byte);
	return KEY_NONE;
}

// An incomplete sequence ends where another one begins, and at a control key: an Enter is never swallowed.
static bool ends_sequence(const struct keys *keys, uint8_t byte)
{
	return byte < 0x20 && !(keys->state == KEYS_ESCAPE && byte == KEY_BACKSPACE);
}

uint32_t keys_feed(struct keys *keys, uint8_t byte)
{
	if (keys->utf8_left > 0) {
		if ((byte & 0xc0) == 0x80)
			return feed_utf8(keys, byte);
		keys->utf8_left = 0;
	}
	if (ends_sequence(keys, byte))
		keys->state = KEYS_GROUND;
	switch (keys->state) {
	case KEYS_ESCAPE:
		return feed_escape(keys, byte);
	case KEYS_CSI:
		return feed_csi(keys, byte);
	case KEYS_SS3:
		keys->state = KEYS_GROUND;
		return cursor_key(byte);
	case KEYS_LINUX_F:
		keys->state = KEYS_GROUND;
		return KEY_NONE;
	case KEYS_GROUND:
		break;
	}
	return feed_ground(keys, byte);
}
