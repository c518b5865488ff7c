// SPDX-License-Identifier: Apache-2.0
// UTF-8 text and its columns.
#include "hmp_edit_utf8.h"

struct range {
	uint32_t first, last;
};

// East Asian Width W and F (Unicode Standard Annex 11), and the emoji that are in one piece.
static const struct range wide[] = {
	{ 0x1100, 0x115f },   { 0x2e80, 0x2ffb },   { 0x3000, 0x3029 },   { 0x3030, 0x303e },   { 0x3041, 0x3096 },
	{ 0x309b, 0x3247 },   { 0x3250, 0xa4c6 },   { 0xa960, 0xa97c },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfad9 },
	{ 0xfe10, 0xfe19 },   { 0xfe30, 0xfe6b },   { 0xff01, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x1f442, 0x1f4fc },
	{ 0x1f5fb, 0x1f64f }, { 0x1f680, 0x1f6c5 }, { 0x1f90c, 0x1f93a }, { 0x1f947, 0x1f9ff }, { 0x20000, 0x3fffd },
};

// Combining marks, format characters, scripts whose letters combine, symbols that some fonts draw wide.
static const struct range unclear[] = {
	{ 0x00ad, 0x00ad },   { 0x0300, 0x036f },    { 0x0483, 0x0489 }, { 0x0591, 0x05cf }, { 0x0600, 0x0605 },
	{ 0x0610, 0x061c },   { 0x064b, 0x065f },    { 0x0670, 0x0670 }, { 0x06d6, 0x06ed }, { 0x0700, 0x109f },
	{ 0x1160, 0x11ff },   { 0x135d, 0x135f },    { 0x1700, 0x1cff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e },   { 0x2060, 0x206f },    { 0x20d0, 0x20ff }, { 0x2300, 0x23ff }, { 0x25fd, 0x2bff },
	{ 0x2cef, 0x2cf1 },   { 0x2d7f, 0x2d7f },    { 0x2de0, 0x2dff }, { 0x302a, 0x302d }, { 0x3099, 0x309a },
	{ 0xa66f, 0xa69f },   { 0xa6f0, 0xa6f1 },    { 0xa800, 0xabff }, { 0xd7b0, 0xf8ff }, { 0xfb1e, 0xfb1e },
	{ 0xfe00, 0xfe0f },   { 0xfe20, 0xfe2f },    { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xfffe, 0xffff },
	{ 0x10000, 0x1ffff }, { 0x3fffe, 0x10ffff },
};

static bool contains(const struct range *ranges, size_t count, uint32_t ch)
{
	for (size_t i = 0; i < count; i++)
		if (ch >= ranges[i].first && ch <= ranges[i].last)
			return true;
	return false;
}

unsigned utf8_width(uint32_t ch)
{
	if (ch < 0xa0)
		return 1;
	if (contains(wide, sizeof(wide) / sizeof(wide[0]), ch))
		return 2;
	return contains(unclear, sizeof(unclear) / sizeof(unclear[0]), ch) ? 0 : 1;
}

size_t utf8_encode(uint32_t ch, char *buf)
{
	if (ch < 0x80) {
		buf[0] = (char)ch;
		return 1;
	}
	if (ch < 0x800) {
		buf[0] = (char)(0xc0 | ch >> 6);
		buf[1] = (char)(0x80 | (ch & 0x3f));
		return 2;
	}
	if (ch < 0x10000) {
		buf[0] = (char)(0xe0 | ch >> 12);
		buf[1] = (char)(0x80 | (ch >> 6 & 0x3f));
		buf[2] = (char)(0x80 | (ch & 0x3f));
		return 3;
	}
	buf[0] = (char)(0xf0 | ch >> 18);
	buf[1] = (char)(0x80 | (ch >> 12 & 0x3f));
	buf[2] = (char)(0x80 | (ch >> 6 & 0x3f));
	buf[3] = (char)(0x80 | (ch & 0x3f));
	return 4;
}

static bool continues(char byte)
{
	return ((uint8_t)byte & 0xc0) == 0x80;
}

uint32_t utf8_decode(const char *text, size_t *len)
{
	uint32_t ch = (uint8_t)text[0];

	*len = 1;
	if (ch < 0x80)
		return ch;
	ch &= ch < 0xe0 ? 0x1f : ch < 0xf0 ? 0xf : 0x7;
	for (; continues(text[*len]); (*len)++)
		ch = ch << 6 | ((uint8_t)text[*len] & 0x3f);
	return ch;
}

bool utf8_is_boundary(const char *text, size_t off)
{
	return !continues(text[off]);
}

size_t utf8_next(const char *text, size_t off)
{
	do
		off++;
	while (continues(text[off]));
	return off;
}

size_t utf8_prev(const char *text, size_t off)
{
	do
		off--;
	while (off > 0 && continues(text[off]));
	return off;
}
