// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: bytes of a client into HMP, from the keys to the arguments of commands (which do nothing).
 *
 * In the source tree, with clang:
 *   clang -g -std=c17 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Iinclude -Ivmm -Ivmm/monitor \
 *     -Ivmm/pci -Ivmm/x86 -Itests/unit/monitor tests/fuzz/hmp_fuzz.c tests/unit/monitor/fake_commands.c \
 *     vmm/monitor/hmp*.c vmm/config.c vmm/config_help.c vmm/config_props.c vmm/keyval.c vmm/log.c \
 *     vmm/parse.c vmm/props.c vmm/props_value.c vmm/suggest.c -ledit -ljson-c -lpthread -o /tmp/hmp_fuzz
 *   /tmp/hmp_fuzz -max_len=8192 -max_total_time=60 -close_fd_mask=2 -detect_leaks=0
 */
#include "machine.h"
#include "monitor_internal.h"

#include <assert.h>
#include <stdlib.h>

static struct memdev memdev = { .cfg = { .id = (char *)"mem1" } };
static struct pmem pmem = { .cfg = { .id = (char *)"nv1" } };
static struct machine machine = {
	.nmemdevs = 1, .npmems = 1, .memdevs = { &memdev }, .pmems = { &pmem },
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
