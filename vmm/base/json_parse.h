// SPDX-License-Identifier: Apache-2.0
/*
 * json_parse.h - the text of one JSON value, parsed strictly by json-c.
 */
#ifndef PMVM_JSON_PARSE_H
#define PMVM_JSON_PARSE_H

#include <stddef.h>

struct json_object;
struct json_tokener;

/* A parser for values of this depth. NULL: out of memory. json_tokener_free ends it. */
struct json_tokener *json_parser_new(unsigned depth);

/*
 * Parses text that ends with a space. nkeys is the number of members that all objects in it name: json-c
 * keeps the last of several with one name, which is how they are noticed. Returns NULL and *out, which the
 * caller owns (NULL is null), or the text of an error in QEMU's words.
 */
const char *json_parse(struct json_tokener *parser, const char *text, size_t len, size_t nkeys,
                       struct json_object **out);

#endif
