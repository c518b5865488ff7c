// SPDX-License-Identifier: Apache-2.0
// -chardev, and the words of -serial, -monitor and -qmp that stand for one.
#include "config_chardev.h"
#include "error.h"
#include "keyval.h"
#include "options_internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chardev_config *option_find_chardev(const struct cmdline *cl, const char *id)
{
	for (unsigned i = 0; i < cl->opts->nchardevs; i++)
		if (strcmp(cl->opts->chardevs[i]->id, id) == 0)
			return cl->opts->chardevs[i];
	return NULL;
}

// Only one character device can use standard input and output.
static int claim_stdio(struct cmdline *cl)
{
	if (cl->stdio_used) {
		error_set(cl->err, -EBUSY, "cannot use stdio by multiple character devices");
		error_hint(cl->err, "give one of them unix:PATH,server=on,wait=off, or none%s",
		           cl->nographic ? "; -nographic uses stdio for what is not given" : "");
		return -EBUSY;
	}
	cl->stdio_used = true;
	cl->stdio_place = cl->now;
	return 0;
}

int option_add_chardev(struct cmdline *cl, struct chardev_config *cfg)
{
	struct machine_config *opts = cl->opts;
	struct chardev_config **list;

	if (option_find_chardev(cl, cfg->id))
		return error_set(cl->err, -EEXIST, "Duplicate ID '%s' for chardev", cfg->id);
	if (cfg->kind == CHARDEV_STDIO && claim_stdio(cl) < 0)
		return -EBUSY;
	list = reallocarray(opts->chardevs, opts->nchardevs + 1, sizeof(*list));
	if (!list)
		return error_set(cl->err, -ENOMEM, "out of memory");
	opts->chardevs = list;
	list[opts->nchardevs++] = cfg;
	return 0;
}

static int add_chardev(struct cmdline *cl, struct json_object *json)
{
	struct chardev_config *cfg;
	int rc = config_chardev(json, PROPS_TEXT, &cfg, cl->err);

	if (rc < 0)
		return rc;
	rc = option_add_chardev(cl, cfg);
	if (rc < 0)
		chardev_config_free(cfg);
	return rc;
}

static int show_help(struct cmdline *cl, struct json_object *json)
{
	struct json_object *backend;
	bool is_named = json_object_object_get_ex(json, "backend", &backend);
	int rc = config_chardev_help(is_named ? json_object_get_string(backend) : NULL, stdout, cl->err);

	return rc ? rc : HANDLED_HELP;
}

int handle_chardev(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "backend" };
	bool help = false;
	struct json_object *json = keyval_parse(arg, &syntax, &help);
	int rc;

	if (!json)
		return error_set(cl->err, -ENOMEM, "out of memory");
	rc = help ? show_help(cl, json) : add_chardev(cl, json);
	json_object_put(json);
	return rc;
}

// ---- QEMU's short forms

static void put(struct json_object *json, const char *key, const char *text, size_t len)
{
	json_object_object_add(json, key, json_object_new_string_len(text, (int)len));
}

// [HOST]:PORT[,PROP=VALUE]...
static int parse_tcp(const char *text, struct json_object **out)
{
	const char *end = strchrnul(text, ','), *colon = memrchr(text, ':', (size_t)(end - text));
	struct keyval_syntax syntax = { .implied_key = NULL };
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!colon)
		return -EINVAL;
	*out = keyval_parse(*end ? end + 1 : end, &syntax, NULL);
	if (!*out)
		return -ENOMEM;
	if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		len -= 2;
	}
	if (len > 0)
		put(*out, "host", text, len);
	put(*out, "port", colon + 1, (size_t)(end - colon - 1));
	return 0;
}

// What the word stands for, without its id. -EINVAL: it is none.
static int parse_word(const char *arg, struct json_object **out)
{
	struct keyval_syntax syntax = { .implied_key = "path" };
	const char *backend = NULL;
	int rc = 0;

	*out = NULL;
	if (strcmp(arg, "null") == 0 || strcmp(arg, "stdio") == 0 || strcmp(arg, "pty") == 0)
		backend = arg;
	else if (strncmp(arg, "file:", 5) == 0)
		backend = "file";
	else if (strncmp(arg, "unix:", 5) == 0 || strncmp(arg, "tcp:", 4) == 0)
		backend = "socket";
	else
		return -EINVAL;
	if (strncmp(arg, "tcp:", 4) == 0)
		rc = parse_tcp(arg + 4, out);
	else if (strncmp(arg, "unix:", 5) == 0)
		*out = keyval_parse(arg + 5, &syntax, NULL);
	else
		*out = json_object_new_object();
	if (rc < 0 || !*out)
		return rc ? rc : -ENOMEM;
	put(*out, "backend", backend, strlen(backend));
	if (strncmp(arg, "file:", 5) == 0)
		put(*out, "path", arg + 5, strlen(arg + 5));
	return 0;
}

int option_chardev_word(struct cmdline *cl, const char *arg, const char *kinds, bool is_shared, const char **id)
{
	struct json_object *json;
	int rc;

	if (strncmp(arg, "chardev:", 8) == 0) {
		*id = arg + 8;
		return 0;
	}
	rc = parse_word(is_shared ? "stdio" : arg, &json);
	if (rc == -ENOMEM)
		return error_set(cl->err, rc, "out of memory");
	if (rc < 0) {
		error_set(cl->err, rc, "'%.200s' is not a valid char driver", arg);
		error_hint(cl->err, "it is one of: %s", kinds);
		return rc;
	}
	put(json, "id", *id, strlen(*id));
	if (is_shared) {
		// With the escape character, Ctrl-c goes to the guest.
		put(json, "mux", "on", 2);
		put(json, "signal", "off", 3);
	}
	rc = add_chardev(cl, json);
	json_object_put(json);
	return rc;
}
