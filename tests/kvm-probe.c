// SPDX-License-Identifier: Apache-2.0
// Says whether KVM on this host can run a stock kernel; exits with status 0 if so and 1 if not.
#include "kvm_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	char why[200];
	const int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		snprintf(why, sizeof(why), "/dev/kvm: %s", strerror(errno));
	if (kvm_fd < 0 || kvm_probe(kvm_fd, why, sizeof(why)) < 0) {
		printf("KVM is not usable: %s\n", why);
		return 1;
	}
	puts("KVM is usable");
	return 0;
}
