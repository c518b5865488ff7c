// SPDX-License-Identifier: Apache-2.0
// An HMP that says its line back, for human-monitor-command.
#include "command.h"
#include "hmp_out.h"

#include <string.h>

void hmp_run_line(struct monitor *mon, const char *line, struct hmp_out *out)
{
	(void)mon;
	// A line of nothing has no output, and "fail" is out of memory.
	out->text.failed = !strcmp(line, "fail");
	if (*line)
		hmp_printf(out, "line: %s\n", line);
}
