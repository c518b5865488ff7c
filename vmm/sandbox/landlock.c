// SPDX-License-Identifier: Apache-2.0
// Landlock. Its system calls have no functions in the C library.
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Rights that are newer than the headers of Debian 12, by the version that brought them.
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)  /* 3 */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* 5 */
#define ACCESS_BIND_TCP (UINT64_C(1) << 0)   /* 4 */
#define ACCESS_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0) /* 6 */

#define ACCESS_FILE_READ LANDLOCK_ACCESS_FS_READ_FILE
#define ACCESS_FILE_WRITE LANDLOCK_ACCESS_FS_WRITE_FILE
#define ACCESS_DIR_READ LANDLOCK_ACCESS_FS_READ_DIR
#define ACCESS_DIR_WRITE                                                                                 \
	(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |      \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

// struct landlock_ruleset_attr of version 6. An older kernel takes it as long as what it does not know is 0.
struct ruleset {
	uint64_t fs, net, scoped;
};

int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? 0 : (int)version;
}

// All rights of files that this version has.
static uint64_t all_access(int version)
{
	uint64_t access = LANDLOCK_ACCESS_FS_EXECUTE | ACCESS_FILE_READ | ACCESS_FILE_WRITE | ACCESS_DIR_READ |
	                  ACCESS_DIR_WRITE;

	if (version >= 2)
		access |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		access |= ACCESS_TRUNCATE;
	if (version >= 5)
		access |= ACCESS_IOCTL_DEV;
	return access;
}

static uint64_t access_of(const struct landlock_rule *rule, int version, bool is_dir)
{
	uint64_t access = ACCESS_FILE_READ;

	if (is_dir)
		access |= ACCESS_DIR_READ;
	if (rule->access == LANDLOCK_READ)
		return access;
	if (rule->access == LANDLOCK_RUN)
		return access | LANDLOCK_ACCESS_FS_EXECUTE;
	access |= ACCESS_FILE_WRITE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV;
	// Between directories that are both permitted, a file may be renamed.
	if (is_dir)
		access |= ACCESS_DIR_WRITE | LANDLOCK_ACCESS_FS_REFER;
	if (rule->access != LANDLOCK_ALL)
		access &= ~(uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK);
	return access & all_access(version);
}

static int add_rule(int ruleset_fd, const struct landlock_rule *rule, int version)
{
	struct landlock_path_beneath_attr attr = { .parent_fd = open(rule->path, O_PATH | O_CLOEXEC) };
	struct stat st;
	int rc = 0;

	if (attr.parent_fd < 0)
		return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
	if (fstat(attr.parent_fd, &st) < 0)
		rc = -errno;
	attr.allowed_access = access_of(rule, version, S_ISDIR(st.st_mode));
	if (rc == 0 && syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0)
		rc = -errno;
	close(attr.parent_fd);
	return rc;
}

static int create_ruleset(int version, bool no_sockets)
{
	struct ruleset attr = { .fs = all_access(version) };
	// What a version does not have is not in its structure either.
	size_t size = version >= 6 ? sizeof(attr) : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	int fd;

	if (no_sockets && version >= 4)
		attr.net = ACCESS_BIND_TCP | ACCESS_CONNECT_TCP;
	if (no_sockets && version >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return fd < 0 ? -errno : fd;
}

int landlock_confine(const struct landlock_rule *rules, unsigned nrules, bool no_sockets)
{
	int version = landlock_version(), fd, rc = 0;

	if (version == 0)
		return -EOPNOTSUPP;
	fd = create_ruleset(version, no_sockets);
	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < nrules && rc == 0; i++)
		rc = add_rule(fd, &rules[i], version);
	if (rc == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		rc = -errno;
	close(fd);
	return rc;
}
