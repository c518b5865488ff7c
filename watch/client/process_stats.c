// SPDX-License-Identifier: Apache-2.0
// Reads /proc.
#include "process_stats.h"

#include "json_at.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_file(const char *path, char *buf, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(buf, 1, size - 1, file) : 0;

	if (file)
		fclose(file);
	buf[n] = '\0';
	return n > 0;
}

/* utime and stime, fields 14 and 15 of stat. A name, field 2, may contain anything, so counting begins at its last ')'. */
static bool read_cpu(const char *path, double *seconds)
{
	unsigned long long user, system;
	char buf[1024];
	const char *rest;

	if (!read_file(path, buf, sizeof(buf)) || !(rest = strrchr(buf, ')')) ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return false;
	*seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

static void read_resident(struct process_stats *stats, pid_t pid)
{
	unsigned long long pages;
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (read_file(path, buf, sizeof(buf)) && sscanf(buf, "%*u %llu", &pages) == 1)
		stats->resident_size = pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool read_vcpus(struct process_stats *stats, pid_t pid, struct json_object *cpus)
{
	size_t n = json_at_length(cpus, "");
	char path[96];
	uint64_t tid;

	if (n == 0 || n > VCPUS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!json_at_uint(json_object_array_get_idx(cpus, i), "thread-id", &tid))
			return false;
		snprintf(path, sizeof(path), "/proc/%d/task/%" PRIu64 "/stat", pid, tid);
		if (!read_cpu(path, &stats->vcpu_s[i]))
			return false;
	}
	stats->nvcpus = (unsigned)n;
	return true;
}

void process_stats_read(struct process_stats *stats, pid_t pid, struct json_object *cpus)
{
	char path[64];

	*stats = (struct process_stats) { 0 };
	if (pid <= 0 || !read_vcpus(stats, pid, cpus))
		return;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stats->is_known = read_cpu(path, &stats->cpu_s);
	if (!stats->is_known)
		return;
	read_resident(stats, pid);
}
