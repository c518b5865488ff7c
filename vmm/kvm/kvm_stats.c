// SPDX-License-Identifier: Apache-2.0
// Reads KVM's binary statistics (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD).
#include "kvm_stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NAME_SIZE_MAX 1024u
#define DESCRIPTORS_MAX 1024u
#define VALUES_MAX 65536u

static int read_at(int fd, void *buf, size_t len, int64_t off)
{
	ssize_t n = pread(fd, buf, len, (off_t)off);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

static int read_header(int fd, struct kvm_stats_header *header)
{
	int rc = read_at(fd, header, sizeof(*header), 0);

	if (rc == 0 && (header->name_size == 0 || header->name_size > NAME_SIZE_MAX || header->num_desc == 0 ||
	                header->num_desc > DESCRIPTORS_MAX))
		rc = -EPROTO;
	return rc;
}

static size_t desc_size(const struct kvm_stats_header *header)
{
	return sizeof(struct kvm_stats_desc) + header->name_size;
}

static struct kvm_stats_desc *desc_at(char *descs, const struct kvm_stats_header *header, uint32_t i)
{
	return (struct kvm_stats_desc *)(void *)(descs + i * desc_size(header));
}

/* All descriptors by one read: there are dozens, for each vCPU. To be freed; NULL with *rc. */
static char *read_descs(int fd, const struct kvm_stats_header *header, int *rc)
{
	char *descs = malloc(header->num_desc * desc_size(header));

	*rc = descs ? read_at(fd, descs, header->num_desc * desc_size(header), (int64_t)header->desc_offset) : -ENOMEM;
	if (*rc < 0) {
		free(descs);
		return NULL;
	}
	for (uint32_t i = 0; i < header->num_desc; i++)
		desc_at(descs, header, i)->name[header->name_size - 1] = '\0';
	return descs;
}

static int find(struct kvm_stats *stats)
{
	struct kvm_stats_header header;
	int rc = read_header(stats->fd, &header);
	char *descs = rc == 0 ? read_descs(stats->fd, &header, &rc) : NULL;

	for (uint32_t i = 0; rc == 0 && i < header.num_desc; i++) {
		const struct kvm_stats_desc *desc = desc_at(descs, &header, i);

		if (strcmp(desc->name, "pf_taken") == 0)
			stats->taken_off = (int64_t)header.data_offset + desc->offset;
		else if (strcmp(desc->name, "pf_fixed") == 0)
			stats->fixed_off = (int64_t)header.data_offset + desc->offset;
		else if (strcmp(desc->name, "pf_emulate") == 0)
			stats->emulated_off = (int64_t)header.data_offset + desc->offset;
	}
	free(descs);
	return rc == 0 && stats->taken_off == 0 ? -ENOSYS : rc;
}

int kvm_stats_open(struct kvm_stats *stats, int kvm_fd)
{
	*stats = (struct kvm_stats) { .is_asked = true, .fd = ioctl(kvm_fd, KVM_GET_STATS_FD, NULL) };
	return stats->fd < 0 ? -errno : 0;
}

void kvm_stats_close(struct kvm_stats *stats)
{
	if (stats->fd >= 0)
		close(stats->fd);
	stats->fd = -1;
}

/* What has no counter of faults is not asked again. */
static int find_or_close(struct kvm_stats *stats)
{
	int rc = find(stats);

	if (rc < 0)
		kvm_stats_close(stats);
	return rc;
}

struct kvm_faults kvm_stats_faults(struct kvm_stats *stats)
{
	struct kvm_faults faults;
	uint64_t emulated;

	if (stats->fd < 0 || (stats->taken_off == 0 && find_or_close(stats) < 0) ||
	    read_at(stats->fd, &faults.taken, sizeof(faults.taken), stats->taken_off) < 0)
		return (struct kvm_faults) { 0 };
	if (stats->fixed_off == 0 || read_at(stats->fd, &faults.fixed, sizeof(faults.fixed), stats->fixed_off) < 0)
		faults.fixed = faults.taken;
	// An access that KVM emulated, as a store to read-only memory, came to its end.
	else if (stats->emulated_off != 0 && read_at(stats->fd, &emulated, sizeof(emulated), stats->emulated_off) == 0)
		faults.fixed += emulated;
	return faults;
}

int kvm_stats_each(int fd, kvm_stats_fn *fn, void *opaque)
{
	struct kvm_stats_header header;
	int rc = read_header(fd, &header);
	char *descs = rc == 0 ? read_descs(fd, &header, &rc) : NULL;
	uint64_t *values = NULL;
	size_t nvalues = 0;

	// They lie next to each other: one read takes all.
	for (uint32_t i = 0; rc == 0 && i < header.num_desc; i++) {
		const struct kvm_stats_desc *desc = desc_at(descs, &header, i);
		size_t end = desc->offset / sizeof(*values) + desc->size;

		if (desc->size == 0 || desc->offset % sizeof(*values) != 0 || end > VALUES_MAX)
			rc = -EPROTO;
		else if (end > nvalues)
			nvalues = end;
	}
	if (rc == 0) {
		values = malloc(nvalues * sizeof(*values));
		rc = values ? read_at(fd, values, nvalues * sizeof(*values), (int64_t)header.data_offset) : -ENOMEM;
	}
	for (uint32_t i = 0; rc == 0 && i < header.num_desc; i++) {
		const struct kvm_stats_desc *desc = desc_at(descs, &header, i);

		fn(opaque, desc, values + desc->offset / sizeof(*values));
	}
	free(values);
	free(descs);
	return rc;
}
