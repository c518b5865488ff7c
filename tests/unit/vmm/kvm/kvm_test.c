// SPDX-License-Identifier: Apache-2.0
/*
 * Tests of a VM of real KVM. Skips where KVM cannot run a guest; tests/system/test_unit_on_kvm.py runs it in the test box.
 */
#include "kvm.h"

#include "kvm_probe.h"
#include "memory_map.h"
#include "posted.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define NCHIPS 3u

static const struct kvm_places places = { .ioapic_gpa = IOAPIC_GPA,
	                                  .identity_map_gpa = KVM_IDENTITY_MAP_GPA,
	                                  .tss_gpa = KVM_TSS_GPA };
static bool usable;

static int probe(void **state)
{
	char why[256] = "cannot open /dev/kvm";
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)state;
	usable = fd >= 0 && kvm_probe(fd, why, sizeof(why)) == 0;
	if (!usable)
		print_message("SKIP: no usable KVM here: %s\n", why);
	if (fd >= 0)
		close(fd);
	return 0;
}

static void get_irqchips(const struct kvm *kvm, struct kvm_irqchip chips[NCHIPS])
{
	memset(chips, 0, NCHIPS * sizeof(chips[0]));
	for (unsigned i = 0; i < NCHIPS; i++) {
		chips[i].chip_id = i;
		assert_int_equal(ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &chips[i]), 0);
	}
}

/* As Linux leaves them, and some more. */
static void use_irqchips(const struct kvm *kvm, const struct kvm_irqchip new_chips[NCHIPS])
{
	struct kvm_irqchip chips[NCHIPS];

	memcpy(chips, new_chips, sizeof(chips));
	for (unsigned i = 0; i < 2; i++) {
		chips[i].chip.pic.imr = 0xfb;
		chips[i].chip.pic.irq_base = (uint8_t)(0x30 + 8 * i);
		chips[i].chip.pic.init4 = 1;
		chips[i].chip.pic.auto_eoi = 1;
		chips[i].chip.pic.isr = 1;
		chips[i].chip.pic.elcr = 0x20 & chips[i].chip.pic.elcr_mask;
	}
	chips[2].chip.ioapic.id = 1;
	chips[2].chip.ioapic.ioregsel = 0x12;
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		chips[2].chip.ioapic.redirtbl[pin].bits = 0x0100000000008020 + pin; /* level-triggered, unmasked */
	for (unsigned i = 0; i < NCHIPS; i++)
		assert_int_equal(ioctl(kvm->vm_fd, KVM_SET_IRQCHIP, &chips[i]), 0);
}

static void a_reset_leaves_interrupt_controllers_as_new(void **state)
{
	static struct kvm kvm;
	struct kvm_irqchip before[NCHIPS], between[NCHIPS], after[NCHIPS];

	(void)state;
	if (!usable)
		skip();
	assert_int_equal(kvm_open(&kvm, &places, NULL), 0);
	get_irqchips(&kvm, before);
	use_irqchips(&kvm, before);
	get_irqchips(&kvm, between);
	assert_int_equal(kvm_reset_irqchips(&kvm), 0);
	get_irqchips(&kvm, after);
	for (unsigned i = 0; i < NCHIPS; i++) {
		assert_memory_not_equal(&between[i], &before[i], sizeof(before[i]));
		assert_memory_equal(&after[i], &before[i], sizeof(before[i]));
	}
	kvm_close(&kvm);
}

/* posted.c does not ask for it. */
static void the_ring_of_posted_writes_is_where_kvm_says(void **state)
{
	static struct kvm kvm;

	(void)state;
	if (!usable)
		skip();
	assert_int_equal(kvm_open(&kvm, &places, NULL), 0);
	posted_add_ports(&kvm, 0xcf8, 4);
	assert_int_not_equal(kvm.posted_page, 0);
	assert_int_equal(ioctl(kvm.fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO), kvm.posted_page);
	assert_in_range(kvm.vcpu_mmap_size, (kvm.posted_page + 1) * 4096, SIZE_MAX);
	kvm_close(&kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_leaves_interrupt_controllers_as_new),
		cmocka_unit_test(the_ring_of_posted_writes_is_where_kvm_says),
	};

	return cmocka_run_group_tests_name("kvm", tests, probe, NULL);
}
