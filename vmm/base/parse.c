// SPDX-License-Identifier: Apache-2.0
// Numbers, sizes, identifiers and UUIDs in text.
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int uint_parse(const char *text, uint64_t *val)
{
	char *end;

	// strtoull also takes spaces and signs; "-1" would wrap.
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*val = strtoull(text, &end, 0);
	if (*end || end == text)
		return -EINVAL;
	return errno == ERANGE ? -ERANGE : 0;
}

// "K" is 10, "M" is 20; "" and "B" are 0. -1: no suffix.
static int suffix_shift(const char *text)
{
	static const char suffixes[] = "bkmgtpe";
	const char *found;

	if (!*text)
		return 0;
	found = strchr(suffixes, tolower((unsigned char)*text));
	return found && !text[1] ? (int)(found - suffixes) * 10 : -1;
}

// ".5" in units of 2^shift bytes, rounded down. Nine digits are enough for a byte of a GiB.
static const char *parse_fraction(const char *text, uint64_t *num, uint64_t *den)
{
	for (text++; isdigit((unsigned char)*text); text++) {
		if (*den < UINT64_C(1000000000)) {
			*num = *num * 10 + (uint64_t)(*text - '0');
			*den *= 10;
		}
	}
	return text;
}

int size_parse(const char *text, uint64_t *bytes)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t whole, num = 0, den = 1;
	const char *fraction;
	char *end;
	int shift;

	if (hex)
		return uint_parse(text, bytes);
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	fraction = *end == '.' ? parse_fraction(end, &num, &den) : end;
	shift = suffix_shift(fraction);
	// A fraction needs a unit and a digit: "0.5" and "1." are refused.
	if (shift < 0 || (fraction != end && (shift == 0 || fraction == end + 1)))
		return -EINVAL;
	if (whole > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = (whole << shift) + (uint64_t)(((unsigned __int128)num << shift) / den);
	return 0;
}

bool id_wellformed(const char *id)
{
	if (!isalpha((unsigned char)*id))
		return false;
	while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id)))
		id++;
	return !*id;
}

bool uuid_wellformed(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return len == 36;
}

bool uuid_parse(const char *text, uint8_t bytes[16])
{
	if (!uuid_wellformed(text))
		return false;
	for (unsigned i = 0; i < 16; i++) {
		char digits[3];

		while (*text == '-')
			text++;
		digits[0] = *text++;
		digits[1] = *text++;
		digits[2] = '\0';
		bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}
