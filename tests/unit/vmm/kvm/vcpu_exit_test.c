// SPDX-License-Identifier: Apache-2.0
// What each exit of a vCPU leads to, with a struct kvm_run as KVM would have filled it.
#include "vcpu_exit.h"

#include "fake_log.h"
#include "vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "unit_test.h"

#define PORT 0x500u
#define PAGE_SIZE 4096u
#define DATA_OFF PAGE_SIZE /* where KVM puts the data of a port access */

// ---- a machine that writes down what it is asked

static struct {
	unsigned nreads, nwrites, nmmio, nno_memory, nrequests, nerrors;
	uint64_t off, val, gpa;
	unsigned width;
	bool is_write;
	enum vcpu_request request;
	enum vcpu_error error;
} seen;

static uint64_t on_read(void *owner, uint64_t off, unsigned width)
{
	(void)owner;
	seen.nreads++;
	seen.off = off;
	seen.width = width;
	return 0x11223344 + seen.nreads;
}

static void on_write(void *owner, uint64_t off, unsigned width, uint64_t val)
{
	(void)owner;
	seen.nwrites++;
	seen.off = off;
	seen.width = width;
	seen.val = val;
}

static void on_mmio(void *owner, gpa_t gpa, void *data, unsigned len, bool is_write)
{
	assert_ptr_equal(owner, &seen);
	seen.nmmio++;
	seen.gpa = gpa;
	seen.width = len;
	seen.is_write = is_write;
	if (is_write)
		memcpy(&seen.val, data, len);
	else
		memset(data, 0xa5, len);
}

static void on_no_memory(void *owner)
{
	assert_ptr_equal(owner, &seen);
	seen.nno_memory++;
}

static void on_request(void *owner, enum vcpu_request request)
{
	assert_ptr_equal(owner, &seen);
	seen.nrequests++;
	seen.request = request;
}

static void on_internal_error(void *owner, enum vcpu_error error)
{
	assert_ptr_equal(owner, &seen);
	seen.nerrors++;
	seen.error = error;
}

static const struct vcpu_ops ops = {
	.mmio = on_mmio,
	.no_memory = on_no_memory,
	.request = on_request,
	.internal_error = on_internal_error,
};

static union {
	struct kvm_run run;
	uint8_t bytes[2 * PAGE_SIZE];
} page;
static union {
	struct kvm_coalesced_mmio_ring ring;
	uint8_t bytes[PAGE_SIZE];
} posted;
static struct io_space pio;
static struct vcpus vcpus;
static struct vcpu vcpu;

static int setup(void **state)
{
	const struct io_region region = { .name = "r", .base = PORT, .size = 4, .read = on_read, .write = on_write };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&page, 0, sizeof(page));
	memset(&posted, 0, sizeof(posted));
	io_clear(&pio);
	vcpus = (struct vcpus) { .pio = &pio, .ops = &ops, .owner = &seen, .n = 1, .vcpu = &vcpu };
	vcpu = (struct vcpu) { .vcpus = &vcpus, .fd = -1, .run = &page.run };
	fake_log_clear();
	return io_add(&pio, &region);
}

static void serve(uint32_t reason)
{
	page.run.exit_reason = reason;
	vcpu_serve_exit(&vcpu);
}

static void nothing_is_asked(void)
{
	assert_int_equal(seen.nreads + seen.nwrites + seen.nmmio + seen.nno_memory + seen.nrequests + seen.nerrors, 0);
}

static void port_access(bool out, uint8_t size, uint32_t count)
{
	page.run.io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	page.run.io.size = size;
	page.run.io.port = PORT;
	page.run.io.count = count;
	page.run.io.data_offset = DATA_OFF;
	serve(KVM_EXIT_IO);
}

// ---- the tests

static void a_port_write_reaches_its_region(void **state)
{
	(void)state;
	memcpy(page.bytes + DATA_OFF, "\x78\x56\x34\x12", 4);
	port_access(true, 4, 1);
	assert_int_equal(seen.nwrites, 1);
	assert_int_equal(seen.val, 0x12345678);
	assert_int_equal(seen.width, 4);
}

