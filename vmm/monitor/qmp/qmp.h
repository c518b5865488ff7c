// SPDX-License-Identifier: Apache-2.0
/*
 * qmp.h - JSON as QMP writes it.
 */
#ifndef PMVM_QMP_H
#define PMVM_QMP_H

#include <json-c/json.h>

/* On one line with QEMU's spacing: {"a": 1}. The caller frees it; NULL: out of memory. */
char *qmp_text(struct json_object *json);

#endif
