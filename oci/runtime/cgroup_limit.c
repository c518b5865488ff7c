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
#define CPU_PERCENT_US 10000u /* in a second */

// A file of the group, and the same as properties of a unit of systemd.
struct limit {
	const char *file;
	char text[64];
	struct scope_limit properties[2];
	unsigned nproperties;
};

struct limits {
	const char *path;
	struct json_object *resources;
	uint64_t memory_overhead;
	bool is_running;
	struct limit list[CGROUP_LIMITS_MAX];
	unsigned n;
};

static int write_text(const struct limits *l, const char *name, const char *text, struct vpmem_error *err)
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
		rc = error_set(err, -errno, "cgroup %s: %s: '%s': %s", l->path, name, text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static const char *text_of(const struct limit *limit)
{
	const char *list = limit->properties[0].list;

	return list ? list : limit->text;
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

static struct limit *add(struct limits *l, const char *file, const char *property, uint64_t val)
{
	struct limit *limit = &l->list[l->n++];

	*limit = (struct limit) { .file = file, .text = "max", .nproperties = 1 };
	limit->properties[0] = (struct scope_limit) { .name = property, .val = val };
	if (val != SCOPE_NO_LIMIT)
		snprintf(limit->text, sizeof(limit->text), "%llu", (unsigned long long)val);
	return limit;
}

static void add_bytes(struct limits *l, const char *file, const char *property, int64_t val)
{
	const bool is_limit = val > 0 && (uint64_t)val <= INT64_MAX - l->memory_overhead;

	add(l, file, property, is_limit ? (uint64_t)val + l->memory_overhead : SCOPE_NO_LIMIT);
}

// Whether the limit would be smaller than it is. One that cannot be read is "max".
static bool is_lowered(const struct limits *l, int64_t limit)
{
	uint64_t is_now;

	return limit > 0 &&
	       (!cgroup_read(l->path, "memory.max", &is_now) || (uint64_t)limit + l->memory_overhead < is_now);
}

static void add_memory(struct limits *l)
{
	int64_t limit = 0, swap;

	if (number(l, "memory", "limit", &limit) && !(l->is_running && is_lowered(l, limit)))
		add_bytes(l, "memory.max", "MemoryMax", limit);
	// The specification's limit is that of memory and swap together, this one's of swap alone.
	if (number(l, "memory", "swap", &swap))
		add(l, "memory.swap.max", "MemorySwapMax",
		    swap <= 0 ? SCOPE_NO_LIMIT : (uint64_t)(swap > limit ? swap - limit : 0));
	if (number(l, "memory", "reservation", &limit))
		add_bytes(l, "memory.low", "MemoryLow", limit);
}

// systemd has whole percents of a processor, and writes them so when it reads its configuration again: rounded up.
static uint64_t quota_per_second(int64_t quota, int64_t period)
{
	const double per_second = (double)quota * 1e6 / (double)period;

	return per_second < 1e15 ? ((uint64_t)per_second + CPU_PERCENT_US - 1) / CPU_PERCENT_US * CPU_PERCENT_US :
	                           SCOPE_NO_LIMIT;
}

static void add_cpu(struct limits *l)
{
	int64_t quota = 0, period = CPU_PERIOD_DEFAULT_US, shares;

	if (!number(l, "cpu", "period", &period) || period < 0)
		period = CPU_PERIOD_DEFAULT_US;
	if (number(l, "cpu", "quota", &quota)) {
		const uint64_t per_second = quota > 0 ? quota_per_second(quota, period) : SCOPE_NO_LIMIT;
		struct limit *limit = add(l, "cpu.max", "CPUQuotaPerSecUSec", per_second);

		if (quota > 0)
			snprintf(limit->text, sizeof(limit->text), "%lld %lld", (long long)quota, (long long)period);
		else
			snprintf(limit->text, sizeof(limit->text), "max %lld", (long long)period);
		limit->properties[limit->nproperties++] =
			(struct scope_limit) { .name = "CPUQuotaPeriodUSec", .val = (uint64_t)period };
	}
	// From 2 to 262144, as version 1 has them, to 1 to 10000: as runc and crun do.
	if (number(l, "cpu", "shares", &shares) && shares >= 2 && shares <= 262144)
		add(l, "cpu.weight", "CPUWeight", (uint64_t)(1 + (shares - 2) * 9999 / 262142));
}

static void add_set(struct limits *l, const char *name, const char *file, const char *property)
{
	struct json_object *val = member(l, "cpu", name);

	if (json_object_is_type(val, json_type_string) && json_object_get_string_len(val) > 0)
		add(l, file, property, 0)->properties[0].list = json_object_get_string(val);
}

static void find_limits(struct limits *l)
{
	if (!json_object_is_type(l->resources, json_type_object))
		return;
	add_memory(l);
	add_cpu(l);
	add_set(l, "cpus", "cpuset.cpus", "AllowedCPUs");
	add_set(l, "mems", "cpuset.mems", "AllowedMemoryNodes");
}

// What is no matter of the guest. A file that is not there is an error, as the specification demands it.
static int limit_unified(const struct limits *l, struct vpmem_error *err)
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
			rc = error_set(err, -EINVAL, "linux.resources.unified: %s: not a file with a text", name);
		else if (!has_file(l, name))
			rc = error_set(err, -ENOENT, "linux.resources.unified: cgroup %s: no %s: %s", l->path, name,
			               strerror(ENOENT));
		else
			rc = write_text(l, name, json_object_get_string(val), err);
		if (rc < 0)
			break;
	}
	return rc;
}

