// SPDX-License-Identifier: Apache-2.0
/*
 * json_parse.h - a text that is one JSON value, such as the argument of -object '{...}'.
 *
 * The dialect is QMP's (json_stream.h): strict JSON, except that strings may be in single quotes, as in QEMU.
 */
#ifndef PMVM_JSON_PARSE_H
#define PMVM_JSON_PARSE_H

#include <vpmem.h>

struct json_object;

/*
 * On success the caller owns *out (NULL is null). On failure *out is NULL: -ENOMEM, or -EINVAL with QEMU's text: "JSON
 * parse error, ...", "Expecting at most one JSON value".
 */
int json_parse(const char *text, struct json_object **out, struct vpmem_error *err);

#endif
