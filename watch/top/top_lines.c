// SPDX-License-Identifier: Apache-2.0
// A view as lines of text.
#include "top_lines.h"

#include <stdio.h>
#include <string.h>

#define BAR_MAX 100u
#define LINE_SIZE 1024u

/* Of a width beyond the smallest, names and bars get a third each. */
struct layout {
	int name, bar;
};

static struct layout layout_of(unsigned width)
{
	unsigned more = width > TOP_WIDTH_MIN ? (width - TOP_WIDTH_MIN) / 3 : 0;

	return (struct layout) { .name = (int)(18 + more),
		                 .bar = (int)(4 + (more < BAR_MAX - 4 ? more : BAR_MAX - 4)) };
}

void top_size(uint64_t bytes, char buf[8])
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	unsigned unit = 0;

	if (bytes == TOP_UNKNOWN) {
		strcpy(buf, "-");
		return;
	}
	while (value >= 1000 && unit < 6) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, 8, "%.*f%c", unit > 0 && value < 9.95 ? 1 : 0, value, units[unit]);
}

void top_duration(double seconds, char buf[16])
{
	static const char *const units[] = { "s", "ms", "us", "ns" };
	unsigned unit = 0;

	while (seconds > 0 && seconds < 0.9995 && unit < 3) {
		seconds *= 1000;
		unit++;
	}
	if (seconds < 0)
		strcpy(buf, "-");
	else if (seconds > 9999)
		strcpy(buf, ">9999s");
	else
		snprintf(buf, 16, "%.*f%s", seconds > 0 && seconds < 9.95 ? 1 : 0, seconds, units[unit]);
}

void top_rate(double per_s, char buf[16])
{
	if (per_s < 0)
		strcpy(buf, "-");
	else if (per_s < 9.95)
		snprintf(buf, 16, "%.1f", per_s);
	else if (per_s < 99999)
		snprintf(buf, 16, "%.0f", per_s);
	else if (per_s < 99999e3)
		snprintf(buf, 16, "%.0fk", per_s / 1e3);
	else
		strcpy(buf, ">99999k");
}

static const char *bar(uint64_t part, uint64_t size, int width, char buf[BAR_MAX + 1])
{
	double share = part == TOP_UNKNOWN || size == 0 ? 0 : (double)part / (double)size;
	int filled = share >= 1 ? width : (int)(share * width);

	// A little is not nothing.
	if (filled == 0 && share > 0)
		filled = 1;
	memset(buf, '#', (size_t)filled);
	memset(buf + filled, ' ', (size_t)(width - filled));
	buf[width] = '\0';
	return buf;
}

static void put(char *buf, unsigned width, const char *line)
{
	snprintf(buf, width + 1, "%s", line);
}

static void device_line(const struct top_device *d, unsigned width, char *buf)
{
	char line[LINE_SIZE], rate[16], p50[16], p99[16], resident[8], allocated[8], errors[16];
	char bars[2][BAR_MAX + 1];
	struct layout l = layout_of(width);

	top_rate(d->flushes_per_s, rate);
	top_duration(d->p50_s, p50);
	top_duration(d->p99_s, p99);
	top_size(d->resident, resident);
	top_size(d->allocated, allocated);
	if (d->sync_errors > 9999)
		strcpy(errors, "many");
	else
		snprintf(errors, sizeof(errors), "%u", (unsigned)d->sync_errors);
	snprintf(line, sizeof(line), "  %-*.*s %-8.8s %7s %6s %6s %4s %5s [%s] %5s [%s]", l.name - 2, l.name - 2,
	         d->name, d->state, rate, p50, p99, errors, resident, bar(d->resident, d->size, l.bar, bars[0]),
	         allocated, bar(d->allocated, d->size, l.bar, bars[1]));
	put(buf, width, line);
}

static void machine_line(const struct top_machine *m, unsigned width, char *buf)
{
	char line[LINE_SIZE], memory[8], cpu[24] = "-";
	struct layout l = layout_of(width);

	top_size(m->memory, memory);
	if (m->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "%.1f%%", m->cpu * 100);
	if (m->is_up)
		snprintf(line, sizeof(line), "%-*.*s %-14s CPU %7s  RAM %5s  vCPUs %u", l.name, l.name, m->name,
		         m->state, cpu, memory, m->nvcpus);
	else
		snprintf(line, sizeof(line), "%-*.*s down: %s", l.name, l.name, m->name, m->error);
	put(buf, width, line);
}

void top_line(const struct top_row *row, unsigned width, char *buf)
{
	if (row->device)
		device_line(row->device, width, buf);
	else
		machine_line(row->machine, width, buf);
}

void top_title(unsigned width, char *buf)
{
	struct layout l = layout_of(width);
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "%-*s %-8s %7s %6s %6s %4s %-*s %-*s", l.name, "MACHINE, DEVICE", "STATE",
	         "FLUSH/S", "P50", "P99", "ERR", l.bar + 8, "RESIDENT", l.bar + 8, "ALLOCATED");
	put(buf, width, line);
}

bool top_row_is_bad(const struct top_row *row)
{
	if (row->device)
		return strcmp(row->device->state, "ok") != 0;
	return !row->machine->is_up || strcmp(row->machine->state, "io-error") == 0 ||
	       strcmp(row->machine->state, "internal-error") == 0;
}

unsigned top_rows(const struct top_view *view, unsigned first, struct top_row *rows, unsigned n, unsigned *total)
{
	unsigned count = 0, filled = 0;

	for (unsigned i = 0; i < view->n; i++) {
		const struct top_machine *m = &view->machines[i];

		for (size_t j = 0; j <= m->ndevices && !m->is_hidden; j++) {
			const struct top_device *device = j > 0 ? &m->devices[j - 1] : NULL;

			if (device && device->is_hidden)
				continue;
			if (count++ >= first && filled < n)
				rows[filled++] = (struct top_row) { m, device };
		}
	}
	*total = count;
	return filled;
}
