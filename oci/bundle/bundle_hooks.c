// SPDX-License-Identifier: Apache-2.0
// hooks: those that run on the host are listed, those of the container are refused.
#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[HOOK_POINTS] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_POSTSTOP] = "poststop",
};

// They run in the namespaces of the container, which are the guest's, with programs of the host.
static const char *const refused[] = { "createContainer", "startContainer" };

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static void hook_fini(struct hook *hook)
{
	free(hook->path);
	free_list(hook->args);
	free_list(hook->env);
}

void bundle_hooks_fini(struct hooks hooks[HOOK_POINTS])
{
	for (unsigned point = 0; point < HOOK_POINTS; point++) {
		for (size_t i = 0; i < hooks[point].n; i++)
			hook_fini(&hooks[point].list[i]);
		free(hooks[point].list);
		hooks[point] = (struct hooks) { 0 };
	}
}

// A copy that ends with NULL; without strings it has `first`, which may be NULL.
static char **copy_list(struct json_object *strings, const char *first)
{
	size_t n = strings ? json_object_array_length(strings) : 0;
	char **list = calloc(n + 2, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		list[i] = strdup(json_object_get_string(json_object_array_get_idx(strings, i)));
		if (!list[i])
			goto fail;
	}
	if (list && n == 0 && first) {
		list[0] = strdup(first);
		if (!list[0])
			goto fail;
	}
	return list;
fail:
	free_list(list);
	return NULL;
}

static int take_hook(struct json_object *entry, const char *where, struct hook *hook, struct vpmem_error *err)
{
	struct json_object *args, *env;
	const char *path = NULL;
	int64_t timeout = 0;
	int rc;

	*hook = (struct hook) { 0 };
	if (!json_object_is_type(entry, json_type_object))
		return error_set(err, -EINVAL, "%s: not an object", where);
	rc = field_string(entry, where, "path", &path, err);
	if (rc == 0 && (!path || *path != '/'))
		rc = error_set(err, -EINVAL, "%s.path: %s: not an absolute path", where, path ? path : "missing");
	rc = rc ? rc : field_strings(entry, where, "args", &args, err);
	rc = rc ? rc : field_strings(entry, where, "env", &env, err);
	rc = rc ? rc : field_int(entry, where, "timeout", 1, INT_MAX, &timeout, err);
	if (rc)
		return rc;
	*hook = (struct hook) { .path = strdup(path),
		                .args = copy_list(args, path),
		                .env = copy_list(env, NULL),
		                .timeout_s = (unsigned)timeout };
	if (hook->path && hook->args && hook->env)
		return 0;
	hook_fini(hook);
	return error_set(err, -ENOMEM, "%s: out of memory", where);
}

static int take_point(struct json_object *hooks, const char *name, struct hooks *list, struct vpmem_error *err)
{
	struct json_object *array;
	char where[FIELD_PATH_SIZE];
	int rc = field_get(hooks, "hooks", name, json_type_array, &array, err);
	size_t n = rc == 0 && array ? json_object_array_length(array) : 0;

	if (n == 0)
		return rc;
	list->list = calloc(n, sizeof(*list->list));
	if (!list->list)
		return error_set(err, -ENOMEM, "hooks: out of memory");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		field_element(where, sizeof(where), "hooks", name, i);
		rc = take_hook(json_object_array_get_idx(array, i), where, &list->list[i], err);
		list->n += rc == 0;
	}
	return rc;
}

int bundle_take_hooks(struct bundle *bundle, struct vpmem_error *err)
{
	struct json_object *hooks, *array;
	int rc = field_get(bundle->config, "", "hooks", json_type_object, &hooks, err);

	for (unsigned point = 0; rc == 0 && point < HOOK_POINTS; point++)
		rc = take_point(hooks, names[point], &bundle->hooks[point], err);
	for (unsigned i = 0; rc == 0 && i < sizeof(refused) / sizeof(*refused); i++) {
		rc = field_get(hooks, "hooks", refused[i], json_type_array, &array, err);
		if (rc == 0 && array && json_object_array_length(array) > 0) {
			rc = error_set(err, -ENOTSUP,
			               "hooks.%s: runs a program of the host inside the container: not supported",
			               refused[i]);
			error_hint(err, "use createRuntime, which runs on the host, or put the program into the image");
		}
	}
	return rc;
}
