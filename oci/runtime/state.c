// SPDX-License-Identifier: Apache-2.0
// ROOT/ID/state.json.
#include "state.h"

#include "error.h"
#include "json_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const status_names[] = {
	[STATUS_CREATING] = "creating", [STATUS_CREATED] = "created", [STATUS_RUNNING] = "running",
	[STATUS_PAUSED] = "paused",     [STATUS_STOPPED] = "stopped",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// The members that are a text, and their fields.
static const struct text_member {
	const char *name;
	size_t offset;
	bool is_optional;
} text_members[] = {
	{ .name = "bundle", .offset = offsetof(struct state, bundle) },
	{ .name = "rootfs", .offset = offsetof(struct state, rootfs) },
	{ .name = "created", .offset = offsetof(struct state, created) },
	{ .name = "owner", .offset = offsetof(struct state, owner) },
	{ .name = "cgroup", .offset = offsetof(struct state, cgroup), .is_optional = true },
	{ .name = "systemd-scope", .offset = offsetof(struct state, scope), .is_optional = true }, // as crun has it
	{ .name = "netns", .offset = offsetof(struct state, netns), .is_optional = true },
	{ .name = "sandbox", .offset = offsetof(struct state, sandbox), .is_optional = true },
};

static bool is_id_char(char c)
{
	return isalnum((unsigned char)c) || strchr("_+-.", c);
}

int state_id_check(const char *id, struct vpmem_error *err)
{
	size_t len = strlen(id);
	bool is_good = len > 0 && len <= STATE_ID_MAX && id[0] != '.';

	for (size_t i = 0; is_good && i < len; i++)
		is_good = is_id_char(id[i]);
	if (is_good)
		return 0;
	error_set(err, -EINVAL, "invalid container id '%.250s'", id);
	error_hint(err, "up to %u letters, digits, '_', '+', '-' and '.', the first is not '.'", STATE_ID_MAX);
	return -EINVAL;
}

int state_name(const char *root, const char *id, struct state *state, struct vpmem_error *err)
{
	int rc = state_id_check(id, err), len;

	*state = (struct state) { 0 };
	if (rc < 0)
		return rc;
	len = snprintf(state->dir, sizeof(state->dir), "%s/%s", root, id);
	if (len < 0 || (size_t)len >= sizeof(state->dir))
		return error_set(err, -ENAMETOOLONG, "--root: the path is too long");
	state->id = state->dir + strlen(root) + 1;
	return 0;
}

static char **text_field(const struct state *state, const struct text_member *member)
{
	return (char **)((char *)state + member->offset);
}

static int take_texts(struct json_object *json, struct state *state)
{
	for (size_t i = 0; i < COUNT(text_members); i++) {
		struct json_object *val = json_object_object_get(json, text_members[i].name);

		if (!val && text_members[i].is_optional)
			continue;
		if (!json_object_is_type(val, json_type_string))
			return -EINVAL;
		*text_field(state, &text_members[i]) = strdup(json_object_get_string(val));
		if (!*text_field(state, &text_members[i]))
			return -ENOMEM;
	}
	return 0;
}

static int take(struct json_object *json, struct state *state)
{
	struct json_object *status = json_object_object_get(json, "status");
	struct json_object *annotations = json_object_object_get(json, "annotations");
	struct json_object *layers = json_object_object_get(json, "layers");
	int rc;

	if (!json_object_is_type(json, json_type_object) || !json_object_is_type(status, json_type_string))
		return -EINVAL;
	rc = take_texts(json, state);
	if (rc < 0)
		return rc;
	while (state->status < COUNT(status_names) &&
	       strcmp(status_names[state->status], json_object_get_string(status)) != 0)
		state->status++;
	state->process.pid = json_object_get_int(json_object_object_get(json, "pid"));
	state->process.start_time = json_object_get_uint64(json_object_object_get(json, "pidStartTime"));
	if (json_object_is_type(annotations, json_type_object))
		state->annotations = json_object_get(annotations);
	if (json_object_is_type(layers, json_type_array))
		state->layers = json_object_get(layers);
	return state->status < COUNT(status_names) ? 0 : -EINVAL;
}

