// SPDX-License-Identifier: Apache-2.0
/*
 * top_json.h - a view for programs. pmvm-top(1) describes the members.
 */
#ifndef PMVM_TOP_JSON_H
#define PMVM_TOP_JSON_H

#include "top_view.h"

/* What the filter hides is left out. The caller owns the object. */
struct json_object *top_json(const struct top_view *view);

#endif
