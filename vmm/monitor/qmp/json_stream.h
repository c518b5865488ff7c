// SPDX-License-Identifier: Apache-2.0
/*
 * json_stream.h - a stream of bytes that are cut anywhere, as a sequence of JSON values.
 *
 * A value ends where its brackets balance; no separator is needed. Strings may stand in single quotes, with
 * \' for one in them, as in QEMU. The text of one value is kept until it is complete, then json-c parses
 * it strictly; what is not JSON (a byte that cannot be there, invalid UTF-8, a key twice, \u0000) is
 * reported in QEMU's words, and reading goes on:
 *   - after an impossible byte: at the next bracket, ':' or ',', control character, 0xfe or 0xff. QMP's
 *     specification gives clients the last ones to get back to a known state;
 *   - after a value beyond a limit, at the next line: one report for all of it.
 */
#ifndef PMVM_JSON_STREAM_H
#define PMVM_JSON_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define JSON_STREAM_SIZE_MAX (1u << 20) /* bytes of one value */
#define JSON_STREAM_DEPTH_MAX 1024u     /* brackets in one another */
#define JSON_STREAM_TOKENS_MAX 16384u   /* brackets, ':' and ',': an empty object is 3 bytes of text, 800 of memory */

struct json_object;
struct json_stream;

/*
 * A value (borrowed; NULL is null), or the text of an error. Called in json_stream_feed, which it must not
 * call.
 */
typedef void json_stream_fn(void *owner, struct json_object *val, const char *error);

/* NULL: out of memory. */
struct json_stream *json_stream_create(json_stream_fn *fn, void *owner);
void json_stream_feed(struct json_stream *s, const uint8_t *buf, size_t len);
/* Drops what is not complete. NULL is allowed. */
void json_stream_destroy(struct json_stream *s);

#endif
