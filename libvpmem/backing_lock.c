// SPDX-License-Identifier: Apache-2.0
/*
 * backing_lock.c - prevents two users of one file, and finds the process of the other one.
 *
 * The lock belongs to the open file (fcntl F_OFD_SETLK), so that it also works between two backends of one
 * process, and is released however the process ends.
 */
#include "backing.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define PROC_PATH_MAX 64     /* enough for "/proc/<pid>/fdinfo/<fd>" and its siblings */
#define INODE_TEXT_MAX 64    /* enough for "<major>:<minor>:<inode>" */
#define SEARCH_MAX_MS 2000u  /* a host may have a million open files */
#define SEARCH_CHECK_EACH 64 /* files between two checks of the clock */

/* A descriptor as /proc/<pid>/fdinfo/<fd> shows it. */
struct fd_info {
	int mount_id;
	uint64_t inode;
	bool is_locked;              /* it holds a lock, */
	char locked[INODE_TEXT_MAX]; /* on this inode, as in /proc/locks */
};

/* "lock:	1: OFDLCK  ADVISORY  WRITE -1 fe:00:131 0 EOF": the seventh word. */
static void parse_lock(char *line, struct fd_info *info)
{
	char *rest, *word = strtok_r(line, " \t", &rest);

	for (unsigned i = 1; word && i < 7; i++)
		word = strtok_r(NULL, " \t", &rest);
	if (!word)
		return;
	info->is_locked = true;
	snprintf(info->locked, sizeof(info->locked), "%s", word);
}

static void parse_line(char *line, struct fd_info *info)
{
	if (strncmp(line, "lock:", 5) == 0)
		parse_lock(line, info);
	else if (strncmp(line, "mnt_id:", 7) == 0)
		info->mount_id = atoi(line + 7);
	else if (strncmp(line, "ino:", 4) == 0)
		info->inode = strtoull(line + 4, NULL, 10);
}

static bool read_fd_info(int pid, int fd, struct fd_info *info)
{
	char path[PROC_PATH_MAX], line[256];
	FILE *file;

	*info = (struct fd_info) { .mount_id = -1 };
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!info->is_locked && fgets(line, sizeof(line), file))
		parse_line(line, info);
	fclose(file);
	return true;
}

/* "25 1 254:0 / / rw ...": the mount, its parent, its device. */
static bool parse_mount(const char *line, int mount_id, unsigned *major_nr, unsigned *minor_nr)
{
	char *end;

	if (strtol(line, &end, 10) != mount_id)
		return false;
	(void)strtol(end, &end, 10);
	*major_nr = (unsigned)strtoul(end, &end, 10);
	if (*end != ':')
		return false;
	*minor_nr = (unsigned)strtoul(end + 1, NULL, 10);
	return true;
}

/* The device of a mount, which is not always the st_dev of its files (btrfs). */
static bool mount_device(int mount_id, unsigned *major_nr, unsigned *minor_nr)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0)
		found = parse_mount(line, mount_id, major_nr, minor_nr);
	free(line);
	fclose(file);
	return found;
}

/* How the kernel writes the inode of our file in a line about a lock. */
static bool inode_text(const struct vpmem_backing *b, char text[INODE_TEXT_MAX])
{
	unsigned major_nr, minor_nr;
	struct fd_info info;
	struct stat st;

	if (fstat(b->fd, &st) || !read_fd_info(getpid(), b->fd, &info))
		return false;
	if (!mount_device(info.mount_id, &major_nr, &minor_nr)) {
		major_nr = major(st.st_dev);
		minor_nr = minor(st.st_dev);
	}
	/* Before Linux 5.14 a descriptor shows no inode. */
	snprintf(text, INODE_TEXT_MAX, "%02x:%02x:%" PRIu64, major_nr, minor_nr, info.inode ? info.inode : st.st_ino);
	return true;
}

/* A search through the processes of this host. Only /proc/<pid>/fdinfo is read, which the kernel has in memory: to stat
 * what others have open may wait for ever, on a network file system whose server is gone. */
struct search {
	char wanted[INODE_TEXT_MAX];
	int own_fd;
	struct timespec end;
	unsigned nread;
};

static bool is_over(struct search *search)
{
	struct timespec now;

	if (search->nread++ % SEARCH_CHECK_EACH != 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > search->end.tv_sec ||
	       (now.tv_sec == search->end.tv_sec && now.tv_nsec > search->end.tv_nsec);
}

/* Has this process a descriptor, other than our own, that holds a lock on the file? */
static bool is_holder(struct search *search, int pid)
{
	char path[PROC_PATH_MAX];
	struct dirent *entry;
	struct fd_info info;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)) && !is_over(search)) {
		int fd = atoi(entry->d_name);

		if (!isdigit((unsigned char)entry->d_name[0]) || (pid == getpid() && fd == search->own_fd))
			continue;
		found = read_fd_info(pid, fd, &info) && info.is_locked && strcmp(info.locked, search->wanted) == 0;
	}
	closedir(dir);
	return found;
}

/* The process that locked the file, or 0: it may be on another host or hidden, or there are too many. */
static int find_holder(const struct vpmem_backing *b)
{
	struct search search = { .own_fd = b->fd };
	struct dirent *entry;
	int holder = 0;
	DIR *dir;

	if (!inode_text(b, search.wanted))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &search.end);
	search.end.tv_nsec += (long)SEARCH_MAX_MS * 1000000;
	search.end.tv_sec += search.end.tv_nsec / 1000000000;
	search.end.tv_nsec %= 1000000000;
	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!holder && (entry = readdir(dir)) && !is_over(&search)) {
		int pid = atoi(entry->d_name);

		if (pid > 0 && is_holder(&search, pid))
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
	} else if (pid == b->user_pid || pid == getpid()) {
		err_fail(err, -EBUSY, "backing store %s is in use by another memory backend of this process", b->path);
	} else {
		process_name(pid, name, sizeof(name));
		err_fail(err, -EBUSY, "backing store %s is in use by process %d (%s)", b->path, pid, name);
	}
	err_hint(err, "stop its user or give each its own file; many can share one if all of them use it with "
	              "readonly=on or share=off");
	return -EBUSY;
}

int backing_lock(struct vpmem_backing *b, enum backing_lock kind, struct vpmem_error *err)
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
		b->is_unlocked = true;
		return 0;
	default:
		return err_fail(err, -errno, "can't lock backing store %s: %m", b->path);
	}
}
