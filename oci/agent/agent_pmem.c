// SPDX-License-Identifier: Apache-2.0
// Which /dev/pmemN is the device at a PCI address: its path in sysfs says so.
#include "agent_pmem.h"

#include "error.h"
#include "monotonic.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_DEVICES "/sys/class/block"
#define WAIT_MS 10000u

bool pci_wellformed(const char *pci)
{
	static const char pattern[] = "0000:xx:xx.o";

	for (size_t i = 0; i < sizeof(pattern); i++) {
		const char *digits = pattern[i] == 'x' ? "0123456789abcdef" : pattern[i] == 'o' ? "01234567" : NULL;

		if (digits ? pci[i] == '\0' || !strchr(digits, pci[i]) : pci[i] != pattern[i])
			return false;
	}
	return true;
}

static bool is_at(const char *block, const char *pci)
{
	char link[PATH_MAX], target[PATH_MAX], part[32];
	ssize_t n;

	snprintf(link, sizeof(link), BLOCK_DEVICES "/%s", block);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	snprintf(part, sizeof(part), "/%s/", pci);
	return strstr(target, part);
}

static bool find_now(const char *prefix, const char *pci, char *dev, size_t size)
{
	DIR *dir = opendir(BLOCK_DEVICES);
	bool found = false;

	if (!dir)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(dir));) {
		found = strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && is_at(entry->d_name, pci);
		if (found)
			snprintf(dev, size, "/dev/%s", entry->d_name);
	}
	closedir(dir);
	return found && access(dev, F_OK) == 0;
}

int block_find(const char *prefix, const char *pci, char *dev, size_t size, struct vpmem_error *err)
{
	const uint64_t end_ms = monotonic_ms() + WAIT_MS;

	while (!find_now(prefix, pci, dev, size)) {
		if (monotonic_ms() > end_ms)
			return error_set(err, -ENODEV, "there is no /dev/%s* at the PCI address %s", prefix, pci);
		usleep(2000);
	}
	return 0;
}

int pmem_find(const char *pci, char *dev, size_t size, struct vpmem_error *err)
{
	int rc = block_find("pmem", pci, dev, size, NULL);

	return rc ? error_set(err, rc, "there is no persistent memory at the PCI address %s", pci) : 0;
}
