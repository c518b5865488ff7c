// SPDX-License-Identifier: Apache-2.0
// -sandbox: QEMU's words, where they are true, and which files and addresses the broker permits besides.
#include "options_internal.h"

#include "error.h"
#include "keyval.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR_KEY "dir"
#define DENIED "the sandbox is one: it denies this always. -sandbox off runs without it"

static const char *const mode_words[] = { [SANDBOX_OFF] = "off", [SANDBOX_ON] = "on", [SANDBOX_LOG] = "log", NULL };

static const struct prop sandbox_props[] = {
	{ .name = DIR_KEY,
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .help = "A directory or file that may be opened later; repeatable" },
	{ .name = "elevateprivileges", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "deny", .why = DENIED },
	{ .name = "enable",
	  .type = PROP_WORD,
	  .type_name = "SandboxMode",
	  .offset = offsetof(struct sandbox_config, mode),
	  .words = mode_words,
	  .def = "on",
	  .help = "on, off, or log: forbidden system calls are done and logged by the kernel" },
	{ .name = "net",
	  .type = PROP_BOOL,
	  .offset = offsetof(struct sandbox_config, net),
	  .def = "off",
	  .help = "Any address of IPv4 and IPv6 may be used later" },
	{ .name = "obsolete", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "deny", .why = DENIED },
	{ .name = "resourcecontrol", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "deny", .why = DENIED },
	{ .name = "spawn", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "deny", .why = DENIED },
};
static const struct prop_class sandbox_class = { .name = "sandbox",
	                                         .prefix = "",
	                                         .unknown = PROP_UNKNOWN_INVALID,
	                                         .props = sandbox_props,
	                                         .nprops = sizeof(sandbox_props) / sizeof(sandbox_props[0]) };

static int add_dir(struct cmdline *cl, const char *dir)
{
	struct sandbox_config *cfg = &cl->opts->sandbox;

	if (cfg->ndirs == SANDBOX_DIRS_MAX) {
		error_set(cl->err, -ENOSPC, "too many directories: at most %u", SANDBOX_DIRS_MAX);
		error_hint(cl->err, "a directory includes everything below it");
		return -ENOSPC;
	}
	if (access(dir, F_OK) < 0)
		return error_set(cl->err, -errno, DIR_KEY "=%s: %s", dir, strerror(errno));
	return option_string(cl, &cfg->dirs[cfg->ndirs++], dir);
}

// A list in the order of the command line, of all -sandbox options together.
static int add_dirs(struct cmdline *cl, struct json_object *json)
{
	struct json_object *dirs;
	int rc = 0;

	if (!json_object_object_get_ex(json, DIR_KEY, &dirs))
		return 0;
	for (size_t i = 0; i < json_object_array_length(dirs) && rc == 0; i++)
		rc = add_dir(cl, json_object_get_string(json_object_array_get_idx(dirs, i)));
	json_object_object_del(json, DIR_KEY);
	return rc;
}

int handle_sandbox(struct cmdline *cl, const char *arg)
{
	const struct keyval_syntax syntax = { .implied_key = "enable", .list_key = DIR_KEY };
	bool help = false;
	struct json_object *json = keyval_parse(arg, &syntax, &help);
	int rc;

	if (!json)
		return error_set(cl->err, -ENOMEM, "out of memory");
	if (help)
		props_help(&sandbox_class, stdout);
	rc = help ? HANDLED_HELP : add_dirs(cl, json);
	if (rc == 0)
		rc = props_apply(&sandbox_class, json, PROPS_TEXT, &cl->opts->sandbox, cl->err);
	json_object_put(json);
	return rc;
}
