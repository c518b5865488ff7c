// SPDX-License-Identifier: Apache-2.0
// The sockets of monitors in a directory: NAME.qmp, and qmp in a directory NAME.
#include "machines_find.h"

#include "machines.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char suffix[] = ".qmp";

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void check_entry(const char *directory, const char *entry, machines_found_fn *fn, void *owner)
{
	char name[MACHINE_NAME_SIZE], path[PATH_MAX];
	size_t len = strlen(entry), suffix_len = sizeof(suffix) - 1;
	int path_len;

	if (entry[0] == '.')
		return;
	if (len > suffix_len && strcmp(entry + len - suffix_len, suffix) == 0) {
		len -= suffix_len;
		path_len = snprintf(path, sizeof(path), "%s/%s", directory, entry);
	} else {
		path_len = snprintf(path, sizeof(path), "%s/%s/qmp", directory, entry);
	}
	if (len >= sizeof(name) || path_len >= (int)sizeof(path) || !is_socket(path))
		return;
	memcpy(name, entry, len);
	name[len] = '\0';
	if (machine_name_wellformed(name))
		fn(owner, name, path);
}

int machines_find(const char *directory, machines_found_fn *fn, void *owner)
{
	DIR *dir = opendir(directory);

	if (!dir)
		return errno == ENOENT ? 0 : -1;
	for (const struct dirent *entry; (entry = readdir(dir));)
		check_entry(directory, entry->d_name, fn, owner);
	closedir(dir);
	return 0;
}
