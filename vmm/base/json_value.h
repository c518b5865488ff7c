// SPDX-License-Identifier: Apache-2.0
/*
 * json_value.h - the text of one complete JSON value, parsed strictly by json-c. For json_stream.c, which finds where a
 * value ends.
 */
#ifndef PMVM_JSON_VALUE_H
#define PMVM_JSON_VALUE_H

#include <stddef.h>

struct json_object;
struct json_tokener;

/* Has json-c ask the kernel for its random number, which it does at its first object, before a sandbox refuses that. */
int json_value_prepare(void);

/* A parser for values of this depth. NULL: out of memory. json_tokener_free ends it. */
struct json_tokener *json_value_parser(unsigned depth);

/*
 * Parses text that ends with a space: json-c takes a number as complete when something follows it. nkeys is the number
 * of members that all objects in it name: json-c keeps the last of several with one name, and has no flag against it,
 * so duplicates are found by counting. Returns NULL and *out, which the caller owns (NULL is null), or the text of an
 * error in QEMU's words.
 */
const char *json_value_parse(struct json_tokener *parser, const char *text, size_t len, size_t nkeys,
                             struct json_object **out);

#endif
