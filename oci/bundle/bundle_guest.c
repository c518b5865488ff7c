// SPDX-License-Identifier: Apache-2.0
// config.json for the runtime inside the guest.
#include "bundle.h"

#include "bundle_parts.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The runtime in the guest refuses configurations that say a later one; members that it does not know it ignores.
#define GUEST_SPEC "1.0.2"

int json_add(struct json_object *object, const char *name, struct json_object *val)
{
	if (val && json_object_object_add(object, name, val) == 0)
		return 0;
	json_object_put(val);
	return -ENOMEM;
}

int json_append(struct json_object *array, struct json_object *val)
{
	if (val && json_object_array_add(array, val) == 0)
		return 0;
	json_object_put(val);
	return -ENOMEM;
}

static bool starts_with_any(const char *text, const char *const *list)
{
	for (; *list; list++) {
		if (strncmp(text, *list, strlen(*list)) == 0)
			return true;
	}
	return false;
}

bool bundle_is_host_limit(const char *file)
{
	static const char *const host[] = { "memory.swap.", "memory.zswap.", "io.",   "cpuset.",
		                            "hugetlb.",     "rdma.",         "misc.", NULL };

	return starts_with_any(file, host);
}

// Removes the members whose names begin with none of the list.
static void keep_members(struct json_object *object, const char *const *list)
{
	if (!json_object_is_type(object, json_type_object))
		return;
	json_object_object_foreach(object, name, val)
	{
		(void)val;
		if (!starts_with_any(name, list))
			json_object_object_del(object, name);
	}
}

static void remove_host_limits(struct json_object *unified)
{
	if (!json_object_is_type(unified, json_type_object))
		return;
	json_object_object_foreach(unified, name, val)
	{
		(void)val;
		if (bundle_is_host_limit(name))
			json_object_object_del(unified, name);
	}
}

/*
 * Memory, processes and time of CPUs are limited in the guest as well, so that the container sees its limits. Swap,
 * disks, huge pages and numbers of CPUs are those of the host. The runtime in the guest refuses other files of control
 * groups that do not exist.
 */
void bundle_guest_resources(struct json_object *resources)
{
	static const char *const all[] = { "devices", "memory", "pids", "cpu", "unified", NULL };
	static const char *const memory[] = { "limit", "reservation", NULL };
	static const char *const cpu[] = { "shares", "quota", "period", "burst", "idle", NULL };

	keep_members(resources, all);
	keep_members(json_object_object_get(resources, "memory"), memory);
	keep_members(json_object_object_get(resources, "cpu"), cpu);
	remove_host_limits(json_object_object_get(resources, "unified"));
}

static int add_namespace(struct json_object *list, const char *type, const char *path)
{
	struct json_object *entry = json_object_new_object();
	int rc = json_append(list, entry);

	rc = rc ? rc : json_add(entry, "type", json_object_new_string(type));
	return rc || !path ? rc : json_add(entry, "path", json_object_new_string(path));
}

/*
 * The network is that of the guest, which the agent configures. It is named by its path, and not left out, as crun sets
 * sysctls net.* only where there is an entry.
 */
static int add_common(const struct bundle *bundle, const struct guest_place *place, struct json_object *list)
{
	const struct {
		const char *type;
		bool is_shared;
		int pid;
	} common[] = {
		{ "pid", bundle->pod.pidns_path, place->pidns_pid },
		{ "ipc", bundle->pod.has_ipc, place->pod_pid },
		{ "uts", bundle->pod.has_uts, place->pod_pid },
		{ "mount", false, 0 },
		{ "cgroup", false, 0 },
	};
	char path[64];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < sizeof(common) / sizeof(*common); i++) {
		const bool is_shared = bundle->pod.role == POD_CONTAINER && common[i].is_shared;

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", common[i].pid, common[i].type);
		rc = add_namespace(list, common[i].type, is_shared ? path : NULL);
	}
	return rc ? rc : add_namespace(list, "network", "/proc/1/ns/net");
}

static int replace_namespaces(const struct bundle *bundle, const struct guest_place *place,
                              struct json_object *linux_object)
{
	struct json_object *old = json_object_object_get(linux_object, "namespaces"), *list = json_object_new_array();
	int rc = list ? add_common(bundle, place, list) : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < json_object_array_length(old); i++) {
		const char *type =
			json_object_get_string(json_object_object_get(json_object_array_get_idx(old, i), "type"));

		if (strcmp(type, "user") == 0 || strcmp(type, "time") == 0)
			rc = add_namespace(list, type, NULL);
	}
	if (rc) {
		json_object_put(list);
		return rc;
	}
	return json_add(linux_object, "namespaces", list);
}

static int change_linux(const struct bundle *bundle, const struct guest_place *place, struct json_object *linux_object)
{
	char path[64];
	int rc = replace_namespaces(bundle, place, linux_object);

	bundle_guest_resources(json_object_object_get(linux_object, "resources"));
	json_object_object_del(linux_object, "mountLabel");
	snprintf(path, sizeof(path), BUNDLE_GUEST_CGROUP, place->number);
	return rc ? rc : json_add(linux_object, "cgroupsPath", json_object_new_string(path));
}

