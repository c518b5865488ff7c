// SPDX-License-Identifier: Apache-2.0
// Places of a user who is not root of the host.
#include "rootless.h"

#include "state.h"
#include "user_namespace.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool rootless_is(void)
{
	return geteuid() != 0 || !user_namespace_is_initial();
}

const char *rootless_state_root(void)
{
	static char root[PATH_MAX];
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (!rootless_is())
		return STATE_ROOT;
	if (run && run[0] == '/' && strlen(run) < sizeof(root) - 16)
		snprintf(root, sizeof(root), "%s/pmvm-oci", run);
	else
		snprintf(root, sizeof(root), "/run/user/%u/pmvm-oci", user_namespace_outer_uid());
	return root;
}

// The file itself: this program is static, and NSS needs shared libraries. The caller frees it. NULL: none.
static char *home_of(uid_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	char *home = NULL;

	while (file && !home && (entry = fgetpwent(file)) != NULL)
		if (entry->pw_uid == uid && entry->pw_dir[0] == '/')
			home = strdup(entry->pw_dir);
	if (file)
		fclose(file);
	return home;
}

char *rootless_home(const char *rest)
{
	char *home = home_of(user_namespace_outer_uid()), *path = NULL;
	const char *variable = getenv("HOME");

	if (!home && variable && variable[0] == '/')
		home = strdup(variable);
	if (home && asprintf(&path, "%s/%s", home, rest) < 0)
		path = NULL;
	free(home);
	return path;
}
