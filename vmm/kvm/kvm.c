// SPDX-License-Identifier: Apache-2.0
// One virtual machine of Linux KVM: opening, memory slots, ioeventfds.
#include "kvm_internal.h"

#include "array.h"
#include "error.h"
#include "kvm_probe.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// ---- memory slots

static int set_slot(struct kvm *kvm, unsigned idx, gpa_t gpa, uint64_t size, void *hva, bool readonly)
{
	struct kvm_userspace_memory_region region = {
		.slot = idx,
		.flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int slot_add(struct vm *vm, gpa_t gpa, uint64_t size, void *hva, bool readonly)
{
	struct kvm *kvm = kvm_of(vm);
	unsigned i = 0;
	int rc = 0;

	while (i < kvm->nslots && kvm->slots[i].size != 0)
		i++;
	if (i == KVM_SLOTS_MAX)
		return -ENOSPC;
	if (i == kvm->nslots)
		rc = array_room(&kvm->slots, kvm->nslots, sizeof(kvm->slots[0]));
	if (rc == 0)
		rc = set_slot(kvm, i, gpa, size, hva, readonly);
	if (rc < 0)
		return rc;
	kvm->slots[i] = (struct kvm_slot) { .gpa = gpa, .size = size };
	kvm->nslots += i == kvm->nslots;
	return 0;
}

static void slot_del(struct vm *vm, gpa_t gpa, uint64_t size)
{
	struct kvm *kvm = kvm_of(vm);

	for (unsigned i = 0; i < kvm->nslots; i++) {
		if (kvm->slots[i].size != size || kvm->slots[i].gpa != gpa)
			continue;
		if (set_slot(kvm, i, gpa, 0, NULL, false) < 0)
			log_error("kvm: cannot remove memory slot %u: %s", i, strerror(errno));
		kvm->slots[i].size = 0;
		return;
	}
}

// ---- ioeventfd

static int ioeventfd(struct kvm *kvm, enum vm_space space, uint64_t addr, int efd, unsigned flags)
{
	// Length 0: a write of any width matches, and KVM need not decode its value.
	struct kvm_ioeventfd request = { .addr = addr, .len = 0, .fd = efd, .flags = flags };

	if (space == VM_SPACE_PORTS)
		request.flags |= KVM_IOEVENTFD_FLAG_PIO;
	return ioctl(kvm->vm_fd, KVM_IOEVENTFD, &request) < 0 ? -errno : 0;
}

static int ioeventfd_add(struct vm *vm, enum vm_space space, uint64_t addr, int efd)
{
	return ioeventfd(kvm_of(vm), space, addr, efd, 0);
}

static void ioeventfd_del(struct vm *vm, enum vm_space space, uint64_t addr, int efd)
{
	(void)ioeventfd(kvm_of(vm), space, addr, efd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

// ---- performance counters

void kvm_disable_pmu(struct kvm *kvm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_PMU_CAPABILITY, .args = { KVM_PMU_CAP_DISABLE } };
	int can = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_PMU_CAPABILITY);

	if (can > 0 && (can & KVM_PMU_CAP_DISABLE) && ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &cap) < 0)
		log_warn("kvm: cannot disable performance counters: %s", strerror(errno));
}

// ---- opening

static int open_dev_kvm(struct kvm *kvm, struct vpmem_error *err)
{
	int rc;

	kvm->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->fd >= 0)
		return 0;
	rc = -errno;
	error_set(err, rc, "Could not access KVM kernel module: %s", strerror(-rc));
	if (rc == -EACCES || rc == -EPERM)
		error_hint(err, "give yourself access to /dev/kvm: usually by joining the group kvm "
		                "(sudo adduser $USER kvm, then log in again)");
	else
		error_hint(
			err,
			"load the module (sudo modprobe kvm_intel, or kvm_amd), and check that virtualization "
			"is enabled in the firmware or, inside a virtual machine, nested virtualization in its host");
	return rc;
}

