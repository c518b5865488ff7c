// SPDX-License-Identifier: Apache-2.0
// The command line: handles each option, then checks the whole; adds the option's name to an error.
#include "error.h"
#include "keyval.h"
#include "options_internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A long argument is truncated, so that the error behind it is not.
#define PLACE_MAX 200

int option_string(struct cmdline *cl, char **field, const char *arg)
{
	char *copy = strdup(arg);

	if (!copy)
		return error_set(cl->err, -ENOMEM, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

int option_not_supported(struct cmdline *cl, bool not_yet)
{
	return error_set(cl->err, -ENOTSUP, "not supported%s", not_yet ? " yet" : "");
}

int option_keyval(struct cmdline *cl, const char *arg, const char *implied_key, const struct prop_class *cls, void *obj)
{
	struct keyval_syntax syntax = { .implied_key = implied_key };
	bool help = false;
	struct json_object *json = keyval_parse(arg, &syntax, &help);
	int rc;

	if (!json)
		return error_set(cl->err, -ENOMEM, "out of memory");
	if (help)
		props_help(cls, stdout);
	rc = help ? HANDLED_HELP : props_apply(cls, json, PROPS_TEXT, obj, cl->err);
	json_object_put(json);
	return rc;
}

// "-device virtio-pmem-pci,memdev=zz: Device 'zz' not found"
static void add_place(const struct place *place, struct vpmem_error *err)
{
	const char *arg = place->arg ? place->arg : "";
	char text[PLACE_MAX + 64];
	size_t len;

	if (!err || !place->option)
		return;
	snprintf(text, sizeof(text), "%s%s%.*s%s: ", place->option, place->arg ? " " : "", PLACE_MAX, arg,
	         strlen(arg) > PLACE_MAX ? "..." : "");
	len = strlen(text);
	memmove(err->text + len, err->text, sizeof(err->text) - len - 1);
	memcpy(err->text, text, len);
	err->text[sizeof(err->text) - 1] = '\0';
}

// The name of an option without its dash, or two; NULL if it has none.
const char *option_name(const char *word)
{
	if (word[0] != '-')
		return NULL;
	return word[1] == '-' ? word + 2 : word + 1;
}

const struct option *option_find(const char *name, size_t len)
{
	for (const struct option *opt = option_table; opt->name || opt->usage; opt++)
		if (opt->name && strlen(opt->name) == len && strncmp(opt->name, name, len) == 0)
			return opt;
	return NULL;
}

// 0 if QEMU has no such option.
static int refuse(struct cmdline *cl, const char *word, const char *name)
{
	const struct refused_option *refused = refused_table;

	while (refused->name && strcmp(refused->name, name) != 0)
		refused++;
	if (!refused->name)
		return 0;
	cl->now = (struct place) { .option = word };
	option_not_supported(cl, refused->not_yet);
	if (refused->hint)
		error_hint(cl->err, "%s", refused->hint);
	return -ENOTSUP;
}

static bool has_argument(const struct option *opt)
{
	return opt->kind == OPTION_ARGUMENT || opt->kind == OPTION_STRING;
}

static int apply(struct cmdline *cl, const struct option *opt, const char *arg)
{
	char *fields = (char *)cl->opts;

	switch (opt->kind) {
	case OPTION_ARGUMENT:
	case OPTION_PLAIN:
		return opt->handle(cl, arg);
	case OPTION_STRING:
		return option_string(cl, (char **)(fields + opt->offset), arg);
	case OPTION_FLAG:
		*(bool *)(fields + opt->offset) = true;
		return 0;
	case OPTION_NOTHING:
		return 0;
	}
	return -EINVAL;
}

// Reads the option at argv[0]. Returns what its handler did, and in *used the words it took.
static int parse_option(struct cmdline *cl, char **argv, int *used)
{
	const char *name = option_name(argv[0]);
	const struct option *opt = name ? option_find(name, strlen(name)) : NULL;

	*used = 1;
	if (!name)
		return option_stray(cl, argv[0]);
	if (!opt) {
		int rc = refuse(cl, argv[0], name);

		return rc < 0 ? rc : option_unknown(cl, argv[0], name);
	}
	if (has_argument(opt) && !argv[1]) {
		error_set(cl->err, -EINVAL, "%.200s: requires an argument", argv[0]);
		error_hint(cl->err, "usage: -%s %s", opt->name, opt->usage);
		return -EINVAL;
	}
	*used += has_argument(opt);
	cl->now = (struct place) { .option = argv[0], .arg = has_argument(opt) ? argv[1] : NULL };
	return apply(cl, opt, cl->now.arg);
}

static int finish_kernel(struct cmdline *cl)
{
	const struct machine_config *opts = cl->opts;

	if (opts->kernel)
		return 0;
	if (opts->append || opts->initrd)
		error_set(cl->err, -EINVAL, "%s only allowed with -kernel option",
		          opts->append ? "-append" : "-initrd");
	else
		error_set(cl->err, -EINVAL,
		          "no guest: -kernel is missing, and there is no firmware to boot from a disk");
	error_hint(cl->err, "for example: pmvm -m 1G -nographic -kernel vmlinuz -initrd initrd.img "
	                    "-append console=ttyS0 -pmem disk.img,size=4G (all options: pmvm -help)");
	return -EINVAL;
}

// The checks that need the whole command line.
static int finish(struct cmdline *cl)
{
	int (*const steps[])(struct cmdline *) = {
		finish_accel,  finish_cpu, finish_m,       finish_smp,    finish_share,
		finish_memory, finish_net, finish_devices, finish_kernel, finish_console,
	};
	int rc = 0;

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++) {
		cl->now = (struct place) { 0 };
		rc = steps[i](cl);
	}
	return rc;
}

static int parse_all(struct cmdline *cl, int argc, char **argv)
{
	int used;

	for (int i = 1; i < argc; i += used) {
		int rc;

		cl->last = cl->now;
		cl->now = (struct place) { 0 };
		rc = parse_option(cl, argv + i, &used);
		if (rc < 0 && (word_has_cr(argv[i]) || word_has_cr(cl->now.arg)))
			hint_cr(cl->err);
		if (rc != 0)
			return rc;
	}
	return finish(cl);
}

// Help that did not arrive is an error.
static enum options_result end_output(struct vpmem_error *err)
{
	// Of a text that is longer than the buffer, it was an earlier write that failed; what was printed since did not set errno.
	int error = ferror(stdout) ? errno : 0;

	errno = EIO;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return OPTIONS_DONE;
	error = error ? error : errno;
	error_set(err, -error, "cannot write to standard output: %s", strerror(error));
	return OPTIONS_ERROR;
}

enum options_result options_parse(int argc, char **argv, struct machine_config *opts, struct vpmem_error *err)
{
	struct cmdline cl = { .opts = opts, .err = err };
	int rc;

	*opts = (struct machine_config) {
		.sandbox.mode = SANDBOX_ON,
		.ram_size = UINT64_C(128) << 20,
		.ncpus = 1,
	};
	// Nobody attacks a program by its own command line. The hash for the monitors' clients is secret, and its secret is
	// read from the kernel when the first object is made with it.
	json_global_set_string_hash(JSON_C_STR_HASH_PERLLIKE);
	rc = parse_all(&cl, argc, argv);
	json_global_set_string_hash(JSON_C_STR_HASH_DFLT);
	for (unsigned i = 0; i < cl.ndevices; i++)
		device_config_free(cl.devices[i]);
	free(cl.devices);
	json_object_put(cl.net_card);
	json_object_put(cl.net_backend);
	free(cl.numa_memdev);
	free(cl.cpu);
	free(cl.accel);
	if (rc == 0)
		return OPTIONS_RUN;
	machine_config_free(opts);
	if (rc > 0)
		return end_output(err);
	add_place(&cl.now, err);
	return OPTIONS_ERROR;
}
