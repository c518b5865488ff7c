// SPDX-License-Identifier: Apache-2.0
/*
 * json_text.h - a JSON value as QEMU writes it: {"return": {"a": [1, 2]}}, with a space after ':' and ','.
 *
 * Pretty is one member or element a line, indented by four spaces. Everything beyond printable ASCII is
 * escaped, bytes that are no UTF-8 become U+FFFD: the text is valid whatever a file is called.
 */
#ifndef PMVM_JSON_TEXT_H
#define PMVM_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/* Text that grows. Once memory runs out it takes nothing more and `failed` is set. */
struct json_text {
	char *buf; /* no final 0 */
	size_t len, cap;
	bool failed;
};

void json_text_add(struct json_text *text, const void *buf, size_t len);
void json_text_value(struct json_text *text, struct json_object *val, bool pretty);
void json_text_free(struct json_text *text);

#endif
