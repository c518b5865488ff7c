// SPDX-License-Identifier: Apache-2.0
// Another user, and another root directory. The files of users are read here: NSS needs shared libraries.
#include "privileges.h"

#include "error.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool parse_id(const char *text, char end, unsigned *id, const char **rest)
{
	unsigned long val;
	char *stop;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	val = strtoul(text, &stop, 10);
	// The highest number means "no change" to the kernel.
	if (errno || val >= UINT_MAX || *stop != end)
		return false;
	*id = (unsigned)val;
	*rest = stop + 1;
	return true;
}

static bool find_name(const char *user, struct privileges *out)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	bool found = false;

	while (file && !found && (entry = fgetpwent(file)) != NULL) {
		found = strcmp(entry->pw_name, user) == 0;
		out->uid = entry->pw_uid;
		out->gid = entry->pw_gid;
	}
	if (file)
		fclose(file);
	return found;
}

static bool has_member(const struct group *group, const char *user)
{
	for (char **member = group->gr_mem; *member; member++)
		if (strcmp(*member, user) == 0)
			return true;
	return false;
}

static int find_groups(const char *user, struct privileges *out)
{
	FILE *file = fopen("/etc/group", "re");
	const struct group *entry;
	int rc = 0;

	out->groups[out->ngroups++] = out->gid;
	while (file && rc == 0 && (entry = fgetgrent(file)) != NULL) {
		if (!has_member(entry, user) || entry->gr_gid == out->gid)
			continue;
		if (out->ngroups == PRIVILEGES_GROUPS_MAX)
			rc = -E2BIG;
		else
			out->groups[out->ngroups++] = entry->gr_gid;
	}
	if (file)
		fclose(file);
	return rc;
}

int privileges_find(const char *user, struct privileges *out, struct vpmem_error *err)
{
	const char *rest = user;

	*out = (struct privileges) { .user = user };
	if (parse_id(user, ':', &out->uid, &rest) && parse_id(rest, '\0', &out->gid, &rest)) {
		out->groups[out->ngroups++] = out->gid;
		return 0;
	}
	if (!find_name(user, out)) {
		error_set(err, -ENOENT, "User \"%s\" doesn't exist (and is not <uid>:<gid>)", user);
		error_hint(err, "users that /etc/passwd does not name are given as UID:GID, as `id` prints them");
		return -ENOENT;
	}
	if (find_groups(user, out) < 0) {
		error_set(err, -E2BIG, "User \"%s\" is in more than %u groups", user, PRIVILEGES_GROUPS_MAX);
		error_hint(err, "give UID:GID instead, which leaves out all groups but one");
		return -E2BIG;
	}
	return 0;
}

static int change_root(const char *root, struct vpmem_error *err)
{
	int rc;

	if (chroot(root) == 0 && chdir("/") == 0)
		return 0;
	rc = -errno;
	error_set(err, rc, "cannot make '%s' the root directory: %s", root, strerror(-rc));
	if (rc == -EPERM)
		error_hint(err, "this needs root, or the capability CAP_SYS_CHROOT");
	return rc;
}

// The kernel clears the signal of the parent's end when the user changes. Who has set it relies on it: this process must
// not run longer than the parent.
static int keep_death_signal(int signo, pid_t parent)
{
	if (signo == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, signo) < 0)
		return -errno;
	return getppid() == parent ? 0 : raise(signo);
}

static int change_user(const struct privileges *to, struct vpmem_error *err)
{
	const pid_t parent = getppid();
	const char *call = NULL;
	int death_signal = 0, rc;

	if (getuid() == to->uid && geteuid() == to->uid && getgid() == to->gid && getegid() == to->gid)
		return 0;
	if (prctl(PR_GET_PDEATHSIG, &death_signal) < 0)
		call = "prctl";
	else if (setgroups(to->ngroups, to->groups) < 0)
		call = "setgroups";
	else if (setresgid(to->gid, to->gid, to->gid) < 0)
		call = "setresgid";
	else if (setresuid(to->uid, to->uid, to->uid) < 0)
		call = "setresuid";
	else if (keep_death_signal(death_signal, parent) < 0)
		call = "prctl";
	if (!call)
		return 0;
	rc = -errno;
	error_set(err, rc, "cannot become user '%s': %s: %s", to->user, call, strerror(-rc));
	if (rc == -EPERM)
		error_hint(err, "only root can; or start it as that user");
	return rc;
}

int privileges_drop(const struct privileges *to, const char *root, struct vpmem_error *err)
{
	int rc = root ? change_root(root, err) : 0;

	return rc < 0 || !to->user ? rc : change_user(to, err);
}
