// SPDX-License-Identifier: Apache-2.0
/*
 * options_fuzz.c - what users type: -object, -device and -chardev as key=value text and as JSON, and whole command
 * lines.
 *
 * The first byte says which: 'o', 'd' or 'c' for text, 'O', 'D' or 'C' for JSON, 'l' for a command line with a word per
 * line. Every input ends in a configuration that keeps its promises, in help, or in an error with a text.
 */
#include "config_chardev.h"
#include "fuzz.h"
#include "keyval.h"
#include "options.h"
#include "parse.h"
#include "vm_limits.h"

#include "fake_log.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 64

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Help goes to standard output, and would be most of it. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)argc;
	(void)argv;
	CHECK(null >= 0 && dup2(null, STDOUT_FILENO) >= 0);
	close(null);
	return 0;
}

static void check_error(int rc, const struct vpmem_error *err)
{
	CHECK(rc < 0);
	CHECK(err->text[0] != '\0' && strnlen(err->text, sizeof(err->text)) < sizeof(err->text));
	CHECK(strnlen(err->hint, sizeof(err->hint)) < sizeof(err->hint));
}

static void check_memdev(const struct memdev_config *cfg)
{
	CHECK(cfg->backing.path == cfg->mem_path && cfg->backing.id == cfg->obj.id);
	CHECK(cfg->mem_path || cfg->backing.size > 0);
	CHECK(cfg->hugetlb || cfg->hugetlbsize == 0);
	CHECK(cfg->backing.rom <= VPMEM_ROM_OFF && cfg->backing.policy <= VPMEM_POLICY_INTERLEAVE);
}

static void check_pmem(const struct pmem_config *cfg)
{
	CHECK(cfg->memdev);
	CHECK(cfg->memaddr % VPMEM_GRANULE == 0);
}

static void check_object(struct object_config *cfg)
{
	CHECK(cfg->id && id_wellformed(cfg->id));
	if (object_type_is(cfg->type, MEMORY_BACKEND))
		check_memdev(memdev_config_of(cfg));
}

static void check_device(struct device_config *cfg)
{
	CHECK(!cfg->id || id_wellformed(cfg->id));
	CHECK(cfg->slot == -1 || (cfg->slot >= 1 && cfg->slot <= 31));
	if (cfg->model == &virtio_pmem_pci_model)
		check_pmem(device_config_as(cfg, &virtio_pmem_pci_model));
}

static void object(struct json_object *props, enum props_form form)
{
	struct object_config *cfg;
	struct vpmem_error err = { .text = "" };
	int rc = config_object(props, form, &cfg, &err);

	if (rc)
		check_error(rc, &err);
	else
		check_object(cfg);
	CHECK((rc == 0) == (cfg != NULL));
	object_config_free(cfg);
}

static void device(struct json_object *props, enum props_form form)
{
	struct vpmem_error err = { .text = "" };
	struct device_config *cfg;
	int rc = config_device(props, form, &cfg, &err);

	if (rc)
		check_error(rc, &err);
	else
		check_device(cfg);
	CHECK((rc == 0) == (cfg != NULL));
	device_config_free(cfg);
}

static void check_chardev(const struct chardev_config *cfg)
{
	CHECK(cfg->id && id_wellformed(cfg->id));
	CHECK(cfg->kind != CHARDEV_FILE || (cfg->path && *cfg->path));
	CHECK(cfg->kind != CHARDEV_SOCKET || (cfg->path != NULL) + (cfg->fd != NULL) + (cfg->host != NULL) <= 1);
	CHECK(!cfg->wait || cfg->server);
	CHECK(!cfg->mux || cfg->kind == CHARDEV_STDIO);
	CHECK(cfg->kind != CHARDEV_RINGBUF || (cfg->size && !(cfg->size & (cfg->size - 1))));
}

static bool has_address(const struct chardev_config *cfg)
{
	return cfg->kind != CHARDEV_SOCKET || cfg->path || cfg->fd || cfg->port;
}

// It gets its descriptor when virtiofsd runs.
static bool is_of_share(const struct chardev_config *cfg, const struct machine_config *opts)
{
	for (unsigned i = 0; i < opts->nshares; i++)
		if (strcmp(opts->shares[i].chardev, cfg->id) == 0)
			return true;
	return false;
}

