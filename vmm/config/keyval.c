// SPDX-License-Identifier: Apache-2.0
// QEMU's key=value text and JSON arguments, turned into a json_object.
#include "keyval.h"

#include "error.h"
#include "json_parse.h"
#include "log.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool keyval_is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "?") == 0;
}

// Reads a value: up to a single comma, with ",," for a comma. Returns the text behind it.
static const char *take_value(const char *text, char **value)
{
	char *out = malloc(strlen(text) + 1);
	size_t len = 0;

	*value = out;
	if (!out)
		return NULL;
	for (; *text; text++) {
		if (*text == ',' && *++text != ',')
			break;
		out[len++] = *text;
	}
	out[len] = '\0';
	return text;
}

static bool is_list_key(const struct keyval_syntax *syntax, const char *key)
{
	size_t len = strlen(key);

	for (const char *word = syntax->list_key; word; word = strchr(word, '|')) {
		word += *word == '|';
		if (strncmp(word, key, len) == 0 && (word[len] == '\0' || word[len] == '|'))
			return true;
	}
	return false;
}

static int add_value(struct json_object *obj, const struct keyval_syntax *syntax, const char *key, const char *value)
{
	struct json_object *old, *val = json_object_new_string(value);
	bool exists = json_object_object_get_ex(obj, key, &old);

	if (!val)
		return -ENOMEM;
	if (exists && strcmp(key, "id") == 0) {
		json_object_put(val);
		return 0;
	}
	if (is_list_key(syntax, key)) {
		struct json_object *list = exists ? json_object_get(old) : json_object_new_array();

		json_object_array_add(list, val);
		val = list;
	}
	return json_object_object_add(obj, key, val) ? -ENOMEM : 0;
}

static int warn_short_form(const struct keyval_syntax *syntax, const char *word, const char *key, const char *value)
{
	static const char fmt[] = "short-form boolean option '%s' deprecated\nPlease use %s=%s instead";
	char *text;

	if (!syntax->warn) {
		// A message in the log is one line.
		log_warn("short-form boolean option '%s' deprecated", word);
		log_info("Please use %s=%s instead", key, value);
		return 0;
	}
	if (asprintf(&text, fmt, word, key, value) < 0)
		return -ENOMEM;
	syntax->warn(syntax->warn_owner, text);
	free(text);
	return 0;
}

static int add_flag(struct json_object *obj, const struct keyval_syntax *syntax, const char *word, bool *help)
{
	bool off = strncmp(word, "no", 2) == 0;
	const char *key = off ? word + 2 : word;

	if (keyval_is_help(word)) {
		*help = true;
		return 0;
	}
	if (warn_short_form(syntax, word, key, off ? "off" : "on") < 0)
		return -ENOMEM;
	return add_value(obj, syntax, key, off ? "off" : "on");
}

// Reads one item and adds it. Returns the text behind it, or NULL when out of memory.
static const char *take_item(const char *text, bool first, const struct keyval_syntax *syntax, struct json_object *obj,
                             bool *help)
{
	size_t key_len = strcspn(text, "=,");
	bool has_value = text[key_len] == '=', implied = first && !has_value && syntax->implied_key;
	char *key = strndup(text, key_len), *value = NULL;
	int rc = 0;

	if (!key)
		return NULL;
	if (has_value || implied) {
		text = take_value(has_value ? text + key_len + 1 : text, &value);
		rc = text ? add_value(obj, syntax, implied ? syntax->implied_key : key, value) : -ENOMEM;
		*help |= keyval_is_help(implied && value ? value : key);
	} else {
		text += key_len + (text[key_len] == ',');
		rc = add_flag(obj, syntax, key, help);
	}
	free(value);
	free(key);
	return rc < 0 ? NULL : text;
}

struct json_object *keyval_parse(const char *text, const struct keyval_syntax *syntax, bool *help)
{
	struct json_object *obj = json_object_new_object();
	bool wants_help = false;

	for (bool first = true; obj && text && *text; first = false)
		text = take_item(text, first, syntax, obj, &wants_help);
	if (!text) {
		json_object_put(obj);
		return NULL;
	}
	if (help)
		*help = wants_help;
	return obj;
}

int keyval_parse_json(const char *text, struct json_object **out, struct vpmem_error *err)
{
	struct json_object *obj;
	int rc = json_parse(text, &obj, err);

	*out = NULL;
	if (rc < 0)
		return rc;
	if (!json_object_is_type(obj, json_type_object)) {
		json_object_put(obj);
		return error_set(err, -EINVAL, "JSON object expected");
	}
	*out = obj;
	return 0;
}
