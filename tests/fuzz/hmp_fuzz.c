// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_fuzz.c - libFuzzer target: bytes of a client into HMP, from the keys to the arguments of commands (which
 * do nothing). `make fuzz ONLY=hmp`.
 */
#include "machine.h"
#include "monitor_internal.h"

#include <assert.h>
#include <stdlib.h>

static struct memdev memdev = { .cfg = { .id = (char *)"mem1" } };
static struct pmem pmem = { .cfg = { .id = (char *)"nv1" } };
static struct machine machine = {
	.nmemdevs = 1,
	.npmems = 1,
	.memdevs = { &memdev },
	.pmems = { &pmem },
};
static struct monitor monitor = { .machine = &machine };

/* In the place of session.c: what the client would see goes nowhere. */
struct monitor *session_monitor(struct session *s)
{
	return s->mon;
}

bool session_is_mux(const struct session *s)
{
	return s->mux;
}

bool session_is_stdio(const struct session *s)
{
	return s->stdio;
}

void session_write(struct session *s, const void *buf, size_t len)
{
	(void)s;
	assert(buf || len == 0);
}

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:_nc_trim_sgr0\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct session session = { .mon = &monitor };
	void *face = hmp_face.open(&session);

	if (face) {
		hmp_face.input(face, data, len);
		hmp_face.input(face, (const uint8_t *)"\r", 1);
		hmp_face.close(face);
	}
	return 0;
}
