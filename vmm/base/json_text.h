// SPDX-License-Identifier: Apache-2.0
/*
 * json_text.h - a JSON value as QEMU writes it: {"return": {"a": [1, 2]}}, with a space after ':' and ','.
 *
 * The pretty form has one member or element a line, indented by four spaces. Everything beyond printable ASCII is
 * escaped, and bytes that are not UTF-8 become U+FFFD: the text is valid JSON even where a file name is not UTF-8.
 */
#ifndef PMVM_JSON_TEXT_H
#define PMVM_JSON_TEXT_H

#include <stdbool.h>

struct json_object;
struct text;

/* Appends the value (NULL is null) to the text. */
void json_text_add(struct text *text, struct json_object *val, bool pretty);

#endif