static void a_port_read_is_answered(void **state)
{
	(void)state;
	port_access(false, 2, 1);
	assert_int_equal(seen.nreads, 1);
	assert_memory_equal(page.bytes + DATA_OFF, "\x45\x33\0\0", 4);
}

/* rep outsb, rep insw: several accesses of one port. */
static void a_string_instruction_is_several_accesses(void **state)
{
	(void)state;
	memcpy(page.bytes + DATA_OFF, "\1\2\3", 3);
	port_access(true, 1, 3);
	assert_int_equal(seen.nwrites, 3);
	assert_int_equal(seen.val, 3);
	port_access(false, 2, 2);
	assert_int_equal(seen.nreads, 2);
	assert_memory_equal(page.bytes + DATA_OFF, "\x45\x33\x46\x33", 4);
}

static void an_mmio_write_hands_over_its_bytes(void **state)
{
	(void)state;
	page.run.mmio.phys_addr = 0x123456789000;
	page.run.mmio.len = 4;
	page.run.mmio.is_write = 1;
	memcpy(page.run.mmio.data, "\1\2\3\4\5\6\7\x8", 8);
	serve(KVM_EXIT_MMIO);
	assert_int_equal(seen.nmmio, 1);
	assert_int_equal(seen.gpa, 0x123456789000);
	assert_true(seen.is_write);
	assert_int_equal(seen.val, 0x04030201);
}

static void an_mmio_read_is_filled_and_no_further(void **state)
{
	(void)state;
	page.run.mmio.len = 3;
	serve(KVM_EXIT_MMIO);
	assert_false(seen.is_write);
	assert_int_equal(seen.width, 3);
	assert_memory_equal(page.run.mmio.data, "\xa5\xa5\xa5\0", 4);
}

static void an_interrupted_entry_asks_for_nothing(void **state)
{
	(void)state;
	serve(KVM_EXIT_INTR);
	serve(KVM_EXIT_IRQ_WINDOW_OPEN);
	nothing_is_asked();
}

static void a_triple_fault_is_a_reset(void **state)
{
	(void)state;
	serve(KVM_EXIT_SHUTDOWN);
	assert_int_equal(seen.nrequests, 1);
	assert_int_equal(seen.request, VCPU_RESET);
}

