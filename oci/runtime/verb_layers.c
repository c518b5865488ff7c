// SPDX-License-Identifier: Apache-2.0
// layers: the cache of images of layers.
#include "error.h"
#include "layers.h"
#include "state.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

// Adds the container to the lists of its images.
static int add_user(void *owner, const struct state *state)
{
	struct json_object *users = owner, *list;

	if (!state->layers || state_status(state) == STATUS_STOPPED)
		return 0;
	for (size_t i = 0; i < json_object_array_length(state->layers); i++) {
		const char *path = json_object_get_string(json_object_array_get_idx(state->layers, i));

		if (!json_object_object_get_ex(users, path, &list)) {
			list = json_object_new_array();
			json_object_object_add(users, path, list);
		}
		json_object_array_add(list, json_object_new_string(state->id));
	}
	return 0;
}

static int list(const struct command *cmd, const struct layer_settings *settings, bool is_json, struct vpmem_error *err)
{
	struct json_object *users = json_object_new_object();
	int rc = users ? state_each(cmd->root, add_user, users, err) : error_set(err, -ENOMEM, "out of memory");

	rc = rc ? rc : layers_list(settings, users, is_json, stdout, err);
	json_object_put(users);
	return rc;
}

static int act(const struct command *cmd, const char *what, const struct layer_settings *settings, const char *format,
               struct vpmem_error *err)
{
	bool is_json = strcmp(format, "json") == 0;

	if (!is_json && strcmp(format, "table") != 0)
		return error_set(err, -EINVAL, "--format %s: neither table nor json", format);
	if (strcmp(what, "list") == 0)
		return list(cmd, settings, is_json, err);
	if (strcmp(what, "prune") == 0)
		return layers_prune(settings, stdout, err);
	if (strcmp(what, "verify") == 0)
		return layers_verify(settings, stdout, err);
	return error_set(err, -EINVAL, "layers %.50s: not one of list, prune, verify", what);
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const char *format = "table";
	const struct argument table[] = {
		ARGUMENT("format", 'f', TEXT, &format, "of list: table or json"),
	};
	const struct verb_operands operands = { .table = table, .n = 1, .max = 1 };
	int first = verb_parse(&verb_layers, argc, argv, &operands, err), rc;
	struct layer_settings settings;

	if (first < 0)
		return first;
	rc = command_settings(cmd, err);
	if (rc < 0)
		return rc;
	settings = (struct layer_settings) {
		.cache = cmd->settings.layer_cache,
		.mkfs_erofs = cmd->settings.mkfs_erofs,
		.limit = cmd->settings.layer_cache_size,
	};
	return act(cmd, first < argc ? argv[first] : "list", &settings, format, err);
}

const struct verb verb_layers = {
	.name = "layers",
	.operands = "[list|prune|verify]",
	.summary = "list the images of layers, remove those not in use, or read all of them",
	.run = run,
};
