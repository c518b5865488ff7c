// SPDX-License-Identifier: Apache-2.0
// Interrupts of a virtual machine: routes, messages, irqfds, lines, and the controllers in the kernel.
#include "kvm_internal.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

// ---- routes and messages

static int set_routes(struct kvm *kvm)
{
	return ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, kvm->routes) < 0 ? -errno : 0;
}

static struct kvm_irq_routing_entry *find_route(struct kvm *kvm, unsigned gsi)
{
	for (unsigned i = 0; i < kvm->routes->nr; i++)
		if (kvm->routes->entries[i].gsi == gsi)
			return &kvm->routes->entries[i];
	return NULL;
}

static void drop_route(struct kvm *kvm, unsigned gsi)
{
	struct kvm_irq_routing_entry *entry = find_route(kvm, gsi);

	if (entry)
		*entry = kvm->routes->entries[--kvm->routes->nr];
	kvm->route_used[gsi - KVM_IOAPIC_NUM_PINS] = false;
	(void)set_routes(kvm);
}

static int add_route(struct kvm *kvm, const struct kvm_irq_routing_entry *entry)
{
	struct kvm_irq_routing *routes = kvm->routes;

	if (!routes || routes->nr % KVM_ROUTES_STEP == 0) {
		unsigned nr = routes ? routes->nr : 0;

		routes = realloc(routes, sizeof(*routes) + (nr + KVM_ROUTES_STEP) * sizeof(routes->entries[0]));
		if (!routes)
			return -ENOMEM;
		routes->nr = nr;
		routes->flags = 0;
		kvm->routes = routes;
	}
	routes->entries[routes->nr++] = *entry;
	return 0;
}

static int irqfd(struct kvm *kvm, unsigned gsi, int efd, unsigned flags)
{
	struct kvm_irqfd request = { .fd = (unsigned)efd, .gsi = gsi, .flags = flags };

	return ioctl(kvm->vm_fd, KVM_IRQFD, &request) < 0 ? -errno : 0;
}

int kvm_msi_set(struct vm *vm, int gsi, uint64_t addr, uint32_t data)
{
	struct kvm *kvm = kvm_of(vm);
	struct kvm_irq_routing_entry *entry = find_route(kvm, (unsigned)gsi), old;
	int rc;

	assert(entry);
	old = *entry;
	entry->u.msi.address_lo = (uint32_t)addr;
	entry->u.msi.address_hi = (uint32_t)(addr >> 32);
	entry->u.msi.data = data;
	if (memcmp(entry, &old, sizeof(old)) == 0)
		return 0;
	rc = set_routes(kvm);
	// The message is the guest's: one that KVM refuses must not stay in the table that every device shares.
	if (rc < 0)
		*entry = old;
	return rc;
}

int kvm_msi_add(struct vm *vm, int efd, uint64_t addr, uint32_t data)
{
	struct kvm *kvm = kvm_of(vm);
	struct kvm_irq_routing_entry entry;
	unsigned idx = 0, gsi;
	int rc;

	while (idx < KVM_MSI_ROUTES_MAX && kvm->route_used[idx])
		idx++;
	if (idx == KVM_MSI_ROUTES_MAX)
		return -ENOSPC;
	gsi = KVM_IOAPIC_NUM_PINS + idx;
	entry = (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32), .data = data },
	};
	rc = add_route(kvm, &entry);
	if (rc < 0)
		return rc;
	kvm->route_used[idx] = true;
	rc = set_routes(kvm);
	if (rc == 0)
		rc = irqfd(kvm, gsi, efd, 0);
	if (rc < 0) {
		drop_route(kvm, gsi);
		return rc;
	}
	return (int)gsi;
}

void kvm_msi_del(struct vm *vm, int gsi, int efd)
{
	struct kvm *kvm = kvm_of(vm);

	(void)irqfd(kvm, (unsigned)gsi, efd, KVM_IRQFD_FLAG_DEASSIGN);
	drop_route(kvm, (unsigned)gsi);
}

int kvm_irqfd_add(struct vm *vm, int gsi, int efd)
{
	return irqfd(kvm_of(vm), (unsigned)gsi, efd, 0);
}

void kvm_irqfd_del(struct vm *vm, int gsi, int efd)
{
	(void)irqfd(kvm_of(vm), (unsigned)gsi, efd, KVM_IRQFD_FLAG_DEASSIGN);
}

void kvm_irq_line(struct vm *vm, unsigned gsi, bool level)
{
	struct kvm_irq_level request = { .irq = gsi, .level = level };

	if (ioctl(kvm_of(vm)->vm_fd, KVM_IRQ_LINE, &request) < 0)
		log_error("kvm: cannot set interrupt line %u: %s", gsi, strerror(errno));
}

// ---- interrupt controllers

// Without unrestricted guest mode, VMX runs real mode in virtual-8086 mode, with a TSS and page tables in guest memory:
// Linux, Documentation/virt/kvm/api.rst, "required on Intel-based hosts". SVM ignores both.
static int give_places(struct kvm *kvm, bool is_svm)
{
	uint64_t identity_map_gpa = kvm->places.identity_map_gpa;

	if (is_svm)
		return 0;
	if (ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map_gpa) < 0 ||
	    ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, kvm->places.tss_gpa) < 0)
		return -errno;
	return 0;
}

int kvm_create_irqchips(struct kvm *kvm, bool is_svm)
{
	int rc = give_places(kvm, is_svm);

	if (rc == 0 && ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		rc = -errno;
	for (unsigned gsi = 0; gsi < KVM_IOAPIC_NUM_PINS && rc == 0; gsi++) {
		const struct kvm_irq_routing_entry entry = {
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi },
		};

		rc = add_route(kvm, &entry);
	}
	return rc ? rc : set_routes(kvm);
}

// As after power-on: Intel's data sheets of the 8259A and the 82093AA. Which pins of a PIC may be level-triggered is how
// it is wired.
static void reset_irqchip(struct kvm_irqchip *chip, gpa_t ioapic_gpa)
{
	if (chip->chip_id != KVM_IRQCHIP_IOAPIC) {
		chip->chip.pic = (struct kvm_pic_state) { .elcr_mask = chip->chip.pic.elcr_mask };
		return;
	}
	chip->chip.ioapic = (struct kvm_ioapic_state) { .base_address = ioapic_gpa };
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		chip->chip.ioapic.redirtbl[pin].fields.mask = 1;
}

int kvm_reset_irqchips(struct kvm *kvm)
{
	for (unsigned i = 0; i < 3; i++) {
		struct kvm_irqchip chip = { .chip_id = i };

		if (ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &chip) < 0)
			return -errno;
		reset_irqchip(&chip, kvm->places.ioapic_gpa);
		if (ioctl(kvm->vm_fd, KVM_SET_IRQCHIP, &chip) < 0)
			return -errno;
	}
	return 0;
}