static void system_events_are_power_off_and_reset(void **state)
{
	(void)state;
	page.run.system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
	serve(KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(seen.request, VCPU_POWER_OFF);
	page.run.system_event.type = KVM_SYSTEM_EVENT_RESET;
	serve(KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(seen.request, VCPU_RESET);
	assert_int_equal(seen.nrequests, 2);
}

static void an_instruction_that_kvm_cannot_emulate_is_named(void **state)
{
	(void)state;
	page.run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	page.run.emulation_failure.ndata = 3;
	page.run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	page.run.emulation_failure.insn_size = 4;
	memcpy(page.run.emulation_failure.insn_bytes, "\xc5\xfe\x7f\x07", 4);
	serve(KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(seen.nerrors, 1);
	assert_int_equal(seen.error, VCPU_CANNOT_EMULATE);
	assert_string_equal(fake_log_text, "guest: vcpu 0: KVM cannot emulate an instruction: c5 fe 7f 07: rip 0x0\n");
}

/* Linux before 5.14 gives no bytes; and what KVM calls their number is not taken on trust. */
static void an_instruction_without_bytes_or_with_too_many(void **state)
{
	(void)state;
	page.run.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	page.run.emulation_failure.insn_size = 255;
	serve(KVM_EXIT_INTERNAL_ERROR);
	assert_string_equal(fake_log_text, "guest: vcpu 0: KVM cannot emulate an instruction: (unknown): rip 0x0\n");
	page.run.emulation_failure.ndata = 3;
	page.run.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	serve(KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(seen.nerrors, 2);
}

static void other_ends_of_a_vcpu_are_internal_errors(void **state)
{
	const uint32_t reasons[] = { KVM_EXIT_FAIL_ENTRY, KVM_EXIT_UNKNOWN, KVM_EXIT_EXCEPTION, KVM_EXIT_HLT, 9999 };

	(void)state;
	page.run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	serve(KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(seen.nerrors, 1);
	assert_int_equal(seen.error, VCPU_CANNOT_RUN);
	for (unsigned i = 0; i < COUNT(reasons); i++) {
		serve(reasons[i]);
		assert_int_equal(seen.nerrors, 2 + i);
		assert_int_equal(seen.error, VCPU_CANNOT_RUN);
	}
	assert_int_equal(seen.nrequests, 0);
}

static void a_notify_exit_goes_on_while_the_state_is_valid(void **state)
{
	(void)state;
	serve(KVM_EXIT_NOTIFY);
	nothing_is_asked();
	assert_int_equal(vcpu.nnotify, 1);
	page.run.notify.flags = KVM_NOTIFY_CONTEXT_INVALID;
	serve(KVM_EXIT_NOTIFY);
	assert_int_equal(seen.error, VCPU_CANNOT_RUN);
	assert_int_equal(seen.nerrors, 1);
	assert_int_equal(vcpu.nnotify, 2);
}

/* With an exit of its own, or noted on another one. */
static void bus_locks_are_counted(void **state)
{
	(void)state;
	page.run.flags = KVM_RUN_X86_BUS_LOCK;
	serve(KVM_EXIT_X86_BUS_LOCK);
	serve(KVM_EXIT_INTR);
	page.run.flags = 0;
	serve(KVM_EXIT_INTR);
	assert_int_equal(vcpu.nbus_locks, 2);
	nothing_is_asked();
}

/* They came before the exit: a write to the address port selects what the data port's access reaches. */
static void posted_writes_come_before_the_exit(void **state)
{
	struct kvm_coalesced_mmio *entry = &posted.ring.coalesced_mmio[0];

	(void)state;
	vcpus.posted = &posted.ring;
	*entry = (struct kvm_coalesced_mmio) { .phys_addr = PORT, .len = 4, .pio = 1 };
	entry->data[0] = 7;
	posted.ring.last = 1;
	memcpy(page.bytes + DATA_OFF, "\x9\0\0\0", 4);
	port_access(true, 4, 1);
	assert_int_equal(seen.nwrites, 2);
	assert_int_equal(seen.val, 9);
}

static void a_run_without_memory_is_no_internal_error(void **state)
{
	(void)state;
	vcpu_serve_error(&vcpu, EFAULT);
	assert_int_equal(seen.nno_memory, 1);
	assert_int_equal(seen.nerrors, 0);
	vcpu_serve_error(&vcpu, EINVAL);
	assert_int_equal(seen.nno_memory, 1);
	assert_int_equal(seen.error, VCPU_CANNOT_RUN);
	assert_int_equal(seen.nerrors, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_port_write_reaches_its_region),
		TEST(a_port_read_is_answered),
		TEST(a_string_instruction_is_several_accesses),
		TEST(an_mmio_write_hands_over_its_bytes),
		TEST(an_mmio_read_is_filled_and_no_further),
		TEST(an_interrupted_entry_asks_for_nothing),
		TEST(a_triple_fault_is_a_reset),
		TEST(system_events_are_power_off_and_reset),
		TEST(an_instruction_that_kvm_cannot_emulate_is_named),
		TEST(an_instruction_without_bytes_or_with_too_many),
		TEST(other_ends_of_a_vcpu_are_internal_errors),
		TEST(a_notify_exit_goes_on_while_the_state_is_valid),
		TEST(bus_locks_are_counted),
		TEST(posted_writes_come_before_the_exit),
		TEST(a_run_without_memory_is_no_internal_error),
	};

	return cmocka_run_group_tests_name("vcpu_exit", tests, NULL, NULL);
}
