// SPDX-License-Identifier: Apache-2.0
// Start and delete of a container, each under its lock.
#include "container.h"

#include "control.h"
#include "error.h"
#include "hooks.h"
#include "json_file.h"
#include "keeper_request.h"
#include "layers.h"
#include "monotonic.h"
#include "oci_log.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// Those of the copy: the bundle may have changed, or be gone.
static void run_hooks(const struct state *state, const char *moment)
{
	struct json_object *config = NULL, *json = state_json(state);
	struct vpmem_error err = { "", "" };
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/config.json", state->dir);
	rc = json_file_read(path, &config, NULL);
	if (rc == 0)
		rc = hooks_run(json_object_object_get(config, "hooks"), moment, json, &err);
	// As the specification wants it: the container goes on.
	if (rc < 0 && rc != -ENOENT)
		oci_log_warn("%s", err.text);
	json_object_put(config);
	json_object_put(json);
}

static int start(struct command *cmd, struct state *state, struct vpmem_error *err)
{
	enum status status = state_status(state);
	uint64_t begin_ms = monotonic_ms();
	int rc;

	if (status != STATUS_CREATED)
		return error_set(err, -EINVAL, "cannot start container '%s': it is %s, not created", state->id,
		                 status_names[status]);
	rc = keeper_request(state, "start", NULL, (unsigned)cmd->settings.create_timeout_s, NULL, err);
	if (rc < 0)
		return rc;
	oci_log_debug("the program runs after %u ms", (unsigned)(monotonic_ms() - begin_ms));
	state->status = STATUS_RUNNING;
	// The keeper that has started it is another process than the one that notes its status.
	if (state->sandbox)
		rc = state_save(state, err);
	run_hooks(state, "poststart");
	return rc;
}

int container_start(struct command *cmd, const char *id, struct vpmem_error *err)
{
	struct state state = { 0 };
	int lock_fd = -1, rc = command_settings(cmd, err);

	if (rc == 0)
		rc = state_load(cmd->root, id, &state, err);
	state_fini(&state);
	if (rc == 0)
		rc = state_lock(cmd->root, id, "start", &lock_fd, err);
	// Again: another command may have had the lock.
	if (rc == 0)
		rc = state_load(cmd->root, id, &state, err);
	if (rc == 0)
		rc = start(cmd, &state, err);
	state_fini(&state);
	state_unlock(cmd->root, id, &lock_fd);
	return rc;
}

void container_drop_layers(struct command *cmd, const char *id)
{
	struct vpmem_error err = { "", "" };
	struct layer_settings settings;

	if (command_settings(cmd, &err) < 0)
		return;
	settings = (struct layer_settings) { .cache = cmd->settings.layer_cache,
		                             .share = (enum layer_share)cmd->settings.share_layers,
		                             .container = id };
	layers_drop(&settings);
}

static bool has_directory(const struct state *state)
{
	struct stat st;

	return lstat(state->dir, &st) == 0;
}

// Then the state is there, and so may be its processes: only this command cannot read it now.
static bool is_short_of_something(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

static int delete (struct command *cmd, const char *id, bool is_forced, struct state *state, struct vpmem_error *err)
{
	enum status status;
	int rc = state_load(cmd->root, id, state, err);

	// Its state was never written, or is none: what is there can be removed, and nothing else is known.
	if (rc < 0 && is_forced && !is_short_of_something(rc) && state->dir[0] && has_directory(state))
		return container_remove(state, err);
	if (rc < 0)
		return rc;
	status = state_status(state);
	if (!is_forced && status != STATUS_STOPPED && status != STATUS_CREATED) {
		error_set(err, -EBUSY, "cannot delete container '%s' that is not stopped: %s", id,
		          status_names[status]);
		error_hint(err, "stop it by kill, or use --force");
		return -EBUSY;
	}
	rc = container_stop(state, err);
	if (rc == 0) {
		run_hooks(state, "poststop");
		rc = container_remove(state, err);
	}
	if (rc == 0)
		container_drop_layers(cmd, id);
	return rc;
}

// A create that makes an image of a layer takes long. The signal ends it, and it takes back what it has made.
static void end_creation(struct command *cmd, const char *id)
{
	struct state state = { 0 };

	if (state_load(cmd->root, id, &state, NULL) == 0 && state.status == STATUS_CREATING)
		process_id_kill(&state.process, SIGTERM);
	state_fini(&state);
}

int container_delete(struct command *cmd, const char *id, bool is_forced, struct vpmem_error *err)
{
	struct state state = { 0 };
	int lock_fd = -1, rc = state_name(cmd->root, id, &state, err);

	// An engine deletes what it never made: that leaves no lock.
	if (rc == 0 && !has_directory(&state))
		rc = error_set(err, -ENOENT, "container '%s' does not exist", id);
	if (rc == 0 && is_forced)
		end_creation(cmd, id);
	if (rc == 0)
		rc = state_lock(cmd->root, id, "delete", &lock_fd, err);
	if (rc == 0)
		rc = delete (cmd, id, is_forced, &state, err);
	state_fini(&state);
	state_unlock(cmd->root, id, &lock_fd);
	return rc;
}
