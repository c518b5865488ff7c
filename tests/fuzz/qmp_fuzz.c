// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_fuzz.c - libFuzzer target of the QMP front end, with the fake machine of the unit tests behind it. The
 * first byte says how long the pieces are in which the rest arrives. `make fuzz ONLY=qmp`.
 */
#include "qmp_rig.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

// Every byte of the output is in a line of printable ASCII.
static void check_output(const char *text)
{
	for (; *text; text++)
		if ((*text < 0x20 || *text > 0x7e) && strncmp(text, "\r\n", 2) != 0 && *text != '\n')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t piece = len ? 1 + data[0] : 1;
	struct qmp_rig rig;

	qmp_rig_start(&rig);
	for (size_t off = 1; off < len; off += piece) {
		size_t n = len - off < piece ? len - off : piece;

		rig.front_end->input(rig.state, data + off, n);
	}
	check_output(qmp_rig_output(&rig));
	qmp_rig_close(&rig);
	return 0;
}
