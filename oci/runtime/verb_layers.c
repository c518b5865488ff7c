// SPDX-License-Identifier: Apache-2.0
// layers: the cache of images of layers.
#include "error.h"
#include "layers.h"
#include "verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int act(const char *what, const struct layer_settings *settings, const char *format, struct vpmem_error *err)
{
	bool is_json = strcmp(format, "json") == 0;

	if (!is_json && strcmp(format, "table") != 0)
		return error_set(err, -EINVAL, "--format %s: neither table nor json", format);
	if (strcmp(what, "list") == 0)
		return layers_list(settings, is_json, stdout, err);
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
	return act(first < argc ? argv[first] : "list", &settings, format, err);
}

const struct verb verb_layers = {
	.name = "layers",
	.operands = "[list|prune|verify]",
	.summary = "list the images of layers, remove those not in use, or read all of them",
	.run = run,
};
