// SPDX-License-Identifier: Apache-2.0
/*
 * The agent of pmvm-oci's guests for a monitor without virtio-pmem: images are disks, and are mounted without DAX. It is
 * linked with --wrap for the two functions in which the agent knows persistent memory.
 */
#include "agent_pmem.h"
#include "error.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define BLOCK_DEVICES "/sys/class/block"
#define WAIT_US 10000000u
#define STEP_US 2000u

int __wrap_pmem_find(const char *pci, char *dev, size_t size, struct vpmem_error *err);
int __wrap_mount(const char *source, const char *at, const char *type, unsigned long flags, const void *options);
int __real_mount(const char *source, const char *at, const char *type, unsigned long flags, const void *options);

static bool is_at(const char *name, const char *pci)
{
	char link[PATH_MAX], target[PATH_MAX], part[32];
	ssize_t n;

	snprintf(link, sizeof(link), BLOCK_DEVICES "/%s", name);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	snprintf(part, sizeof(part), "/%s/", pci);
	return strstr(target, part);
}

static bool find_now(const char *pci, char *dev, size_t size)
{
	DIR *dir = opendir(BLOCK_DEVICES);
	bool found = false;

	for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
		found = strncmp(entry->d_name, "vd", 2) == 0 && is_at(entry->d_name, pci);
		if (found)
			snprintf(dev, size, "/dev/%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found && access(dev, F_OK) == 0;
}

int __wrap_pmem_find(const char *pci, char *dev, size_t size, struct vpmem_error *err)
{
	for (unsigned waited_us = 0; waited_us < WAIT_US; waited_us += STEP_US) {
		if (find_now(pci, dev, size))
			return 0;
		usleep(STEP_US);
	}
	return error_set(err, -ENODEV, "there is no disk at the PCI address %s", pci);
}

int __wrap_mount(const char *source, const char *at, const char *type, unsigned long flags, const void *options)
{
	const bool is_disk = source && strncmp(source, "/dev/vd", 7) == 0;

	return __real_mount(source, at, type, flags, is_disk ? NULL : options);
}