static void chardev(struct json_object *props, enum props_form form)
{
	struct vpmem_error err = { .text = "" };
	struct chardev_config *cfg;
	int rc = config_chardev(props, form, &cfg, &err);

	if (rc)
		check_error(rc, &err);
	else
		check_chardev(cfg);
	CHECK(rc || has_address(cfg));
	CHECK((rc == 0) == (cfg != NULL));
	chardev_config_free(cfg);
}

static void chardev_text(const char *text)
{
	const struct keyval_syntax syntax = { .implied_key = "backend" };
	struct json_object *props = keyval_parse(text, &syntax, NULL);

	CHECK(props);
	chardev(props, PROPS_TEXT);
	json_object_put(props);
}

static void chardev_json(const char *text)
{
	struct vpmem_error err = { .text = "" };
	struct json_object *props = NULL;

	if (keyval_parse_json(text, &props, &err) == 0)
		chardev(props, PROPS_JSON);
	json_object_put(props);
}

static void from_text(const char *text, bool is_device)
{
	const struct keyval_syntax syntax = {
		.implied_key = is_device ? "driver" : "qom-type",
		.list_key = is_device ? NULL : "host-nodes",
	};
	bool help = false;
	struct json_object *props = keyval_parse(text, &syntax, &help);

	CHECK(props && json_object_is_type(props, json_type_object));
	(is_device ? device : object)(props, PROPS_TEXT);
	json_object_put(props);
}

static void from_json(const char *text, bool is_device)
{
	struct vpmem_error err = { .text = "" };
	struct json_object *props = NULL;
	int rc = keyval_parse_json(text, &props, &err);

	if (rc) {
		check_error(rc, &err);
		CHECK(!props);
		return;
	}
	CHECK(json_object_is_type(props, json_type_object));
	(is_device ? device : object)(props, PROPS_JSON);
	if (is_device)
		device(props, PROPS_SCALAR);
	json_object_put(props);
}

static void check_options(const struct machine_config *opts)
{
	CHECK(opts->kernel && opts->ncpus >= 1 && opts->ncpus <= CPUS_MAX);
	CHECK((opts->ram_size >= UINT64_C(2) << 20 && opts->ram_size % 8192 == 0) ||
	      (opts->ram_size == 0 && opts->memory_backend));
	CHECK(opts->nmonitors <= MONITORS_MAX);
	for (unsigned i = 0; i < opts->nchardevs; i++) {
		check_chardev(opts->chardevs[i]);
		CHECK(has_address(opts->chardevs[i]) != is_of_share(opts->chardevs[i], opts));
	}
	for (unsigned i = 0; i < opts->nobjects; i++)
		check_object(opts->objects[i]);
	for (unsigned i = 0; i < opts->ndevices; i++)
		check_device(opts->devices[i]);
}

static void command_line(char *text)
{
	char name[] = "pmvm", *words[WORDS_MAX + 1] = { name };
	struct vpmem_error err = { .text = "" };
	struct machine_config opts;
	int nwords = 1;

	for (char *word; nwords < WORDS_MAX && (word = strsep(&text, "\n"));)
		words[nwords++] = word;
	switch (options_parse(nwords, words, &opts, &err)) {
	case OPTIONS_RUN:
		check_options(&opts);
		break;
	case OPTIONS_DONE:
		CHECK(!opts.kernel && err.text[0] == '\0');
		break;
	case OPTIONS_ERROR:
		CHECK(!opts.kernel);
		check_error(-1, &err);
		break;
	}
	machine_config_free(&opts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = calloc(1, len + 1);

	CHECK(text);
	memcpy(text, data, len);
	fake_log_clear();
	switch (len ? text[0] : '\0') {
	case 'o':
	case 'd':
		from_text(text + 1, text[0] == 'd');
		break;
	case 'O':
	case 'D':
		from_json(text + 1, text[0] == 'D');
		break;
	case 'c':
		chardev_text(text + 1);
		break;
	case 'C':
		chardev_json(text + 1);
		break;
	case 'l':
		command_line(text + 1);
		break;
	}
	free(text);
	return 0;
}
