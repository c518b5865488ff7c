// SPDX-License-Identifier: Apache-2.0
// The end of a container: what its keeper did not do, or could not do any more.
#include "container.h"

#include "cgroup.h"
#include "error.h"
#include "keeper_request.h"
#include "nics.h"
#include "oci_log.h"

#include <errno.h>
#include <ftw.h>
#include <json-c/json.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define ANSWER_S 10u      /* for the keeper to take a request */
#define END_MS 10000u     /* for the machine to end after that */
#define POD_END_MS 45000u /* the same for a container in the machine of a pod, whose devices are unplugged */
#define KILLED_MS 10000u  /* for a process to end after SIGKILL */
#define SESSIONS_MS 1000u
#define MOUNTS_MAX 4096u
#define OPEN_DIRS_MAX 32

// The guest ends the container, so that what it wrote arrives.
static bool ask_keeper(const struct state *state)
{
	struct json_object *more = json_object_new_object();
	struct vpmem_error err;

	json_object_object_add(more, "signal", json_object_new_int(SIGKILL));
	json_object_object_add(more, "all", json_object_new_boolean(true));
	return keeper_request(state, "kill", more, ANSWER_S, NULL, &err) == 0;
}

static bool ends_by_itself(const struct state *state)
{
	return state->status == STATUS_STOPPED || (state->status != STATUS_CREATING && ask_keeper(state));
}

int container_stop(const struct state *state, struct vpmem_error *err)
{
	const bool is_alive = process_id_is_alive(&state->process);
	const unsigned end_ms = state->sandbox ? POD_END_MS : END_MS;

	// One that has stopped is about to end by itself, with the exit status that an engine waits for.
	if (is_alive && !(ends_by_itself(state) && process_id_wait(&state->process, end_ms)))
		process_id_kill(&state->process, SIGKILL);
	// Sessions of exec end a little later.
	// So does virtiofsd in a pod, which has to serve until the keeper of the pod has taken its device out of the guest.
	if (!cgroup_wait(state->cgroup, state->sandbox ? POD_END_MS : is_alive ? SESSIONS_MS : 0))
		cgroup_kill(state->cgroup);
	if (process_id_wait(&state->process, KILLED_MS))
		return 0;
	return error_set(err, -EBUSY, "container '%s': process %d does not end", state->id, (int)state->process.pid);
}

// One at a time from the top: a mount may hide another one. false: there is none.
static bool unmount_last(const char *dir)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	size_t len = strlen(dir);
	struct mntent *entry;
	char last[PATH_MAX] = "";

	if (!mounts)
		return false;
	while ((entry = getmntent(mounts)))
		if (strncmp(entry->mnt_dir, dir, len) == 0 && entry->mnt_dir[len] == '/')
			snprintf(last, sizeof(last), "%s", entry->mnt_dir);
	endmntent(mounts);
	return last[0] && umount2(last, MNT_DETACH | UMOUNT_NOFOLLOW) == 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static int remove_dir(const struct state *state, struct vpmem_error *err)
{
	for (unsigned i = 0; i < MOUNTS_MAX && unmount_last(state->dir); i++)
		;
	// Never into a mount, nor through a link.
	if (nftw(state->dir, remove_entry, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT)
		return 0;
	return error_set(err, -errno, "%s: cannot remove it: %s", state->dir, strerror(errno));
}

int container_remove(const struct state *state, struct vpmem_error *err)
{
	struct vpmem_error nics_error = { "", "" }, scope_error = { "", "" };
	int rc, removed;

	// Without systemd, which may have ended meanwhile, it is a directory as others.
	if (state->scope && scope_stop(state->scope, &scope_error) < 0)
		oci_log_warn("%s", scope_error.text);
	rc = cgroup_remove(state->cgroup, err);

	if (nics_clean(state->netns, &nics_error) < 0)
		oci_log_warn("%s", nics_error.text);
	removed = remove_dir(state, rc < 0 ? NULL : err);
	return rc < 0 ? rc : removed;
}