static int check_usable(struct kvm *kvm, struct vpmem_error *err)
{
	char why[128];
	int rc;

	// The newest of what is needed, and one whose lack would go unnoticed. A kernel that has it has the rest,
	// too: interrupt routes, irqfds, ioeventfds of any length, read-only slots, the TSC deadline timer.
	if (ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0) {
		error_set(err, -ENOSYS, "kvm does not support KVM_CAP_IMMEDIATE_EXIT");
		error_hint(err, "Linux 4.12 or later has it");
		return -ENOSYS;
	}
	// Only a paravirtual KVM works without VMX or SVM, and the known one cannot run a stock kernel.
	if (kvm_has_virtualization())
		return 0;
	rc = kvm_probe(kvm->fd, why, sizeof(why));
	if (rc < 0) {
		error_set(err, rc, "this machine's KVM cannot run a stock kernel: %s", why);
		error_hint(err, "use a host whose processor shows vmx or svm in /proc/cpuinfo; without one, "
		                "`make demo` shows pmvm inside an emulated host");
	}
	return rc;
}

void kvm_clock_stop(struct kvm *kvm)
{
	struct kvm_clock_data data = { 0 };

	kvm->clock_ns = ioctl(kvm->vm_fd, KVM_GET_CLOCK, &data) < 0 ? 0 : data.clock;
}

void kvm_clock_start(struct kvm *kvm)
{
	struct kvm_clock_data data = { .clock = kvm->clock_ns };

	if (kvm->clock_ns != 0)
		(void)ioctl(kvm->vm_fd, KVM_SET_CLOCK, &data);
	kvm->clock_ns = 0;
}

static void enable(struct kvm *kvm, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap request = { .cap = cap, .args = { arg } };

	(void)ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &request);
}

// What a guest may do to the host, or to itself, by instructions that are not ordinary. Where KVM or the processor lacks
// one of these, the ioctl fails and the guest runs without.
static void guard_against_guest(struct kvm *kvm, bool is_svm)
{
	// Without, a user process of the guest that stores to read-only memory gets an exception, and pmvm has no exit to report.
	enable(kvm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1);
	enable(kvm, KVM_CAP_X86_BUS_LOCK_EXIT, KVM_BUS_LOCK_DETECTION_EXIT);
	// Only VMX has it. The window is the processor's own default, to which KVM adds what it is given here.
	if (!is_svm)
		enable(kvm, KVM_CAP_X86_NOTIFY_VMEXIT, KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER);
}

static const struct vm_ops ops;

int kvm_open(struct kvm *kvm, const struct kvm_places *places, struct vpmem_error *err)
{
	const bool is_svm = kvm_is_svm();
	int rc, size;

	kvm->vm.ops = &ops;
	kvm->places = *places;
	kvm->fd = kvm->vm_fd = -1;
	rc = open_dev_kvm(kvm, err);
	if (rc == 0)
		rc = check_usable(kvm, err);
	if (rc < 0)
		goto fail;

	size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	kvm->vcpu_mmap_size = size > 0 ? (size_t)size : sizeof(struct kvm_run);
	kvm->vm_fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
	rc = kvm->vm_fd < 0 ? -errno : kvm_create_irqchips(kvm, is_svm);
	if (rc == 0)
		guard_against_guest(kvm, is_svm);
	if (rc < 0) {
		error_set(err, rc, "kvm: cannot create a virtual machine: %s", strerror(-rc));
		goto fail;
	}
	return 0;
fail:
	kvm_close(kvm);
	return rc;
}

void kvm_close(struct kvm *kvm)
{
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	if (kvm->fd >= 0)
		close(kvm->fd);
	kvm->fd = kvm->vm_fd = -1;
	vm_memory_clear(&kvm->vm);
	free(kvm->routes);
	free(kvm->slots);
	kvm->routes = NULL;
	kvm->slots = NULL;
	kvm->nslots = 0;
}

static const struct vm_ops ops = {
	.ioeventfd_add = ioeventfd_add,
	.ioeventfd_del = ioeventfd_del,
	.msi_add = kvm_msi_add,
	.msi_set = kvm_msi_set,
	.msi_del = kvm_msi_del,
	.irqfd_add = kvm_irqfd_add,
	.irqfd_del = kvm_irqfd_del,
	.irq_line = kvm_irq_line,
	.slot_add = slot_add,
	.slot_del = slot_del,
};
