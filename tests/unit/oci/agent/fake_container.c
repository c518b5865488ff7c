// SPDX-License-Identifier: Apache-2.0
// crun, the network and the connection to the host, for tests of the requests.
#include "fake_container.h"

#include "agent_container.h"
#include "agent_net.h"
#include "agent_process.h"
#include "agent_rootfs_spec.h"
#include "error.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_container fake_container;

// Also with NDEBUG: what the host sent must not get this far.
#define CHECK(cond)              \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

void fake_container_clear(void)
{
	json_object_put(fake_container.sent);
	fake_container = (struct fake_container) { .ncalls = 0 };
}

static int called(const char *name)
{
	fake_container.ncalls++;
	fake_container.last = name;
	return 0;
}

int agent_connect(struct agent *agent, int *fd, struct vpmem_error *err)
{
	(void)agent;
	(void)fd;
	return error_set(err, -ECONNREFUSED, "no host");
}

void agent_send(struct agent *agent, struct json_object *message)
{
	(void)agent;
	json_object_put(fake_container.sent);
	fake_container.sent = message;
	fake_container.nsent++;
}

int container_create(struct agent *agent, int64_t id, unsigned container, struct json_object *config,
                     const struct rootfs_spec *rootfs, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	fake_container.number = container;
	(void)err;
	CHECK(json_object_is_type(json_object_object_get(config, "process"), json_type_object));
	CHECK(rootfs->path || rootfs->nlayers > 0);
	CHECK(rootfs->share || (!rootfs->path && rootfs->upper != UPPER_SHARE));
	CHECK(container <= CONTAINER_NUMBER_MAX && rootfs->nmemory <= MEMORY_MOUNTS_MAX);
	for (unsigned i = 0; i < rootfs->nmemory; i++)
		CHECK(rootfs->memory[i].name[0] != '.' && !strchr(rootfs->memory[i].name, '/'));
	CHECK(rootfs->nlayers <= LAYERS_MAX && rootfs->nmounts <= PMEM_MOUNTS_MAX);
	CHECK(!rootfs->path || (rootfs->path[0] != '/' && strncmp(rootfs->path, "../", 3) != 0));
	CHECK(!rootfs->path || !strstr(rootfs->path, "/../"));
	return called("create");
}

int container_start(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	fake_container.number = container;
	(void)err;
	return called("start");
}

int container_exec(struct agent *agent, int64_t id, unsigned container, const char *name, struct json_object *spec,
                   const char *cgroup, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	fake_container.number = container;
	(void)err;
	CHECK(process_name_wellformed(name) && strlen(name) < PROCESS_NAME_SIZE);
	CHECK(json_object_is_type(spec, json_type_object));
	CHECK(!cgroup || (*cgroup && strlen(cgroup) <= CGROUP_MAX));
	snprintf(fake_container.cgroup, sizeof(fake_container.cgroup), "%s", cgroup ? cgroup : "");
	return called("exec");
}

int container_signal_all(struct agent *agent, int64_t id, unsigned container, int signo, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	fake_container.number = container;
	(void)err;
	CHECK(signo >= 1 && signo <= 64);
	return called("signal_all");
}

int container_ps(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	fake_container.number = container;
	return error_set(err, -EIO, "crun says no");
}

int container_pause(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	(void)err;
	fake_container.number = container;
	return called("pause");
}

int container_resume(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	(void)err;
	fake_container.number = container;
	return called("resume");
}

int container_update(struct agent *agent, int64_t id, unsigned container, struct json_object *resources,
                     struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	fake_container.number = container;
	(void)err;
	CHECK(json_object_is_type(resources, json_type_object));
	return called("update");
}

int container_remove(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	(void)err;
	CHECK(container > 0 && container <= CONTAINER_NUMBER_MAX);
	fake_container.number = container;
	return called("remove");
}

int container_shutdown(struct agent *agent, int64_t id, struct vpmem_error *err)
{
	(void)agent;
	(void)id;
	(void)err;
	return called("shutdown");
}

int agent_net_configure(struct json_object *network, struct vpmem_error *err)
{
	(void)network;
	(void)err;
	called("network");
	return 0;
}
