// SPDX-License-Identifier: Apache-2.0
/*
 * machine_query.h - how the queries look at the machine's devices.
 */
#ifndef PMVM_MACHINE_QUERY_H
#define PMVM_MACHINE_QUERY_H

#include "machine.h"

struct json_object;

/*
 * The pmem devices that are there: without those that the guest has let go, which another thread may be
 * taking down. Returns how many. (cmd_query.c)
 */
unsigned machine_list_pmems(const struct machine *m, struct pmem *out[PMEMS_MAX]);

/* "/objects/ID": the object's QOM path. (cmd_query.c) */
struct json_object *memdev_path(const struct memdev *memdev);

#endif
