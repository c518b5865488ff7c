// SPDX-License-Identifier: Apache-2.0
// The beginning of a container.
#include "container.h"

#include "bundle.h"
#include "container_group.h"
#include "control.h"
#include "error.h"
#include "hooks.h"
#include "json_file.h"
#include "keeper.h"
#include "launch.h"
#include "layers.h"
#include "member.h"
#include "monotonic.h"
#include "nics.h"
#include "oci_log.h"
#include "pid_file.h"
#include "pod.h"
#include "share_server.h"
#include "text.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEEPER_EXTRA_S 60u // beyond create-timeout, which is for the guest: for the keeper to say so

// What create makes, in this order. All of it is legal to undo at any moment.
struct creation {
	struct command *cmd;
	const struct create_options *opts;
	struct state state;
	struct bundle bundle;
	struct rootfs rootfs;
	struct nics nics;
	struct scope_group scope;
	char *pidns; // pod.h
	int lock_fd;
	pid_t keeper;
	bool is_made; // the directory, and so all that container_remove removes
};

static char *now(void)
{
	struct timespec time;
	char text[48];

	clock_gettime(CLOCK_REALTIME, &time);
	// It ends with a blank.
	text[text_utc(text, sizeof(text), time.tv_sec, (unsigned)(time.tv_nsec / 1000)) - 1] = '\0';
	return strdup(text);
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

// A directory without state is what a command left that was killed as it made or removed it.
static int make_dir(struct creation *c, struct vpmem_error *err)
{
	char file[PATH_MAX];
	struct stat st;

	snprintf(file, sizeof(file), "%s/state.json", c->state.dir);
	if (lstat(file, &st) == 0)
		return error_set(err, -EEXIST, "container with id '%s' already exists", c->opts->id);
	c->is_made = true;
	if (mkdir(c->state.dir, 0700) == 0)
		return 0;
	if (errno == EEXIST) {
		int rc = container_remove(&c->state, err);

		if (rc < 0)
			return rc;
		if (mkdir(c->state.dir, 0700) == 0)
			return 0;
	}
	return error_set(err, -errno, "%s: %s", c->state.dir, strerror(errno));
}

static int save_config(const struct creation *c, struct vpmem_error *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/config.json", c->state.dir);
	return json_file_write(path, c->bundle.config, false, err);
}

static bool is_member(const struct creation *c)
{
	return c->bundle.pod.role == POD_CONTAINER;
}

static int fill_state(struct creation *c, struct vpmem_error *err)
{
	char owner[24];
	struct state *state = &c->state;
	int rc = container_name_group(c->cmd, &c->bundle, state, err);

	if (rc < 0)
		return rc;
	snprintf(owner, sizeof(owner), "%u", (unsigned)getuid());
	state->bundle = copy(c->bundle.dir);
	state->rootfs = copy(c->bundle.root_path);
	state->sandbox = copy(is_member(c) ? c->bundle.pod.sandbox_id : NULL);
	state->netns = copy(is_member(c) ? NULL : c->bundle.netns_path);
	state->owner = strdup(getuid() == 0 ? "root" : owner);
	state->created = now();
	state->annotations = json_object_get(c->bundle.annotations);
	state->status = STATUS_CREATING;
	if (!state->bundle || !state->rootfs || !state->owner || !state->created)
		return error_set(err, -ENOMEM, "out of memory");
	return process_id_of(getpid(), &state->process);
}

// For `layers list`. It is saved with the next change of the status.
static void note_layers(struct creation *c)
{
	c->state.layers = json_object_new_array();
	for (size_t i = 0; i < c->rootfs.nlayers; i++)
		json_object_array_add(c->state.layers, json_object_new_string(c->rootfs.layers[i].path));
}

// The network of a pod is that of its sandbox.
static int make_nics(struct creation *c, struct vpmem_error *err)
{
	if (is_member(c))
		return 0;
	return c->bundle.net == NET_NEW ? nics_make_namespace(&c->nics, err) :
	                                  nics_make(c->bundle.netns_path, &c->nics, err);
}

static int make_parts(struct creation *c, struct vpmem_error *err)
{
	const struct settings *settings = &c->cmd->settings;
	const struct layer_settings layers = {
		.cache = settings->layer_cache,
		.mkfs_erofs = settings->mkfs_erofs,
		.timeout_s = (unsigned)settings->layer_timeout_s,
		.limit = settings->layer_cache_size,
		.share = (enum layer_share)settings->share_layers,
		.owner = c->state.owner,
		.container = c->state.id,
		.readonly_only = c->bundle.upper == UPPER_SHARE && !share_server_is_confined(),
	};
	int rc = fill_state(c, err);

	if (rc == 0 && is_member(c))
		rc = pod_find(c->cmd->root, &c->bundle, &c->pidns, err);
	if (rc == 0)
		rc = bundle_check_volumes(&c->bundle, err);
	if (rc == 0)
		rc = state_save(&c->state, err);
	if (rc == 0)
		rc = save_config(c, err);
	if (rc == 0)
		rc = container_make_group(c->cmd, &c->bundle, &c->state, &c->scope, err);
	if (rc == 0)
		rc = rootfs_find(c->bundle.root_path, &layers, &c->rootfs, err);
	if (rc == 0 && c->bundle.upper == UPPER_PMEM)
		rc = rootfs_make_scratch(&c->rootfs, &layers, c->bundle.upper_size, err);
	if (rc == 0 && c->rootfs.nlayers == 0)
		oci_log_debug("the root is shared as one directory, without images of layers: %s", c->rootfs.why_none);
	if (rc == 0)
		note_layers(c);
	if (rc == 0)
		rc = make_nics(c, err);
	return rc;
}

static void write_status(void *owner, const char *status)
{
	struct creation *c = owner;
	struct vpmem_error err = { "", "" };

	for (unsigned i = 0; i <= STATUS_STOPPED; i++)
		if (strcmp(status_names[i], status) == 0)
			c->state.status = i;
	if (state_save(&c->state, &err) < 0)
		oci_log_warn("%s", err.text);
}

static uint64_t ram_of(const struct creation *c)
{
	if (c->bundle.ram)
		return c->bundle.ram;
	if (c->bundle.pod.role == POD_SANDBOX)
		return c->cmd->settings.memory + c->bundle.pod.memory;
	return c->bundle.memory_limit ? c->bundle.memory_limit : c->cmd->settings.memory;
}

static unsigned cpus_of(const struct creation *c)
{
	if (c->bundle.cpus)
		return c->bundle.cpus;
	return c->bundle.pod.cpus ? c->bundle.pod.cpus : (unsigned)c->cmd->settings.cpus;
}

static int run_keeper(void *owner, int ready_fd)
{
	struct creation *c = owner;
	const struct settings *settings = &c->cmd->settings;
	char pod_dir[STATE_DIR_SIZE];
	const struct machine_plan plan = {
		.id = c->state.id,
		.state_dir = c->state.dir,
		.pod_dir = is_member(c) ? pod_dir : NULL,
		.pidns = c->pidns,
		.is_pod = c->bundle.pod.role == POD_SANDBOX,
		.joined_dir = c->rootfs.directory,
		.paths = { .pmvm = settings->pmvm,
		           .kernel = c->bundle.kernel ? c->bundle.kernel : settings->kernel,
		           .initrd = settings->initrd,
		           .virtiofsd = settings->virtiofsd },
		.ram_size = ram_of(c),
		.cpus = cpus_of(c),
		.uid_base = (uint32_t)settings->machine_uid,
		.bundle = &c->bundle,
		.rootfs = &c->rootfs,
		.nics = &c->nics,
		.console_socket = c->opts->console_socket,
		.create_timeout_ms = (unsigned)settings->create_timeout_s * 1000,
		.debug = c->cmd->is_debug,
		.status_changed = write_status,
		.owner = c,
	};

	// The engine takes the namespace for that of the container.
	if (!is_member(c) && c->bundle.net == NET_NEW && setns(c->nics.netns_fd, CLONE_NEWNET) < 0)
		return KEEPER_FAILED;
	process_id_of(getpid(), &c->state.process);
	write_status(c, status_names[STATUS_CREATING]);
	state_control_dir(&c->state, pod_dir);
	return is_member(c) ? member_run(&plan, ready_fd) : keeper_run(&plan, ready_fd);
}

static int start_keeper(struct creation *c, struct vpmem_error *err)
{
	const struct launch_options opts = {
		.cgroup = c->state.cgroup, .lock_fd = c->lock_fd, .run = run_keeper, .owner = c
	};
	int ready_fd, rc = launch(&opts, &c->keeper, &ready_fd, err);

	if (rc < 0)
		return rc;
	process_id_of(c->keeper, &c->state.process);
	// The keeper holds them: what stays open here would keep a layer in use, and a card alive.
	rootfs_fini(&c->rootfs);
	nics_release(&c->nics);
	rc = launch_wait(ready_fd, "the machine", (unsigned)c->cmd->settings.create_timeout_s + KEEPER_EXTRA_S, err);
	// The keeper is in the group, or has failed.
	scope_group_release(&c->scope);
	return rc;
}

static int run_hooks(struct creation *c, struct vpmem_error *err)
{
	struct json_object *hooks = json_object_object_get(c->bundle.config, "hooks"), *state;
	int rc;

	if (!hooks)
		return 0;
	c->state.status = STATUS_CREATED;
	state = state_json(&c->state);
	rc = hooks_run(hooks, "prestart", state, err);
	if (rc == 0)
		rc = hooks_run(hooks, "createRuntime", state, err);
	json_object_put(state);
	return rc;
}

static void undo(struct creation *c)
{
	struct vpmem_error err = { "", "" };

	scope_group_release(&c->scope);
	if (c->keeper > 0 && container_stop(&c->state, &err) == 0)
		waitpid(c->keeper, NULL, 0);
	if (container_remove(&c->state, &err) < 0)
		oci_log_warn("%s", err.text);
	// Its own locks would keep them.
	rootfs_fini(&c->rootfs);
	container_drop_layers(c->cmd, c->opts->id);
}

static int create(struct creation *c, struct vpmem_error *err)
{
	uint64_t begin_ms = monotonic_ms();
	int rc = make_dir(c, err);

	if (rc == -EEXIST)
		return rc;
	if (rc == 0)
		rc = make_parts(c, err);
	if (rc == 0) {
		oci_log_debug("layers and network: %u ms", (unsigned)(monotonic_ms() - begin_ms));
		rc = start_keeper(c, err);
	}
	if (rc == 0)
		rc = run_hooks(c, err);
	if (rc == 0)
		rc = pid_file_write(c->opts->pid_file, c->keeper, err);
	if (rc < 0)
		undo(c);
	return rc;
}

int container_create(struct command *cmd, const struct create_options *opts, pid_t *keeper, struct vpmem_error *err)
{
	struct creation c = { .cmd = cmd, .opts = opts, .lock_fd = -1 };
	int rc = command_settings(cmd, err);

	nics_init(&c.nics);
	if (rc == 0)
		rc = state_name(cmd->root, opts->id, &c.state, err);
	if (rc == 0)
		rc = bundle_load(opts->bundle, opts->config, &c.bundle, err);
	if (rc == 0 && geteuid() != 0) {
		rc = error_set(err, -EPERM, "only root, or root of a user namespace, can create a container");
		error_hint(err, "let podman call it, or call it in the shell of podman unshare");
	}
	if (rc == 0)
		rc = state_lock(cmd->root, opts->id, "create", &c.lock_fd, err);
	if (rc == 0)
		rc = create(&c, err);
	state_unlock(cmd->root, opts->id, &c.lock_fd);
	*keeper = c.keeper;
	rootfs_fini(&c.rootfs);
	nics_release(&c.nics);
	bundle_fini(&c.bundle);
	free(c.pidns);
	state_fini(&c.state);
	return rc;
}
