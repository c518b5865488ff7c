// SPDX-License-Identifier: Apache-2.0
/*
 * json_stream.c - splits a stream into JSON values: finds where each ends, keeps the limits, and has json-c parse it.
 *
 * json-c has an incremental tokener. It is not used for the splitting, because
 *   - it stops at a mistake and does not find the end of the broken value: a client would get several errors for one
 *     request, and would no longer know which reply belongs to which request. QEMU's parser, and this one, go on to the
 *     bracket that closes the value;
 *   - its strict mode refuses single quotes, which QEMU takes, and takes NaN, "1.", \u0000 and the same key twice,
 *     which QEMU refuses. A number beyond 64 bits becomes the nearest that fits; in QEMU, a floating point number;
 *   - it has a limit for the depth of a value, but none for its length or the number of its members.
 * So a scanner follows brackets, quotes and words, and json-c parses the whole text of a value (json_value.c).
 */
#include "json_stream.h"

#include "json_value.h"
#include "text.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state {
	OUTSIDE, // not in a string
	STRING,
	ESCAPE,    // after a backslash
	RECOVERY,  // after a byte that no token has
	SKIP_LINE, // after a value beyond a limit
};

struct json_stream {
	json_stream_fn *fn;
	void *owner;
	struct json_tokener *parser;
	struct text text; // of the value so far, strings in double quotes
	enum state state;
	char quote;             // of the string
	unsigned nhex, hex;     // digits of \uXXXX still to come; its value so far
	size_t word_len;        // of the keyword or number that the text ends with; 0: it does not
	int nbraces, nbrackets; // open ones
	size_t nkeys;           // colons so far
	size_t ntokens;         // brackets, colons and commas so far
};

static void start_over(struct json_stream *s, enum state state)
{
	// The buffer of one long value is not kept until the stream ends.
	if (s->text.cap > 64 * 1024)
		text_free(&s->text);
	s->text.len = 0;
	s->text.failed = false;
	s->state = state;
	s->nhex = 0;
	s->word_len = 0;
	s->nbraces = s->nbrackets = 0;
	s->nkeys = s->ntokens = 0;
}

static void fail(struct json_stream *s, enum state state, const char *error)
{
	start_over(s, state);
	s->fn(s->owner, NULL, error);
}

// No token has this byte. At a line's end reading goes on at once.
static void stray(struct json_stream *s, uint8_t byte)
{
	char error[64];

	snprintf(error, sizeof(error), "JSON parse error, stray '%c'", byte ? byte : ' ');
	fail(s, byte == '\n' ? OUTSIDE : RECOVERY, error);
}

// ---- a complete value

static void complete(struct json_stream *s)
{
	struct json_object *val = NULL;
	const char *error = "out of memory";

	text_add(&s->text, " ", 1);
	if (!s->text.failed)
		error = json_value_parse(s->parser, s->text.buf, s->text.len, s->nkeys, &val);
	start_over(s, OUTSIDE);
	s->fn(s->owner, val, error);
	json_object_put(val);
}

// ---- byte by byte

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_structural(uint8_t byte)
{
	return byte && strchr("{}[]:,", byte);
}

// A byte of a keyword or number.
static bool is_word(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (byte && strchr("+-.E", byte));
}

static void keep(struct json_stream *s, uint8_t byte)
{
	text_add(&s->text, &byte, 1);
}

static void take(struct json_stream *s, uint8_t byte);

static bool is_nested(const struct json_stream *s)
{
	return s->nbraces + s->nbrackets > 0;
}

/*
 * Checks the number that the text ends with. Of one that is too large json-c makes the nearest that fits, and it takes
 * "1." for 1; the id of a request would come back to the client changed.
 */
static bool is_number_kept(struct json_stream *s)
{
	const char *text = text_str(&s->text), *word, *point;

	if (!text)
		return false;
	word = text + s->text.len - s->word_len;
	if (*word != '-' && (*word < '0' || *word > '9'))
		return true;
	point = strchr(word, '.');
	if (point)
		return point[1] >= '0' && point[1] <= '9';
	if (strpbrk(word, "eE"))
		return true;
	errno = 0;
	if (*word == '-')
		(void)strtoll(word, NULL, 10);
	else
		(void)strtoull(word, NULL, 10);
	return errno != ERANGE;
}

static bool end_word(struct json_stream *s)
{
	bool kept = s->word_len == 0 || is_number_kept(s);

	s->word_len = 0;
	if (!kept)
		fail(s, RECOVERY, "JSON parse error, invalid or too large number");
	return kept;
}