int cgroup_limit(const char *path, struct json_object *resources, uint64_t memory_overhead, bool is_running,
                 struct vpmem_error *err)
{
	struct limits l = {
		.path = path, .resources = resources, .memory_overhead = memory_overhead, .is_running = is_running
	};
	int rc = 0;

	if (!path || !json_object_is_type(resources, json_type_object))
		return 0;
	find_limits(&l);
	for (unsigned i = 0; rc == 0 && i < l.n; i++)
		rc = write_text(&l, l.list[i].file, text_of(&l.list[i]), err);
	if (rc == 0)
		rc = limit_unified(&l, err);
	return rc;
}

size_t cgroup_properties(const char *path, struct json_object *resources, uint64_t memory_overhead, bool is_running,
                         struct scope_limit properties[CGROUP_LIMITS_MAX])
{
	struct limits l = {
		.path = path, .resources = resources, .memory_overhead = memory_overhead, .is_running = is_running
	};
	size_t n = 0;

	if (path)
		find_limits(&l);
	for (unsigned i = 0; i < l.n; i++)
		for (unsigned k = 0; k < l.list[i].nproperties; k++)
			properties[n++] = l.list[i].properties[k];
	return n;
}

static int refuse(const char *file, const char *text, const char *why, struct vpmem_error *err)
{
	if (strncmp(text, "max", 3) == 0)
		return 0;
	error_set(err, -EPERM, "linux.resources: %s = %s: no control group can have it: %s", file, text, why);
	error_hint(err, "leave it out: the annotations io.pmvm.memory and io.pmvm.cpus limit the machine by itself");
	return -EPERM;
}

int cgroup_refuse_limits(struct json_object *resources, const char *why, struct vpmem_error *err)
{
	struct limits l = { .resources = resources };
	struct json_object *unified = json_object_object_get(resources, "unified");
	int rc = 0;

	find_limits(&l);
	for (unsigned i = 0; rc == 0 && i < l.n; i++)
		rc = refuse(l.list[i].file, text_of(&l.list[i]), why, err);
	if (rc < 0 || !json_object_is_type(unified, json_type_object))
		return rc;
	json_object_object_foreach(unified, name, val)
	{
		if (rc == 0 && bundle_is_host_limit(name))
			rc = refuse(name, json_object_get_string(val), why, err);
	}
	return rc;
}