static void file_path(const struct state *state, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/state.json", state->dir);
}

int state_load(const char *root, const char *id, struct state *state, struct vpmem_error *err)
{
	struct json_object *json = NULL;
	char path[PATH_MAX];
	int rc = state_name(root, id, state, err);

	if (rc < 0)
		return rc;
	file_path(state, path);
	rc = json_file_read(path, &json, err);
	if (rc == -ENOENT)
		return error_set(err, rc, "container '%s' does not exist", id);
	if (rc < 0)
		return rc;
	rc = take(json, state);
	json_object_put(json);
	if (rc < 0) {
		error_set(err, rc, "%s: this is not the state of a container", path);
		error_hint(err, "remove the container by delete --force");
	}
	return rc;
}

static void add(struct json_object *json, const char *name, const char *val)
{
	json_object_object_add(json, name, json_object_new_string(val));
}

static struct json_object *common(const struct state *state, enum status status)
{
	struct json_object *json = json_object_new_object();

	add(json, "ociVersion", STATE_SPEC);
	add(json, "id", state->id);
	json_object_object_add(json, "pid", json_object_new_int(status == STATUS_STOPPED ? 0 : state->process.pid));
	add(json, "status", status_names[status]);
	for (size_t i = 0; i < COUNT(text_members); i++)
		if (*text_field(state, &text_members[i]))
			add(json, text_members[i].name, *text_field(state, &text_members[i]));
	if (state->annotations)
		json_object_object_add(json, "annotations", json_object_get(state->annotations));
	return json;
}

struct json_object *state_json(const struct state *state)
{
	struct json_object *json = common(state, state_status(state));

	// Ours alone.
	json_object_object_del(json, "cgroup");
	json_object_object_del(json, "netns");
	json_object_object_del(json, "sandbox");
	return json;
}

int state_save(const struct state *state, struct vpmem_error *err)
{
	struct json_object *json = common(state, state->status);
	char path[PATH_MAX];
	int rc;

	if (state->layers)
		json_object_object_add(json, "layers", json_object_get(state->layers));
	json_object_object_add(json, "pidStartTime", json_object_new_uint64(state->process.start_time));
	file_path(state, path);
	rc = json_file_write(path, json, false, err);
	json_object_put(json);
	return rc;
}

void state_control_dir(const struct state *state, char dir[STATE_DIR_SIZE])
{
	const int root_len = (int)(state->id - state->dir) - 1;

	snprintf(dir, STATE_DIR_SIZE, "%.*s/%s", root_len, state->dir, state->sandbox ? state->sandbox : state->id);
}

void state_fini(struct state *state)
{
	for (size_t i = 0; i < COUNT(text_members); i++)
		free(*text_field(state, &text_members[i]));
	json_object_put(state->annotations);
	json_object_put(state->layers);
	*state = (struct state) { 0 };
}

enum status state_status(const struct state *state)
{
	return process_id_is_alive(&state->process) ? state->status : STATUS_STOPPED;
}

const char *state_status_name(const struct state *state)
{
	return status_names[state_status(state)];
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int state_each(const char *root, state_fn *fn, void *owner, struct vpmem_error *err)
{
	struct dirent **entries;
	int n = scandir(root, &entries, is_visible, alphasort), rc = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", root, strerror(errno));
	for (int i = 0; i < n; i++) {
		struct state state = { 0 };

		// One that is deleted meanwhile, or that no command can read, is not in the list.
		if (rc == 0 && state_load(root, entries[i]->d_name, &state, NULL) == 0)
			rc = fn(owner, &state);
		state_fini(&state);
		free(entries[i]);
	}
	free(entries);
	return rc;
}
