// SPDX-License-Identifier: Apache-2.0
// A control group that systemd makes.
#include "scope_group.h"

#include "error.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void hold(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	// The parent may have ended before that.
	while (getppid() == parent)
		pause();
	_exit(0);
}

static int start_holder(struct scope_group *group, struct vpmem_error *err)
{
	const pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		hold(parent);
	if (pid < 0)
		return error_set(err, -errno, "cannot start a process: %s", strerror(errno));
	group->holder = pid;
	return 0;
}

void scope_group_release(struct scope_group *group)
{
	if (group->holder <= 0)
		return;
	kill(group->holder, SIGKILL);
	waitpid(group->holder, NULL, 0);
	group->holder = 0;
}

// The line of version 2 is "0::/machine.slice/libpod-1.scope".
static int find_path(pid_t pid, const char *unit, char **path, struct vpmem_error *err)
{
	char file[48], line[4096], *found = NULL;
	FILE *lines;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	lines = fopen(file, "re");
	if (!lines)
		return error_set(err, -errno, "%s: %s", file, strerror(errno));
	while (!found && fgets(line, sizeof(line), lines))
		if (strncmp(line, "0::/", 4) == 0)
			found = line + 3;
	fclose(lines);
	if (!found)
		return 0;
	found[strcspn(found, "\n")] = '\0';
	// Limits of ours, and an end by force, are for nobody else.
	if (strcmp(strrchr(found, '/') + 1, unit) != 0)
		return error_set(err, -EREMOTEIO, "systemd: %s: its process is in the group %s", unit, found);
	free(*path);
	return cgroup_path(found, false, "", path, err);
}

int scope_group_make(struct scope_group *group, const struct cgroup_unit *unit, const char *id,
                     const struct scope_limit *properties, size_t nproperties, char **path, struct vpmem_error *err)
{
	char description[CGROUP_UNIT_SIZE];
	struct scope scope = { .slice = unit->slice,
		               .unit = unit->scope,
		               .description = description,
		               .limits = properties,
		               .nlimits = nproperties };
	int rc = scope_check_name(unit->slice, err);

	snprintf(description, sizeof(description), "pmvm-oci container %s", id);
	if (rc == 0)
		rc = scope_check_name(unit->scope, err);
	if (rc == 0)
		rc = start_holder(group, err);
	scope.pid = group->holder;
	if (rc == 0)
		rc = scope_start(&scope, err);
	if (rc == 0 && *path)
		rc = find_path(group->holder, unit->scope, path, err);
	if (rc < 0)
		scope_group_release(group);
	return rc;
}
