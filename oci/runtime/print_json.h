// SPDX-License-Identifier: Apache-2.0
/*
 * print_json.h - the output of a verb that is JSON.
 */
#ifndef PMVM_OCI_PRINT_JSON_H
#define PMVM_OCI_PRINT_JSON_H

#include <stdbool.h>
#include <vpmem.h>

struct json_object;

/* Prints json, which is taken, and a newline. An output that cannot be written is an error. */
int print_json(struct json_object *json, bool is_pretty, struct vpmem_error *err);

#endif
