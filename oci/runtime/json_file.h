// SPDX-License-Identifier: Apache-2.0
/*
 * json_file.h - a file that is one JSON value.
 */
#ifndef PMVM_OCI_JSON_FILE_H
#define PMVM_OCI_JSON_FILE_H

#include <stdbool.h>
#include <vpmem.h>

#define JSON_FILE_MAX (1u << 20)

struct json_object;

/* The caller owns *json. path "-": standard input. -ENOENT, -EINVAL: not JSON, or more than JSON_FILE_MAX bytes. */
int json_file_read(const char *path, struct json_object **json, struct vpmem_error *err);
/*
 * Replaces the file as a whole: a reader sees the old one or the new one. is_pretty: with lines, for people; the text may
 * be many times as long. -EFBIG: it would have more than JSON_FILE_MAX bytes, and nobody could read it.
 */
int json_file_write(const char *path, struct json_object *json, bool is_pretty, struct vpmem_error *err);

#endif
