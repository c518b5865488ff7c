// SPDX-License-Identifier: Apache-2.0
// What every bare-metal guest program uses: memory, the boot loader's words, output in TAP form, the end.
#include "lib.h"

#include <stdarg.h>

#include "acpi_pm.h"
#include "memory_map.h"

// ---- memory

void *memset(void *dest, int byte, size_t len)
{
	void *at = dest;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return dest;
}

void *memcpy(void *dest, const void *src, size_t len)
{
	void *at = dest;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(src), "+c"(len) : : "memory");
	return dest;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *left = a, *right = b;

	for (size_t i = 0; i < len; i++)
		if (left[i] != right[i])
			return left[i] - right[i];
	return 0;
}

uint64_t mem_read(gpa_t gpa, unsigned width)
{
	uint64_t val = 0;

	switch (width) {
	case 1:
		__asm__ volatile("movb (%1), %b0" : "+r"(val) : "r"(gpa) : "memory");
		break;
	case 2:
		__asm__ volatile("movw (%1), %w0" : "+r"(val) : "r"(gpa) : "memory");
		break;
	case 4:
		__asm__ volatile("movl (%1), %k0" : "+r"(val) : "r"(gpa) : "memory");
		break;
	default:
		__asm__ volatile("movq (%1), %0" : "+r"(val) : "r"(gpa) : "memory");
	}
	return val;
}

void mem_write(gpa_t gpa, unsigned width, uint64_t val)
{
	switch (width) {
	case 1:
		__asm__ volatile("movb %b0, (%1)" : : "r"(val), "r"(gpa) : "memory");
		break;
	case 2:
		__asm__ volatile("movw %w0, (%1)" : : "r"(val), "r"(gpa) : "memory");
		break;
	case 4:
		__asm__ volatile("movl %k0, (%1)" : : "r"(val), "r"(gpa) : "memory");
		break;
	default:
		__asm__ volatile("movq %0, (%1)" : : "r"(val), "r"(gpa) : "memory");
	}
}

#define PAGE_ENTRIES 512u
#define PAGE_PRESENT_WRITE UINT64_C(0x3)
#define PAGE_LARGE UINT64_C(0x80)
#define PAGE_LARGE_SIZE (UINT64_C(2) << 20)
#define PAGE_TABLES_MAX 64u

extern uint64_t page_root[PAGE_ENTRIES]; // start.S
static uint64_t page_tables[PAGE_TABLES_MAX][PAGE_ENTRIES] __attribute__((aligned(4096)));
static unsigned npage_tables;

// The table below an entry, made if there is none.
static uint64_t *page_table(uint64_t *entry)
{
	if (!*entry) {
		if (npage_tables == PAGE_TABLES_MAX)
			bail("out of page tables");
		*entry = (uintptr_t)page_tables[npage_tables++] | PAGE_PRESENT_WRITE;
	}
	return (uint64_t *)(*entry & ~UINT64_C(0xfff));
}

void *map(gpa_t gpa, uint64_t len)
{
	for (gpa_t at = gpa & ~(PAGE_LARGE_SIZE - 1); at < gpa + len; at += PAGE_LARGE_SIZE) {
		uint64_t *pointers = page_table(&page_root[at >> 39 & (PAGE_ENTRIES - 1)]);
		uint64_t *directory = page_table(&pointers[at >> 30 & (PAGE_ENTRIES - 1)]);

		directory[at >> 21 & (PAGE_ENTRIES - 1)] = at | PAGE_PRESENT_WRITE | PAGE_LARGE;
	}
	order_barrier();
	return (void *)gpa;
}

gpa_t address_limit(void)
{
	uint32_t eax = 0x80000008, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return UINT64_C(1) << (eax & 0xff);
}

// ---- what the boot loader passed: struct hvm_start_info

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
	uint32_t memmap_entries, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

uint32_t start_info; // start.S: its address

static const struct start_info *info(void)
{
	return (const struct start_info *)(uintptr_t)start_info;
}

uint64_t option(const char *name, uint64_t otherwise)
{
	const char *at = (const char *)info()->cmdline_paddr;
	size_t name_len = 0;

	while (name[name_len])
		name_len++;
	for (bool word_begins = true; at && *at; word_begins = *at++ == ' ') {
		uint64_t val = 0;

		if (!word_begins || memcmp(at, name, name_len) != 0 || at[name_len] != '=')
			continue;
		for (const char *digit = at + name_len + 1; *digit >= '0' && *digit <= '9'; digit++)
			val = val * 10 + (uint64_t)(*digit - '0');
		return val;
	}
	return otherwise;
}

gpa_t ram_end(void)
{
	const struct memmap_entry *map_at = (const struct memmap_entry *)info()->memmap_paddr;

	for (uint32_t i = 0; i < info()->memmap_entries; i++)
		if (map_at[i].type == 1 && map_at[i].addr <= HIMEM_GPA && map_at[i].addr + map_at[i].size > HIMEM_GPA)
			return map_at[i].addr + map_at[i].size;
	bail("no RAM at 1 MiB in the memory map");
}

// ---- output. The serial port holds the processor until it can take a byte, so nothing is asked before.

static void put_char(char c)
{
	outb(COM1_PORT, (uint8_t)c);
}

static void put_string(const char *text)
{
	while (*text)
		put_char(*text++);
}

static void put_number(uint64_t val, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[val % base];
		val /= base;
	} while (val);
	while (n > 0)
		put_char(digits[--n]);
}

static void put_signed(int val)
{
	if (val < 0)
		put_char('-');
	put_number(val < 0 ? -(uint64_t)val : (uint64_t)val, 10);
}

static void vprint(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool is_long = false;

		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		if (*++fmt == 'l') {
			is_long = true;
			fmt++;
		}
		switch (*fmt) {
		case 's':
			put_string(va_arg(args, const char *));
			break;
		case 'c':
			put_char((char)va_arg(args, int));
			break;
		case 'd':
			put_signed(va_arg(args, int));
			break;
		case 'u':
		case 'x':
			put_number(is_long ? va_arg(args, uint64_t) : va_arg(args, unsigned), *fmt == 'u' ? 10 : 16);
			break;
		default:
			put_char(*fmt);
		}
	}
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprint(fmt, args);
	va_end(args);
}

struct tap tap;

static bool report(bool fact, const char *fmt, va_list args)
{
	print("%sok %u - ", fact ? "" : "not ", ++tap.nchecks);
	vprint(fmt, args);
	put_char('\n');
	tap.nfailed += !fact;
	return fact;
}

bool tap_ok(bool fact, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(fact, fmt, args);
	va_end(args);
	return fact;
}

bool tap_is(uint64_t got, uint64_t want, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(got == want, fmt, args);
	va_end(args);
	if (got != want)
		print("# got 0x%lx, want 0x%lx\n", got, want);
	return got == want;
}

static _Noreturn void end(void)
{
	print("1..%u\n%s\n", tap.nchecks, tap.nfailed == 0 && tap.nchecks > 0 ? "SUCCESS" : "FAILURE");
	outb(ACPI_PORT + ACPI_SLEEP_CONTROL_OFF, ACPI_SLP_TYP_S5 << 2 | 1u << 5);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void bail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(false, fmt, args);
	va_end(args);
	end();
}

_Noreturn void main_entry(void);
void main_entry(void)
{
	guest_main();
	end();
}

// ---- time and chance

void delay(uint64_t nticks)
{
	for (uint64_t stop = ticks() + nticks; ticks() < stop;)
		pause();
}

uint64_t random_next(void)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}
