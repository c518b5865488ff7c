// SPDX-License-Identifier: Apache-2.0
// The /sys of a container whose engine is not root.
#include "bundle_parts.h"
#include "user_namespace.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

bool bundle_is_engines_sys(const char *source, const char *target)
{
	return !user_namespace_is_initial() && source && strcmp(source, "/sys") == 0 && strcmp(target, "/sys") == 0;
}

int bundle_make_sysfs(struct json_object *mount)
{
	static const char *const flags[] = { "nosuid", "noexec", "nodev", "ro" };
	struct json_object *options = json_object_new_array();
	int rc = options ? 0 : -ENOMEM;

	for (unsigned i = 0; rc == 0 && i < sizeof(flags) / sizeof(*flags); i++)
		rc = json_append(options, json_object_new_string(flags[i]));
	rc = rc ? rc : json_add(mount, "type", json_object_new_string("sysfs"));
	rc = rc ? rc : json_add(mount, "source", json_object_new_string("sysfs"));
	rc = rc ? rc : json_add(mount, "options", json_object_get(options));
	json_object_put(options);
	return rc;
}
