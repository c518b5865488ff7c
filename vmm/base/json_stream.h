// SPDX-License-Identifier: Apache-2.0
/*
 * json_stream.h - a stream of bytes, in pieces of any length, as a sequence of JSON values: the one dialect of pmvm.
 *
 * A value ends where its brackets balance; no separator is needed. Strings may be in single quotes, with \' for one
 * in them, as in QEMU. The text of one value is kept until it is complete, then it is parsed strictly. What is not JSON
 * (a byte that no token has, invalid UTF-8, a duplicate key, \u0000, a number beyond 64 bits) is reported in QEMU's
 * words, once for each value, and reading goes on:
 *   - after a byte that no token has: at the next bracket, ':' or ',', control character, 0xfe or 0xff. QMP's
 *     specification gives clients the last two to get back to a known state;
 *   - after a value beyond a limit: at the next line.
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
/* The stream is over: a last word or number is complete, anything else that was begun is "premature EOI". */
void json_stream_end(struct json_stream *s);
/* Drops what is not complete. NULL is allowed. */
void json_stream_destroy(struct json_stream *s);

#endif