static void take_structural(struct json_stream *s, uint8_t byte)
{
	s->nbraces += (byte == '{') - (byte == '}');
	s->nbrackets += (byte == '[') - (byte == ']');
	s->nkeys += byte == ':';
	s->ntokens++;
	keep(s, byte);
	if (s->nbraces < 0 || s->nbrackets < 0 || !is_nested(s))
		complete(s);
	else if (s->nbraces + s->nbrackets > (int)JSON_STREAM_DEPTH_MAX)
		fail(s, SKIP_LINE, "JSON nesting depth limit exceeded");
	else if (s->ntokens > JSON_STREAM_TOKENS_MAX)
		fail(s, SKIP_LINE, "JSON token count limit exceeded");
}

static void take_outside(struct json_stream *s, uint8_t byte)
{
	if (!is_word(byte) && !end_word(s)) {
		take(s, byte);
		return;
	}
	// A bare word ends where something else begins.
	if (s->text.len > 0 && !is_nested(s) && !is_word(byte))
		complete(s);
	if (is_structural(byte)) {
		take_structural(s, byte);
	} else if (byte == '"' || byte == '\'') {
		s->state = STRING;
		s->quote = (char)byte;
		keep(s, '"');
	} else if (is_word(byte)) {
		keep(s, byte);
		s->word_len++;
	} else if (!is_space(byte)) {
		stray(s, byte);
	} else if (is_nested(s)) {
		keep(s, ' ');
	}
}

static bool hex_value(uint8_t byte, unsigned *val)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = byte ? strchr(digits, byte | 0x20) : NULL;

	if (!digit || (byte < '0'))
		return false;
	*val = (unsigned)(digit - digits);
	return true;
}

// The digits of \uXXXX are json-c's to check. But a string with \u0000 would end there for C code.
static bool is_nul_escape(struct json_stream *s, uint8_t byte)
{
	unsigned val;

	if (s->nhex == 0)
		return false;
	if (!hex_value(byte, &val)) {
		s->nhex = 0;
		return false;
	}
	s->hex = s->hex << 4 | val;
	return --s->nhex == 0 && s->hex == 0;
}

static void take_string(struct json_stream *s, uint8_t byte)
{
	if (byte < 0x20 || byte >= 0xfe) {
		stray(s, byte);
	} else if (is_nul_escape(s, byte)) {
		fail(s, RECOVERY, "JSON parse error, \\u0000 is not a valid Unicode character");
	} else if (byte == '\\') {
		s->state = ESCAPE;
	} else if (byte == (uint8_t)s->quote) {
		s->state = OUTSIDE;
		keep(s, '"');
		if (!is_nested(s))
			complete(s);
	} else {
		if (byte == '"')
			keep(s, '\\');
		keep(s, byte);
	}
}

static void take_escape(struct json_stream *s, uint8_t byte)
{
	if (byte < 0x20 || byte >= 0xfe) {
		stray(s, byte);
		return;
	}
	s->state = STRING;
	if (byte != '\'')
		keep(s, '\\');
	keep(s, byte);
	s->nhex = byte == 'u' ? 4 : 0;
	s->hex = 0;
}

static void take_recovery(struct json_stream *s, uint8_t byte)
{
	if ((byte < 0x20 && byte != '\t') || byte >= 0xfe) {
		s->state = OUTSIDE;
	} else if (is_structural(byte)) {
		s->state = OUTSIDE;
		take_outside(s, byte);
	}
}

static void take(struct json_stream *s, uint8_t byte)
{
	switch (s->state) {
	case OUTSIDE:
		take_outside(s, byte);
		break;
	case STRING:
		take_string(s, byte);
		break;
	case ESCAPE:
		take_escape(s, byte);
		break;
	case RECOVERY:
		take_recovery(s, byte);
		break;
	case SKIP_LINE:
		if (byte == '\n' || byte >= 0xfe)
			s->state = OUTSIDE;
		break;
	}
	if (s->text.len > JSON_STREAM_SIZE_MAX)
		fail(s, SKIP_LINE, "JSON token size limit exceeded");
}

void json_stream_feed(struct json_stream *s, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		take(s, buf[i]);
}

void json_stream_end(struct json_stream *s)
{
	bool is_partial = is_nested(s) || s->state == STRING || s->state == ESCAPE;

	if (is_partial)
		fail(s, OUTSIDE, "JSON parse error, premature EOI");
	else if (s->text.len > 0 && end_word(s))
		complete(s);
	start_over(s, OUTSIDE);
}

struct json_stream *json_stream_create(json_stream_fn *fn, void *owner)
{
	struct json_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct json_stream) { .fn = fn, .owner = owner };
	s->parser = json_value_parser(JSON_STREAM_DEPTH_MAX);
	if (!s->parser) {
		free(s);
		return NULL;
	}
	return s;
}

void json_stream_destroy(struct json_stream *s)
{
	if (!s)
		return;
	json_tokener_free(s->parser);
	text_free(&s->text);
	free(s);
}
