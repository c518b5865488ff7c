// SPDX-License-Identifier: Apache-2.0
// Reads once what this host's KVM supports for all vCPUs.
#include "cpu_host.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSRS_MAX 1024u /* KVM has some 300 */

static int read_host(int kvm_fd, struct cpu_host *host)
{
	// Not cleared: KVM fills what it has, and the rest stays memory that nobody has touched.
	host->cpuid = malloc(sizeof(*host->cpuid));
	host->msrs = malloc(sizeof(*host->msrs) + MSRS_MAX * sizeof(host->msrs->indices[0]));
	if (!host->cpuid || !host->msrs)
		return -ENOMEM;
	host->cpuid->head = (struct kvm_cpuid2) { .nent = CPUID_ENTRIES_MAX };
	host->msrs->nmsrs = MSRS_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &host->cpuid->head) < 0 ||
	    ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, host->msrs) < 0)
		return -errno;
	return 0;
}

int cpu_host_read(int kvm_fd, struct cpu_host **out, struct vpmem_error *err)
{
	struct cpu_host *host = calloc(1, sizeof(*host));
	int rc = host ? read_host(kvm_fd, host) : -ENOMEM;

	if (rc < 0) {
		cpu_host_free(host);
		return error_set(err, rc, "kvm: cannot read the supported processor features: %s", strerror(-rc));
	}
	*out = host;
	return 0;
}

void cpu_host_free(struct cpu_host *host)
{
	if (!host)
		return;
	free(host->cpuid);
	free(host->msrs);
	free(host);
}

void cpu_host_hide(struct cpu_host *host, const struct cpu_hide *hide)
{
	cpuid_hide(host->cpuid, hide);
}

unsigned cpu_phys_bits(const struct cpu_host *host)
{
	return cpuid_phys_bits(host->cpuid);
}
