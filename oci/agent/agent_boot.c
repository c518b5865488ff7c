// SPDX-License-Identifier: Apache-2.0
// From the kernel's initramfs to a system in which crun can run.
#include "agent_boot.h"

#include "agent_file.h"
#include "error.h"
#include "log.h"
#include "parse.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES "/modules"
#define NEW_ROOT "/new"
#define REPORTED_ORDER_FILE "/sys/module/page_reporting/parameters/page_reporting_order"
#define REPORTED_ORDER "3" /* 32 KiB; docs/performance.md has what others cost */

static const struct file_system {
	const char *type, *at, *options;
	unsigned long flags;
} file_systems[] = {
	{ .type = "proc", .at = "/proc", .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ .type = "sysfs", .at = "/sys", .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ .type = "devtmpfs", .at = "/dev", .options = "mode=755", .flags = MS_NOSUID },
	{ .type = "devpts", .at = "/dev/pts", .options = "mode=620,ptmxmode=666", .flags = MS_NOSUID | MS_NOEXEC },
	{ .type = "tmpfs", .at = "/dev/shm", .options = "mode=1777", .flags = MS_NOSUID | MS_NODEV },
	{ .type = "tmpfs", .at = "/run", .options = "mode=755", .flags = MS_NOSUID | MS_NODEV },
	{ .type = "cgroup2", .at = "/sys/fs/cgroup", .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC },
};

// The kernel opens the console only where the initramfs has its node.
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int std_fd = 0; fd >= 0 && std_fd <= 2; std_fd++)
		dup2(fd, std_fd);
	if (fd > 2)
		close(fd);
	log_open();
}

// Its parent would be none, and pivot_root wants one: the same tree again, on top of it.
static int move_root(struct vpmem_error *err)
{
	if ((mkdir(NEW_ROOT, 0755) < 0 && errno != EEXIST) || mount("/", NEW_ROOT, NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_set(err, -errno, "the root cannot be moved: %s", strerror(errno));
	return 0;
}

int boot_file_systems(struct vpmem_error *err)
{
	int rc;

	rc = move_root(err);
	if (rc)
		return rc;
	for (unsigned i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++) {
		const struct file_system *fs = &file_systems[i];

		mkdir(fs->at, 0755);
		if (mount(fs->type, fs->at, fs->type, fs->flags, fs->options) < 0)
			return error_set(err, -errno, "%s cannot be mounted: %s", fs->at, strerror(errno));
	}
	open_console();
	return 0;
}

static int load_module(const char *name, struct vpmem_error *err)
{
	char path[PATH_MAX];
	int fd, rc = 0;

	snprintf(path, sizeof(path), MODULES "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "module %s: %s", name, strerror(errno));
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != ENODEV && errno != EEXIST)
		rc = error_set(err, -errno, "module %s cannot be loaded: %s", name, strerror(errno));
	close(fd);
	// The root is in memory.
	unlink(path);
	return rc;
}

int boot_modules(struct vpmem_error *err)
{
	FILE *list = fopen(MODULES "/list", "re");
	char line[128];
	int rc = 0;

	if (!list)
		return error_set(err, -errno, MODULES "/list: %s", strerror(errno));
	while (rc == 0 && fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = '\0';
		rc = load_module(line, err);
	}
	fclose(list);
	return rc;
}

int boot_reporting(struct vpmem_error *err)
{
	if (access(REPORTED_ORDER_FILE, F_OK) < 0)
		return 0;
	return file_write(REPORTED_ORDER_FILE, REPORTED_ORDER, err);
}

int boot_port_of(const char *cmdline, unsigned *port, struct vpmem_error *err)
{
	static const char name[] = "pmvm.port=";
	const char *at = cmdline;
	char word[16] = "";
	uint64_t val;

	// A word of its own, not the end of another.
	while ((at = strstr(at, name)) && at != cmdline && at[-1] != ' ')
		at++;
	if (!at)
		return error_set(err, -EINVAL, "the kernel's command line has no %s", name);
	at += strlen(name);
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " \n"), at);
	if (uint_parse(word, &val) || val >= UINT32_MAX)
		return error_set(err, -EINVAL, "the kernel's command line has no valid %s", name);
	*port = (unsigned)val;
	return 0;
}

int boot_port(unsigned *port, struct vpmem_error *err)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	char cmdline[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, cmdline, sizeof(cmdline) - 1);

	if (n < 0)
		return error_set(err, -errno, "/proc/cmdline: %s", strerror(errno));
	cmdline[n] = '\0';
	close(fd);
	return boot_port_of(cmdline, port, err);
}

_Noreturn void boot_power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
