// SPDX-License-Identifier: Apache-2.0
// Reads KVM's binary statistics of a vCPU (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD).
#include "kvm_stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NAME_SIZE_MAX 1024u
#define DESCRIPTORS_MAX 1024u

static int read_at(int fd, void *buf, size_t len, int64_t off)
{
	ssize_t n = pread(fd, buf, len, (off_t)off);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

/* All descriptors by one read: there are dozens, for each vCPU. */
static int find_counters(struct kvm_stats *stats, const struct kvm_stats_header *header)
{
	size_t size = sizeof(struct kvm_stats_desc) + header->name_size;
	char *descs = malloc(header->num_desc * size);
	int rc = descs ? read_at(stats->fd, descs, header->num_desc * size, (int64_t)header->desc_offset) : -ENOMEM;

	for (uint32_t i = 0; i < header->num_desc && rc == 0; i++) {
		struct kvm_stats_desc *desc = (struct kvm_stats_desc *)(void *)(descs + i * size);

		desc->name[header->name_size - 1] = '\0';
		if (strcmp(desc->name, "pf_taken") == 0)
			stats->taken_off = (int64_t)header->data_offset + desc->offset;
		else if (strcmp(desc->name, "pf_fixed") == 0)
			stats->fixed_off = (int64_t)header->data_offset + desc->offset;
		else if (strcmp(desc->name, "pf_emulate") == 0)
			stats->emulated_off = (int64_t)header->data_offset + desc->offset;
	}
	free(descs);
	return rc == 0 && stats->taken_off == 0 ? -ENOSYS : rc;
}

int kvm_stats_open(struct kvm_stats *stats, int vcpu_fd)
{
	*stats = (struct kvm_stats) { .is_asked = true, .fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL) };
	return stats->fd < 0 ? -errno : 0;
}

void kvm_stats_close(struct kvm_stats *stats)
{
	if (stats->fd >= 0)
		close(stats->fd);
	stats->fd = -1;
}

static int find(struct kvm_stats *stats)
{
	struct kvm_stats_header header;
	int rc = read_at(stats->fd, &header, sizeof(header), 0);

	if (rc == 0 && (header.name_size == 0 || header.name_size > NAME_SIZE_MAX || header.num_desc > DESCRIPTORS_MAX))
		rc = -EPROTO;
	if (rc == 0)
		rc = find_counters(stats, &header);
	if (rc < 0)
		kvm_stats_close(stats);
	return rc;
}

struct kvm_faults kvm_stats_faults(struct kvm_stats *stats)
{
	struct kvm_faults faults;
	uint64_t emulated;

	if (stats->fd < 0 || (stats->taken_off == 0 && find(stats) < 0) ||
	    read_at(stats->fd, &faults.taken, sizeof(faults.taken), stats->taken_off) < 0)
		return (struct kvm_faults) { 0 };
	if (stats->fixed_off == 0 || read_at(stats->fd, &faults.fixed, sizeof(faults.fixed), stats->fixed_off) < 0)
		faults.fixed = faults.taken;
	// An access that KVM emulated, as a store to read-only memory, came to its end.
	else if (stats->emulated_off != 0 && read_at(stats->fd, &emulated, sizeof(emulated), stats->emulated_off) == 0)
		faults.fixed += emulated;
	return faults;
}
