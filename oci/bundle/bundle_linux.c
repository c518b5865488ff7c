// SPDX-License-Identifier: Apache-2.0
// linux: resources, devices, and what a machine cannot do.
#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

// ---- resources

unsigned bundle_host_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

// The time of several CPUs needs as many of them.
static void set_cpus(struct bundle *bundle, int64_t quota, int64_t period)
{
	uint64_t cpus = quota > 0 && period > 0 ? ((uint64_t)quota + (uint64_t)period - 1) / (uint64_t)period : 0;
	unsigned host = bundle_host_cpus();

	if (bundle->cpus == 0)
		bundle->cpus = cpus < host ? (unsigned)cpus : host;
}

static int take_resources(struct bundle *bundle, struct json_object *linux_object, struct vpmem_error *err)
{
	struct json_object *resources, *memory, *cpu, *pids, *unified;
	int64_t limit = 0, quota = 0, period = 100000, number;
	int rc = field_get(linux_object, "linux", "resources", json_type_object, &resources, err);

	rc = rc ? rc : field_get(resources, "linux.resources", "memory", json_type_object, &memory, err);
	rc = rc ? rc : field_int(memory, "linux.resources.memory", "limit", -1, INT64_MAX, &limit, err);
	rc = rc ? rc : field_get(resources, "linux.resources", "cpu", json_type_object, &cpu, err);
	rc = rc ? rc : field_int(cpu, "linux.resources.cpu", "quota", -1, INT64_MAX, &quota, err);
	rc = rc ? rc : field_int(cpu, "linux.resources.cpu", "period", 0, INT64_MAX, &period, err);
	rc = rc ? rc : field_get(resources, "linux.resources", "pids", json_type_object, &pids, err);
	rc = rc ? rc : field_int(pids, "linux.resources.pids", "limit", -1, INT64_MAX, &number, err);
	rc = rc ? rc : field_get(resources, "linux.resources", "unified", json_type_object, &unified, err);
	if (rc)
		return rc;
	bundle->memory_limit = limit > 0 ? (uint64_t)limit : 0;
	set_cpus(bundle, quota, period);
	return 0;
}

// ---- devices

// Those that every kernel has, and so the guest's. The last one is what virtiofs needs as well.
static const struct {
	int64_t major, minor;
} guest_devices[] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 }, { 1, 9 }, { 5, 0 }, { 5, 1 }, { 5, 2 }, { 10, 229 } };

static bool is_in_guest(const char *type, int64_t major, int64_t minor)
{
	if (strcmp(type, "p") == 0)
		return true;
	for (unsigned i = 0; i < sizeof(guest_devices) / sizeof(*guest_devices); i++) {
		if ((strcmp(type, "c") == 0 || strcmp(type, "u") == 0) && guest_devices[i].major == major &&
		    guest_devices[i].minor == minor)
			return true;
	}
	return false;
}

static int check_device(struct json_object *devices, size_t i, struct vpmem_error *err)
{
	struct json_object *device = json_object_array_get_idx(devices, i), *path, *type;
	char where[FIELD_PATH_SIZE];
	int64_t major = -1, minor = -1;
	int rc;

	field_element(where, sizeof(where), "linux", "devices", i);
	if (!json_object_is_type(device, json_type_object))
		return error_set(err, -EINVAL, "%s: not an object", where);
	rc = field_need(device, where, "path", json_type_string, &path, err);
	rc = rc ? rc : field_need(device, where, "type", json_type_string, &type, err);
	rc = rc ? rc : field_int(device, where, "major", -1, INT_MAX, &major, err);
	rc = rc ? rc : field_int(device, where, "minor", -1, INT_MAX, &minor, err);
	if (rc || is_in_guest(json_object_get_string(type), major, minor))
		return rc;
	error_set(err, -ENOTSUP, "linux.devices: %s (%s %lld:%lld), a device of the host: not supported",
	          json_object_get_string(path), json_object_get_string(type), (long long)major, (long long)minor);
	error_hint(
		err,
		"a machine of its own has its own devices: leave out --device and --privileged, or use another runtime");
	return -ENOTSUP;
}

static int check_devices(struct json_object *linux_object, struct vpmem_error *err)
{
	struct json_object *devices;
	int rc = field_get(linux_object, "linux", "devices", json_type_array, &devices, err);

	for (size_t i = 0; rc == 0 && devices && i < json_object_array_length(devices); i++)
		rc = check_device(devices, i, err);
	return rc;
}

// ---- the rest

static int check_propagation(struct json_object *linux_object, struct vpmem_error *err)
{
	const char *mode;
	int rc = field_string(linux_object, "linux", "rootfsPropagation", &mode, err);

	if (rc || !mode || !*mode || strstr(mode, "private") || strstr(mode, "unbindable"))
		return rc;
	error_set(err, -ENOTSUP, "linux.rootfsPropagation: %s: mounts do not pass between a machine and the host",
	          mode);
	error_hint(err, "use private or rprivate");
	return -ENOTSUP;
}

static int check_seccomp(struct json_object *linux_object, struct vpmem_error *err)
{
	struct json_object *seccomp;
	const char *listener;
	int rc = field_get(linux_object, "linux", "seccomp", json_type_object, &seccomp, err);

	rc = rc ? rc : field_string(seccomp, "linux.seccomp", "listenerPath", &listener, err);
	if (rc || !listener || !*listener)
		return rc;
	error_set(err, -ENOTSUP,
	          "linux.seccomp.listenerPath: %s: a process of the host cannot answer for system calls of a guest",
	          listener);
	error_hint(err, "use a profile without notifications");
	return -ENOTSUP;
}

static int check_rdt(struct json_object *linux_object, struct vpmem_error *err)
{
	struct json_object *rdt;
	int rc = field_get(linux_object, "linux", "intelRdt", json_type_object, &rdt, err);

	if (rc || !rdt)
		return rc;
	error_set(err, -ENOTSUP, "linux.intelRdt: not supported");
	error_hint(err, "assign the machine's process to a group of resctrl on the host");
	return -ENOTSUP;
}

int bundle_take_linux(struct bundle *bundle, struct json_object *linux_object, struct vpmem_error *err)
{
	struct json_object *val;
	const char *path;
	int rc = take_resources(bundle, linux_object, err);

	rc = rc ? rc : check_devices(linux_object, err);
	rc = rc ? rc : check_rdt(linux_object, err);
	rc = rc ? rc : check_propagation(linux_object, err);
	rc = rc ? rc : check_seccomp(linux_object, err);
	rc = rc ? rc : field_strings(linux_object, "linux", "maskedPaths", &val, err);
	rc = rc ? rc : field_strings(linux_object, "linux", "readonlyPaths", &val, err);
	rc = rc ? rc : field_get(linux_object, "linux", "sysctl", json_type_object, &val, err);
	rc = rc ? rc : field_string(linux_object, "linux", "cgroupsPath", &path, err);
	if (rc || !path || !*path)
		return rc;
	bundle->cgroups_path = strdup(path);
	return bundle->cgroups_path ? 0 : error_set(err, -ENOMEM, "linux.cgroupsPath: out of memory");
}
