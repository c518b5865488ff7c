// SPDX-License-Identifier: Apache-2.0
/*
 * lib.h - what every bare-metal guest program uses: ports and memory, output in TAP form, waiting, the end.
 *
 * A program is its guest_main, which runs in 64-bit mode on an identity map with interrupts off. It reports
 * each fact that it checked by one tap_ line on the serial port; when it returns, the plan, the verdict
 * (SUCCESS or FAILURE alone on the last line) and the power-off follow.
 *
 * Waits end after some ten seconds, so that a fact that does not come true is reported and not waited for.
 */
#ifndef GUEST_LIB_H
#define GUEST_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF_LIKE(fmt_idx, arg_idx) __attribute__((format(printf, fmt_idx, arg_idx)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

typedef uint64_t gpa_t;

/* Provided by the program. */
void guest_main(void);

/* ---- ports, memory, the processor ---------------------------------------------------------------- */

static inline void outb(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t val)
{
	__asm__ volatile("outw %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t val)
{
	__asm__ volatile("outl %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t val;

	__asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t val;

	__asm__ volatile("inw %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t val;

	__asm__ volatile("inl %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

/* One access of exactly this width: 1, 2, 4 or 8. Plain mov, which KVM can always emulate. */
uint64_t mem_read(gpa_t gpa, unsigned width);
void mem_write(gpa_t gpa, unsigned width, uint64_t val);

/* Makes [gpa, gpa + len) accessible (the low 4 GiB are) and returns a pointer to it. */
void *map(gpa_t gpa, uint64_t len);

/* The first address that the processor does not have. */
gpa_t address_limit(void);

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Stores before it are visible to the device before loads after it are made. */
static inline void full_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

/* The processor keeps the order of stores, and of loads: only the compiler must not change it. */
static inline void order_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

void *memset(void *dest, int byte, size_t len);
void *memcpy(void *dest, const void *src, size_t len);
int memcmp(const void *a, const void *b, size_t len);

/* ---- what the boot loader passed -------------------------------------------------------------------- */

/* The number after `name=` on the command line, or `otherwise`. */
uint64_t option(const char *name, uint64_t otherwise);

/* The end of the RAM that begins below 4 GiB. */
gpa_t ram_end(void);

/* ---- output ---------------------------------------------------------------------------------------- */

/* %s %c %u %d %x and, for 64 bits, %lu %lx. */
void print(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Counters of the TAP lines; a program that survives a reboot carries them over. */
struct tap {
	unsigned nchecks, nfailed;
};
extern struct tap tap;

/* Reports one fact, and returns it. */
bool tap_ok(bool fact, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The fact that got == want; otherwise both are printed. */
bool tap_is(uint64_t got, uint64_t want, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Ends the program with the reason as a failed fact. */
_Noreturn void bail(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* ---- time and chance ------------------------------------------------------------------------------- */

static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Some ten seconds on a processor of some gigahertz, and some milliseconds. */
#define TICKS_MAX (UINT64_C(1) << 35)
#define TICKS_SHORT (UINT64_C(1) << 24)

/* A wait: `for (uint64_t end = wait_end(); !fact && wait_on(end); ) ;` */
static inline uint64_t wait_end(void)
{
	return ticks() + TICKS_MAX;
}

static inline bool wait_on(uint64_t end)
{
	pause();
	return ticks() < end;
}

/* Lets this many ticks pass. */
void delay(uint64_t nticks);

/* The same numbers in every run. */
uint64_t random_next(void);

#endif
