// SPDX-License-Identifier: Apache-2.0
/*
 * backing_lock.c - keeps two users from one file, and finds out who the other one is.
 *
 * The lock belongs to the open file (fcntl F_OFD_SETLK), so that it also works between two backends of one
 * process, and goes away however the process ends.
 */
#include "backing.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough for "/proc/<pid>/fdinfo/<fd>" and its siblings. */
#define PROC_PATH_MAX 64

/* Does this descriptor of that process hold a lock? The kernel lists locks in its fdinfo. */
static bool holds_lock(int pid, int fd)
{
	char path[PROC_PATH_MAX], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = strncmp(line, "lock:", 5) == 0;
	fclose(file);
	return found;
}

/* Has this process an open, locked descriptor, other than our own, for the file? */
static bool is_holder(int pid, const struct stat *wanted, int own_fd)
{
	char path[PROC_PATH_MAX];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (!isdigit((unsigned char)entry->d_name[0]) || (pid == getpid() && fd == own_fd))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) || st.st_dev != wanted->st_dev ||
		    st.st_ino != wanted->st_ino)
			continue;
		found = holds_lock(pid, fd);
	}
	closedir(dir);
	return found;
}

/* The process that locked the file, or 0: it may be on another host, or not ours to look into. */
static int find_holder(const struct vpmem_backing *b)
{
	struct dirent *entry;
	struct stat st;
	int holder = 0;
	DIR *dir;

	if (fstat(b->fd, &st))
		return 0;
	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!holder && (entry = readdir(dir))) {
		int pid = atoi(entry->d_name);

		if (pid > 0 && is_holder(pid, &st, b->fd))
			holder = pid;
	}
	closedir(dir);
	return holder;
}

/* The program's name as the kernel knows it, "?" if it has gone meanwhile. */
static void process_name(int pid, char *name, size_t size)
{
	char path[PROC_PATH_MAX];
	FILE *file;

	snprintf(name, size, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(name, (int)size, file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

int backing_busy(const struct vpmem_backing *b, struct vpmem_error *err)
{
	char name[32];
	int pid;

	if (!err)
		return -EBUSY;
	pid = find_holder(b);
	if (pid == 0) {
		err_fail(err, -EBUSY, "backing store %s is in use by another process", b->path);
	} else if (pid == getpid()) {
		err_fail(err, -EBUSY, "backing store %s is in use by another memory backend of this process", b->path);
	} else {
		process_name(pid, name, sizeof(name));
		err_fail(err, -EBUSY, "backing store %s is in use by process %d (%s)", b->path, pid, name);
	}
	err_hint(err, "stop its user or give each its own file; many can share one if all of them use it with "
	              "readonly=on or share=off");
	return -EBUSY;
}

int backing_lock(const struct vpmem_backing *b, enum backing_lock kind, struct vpmem_error *err)
{
	struct flock lock = {
		.l_type = kind == BACKING_LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET, /* from 0, and l_len 0: to the end, wherever that is */
	};

	if (fcntl(b->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	switch (errno) {
	case EAGAIN:
	case EACCES:
		return backing_busy(b, err);
	case ENOSYS:
	case EOPNOTSUPP:
		return 0;
	default:
		return err_fail(err, -errno, "can't lock backing store %s: %m", b->path);
	}
}
