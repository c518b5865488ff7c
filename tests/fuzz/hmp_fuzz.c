// SPDX-License-Identifier: Apache-2.0
/*
 * hmp_fuzz.c - libFuzzer target: bytes of a client into HMP, from the keys to the arguments of commands (which
 * do nothing), and into a line editor whose terminal must show its line after each byte. `make fuzz ONLY=hmp`.
 */
#include "hmp.h"
#include "hmp_edit_terminal.h"
#include "machine.h"
#include "monitor_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct object_config memdev_config = { .type = &memory_backend_file_type, .id = (char *)"mem1" };
static struct device_config pmem_config = { .model = &virtio_pmem_pci_model, .id = (char *)"nv1" };
static struct object memdev = { .cfg = &memdev_config };
static struct device pmem = { .cfg = &pmem_config };
static struct object *objects[] = { &memdev };
static struct device *devices[] = { &pmem };
static struct machine machine = {
	.nobjects = 1,
	.ndevices = 1,
	.objects = objects,
	.devices = devices,
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
	return s->mux; // only standard input has both
}

void session_write(struct session *s, const void *buf, size_t len)
{
	(void)s;
	assert(buf || len == 0);
}

// ---- the editor alone, and the terminal before it

static struct terminal terminal;

static void on_write(void *owner, const char *buf, size_t len)
{
	(void)owner;
	if (terminal_write(&terminal, buf, len))
		abort();
}

static void on_line(void *owner, const char *line)
{
	(void)owner;
	assert(!line || strlen(line) <= HMP_LINE_MAX);
}

static void on_complete(void *owner, const char *text, struct hmp_edit *edit)
{
	(void)owner;
	hmp_complete(&machine, text, edit);
}

static void edit(const uint8_t *data, size_t len)
{
	const struct hmp_edit_client client = { .write = on_write, .line = on_line, .complete = on_complete };
	struct hmp_edit *editor = hmp_edit_create("(pmvm) ", &client);

	if (!editor)
		return;
	terminal_init(&terminal, HMP_COLUMNS_DEFAULT);
	hmp_edit_prompt(editor);
	// A byte at a time: the terminal shows the line after each.
	for (size_t i = 0; i < len; i++) {
		hmp_edit_feed(editor, data + i, 1);
		if (terminal_compare(&terminal, editor))
			abort();
	}
	hmp_edit_destroy(editor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct session session = { .mon = &monitor };
	void *state = hmp_front_end.open(&session);

	if (state) {
		hmp_front_end.input(state, data, len);
		hmp_front_end.input(state, (const uint8_t *)"\r", 1);
		hmp_front_end.close(state);
	}
	edit(data, len);
	return 0;
}
