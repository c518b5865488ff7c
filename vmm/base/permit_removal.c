// SPDX-License-Identifier: Apache-2.0
// Which files an operation of the broker may remove.
#include "permit_removal.h"

#include "permit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct created {
	uint32_t dev_major, dev_minor;
	uint64_t ino;
	struct statx_timestamp born; // zeros: not known
};

static struct {
	char **paths;
	struct created *created;
	unsigned npaths, ncreated;
} removable;

// ---- paths

static int add_path(const char *path)
{
	char **more = reallocarray(removable.paths, removable.npaths + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	removable.paths = more;
	more[removable.npaths] = strdup(path);
	if (!more[removable.npaths])
		return -ENOMEM;
	removable.npaths++;
	return 0;
}

// As it is as well, because a relative path names the same file in a new root directory, and has another one before it.
int permit_add_removal(const char *path)
{
	char resolved[PATH_MAX];
	int rc;

	if (!permit_resolve(path, resolved))
		return 0;
	rc = add_path(resolved);
	return rc ? rc : add_path(path);
}

static bool has_path(const char *path)
{
	for (unsigned i = 0; i < removable.npaths; i++)
		if (strcmp(removable.paths[i], path) == 0)
			return true;
	return false;
}

static bool is_added(const char *path)
{
	char resolved[PATH_MAX];

	return has_path(path) || (permit_resolve(path, resolved) && has_path(resolved));
}

// ---- files

static bool stat_file(int dir_fd, const char *path, int flags, struct created *out, mode_t *mode)
{
	struct statx st;

	if (statx(dir_fd, path, flags, STATX_TYPE | STATX_INO | STATX_BTIME, &st) < 0)
		return false;
	*mode = st.stx_mode;
	*out = (struct created) { .dev_major = st.stx_dev_major, .dev_minor = st.stx_dev_minor, .ino = st.stx_ino };
	if (st.stx_mask & STATX_BTIME)
		out->born = st.stx_btime;
	return true;
}

static bool is_same(const struct created *a, const struct created *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->ino == b->ino &&
	       a->born.tv_sec == b->born.tv_sec && a->born.tv_nsec == b->born.tv_nsec;
}

void permit_note_created(int fd)
{
	struct created file, *more;
	mode_t mode;

	if (!permit_is_limited() || !stat_file(fd, "", AT_EMPTY_PATH, &file, &mode))
		return;
	more = reallocarray(removable.created, removable.ncreated + 1, sizeof(*more));
	if (!more)
		return;
	removable.created = more;
	more[removable.ncreated++] = file;
}

static bool forget(const struct created *file)
{
	for (unsigned i = 0; i < removable.ncreated; i++)
		if (is_same(&removable.created[i], file)) {
			removable.created[i] = removable.created[--removable.ncreated];
			return true;
		}
	return false;
}

bool permit_removal(const char *path)
{
	struct created file;
	mode_t mode;

	if (!permit_is_limited())
		return true;
	if (!stat_file(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &file, &mode))
		return false;
	return S_ISSOCK(mode) || (S_ISREG(mode) && (forget(&file) || is_added(path)));
}
