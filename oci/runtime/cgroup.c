// SPDX-License-Identifier: Apache-2.0
// The control group of a container.
#include "cgroup.h"

#include "error.h"
#include "monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <linux/magic.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_ATTEMPTS 500u
#define REMOVE_PAUSE_NS 10000000 /* 5 s in all */

static const char *const controllers[] = { "+cpu", "+cpuset", "+io", "+memory", "+pids" };

static bool is_v2(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static const char *root_dir(void)
{
	static const char *const candidates[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (is_v2(candidates[i]))
			return candidates[i];
	return NULL;
}

static bool leaves(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}

// "a-b.slice" is in "a.slice", and "-.slice" is the root.
static int add_slices(FILE *out, const char *slice)
{
	const char *end = strstr(slice, ".slice");

	if (!end || end[6] != '\0' || end == slice || strchr(slice, '/'))
		return -EINVAL;
	if (strcmp(slice, "-.slice") == 0)
		return 0;
	if (*slice == '-' || end[-1] == '-' || strstr(slice, "--"))
		return -EINVAL;
	for (const char *dash = slice; (dash = strchr(dash, '-')); dash++)
		fprintf(out, "/%.*s.slice", (int)(dash - slice), slice);
	fprintf(out, "/%s", slice);
	return 0;
}

static bool take_name(char name[CGROUP_UNIT_SIZE], const char *prefix, size_t prefix_len, const char *text,
                      const char *end)
{
	int len = snprintf(name, CGROUP_UNIT_SIZE, "%.*s%s%s%s", (int)prefix_len, prefix, prefix_len ? "-" : "", text,
	                   end);

	return len > 0 && len < CGROUP_UNIT_SIZE && !strchr(name, '/');
}

int cgroup_unit_of(const char *cgroups_path, const char *id, struct cgroup_unit *unit, struct vpmem_error *err)
{
	const char *text = cgroups_path && *cgroups_path ? cgroups_path : "";
	const char *prefix = strchr(text, ':'), *name = prefix ? strchr(prefix + 1, ':') : NULL;
	bool is_good;

	snprintf(unit->slice, sizeof(unit->slice), "system.slice");
	if (!*text) {
		is_good = take_name(unit->scope, "pmvm-oci", strlen("pmvm-oci"), id, ".scope");
	} else {
		is_good = name && name[1] && prefix - text < CGROUP_UNIT_SIZE &&
		          take_name(unit->scope, prefix + 1, (size_t)(name - prefix) - 1, name + 1, ".scope");
		if (is_good && prefix > text)
			snprintf(unit->slice, sizeof(unit->slice), "%.*s", (int)(prefix - text), text);
	}
	if (is_good)
		return 0;
	return error_set(err, -EINVAL, "linux.cgroupsPath '%s': not of the form SLICE:PREFIX:NAME", text);
}

static int add_systemd(FILE *out, const char *text, const char *id)
{
	struct cgroup_unit unit;
	int rc = cgroup_unit_of(text, id, &unit, NULL);

	if (rc == 0)
		rc = add_slices(out, unit.slice);
	if (rc == 0)
		fprintf(out, "/%s", unit.scope);
	return rc;
}

int cgroup_path(const char *cgroups_path, bool is_systemd, const char *id, char **path, struct vpmem_error *err)
{
	const char *root = root_dir();
	size_t size;
	FILE *out;
	int rc = 0;

	*path = NULL;
	if (!root)
		return 0;
	out = open_memstream(path, &size);
	if (!out)
		return error_set(err, -ENOMEM, "out of memory");
	fprintf(out, "%s", root);
	if (is_systemd)
		rc = add_systemd(out, cgroups_path, id);
	else if (!cgroups_path || cgroups_path[0] == '\0')
		fprintf(out, "/pmvm-oci-%s", id);
	else if (leaves(cgroups_path) || strspn(cgroups_path, "/") == strlen(cgroups_path))
		rc = -EINVAL;
	else
		fprintf(out, "%s%s", cgroups_path[0] == '/' ? "" : "/", cgroups_path);
	if (fclose(out) != 0 && rc == 0)
		rc = -ENOMEM;
	if (rc == 0)
		return 0;
	free(*path);
	*path = NULL;
	return error_set(err, rc, "linux.cgroupsPath '%s': %s", cgroups_path ? cgroups_path : "",
	                 is_systemd ? "not of the form SLICE:PREFIX:NAME" : "not a path below the root of the groups");
}

static int write_file(const char *path, const char *name, const char *text)
{
	char file[PATH_MAX];
	int fd, rc;

	snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

// What the parent has none of cannot be had; a limit that needs it says so.
static void enable_controllers(const char *dir)
{
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		write_file(dir, "cgroup.subtree_control", controllers[i]);
}

static bool has_processes(const char *path)
{
	char file[PATH_MAX], byte;
	ssize_t len = 0;
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, &byte, 1);
		close(fd);
	}
	return len > 0;
}

int cgroup_make(const char *path, struct vpmem_error *err)
{
	const char *root = root_dir();
	char dir[PATH_MAX];

	if (!path || !root)
		return 0;
	if (strlen(path) >= sizeof(dir) - 32)
		return error_set(err, -ENAMETOOLONG, "cgroup: the path is too long");
	for (const char *end = path + strlen(root); end; end = strchr(end + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(end - path), path);
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return error_set(err, -errno, "cgroup %s: %s", dir, strerror(errno));
		enable_controllers(dir);
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cgroup %s: %s", path, strerror(errno));
	if (has_processes(path))
		return error_set(err, -EEXIST, "cgroup %s: it is in use by other processes", path);
	return 0;
}

int cgroup_enter(const char *path, struct vpmem_error *err)
{
	int rc = path ? write_file(path, "cgroup.procs", "0") : 0;

	return rc < 0 ? error_set(err, rc, "cgroup %s: cannot enter it: %s", path, strerror(-rc)) : 0;
}

bool cgroup_wait(const char *path, unsigned timeout_ms)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_NS };
	uint64_t end = monotonic_ms() + timeout_ms;

	while (path && has_processes(path)) {
		if (monotonic_ms() >= end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static void kill_each(const char *path)
{
	char file[PATH_MAX];
	FILE *pids;
	int pid;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	pids = fopen(file, "re");
	if (!pids)
		return;
	while (fscanf(pids, "%d", &pid) == 1)
		if (pid > 0)
			kill(pid, SIGKILL);
	fclose(pids);
}

void cgroup_kill(const char *path)
{
	// Linux before 5.14 has no cgroup.kill.
	if (path && write_file(path, "cgroup.kill", "1") < 0)
		kill_each(path);
}

int cgroup_remove(const char *path, struct vpmem_error *err)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_NS };

	if (!path)
		return 0;
	for (unsigned i = 0; i < REMOVE_ATTEMPTS; i++) {
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	return error_set(err, -errno, "cgroup %s: cannot remove it: %s", path, strerror(errno));
}

bool cgroup_read(const char *path, const char *file, uint64_t *val)
{
	char name[PATH_MAX];
	unsigned long long number;
	bool is_number;
	FILE *in;

	if (!path)
		return false;
	snprintf(name, sizeof(name), "%s/%s", path, file);
	in = fopen(name, "re");
	if (!in)
		return false;
	is_number = fscanf(in, "%llu", &number) == 1;
	fclose(in);
	if (is_number)
		*val = number;
	return is_number;
}
