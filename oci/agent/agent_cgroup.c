// SPDX-License-Identifier: Apache-2.0
// Numbers of a container's cgroup.
#include "agent_cgroup.h"

#include "agent_file.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ssize_t read_cgroup(unsigned container, const char *name, char *buf, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/fs/cgroup" CGROUP_FORMAT "/%s", container, name);
	return file_read(path, buf, size);
}

void cgroup_add_lines(struct json_object *to, char *text)
{
	char *line, *val, *end;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, " ");
		uint64_t number;

		if (!line)
			continue;
		val = line;
		number = strtoull(val, &end, 10);
		if (end != val && *end == '\0')
			json_object_object_add(to, name, json_object_new_uint64(number));
	}
}

static void add_file(struct json_object *to, unsigned container, const char *file)
{
	char buf[4096];

	read_cgroup(container, file, buf, sizeof(buf));
	cgroup_add_lines(to, buf);
}

static void add_number(struct json_object *to, unsigned container, const char *file, const char *name)
{
	char buf[64];
	uint64_t number;

	if (read_cgroup(container, file, buf, sizeof(buf)) > 0 && sscanf(buf, "%lu", &number) == 1)
		json_object_object_add(to, name, json_object_new_uint64(number));
}

uint64_t cgroup_oom_kills(unsigned container)
{
	struct json_object *events = json_object_new_object(), *kills;
	uint64_t n = 0;

	add_file(events, container, "memory.events");
	if (json_object_object_get_ex(events, "oom_kill", &kills))
		n = json_object_get_uint64(kills);
	json_object_put(events);
	return n;
}

struct json_object *cgroup_stats(unsigned container)
{
	struct json_object *stats = json_object_new_object(), *memory = json_object_new_object();
	struct json_object *cpu = json_object_new_object(), *pids = json_object_new_object();

	add_number(memory, container, "memory.current", "current");
	add_number(memory, container, "memory.peak", "peak");
	add_file(memory, container, "memory.events");
	add_file(cpu, container, "cpu.stat");
	add_number(pids, container, "pids.current", "current");
	json_object_object_add(stats, "memory", memory);
	json_object_object_add(stats, "cpu", cpu);
	json_object_object_add(stats, "pids", pids);
	return stats;
}
