// SPDX-License-Identifier: Apache-2.0
// Interrupts of a bare-metal guest program, and its second processor.
#include "cpu.h"

#include "memory_map.h"

// ---- interrupt table

#define NVECTORS 256u
#define NEXCEPTIONS 32u
#define VECTOR_SPURIOUS 0xffu
#define GATE_INTERRUPT 0x8e00u
#define CODE64 0x08u
#define STUB_SIZE 16u

struct gate {
	uint16_t offset_low, selector, flags, offset_middle;
	uint32_t offset_high, reserved;
};

struct __attribute__((packed)) table_pointer {
	uint16_t limit;
	const void *base;
};

// What start.S pushed, from the top of the stack.
struct frame {
	uint64_t registers[15];
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

extern const uint8_t irq_stubs[NVECTORS][STUB_SIZE];
void irq_dispatch(const struct frame *frame);

static struct gate gates[NVECTORS] __attribute__((aligned(16)));
static void (*handlers[NVECTORS])(void);
static volatile unsigned counts[NVECTORS];

// ---- local APIC

#define LAPIC_EOI 0xb0u
#define LAPIC_SPURIOUS 0xf0u
#define LAPIC_SPURIOUS_ENABLE 0x100u
#define LAPIC_ICR_LOW 0x300u
#define LAPIC_ICR_HIGH 0x310u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u

static void lapic_write(unsigned reg, uint32_t val)
{
	mem_write(LAPIC_GPA + reg, 4, val);
}

void irq_dispatch(const struct frame *frame)
{
	uint64_t cr2;

	if (frame->vector < NEXCEPTIONS) {
		__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
		bail("exception %lu, error 0x%lx at 0x%lx, cr2 0x%lx", frame->vector, frame->error, frame->rip, cr2);
	}
	counts[frame->vector]++;
	if (handlers[frame->vector])
		handlers[frame->vector]();
	// A spurious interrupt has none to acknowledge.
	if (frame->vector != VECTOR_SPURIOUS)
		lapic_write(LAPIC_EOI, 0);
}

static void load_table(void)
{
	const struct table_pointer pointer = { .limit = sizeof(gates) - 1, .base = gates };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void irq_init(void)
{
	for (unsigned i = 0; i < NVECTORS; i++) {
		uint64_t stub = (uintptr_t)irq_stubs[i];

		gates[i] = (struct gate) {
			.offset_low = (uint16_t)stub,
			.selector = CODE64,
			.flags = GATE_INTERRUPT,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
	load_table();
	// The old interrupt controllers, where there are any, stay silent.
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	lapic_write(LAPIC_SPURIOUS, LAPIC_SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	__asm__ volatile("sti" : : : "memory");
}

void irq_set_handler(unsigned vector, void (*handler)(void))
{
	handlers[vector] = handler;
}

unsigned irq_count(unsigned vector)
{
	return counts[vector];
}

unsigned irq_count_all(void)
{
	unsigned sum = 0;

	for (unsigned i = NEXCEPTIONS; i < NVECTORS; i++)
		sum += counts[i];
	return sum;
}

bool irq_wait(unsigned vector, unsigned count)
{
	for (uint64_t end = wait_end(); counts[vector] != count && wait_on(end);)
		;
	return counts[vector] == count;
}

void irq_sleep(unsigned vector, unsigned count)
{
	for (;;) {
		// sti takes effect one instruction later: no interrupt comes between the look and the hlt.
		__asm__ volatile("cli" : : : "memory");
		if (counts[vector] == count)
			break;
		__asm__ volatile("sti; hlt" : : : "memory");
	}
	__asm__ volatile("sti" : : : "memory");
}

// ---- I/O APIC

#define IOAPIC_SELECT IOAPIC_GPA
#define IOAPIC_DATA (IOAPIC_GPA + 0x10)
#define IOAPIC_ENTRY 0x10u
#define ENTRY_LEVEL 0x8000u
#define ENTRY_MASKED 0x10000u

static void ioapic_write(unsigned reg, uint32_t val)
{
	mem_write(IOAPIC_SELECT, 4, reg);
	mem_write(IOAPIC_DATA, 4, val);
}

void ioapic_set(unsigned gsi, unsigned vector, bool masked)
{
	ioapic_write(IOAPIC_ENTRY + 2 * gsi + 1, 0);
	ioapic_write(IOAPIC_ENTRY + 2 * gsi, vector | ENTRY_LEVEL | (masked ? ENTRY_MASKED : 0));
}

uint32_t ioapic_get(unsigned gsi)
{
	mem_write(IOAPIC_SELECT, 4, IOAPIC_ENTRY + 2 * gsi);
	return (uint32_t)mem_read(IOAPIC_DATA, 4);
}

// ---- the second processor

#define AP_ID 1u
#define TRAMPOLINE_GPA UINT64_C(0x10000) // a page below 1 MiB that nobody uses

extern const uint8_t ap_trampoline[], ap_trampoline_end[];
_Noreturn void ap_entry(void);

static void (*ap_fn)(void);
static volatile bool ap_runs;

void ap_entry(void)
{
	load_table();
	ap_runs = true;
	ap_fn();
	for (;;)
		pause();
}

static void send_to_ap(uint32_t command)
{
	lapic_write(LAPIC_ICR_HIGH, AP_ID << 24);
	lapic_write(LAPIC_ICR_LOW, command);
	delay(TICKS_SHORT);
}

bool ap_run(void (*fn)(void))
{
	ap_fn = fn;
	memcpy((void *)TRAMPOLINE_GPA, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	send_to_ap(ICR_INIT);
	send_to_ap(ICR_STARTUP | TRAMPOLINE_GPA >> 12);
	if (!ap_runs)
		send_to_ap(ICR_STARTUP | TRAMPOLINE_GPA >> 12);
	for (uint64_t end = wait_end(); !ap_runs && wait_on(end);)
		;
	return ap_runs;
}
