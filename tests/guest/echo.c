// SPDX-License-Identifier: Apache-2.0
/*
 * A console of few words, for tests of what lies between a person and the serial port. It sleeps until input comes, and
 * answers each line: "line 1: TEXT", with a control character as ^C. A control character is a line of its own.
 *
 * "print N" prints the numbers up to N and "the-end". "reset" resets the machine, "end" powers it off. print=N on the
 * command line prints before the first input, end=1 powers off without any.
 */
#include "cpu.h"

#include "acpi_pm.h"
#include "memory_map.h"

#define VECTOR 0x41u
#define INTERRUPT_ENABLE_PORT (COM1_PORT + 1)
#define MODEM_CONTROL_PORT (COM1_PORT + 4)
#define LINE_STATUS_PORT (COM1_PORT + 5)
#define RECEIVED_DATA_AVAILABLE 0x01u
#define OUT2 0x08u // lets the port's interrupt out, on hardware
#define DATA_READY 0x01u

static volatile uint8_t input[4096];
static volatile unsigned ninput;

static void on_input(void)
{
	while (inb(LINE_STATUS_PORT) & DATA_READY)
		input[ninput++ % sizeof(input)] = inb(COM1_PORT);
}

static uint8_t next_byte(void)
{
	static unsigned at;

	for (;;) {
		// sti takes effect one instruction later: no interrupt comes between the comparison and the hlt.
		__asm__ volatile("cli" : : : "memory");
		if (at != ninput)
			break;
		__asm__ volatile("sti; hlt" : : : "memory");
	}
	__asm__ volatile("sti" : : : "memory");
	return input[at++ % sizeof(input)];
}

// Reads a line without its end into text. Returns the control character that is a line of its own, or 0.
static uint8_t read_line(char *text, size_t size)
{
	for (size_t len = 0;;) {
		uint8_t byte = next_byte();

		text[len] = '\0';
		if (byte == '\n' || byte == '\r')
			return 0;
		if (byte < ' ')
			return byte;
		if (len + 1 < size)
			text[len++] = (char)byte;
	}
}

static bool is_command(const char *line, const char *command)
{
	while (*command)
		if (*line++ != *command++)
			return false;
	return true;
}

static void print_numbers(uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++)
		print("%lu\n", i);
	print("the-end\n");
}

static uint64_t number(const char *digit)
{
	uint64_t val = 0;

	for (; *digit >= '0' && *digit <= '9'; digit++)
		val = val * 10 + (uint64_t)(*digit - '0');
	return val;
}

static void answer_until_the_end(void)
{
	static char text[1024];

	for (unsigned nlines = 1;; nlines++) {
		uint8_t control = read_line(text, sizeof(text));

		if (control)
			print("line %u: ^%c\n", nlines, control + '@');
		else if (is_command(text, "print "))
			print_numbers(number(text + 6));
		else if (is_command(text, "reset"))
			outb(ACPI_PORT + ACPI_RESET_OFF, ACPI_RESET_VALUE);
		else if (is_command(text, "end"))
			return;
		else
			print("line %u: %s\n", nlines, text);
	}
}

void guest_main(void)
{
	uint64_t n = option("print", 0);

	irq_init();
	irq_set_handler(VECTOR, on_input);
	ioapic_set(COM1_GSI, VECTOR, false);
	outb(MODEM_CONTROL_PORT, OUT2);
	outb(INTERRUPT_ENABLE_PORT, RECEIVED_DATA_AVAILABLE);
	print("# ready\n");
	if (n)
		print_numbers(n);
	if (!option("end", 0))
		answer_until_the_end();
	tap_ok(true, "the end was asked for");
}
