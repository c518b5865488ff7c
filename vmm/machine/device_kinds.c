// SPDX-License-Identifier: Apache-2.0
// The kinds of objects and devices: those of device_list.h.
#include "device_list.h"
#include "machine_device.h"
#include "machine_object.h"

#define OBJECT(name, ...) extern const struct object_kind name##_kind;
#define DEVICE(name) extern const struct device_kind name##_kind;
OBJECT_LIST(OBJECT)
DEVICE_LIST(DEVICE)
#undef OBJECT
#undef DEVICE

#define OBJECT(name, ...) &name##_kind,
#define DEVICE(name) &name##_kind,
static const struct object_kind *const objects[] = { OBJECT_LIST(OBJECT) NULL };
static const struct device_kind *const devices[] = { DEVICE_LIST(DEVICE) NULL };

const struct object_kind *object_kind_at(unsigned idx)
{
	return objects[idx];
}

const struct device_kind *device_kind_at(unsigned idx)
{
	return devices[idx];
}
