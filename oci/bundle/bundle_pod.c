// SPDX-License-Identifier: Apache-2.0
// The pod that a container belongs to, by the annotations of its engine.
#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"
#include "parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(struct json_object *annotations, const char *name)
{
	return json_object_get_string(json_object_object_get(annotations, name));
}

// The sandbox is a container as well, and the first one.
static const struct engine {
	const char *type, *id, *name;
} engines[] = {
	{ "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri.sandbox-name" },
	{ "io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID", "io.kubernetes.cri-o.SandboxName" },
};

static int out_of_range(const char *name, const char *val, struct vpmem_error *err)
{
	return error_set(err, -EINVAL, "annotations: %s: %s is no number", name, val);
}

// -1 and 0: there is no limit.
static int take_number(const struct bundle *bundle, const char *name, uint64_t *number, struct vpmem_error *err)
{
	const char *val = text_of(bundle->annotations, name);

	*number = 0;
	if (!val || strcmp(val, "-1") == 0 || uint_parse(val, number) == 0)
		return 0;
	return out_of_range(name, val, err);
}

// Of containerd: what the pod's containers may use together.
static int take_limits(struct bundle *bundle, struct vpmem_error *err)
{
	const unsigned host = bundle_host_cpus();
	uint64_t quota = 0, period = 0, cpus;
	int rc = take_number(bundle, "io.kubernetes.cri.sandbox-memory", &bundle->pod.memory, err);

	rc = rc ? rc : take_number(bundle, "io.kubernetes.cri.sandbox-cpu-quota", &quota, err);
	rc = rc ? rc : take_number(bundle, "io.kubernetes.cri.sandbox-cpu-period", &period, err);
	if (rc || period == 0)
		return rc;
	cpus = quota / period + (quota % period != 0);
	bundle->pod.cpus = cpus > host ? host : (unsigned)cpus;
	return 0;
}

static int check_container(const struct bundle *bundle, struct vpmem_error *err)
{
	if (!bundle->pod.sandbox_id || !*bundle->pod.sandbox_id) {
		error_set(err, -EINVAL, "annotations: a container of a pod, without the id of its sandbox");
		error_hint(err, "io.kubernetes.cri.sandbox-id, or io.kubernetes.cri-o.SandboxID");
		return -EINVAL;
	}
	return 0;
}

const char *bundle_pod_name(const struct bundle *bundle)
{
	if (bundle->pod.name)
		return bundle->pod.name;
	return bundle->pod.sandbox_id ? bundle->pod.sandbox_id : "without a name";
}

int bundle_take_pod(struct bundle *bundle, struct vpmem_error *err)
{
	for (unsigned i = 0; i < sizeof(engines) / sizeof(*engines); i++) {
		const char *type = text_of(bundle->annotations, engines[i].type);

		if (!type || (strcmp(type, "container") != 0 && strcmp(type, "sandbox") != 0))
			continue;
		bundle->pod.role = strcmp(type, "sandbox") == 0 ? POD_SANDBOX : POD_CONTAINER;
		bundle->pod.sandbox_id = text_of(bundle->annotations, engines[i].id);
		bundle->pod.name = text_of(bundle->annotations, engines[i].name);
		return bundle->pod.role == POD_SANDBOX ? take_limits(bundle, err) : check_container(bundle, err);
	}
	return 0;
}
