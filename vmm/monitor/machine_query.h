// SPDX-License-Identifier: Apache-2.0
/*
 * machine_query.h - the machine's devices, and paths of objects, for the queries.
 */
#ifndef PMVM_MACHINE_QUERY_H
#define PMVM_MACHINE_QUERY_H

#include "machine.h"

struct json_object;

/*
 * The pmem devices that are there: without those that the guest has released, which another thread may be
 * removing. Returns their number.
 */
unsigned machine_list_pmems(const struct machine *m, struct pmem *out[PMEMS_MAX]);

/* The same for devices of every kind. */
unsigned machine_list_devices(const struct machine *m, struct device *out[DEVICES_MAX]);

/* "/objects/ID": the object's QOM path. */
struct json_object *object_path(const char *id);
struct json_object *memdev_path(const struct memdev *memdev);

#endif
