// SPDX-License-Identifier: Apache-2.0
// The directory that a broker under test may use, the files outside it that nothing may touch, and a kernel that checks.
#include "broker_rig.h"

#include "fuzz.h"
#include "permit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX 128

char broker_rig_dir[PATH_MAX + 16];
int broker_rig_fds[BROKER_RIG_FDS];

static char root[PATH_MAX];
static struct stat outside_before[4];
static ino_t file_ino;

// ---- the files

bool broker_rig_is_below(const char *path)
{
	size_t len = strlen(broker_rig_dir);

	return strncmp(path, broker_rig_dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* What a descriptor names. */
void broker_rig_target(int fd, char target[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, PATH_MAX - 1);
	CHECK(n > 0);
	target[n] = '\0';
}

static void stat_outside(struct stat st[4])
{
	static const char *const paths[] = { "..", "../outside", "../outside/secret", "../outside/socket" };

	for (unsigned i = 0; i < 4; i++)
		CHECK(lstat(paths[i], &st[i]) == 0);
}

void broker_rig_check_files(void)
{
	struct stat now[4], file;

	CHECK(lstat("file", &file) == 0 && file.st_ino == file_ino);
	stat_outside(now);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(now[i].st_ino == outside_before[i].st_ino && now[i].st_mode == outside_before[i].st_mode);
		CHECK(now[i].st_size == outside_before[i].st_size && now[i].st_nlink == outside_before[i].st_nlink);
		CHECK(now[i].st_ctim.tv_sec == outside_before[i].st_ctim.tv_sec &&
		      now[i].st_ctim.tv_nsec == outside_before[i].st_ctim.tv_nsec);
	}
}

static ino_t make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stat st;

	CHECK(fd >= 0 && write(fd, "secret", 6) == 6 && fstat(fd, &st) == 0);
	close(fd);
	return st.st_ino;
}

static void make_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0);
	close(fd);
}

static void empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[PATH_MAX];

	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		// It is the same one for all inputs: no file that an operation creates has its inode.
		if (strcmp(path, ".") == 0 && strcmp(entry->d_name, "file") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (unlink(name) < 0) {
			empty(name);
			CHECK(rmdir(name) == 0);
		}
	}
	closedir(dir);
}

void broker_rig_fill(void)
{
	empty(".");
	CHECK(mkdir("sub", 0700) == 0);
	make_file("file");
	make_socket("socket");
	CHECK(symlink("../outside/secret", "link") == 0);
	CHECK(symlink("../outside", "dir-link") == 0);
	CHECK(symlink("../outside/none", "dangling") == 0);
}

static void remove_all(void)
{
	empty(root);
	rmdir(root);
}

void broker_rig_set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(root, sizeof(root), "%s/pmvm-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(root) && realpath(root, broker_rig_dir));
	strcpy(root, broker_rig_dir);
	atexit(remove_all);
	strcat(broker_rig_dir, "/permitted");
	CHECK(mkdir(broker_rig_dir, 0700) == 0 && chdir(broker_rig_dir) == 0 && mkdir("../outside", 0700) == 0);
	make_file("../outside/secret");
	make_socket("../outside/socket");
	file_ino = make_file("file");
	permit_begin();
	CHECK(permit_add(broker_rig_dir) == 0);
	CHECK(pipe2(broker_rig_fds, O_CLOEXEC) == 0);
	broker_rig_fds[2] = open("../outside/secret", O_RDONLY | O_CLOEXEC);
	broker_rig_fds[3] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	broker_rig_fds[4] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* A later change has another time, though the clock of files is a coarse one. */
	usleep(20000);
	stat_outside(outside_before);
}

unsigned broker_rig_count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < FDS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

// ---- the kernel

static bool is_fake(const char *path)
{
	return strcmp(path, "/dev/net/tun") == 0 || strcmp(path, "/dev/vhost-net") == 0 ||
	       strcmp(path, "/dev/vhost-vsock") == 0;
}

/* A descriptor that was passed is opened again, with no more access. */
static void may_be_opened_again(const char *path, int flags)
{
	int old = fcntl(atoi(path + strlen("/proc/self/fd/")), F_GETFL) & O_ACCMODE;

	CHECK(old == O_RDWR || old == (flags & O_ACCMODE));
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	char target[PATH_MAX];
	va_list args;
	mode_t mode;
	int fd;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (is_fake(path))
		return eventfd(0, EFD_CLOEXEC);
	fd = __real_open64(path, flags, mode);
	if (fd < 0 || outside_before[0].st_ino == 0)
		return fd;
	broker_rig_target(fd, target);
	if (strncmp(path, "/proc/self/fd/", 14) == 0)
		may_be_opened_again(path, flags);
	else
		CHECK(broker_rig_is_below(target) || strncmp(target, "/dev/pts/", 9) == 0 ||
		      strncmp(target, "/sys/module/", 12) == 0);
	return fd;
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	const struct ifreq *ifr = arg;

	if (request != TUNSETIFF)
		return __real_ioctl(fd, request, arg);
	CHECK(memchr(ifr->ifr_name, '\0', IFNAMSIZ));
	errno = EBUSY;
	return ifr->ifr_name[0] == 'b' ? -1 : 0;
}

/* No address but those of files is broker_rig_dir. */
static void is_file_address(const struct sockaddr *addr)
{
	CHECK(addr->sa_family == AF_UNIX && ((const struct sockaddr_un *)addr)->sun_path[0]);
}

int __real_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	is_file_address(addr);
	return __real_bind(fd, addr, len);
}

int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	is_file_address(addr);
	return __real_connect(fd, addr, len);
}
