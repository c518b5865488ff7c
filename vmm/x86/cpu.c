// SPDX-License-Identifier: Apache-2.0
// The CPUID of a new vCPU.
#include "cpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu_host.h"
#include "error.h"

int cpu_set_cpuid(const struct cpu_host *host, int vcpu_fd, unsigned idx, unsigned ncpus, struct vpmem_error *err)
{
	const struct cpuid_topology topology = { .id = idx, .ncpus = ncpus };
	union cpuid *cpuid = malloc(sizeof(*cpuid));
	int rc = cpuid ? 0 : -ENOMEM;

	if (rc == 0) {
		memcpy(cpuid, host->cpuid, cpuid_size(host->cpuid));
		cpuid_set_topology(cpuid, &topology);
		rc = ioctl(vcpu_fd, KVM_SET_CPUID2, &cpuid->head) < 0 ? -errno : 0;
	}
	free(cpuid);
	return rc ? error_set(err, rc, "kvm: cannot set the CPUID of vCPU %u: %s", idx, strerror(-rc)) : 0;
}
