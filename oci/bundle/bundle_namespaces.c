// SPDX-License-Identifier: Apache-2.0
// linux.namespaces: which of them a machine has by itself, and which it cannot have.
#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"
#include "suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PID, IPC, UTS, MOUNT, NETWORK, CGROUP, USER, TIME, TYPES };

static const char *const types[TYPES] = {
	[PID] = "pid",         [IPC] = "ipc",       [UTS] = "uts",   [MOUNT] = "mount",
	[NETWORK] = "network", [CGROUP] = "cgroup", [USER] = "user", [TIME] = "time",
};

// Why a container without it, which has the host's, cannot be; NULL: it can.
static const char *const host_refusals[TYPES] = {
	[PID] = "the pid namespace of the host: a container in a machine of its own does not see processes of the host",
	[IPC] = "the ipc namespace of the host: a machine of its own has its own shared memory and semaphores",
	[MOUNT] = "the mount namespace of the host: a machine of its own has its own mounts",
	[NETWORK] = "the network namespace of the host: a machine of its own has its own network stack",
};

static const char *const host_hints[TYPES] = {
	[PID] = "leave out --pid host, or use another runtime",
	[IPC] = "leave out --ipc host, or use another runtime",
	[MOUNT] = "add {\"type\": \"mount\"}",
	[NETWORK] = "use --network bridge with published ports, or none; or another runtime",
};

static int find_type(const char *where, const char *name, struct vpmem_error *err)
{
	struct suggest near = { .word = name };

	for (int i = 0; i < TYPES; i++) {
		if (strcmp(name, types[i]) == 0)
			return i;
		suggest_offer(&near, types[i]);
	}
	error_set(err, -EINVAL, "%s.type: %s is no namespace", where, name);
	if (near.best)
		error_hint(err, "did you mean %s?", near.best);
	return -EINVAL;
}

// Of the pod. That of a sandbox is new in the guest, whatever the host has made for it.
static int take_shared(struct bundle *bundle, int type, const char *path, struct vpmem_error *err)
{
	bundle->pod.has_ipc |= type == IPC;
	bundle->pod.has_uts |= type == UTS;
	if (type != PID)
		return 0;
	bundle->pod.pidns_path = strdup(path);
	return bundle->pod.pidns_path ? 0 : error_set(err, -ENOMEM, "linux.namespaces: out of memory");
}

static bool is_of_pod(const struct bundle *bundle, int type)
{
	switch (bundle->pod.role) {
	case POD_SANDBOX:
		return type == IPC || type == UTS;
	case POD_CONTAINER:
		return type == IPC || type == UTS || type == PID;
	case POD_NONE:
		break;
	}
	return false;
}

static int check_network(const struct bundle *bundle, struct vpmem_error *err)
{
	if (bundle->pod.role != POD_CONTAINER || bundle->net == NET_PATH)
		return 0;
	error_set(err, -ENOTSUP,
	          "linux.namespaces: network: one of its own for a container in the machine of pod %s: not supported",
	          bundle_pod_name(bundle));
	error_hint(err, "the containers of a pod share its network: give the path of the sandbox's namespace");
	return -ENOTSUP;
}

static int take_path(struct bundle *bundle, int type, const char *path, struct vpmem_error *err)
{
	if (is_of_pod(bundle, type))
		return take_shared(bundle, type, path, err);
	if (type == NETWORK && *path == '/') {
		bundle->net = NET_PATH;
		bundle->netns_path = strdup(path);
		return bundle->netns_path ? 0 : error_set(err, -ENOMEM, "linux.namespaces: out of memory");
	}
	if (type == NETWORK)
		return error_set(err, -EINVAL, "linux.namespaces: network: %s is no absolute path", path);
	error_set(err, -ENOTSUP, "linux.namespaces: the %s namespace %s, of another container or pod: not supported",
	          types[type], path);
	error_hint(err, "each container has a machine of its own: run it outside the pod, or with another runtime");
	return -ENOTSUP;
}

static int take_one(struct bundle *bundle, struct json_object *list, size_t i, unsigned *seen, struct vpmem_error *err)
{
	struct json_object *entry = json_object_array_get_idx(list, i), *name;
	char where[FIELD_PATH_SIZE];
	const char *path;
	int type, rc;

	field_element(where, sizeof(where), "linux", "namespaces", i);
	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "%s: not an object", where);
	rc = field_need(entry, where, "type", json_type_string, &name, err);
	rc = rc ? rc : field_string(entry, where, "path", &path, err);
	if (rc)
		return rc;
	type = find_type(where, json_object_get_string(name), err);
	if (type < 0)
		return type;
	if (*seen & 1u << type)
		return error_set(err, -EINVAL, "linux.namespaces: %s stands there twice", types[type]);
	*seen |= 1u << type;
	return path && *path ? take_path(bundle, type, path, err) : 0;
}

int bundle_take_namespaces(struct bundle *bundle, struct json_object *linux_object, struct vpmem_error *err)
{
	struct json_object *list;
	unsigned seen = 0;
	int rc = field_get(linux_object, "linux", "namespaces", json_type_array, &list, err);

	bundle->net = NET_NEW;
	for (size_t i = 0; rc == 0 && list && i < json_object_array_length(list); i++)
		rc = take_one(bundle, list, i, &seen, err);
	for (unsigned type = 0; rc == 0 && type < TYPES; type++) {
		if (host_refusals[type] && !(seen & 1u << type)) {
			rc = error_set(err, -ENOTSUP, "linux.namespaces: no %s, so %s: not supported", types[type],
			               host_refusals[type]);
			error_hint(err, "%s", host_hints[type]);
		}
	}
	bundle->has_user_namespace = seen & 1u << USER;
	return rc ? rc : check_network(bundle, err);
}