// Those of bundle_mounts.c are relative to the directory of the container.
static int change_sources(const struct guest_place *place, struct json_object *mounts)
{
	char path[128];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_object_array_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);
		const char *type = json_object_get_string(json_object_object_get(mount, "type"));
		const char *source = json_object_get_string(json_object_object_get(mount, "source"));

		if (!type || strcmp(type, "bind") != 0 || *source == '/')
			continue;
		snprintf(path, sizeof(path), BUNDLE_GUEST_DIR "/%s", place->number, source);
		rc = json_add(mount, "source", json_object_new_string(path));
	}
	return rc;
}

static bool has_user_namespace(struct json_object *linux_object)
{
	struct json_object *list = json_object_object_get(linux_object, "namespaces");

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *type = json_object_object_get(json_object_array_get_idx(list, i), "type");

		if (strcmp(json_object_get_string(type), "user") == 0)
			return true;
	}
	return false;
}

// The mount of all of /sys has the control groups of the guest as well.
static int mask_groups(struct json_object *linux_object)
{
	struct json_object *masked = json_object_object_get(linux_object, "maskedPaths");
	int rc = 0;

	if (!masked) {
		masked = json_object_new_array();
		rc = json_add(linux_object, "maskedPaths", masked);
	}
	return rc ? rc : json_append(masked, json_object_new_string("/sys/fs/cgroup"));
}

/*
 * Who mounts sysfs needs the right to administrate the network namespace. That is the guest's, and a user namespace has
 * no rights in it. So the guest's sysfs is bound, as crun does it where only some of the ids are mapped.
 */
static int bind_sysfs(struct json_object *mounts, struct json_object *linux_object)
{
	bool is_bound = false, has_groups = false;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_object_array_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);
		const char *type = json_object_get_string(json_object_object_get(mount, "type"));
		const char *target = json_object_get_string(json_object_object_get(mount, "destination"));

		has_groups |= strcmp(target, "/sys/fs/cgroup") == 0;
		if (!type || strcmp(type, "sysfs") != 0)
			continue;
		is_bound = true;
		rc = json_add(mount, "type", json_object_new_string("bind"));
		rc = rc ? rc : json_add(mount, "source", json_object_new_string("/sys"));
		rc = rc ? rc : json_append(json_object_object_get(mount, "options"), json_object_new_string("rbind"));
	}
	return rc || !is_bound || has_groups ? rc : mask_groups(linux_object);
}

static int change_root(const struct bundle *bundle, const struct guest_place *place, struct json_object *config)
{
	char path[64];
	struct json_object *root = json_object_new_object();
	int rc = json_add(config, "root", root);

	snprintf(path, sizeof(path), BUNDLE_GUEST_DIR "/rootfs", place->number);
	rc = rc ? rc : json_add(root, "path", json_object_new_string(path));
	return rc ? rc : json_add(root, "readonly", json_object_new_boolean(bundle->root_readonly));
}

// A container without a name has the host's, as under other runtimes; one that shares the pod's sets none.
static int change_hostname(const struct bundle *bundle, struct json_object *config)
{
	char name[HOST_NAME_MAX + 1];

	if (bundle->pod.role == POD_CONTAINER && bundle->pod.has_uts) {
		json_object_object_del(config, "hostname");
		json_object_object_del(config, "domainname");
		return 0;
	}
	if (json_object_object_get(config, "hostname") || gethostname(name, sizeof(name)) < 0)
		return 0;
	name[HOST_NAME_MAX] = '\0';
	return json_add(config, "hostname", json_object_new_string(name));
}

struct json_object *bundle_guest_config(const struct bundle *bundle, const struct guest_place *place)
{
	struct json_object *config = NULL, *mounts = NULL;
	int rc = 0;

	if (json_object_deep_copy(bundle->config, &config, NULL) < 0 ||
	    json_object_deep_copy(bundle->guest_mounts, &mounts, NULL) < 0)
		rc = -ENOMEM;
	rc = rc ? rc : change_sources(place, mounts);
	if (rc == 0 && has_user_namespace(json_object_object_get(config, "linux")))
		rc = bind_sysfs(mounts, json_object_object_get(config, "linux"));
	rc = rc ? rc : json_add(config, "mounts", json_object_get(mounts));
	rc = rc ? rc : change_root(bundle, place, config);
	rc = rc ? rc : json_add(config, "process", bundle_guest_process(json_object_object_get(config, "process")));
	rc = rc ? rc : change_linux(bundle, place, json_object_object_get(config, "linux"));
	rc = rc ? rc : change_hostname(bundle, config);
	rc = rc ? rc : json_add(config, "ociVersion", json_object_new_string(GUEST_SPEC));
	json_object_put(mounts);
	if (rc) {
		json_object_put(config);
		return NULL;
	}
	// They are for the host; crun would also do what annotations of its own name ask for.
	json_object_object_del(config, "hooks");
	json_object_object_del(config, "annotations");
	return config;
}
