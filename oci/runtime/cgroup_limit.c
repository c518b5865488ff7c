// SPDX-License-Identifier: Apache-2.0
// linux.resources as the limits of a control group of version 2.
#include "cgroup.h"

#include "bundle.h"
#include "error.h"
#include "oci_log.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CPU_PERIOD_DEFAULT_US 100000

struct limits {
	const char *path;
	struct json_object *resources;
	uint64_t memory_overhead;
	bool is_running;
	struct vpmem_error *err;
};

static int write_limit(const struct limits *l, const char *name, const char *text)
{
	char file[PATH_MAX];
	int fd, rc = 0;

	snprintf(file, sizeof(file), "%s/%s", l->path, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		oci_log_warn("cgroup %s: no %s: the limit %s is not applied to the machine's processes", l->path, name,
		             text);
		return 0;
	}
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		rc = error_set(l->err, -errno, "cgroup %s: %s: '%s': %s", l->path, name, text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool has_file(const struct limits *l, const char *name)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/%s", l->path, name);
	return access(file, F_OK) == 0;
}

static struct json_object *member(const struct limits *l, const char *group, const char *name)
{
	struct json_object *of = json_object_object_get(l->resources, group);

	return json_object_is_type(of, json_type_object) ? json_object_object_get(of, name) : NULL;
}

// false: it is not given, or 0, which means the same in the specification.
static bool number(const struct limits *l, const char *group, const char *name, int64_t *val)
{
	struct json_object *found = member(l, group, name);

	if (!json_object_is_type(found, json_type_int))
		return false;
	*val = json_object_get_int64(found);
	return *val != 0;
}

static int limit_bytes(const struct limits *l, const char *file, int64_t val)
{
	char text[32] = "max";

	if (val > 0 && (uint64_t)val <= INT64_MAX - l->memory_overhead)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)((uint64_t)val + l->memory_overhead));
	return write_limit(l, file, text);
}

// Whether the limit would be smaller than it is. One that cannot be read is "max".
static bool is_lowered(const struct limits *l, int64_t limit)
{
	uint64_t is_now;

	return limit > 0 &&
	       (!cgroup_read(l->path, "memory.max", &is_now) || (uint64_t)limit + l->memory_overhead < is_now);
}

static int limit_memory(const struct limits *l)
{
	int64_t limit = 0, swap;
	int rc = 0;

	if (number(l, "memory", "limit", &limit) && !(l->is_running && is_lowered(l, limit)))
		rc = limit_bytes(l, "memory.max", limit);

	// The specification's limit is that of memory and swap together, this one's of swap alone.
	if (rc == 0 && number(l, "memory", "swap", &swap)) {
		char text[32] = "max";

		if (swap > 0)
			snprintf(text, sizeof(text), "%lld", (long long)(swap > limit ? swap - limit : 0));
		rc = write_limit(l, "memory.swap.max", text);
	}
	if (rc == 0 && number(l, "memory", "reservation", &limit))
		rc = limit_bytes(l, "memory.low", limit);
	return rc;
}

static int limit_cpu(const struct limits *l)
{
	int64_t quota = 0, period = CPU_PERIOD_DEFAULT_US, shares;
	char text[64];
	int rc = 0;

	number(l, "cpu", "period", &period);
	if (number(l, "cpu", "quota", &quota)) {
		if (quota > 0)
			snprintf(text, sizeof(text), "%lld %lld", (long long)quota, (long long)period);
		else
			snprintf(text, sizeof(text), "max %lld", (long long)period);
		rc = write_limit(l, "cpu.max", text);
	}
	if (rc == 0 && number(l, "cpu", "shares", &shares) && shares >= 2 && shares <= 262144) {
		// From 2 to 262144, as version 1 has them, to 1 to 10000: as runc and crun do.
		snprintf(text, sizeof(text), "%lld", (long long)(1 + (shares - 2) * 9999 / 262142));
		rc = write_limit(l, "cpu.weight", text);
	}
	return rc;
}

static int limit_set(const struct limits *l, const char *name, const char *file)
{
	struct json_object *val = member(l, "cpu", name);

	if (!json_object_is_type(val, json_type_string) || json_object_get_string_len(val) == 0)
		return 0;
	return write_limit(l, file, json_object_get_string(val));
}

// What is no matter of the guest. A file that is not there is an error, as the specification demands it.
static int limit_unified(const struct limits *l)
{
	struct json_object *unified = json_object_object_get(l->resources, "unified");
	int rc = 0;

	if (!json_object_is_type(unified, json_type_object))
		return 0;
	json_object_object_foreach(unified, name, val)
	{
		if (!bundle_is_host_limit(name))
			continue;
		if (strchr(name, '/') || !json_object_is_type(val, json_type_string))
			rc = error_set(l->err, -EINVAL, "linux.resources.unified: %s: not a file with a text", name);
		else if (!has_file(l, name))
			rc = error_set(l->err, -ENOENT, "linux.resources.unified: cgroup %s: no %s: %s", l->path, name,
			               strerror(ENOENT));
		else
			rc = write_limit(l, name, json_object_get_string(val));
		if (rc < 0)
			break;
	}
	return rc;
}

int cgroup_limit(const char *path, struct json_object *resources, uint64_t memory_overhead, bool is_running,
                 struct vpmem_error *err)
{
	const struct limits l = { .path = path,
		                  .resources = resources,
		                  .memory_overhead = memory_overhead,
		                  .is_running = is_running,
		                  .err = err };
	int rc;

	if (!path || !json_object_is_type(resources, json_type_object))
		return 0;
	rc = limit_memory(&l);
	if (rc == 0)
		rc = limit_cpu(&l);
	if (rc == 0)
		rc = limit_set(&l, "cpus", "cpuset.cpus");
	if (rc == 0)
		rc = limit_set(&l, "mems", "cpuset.mems");
	if (rc == 0)
		rc = limit_unified(&l);
	return rc;
}
