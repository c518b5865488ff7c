// SPDX-License-Identifier: Apache-2.0
/*
 * options_cpu.c - -cpu: the host's processor, with or without some of its features.
 *
 * Features are written as in QEMU: `feature=on|off`, `+feature`, `-feature`, or `feature` alone for on. A feature that is
 * on is as the host has it. The order is QEMU's: of words without a sign the last one counts; `+feature` overrides them,
 * and `-feature` overrides both.
 */
#include "error.h"
#include "keyval.h"
#include "log.h"
#include "options_internal.h"
#include "suggest.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Words of QEMU that are so anyway.
#define ALWAYS(prop_name, values, reason)                                                                   \
	{                                                                                                   \
		.name = prop_name, .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = values, .why = reason \
	}

struct cpu_args {
	bool pmu, svm, vmx;
};

#define FEATURE(field, text)                                                                                \
	{                                                                                                   \
		.name = #field, .type = PROP_BOOL, .offset = offsetof(struct cpu_args, field), .def = "on", \
		.help = text                                                                                \
	}
static const struct prop cpu_props[] = {
	ALWAYS("migratable", NULL, NULL), // there is no migration
	FEATURE(pmu, "Performance counters, if the host has them"),
	FEATURE(svm, "AMD's virtualization, if the host has it"),
	ALWAYS("topoext", "on", "it is as the host has it: leave it out"),
	FEATURE(vmx, "Intel's virtualization, if the host has it"),
};
static const struct prop_class cpu_class = {
	.name = "cpu",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.underscores = true,
	.props = cpu_props,
	.nprops = sizeof(cpu_props) / sizeof(cpu_props[0]),
};

static int print_help(void)
{
	printf("Available CPUs:\n"
	       "  host                  the host's processor, as KVM supports it (default)\n"
	       "  max                   the same\n"
	       "  kvm64                 the same, with a warning: QEMU's has fewer features\n\n");
	props_help(&cpu_class, stdout);
	return HANDLED_HELP;
}

static int unknown_feature(struct cmdline *cl, const char *word, const char *name)
{
	struct suggest s = { .word = name };

	for (unsigned i = 0; i < cpu_class.nprops; i++)
		suggest_offer(&s, cpu_class.props[i].name);
	error_set(cl->err, -ENOTSUP, "'%.200s' is not supported", word);
	if (s.best)
		error_hint(cl->err, "did you mean %s?", s.best);
	else
		error_hint(cl->err, "vmx, svm and pmu can be on or off; all other features are as the host has them");
	return -ENOTSUP;
}

// "-vmx", "+vmx", "vmx", "vmx=off". Changes the word.
static int apply_feature(struct cmdline *cl, char *word, struct cpu_args *args)
{
	bool has_sign = *word == '+' || *word == '-';
	char *name = word + has_sign, *value = has_sign ? NULL : strchr(name, '=');
	const struct prop *prop;
	struct json_object *json;
	int rc;

	if (value)
		*value++ = '\0';
	prop = props_find(&cpu_class, name);
	if (!prop) {
		if (value)
			value[-1] = '=';
		return unknown_feature(cl, word, name);
	}
	json = json_object_new_object();
	if (!json)
		return error_set(cl->err, -ENOMEM, "out of memory");
	json_object_object_add(json, name, json_object_new_string(value ? value : *word == '-' ? "off" : "on"));
	rc = props_apply(&cpu_class, json, PROPS_TEXT, args, cl->err);
	json_object_put(json);
	return rc;
}

// One of QEMU's passes: words without a sign (0), then those with '+', then those with '-'.
static int apply_pass(struct cmdline *cl, const char *list, char sign, struct cpu_args *args)
{
	char *copy = strdup(list), *rest = copy, *word;
	int rc = copy ? 0 : error_set(cl->err, -ENOMEM, "out of memory");

	while (rc == 0 && (word = strsep(&rest, ",")) != NULL) {
		bool has_sign = *word == '+' || *word == '-';

		if (*word && (has_sign ? *word : '\0') == sign)
			rc = apply_feature(cl, word, args);
	}
	free(copy);
	return rc;
}

static int apply_features(struct cmdline *cl, const char *list)
{
	static const char passes[] = { '\0', '+', '-' };
	struct cpu_args args = { .pmu = true, .svm = true, .vmx = true };
	int rc = 0;

	for (unsigned i = 0; i < sizeof(passes) && rc == 0; i++)
		rc = apply_pass(cl, list, passes[i], &args);
	cl->opts->no_pmu = !args.pmu;
	cl->opts->no_svm = !args.svm;
	cl->opts->no_vmx = !args.vmx;
	return rc;
}

int handle_cpu(struct cmdline *cl, const char *arg)
{
	if (keyval_is_help(arg))
		return print_help();
	cl->cpu_place = cl->now;
	return option_string(cl, &cl->cpu, arg);
}

// A model of QEMU that is less than any host has: the guest gets more, as with -cpu host.
static bool is_baseline(const char *model, size_t len)
{
	return len == 5 && strncmp(model, "kvm64", len) == 0;
}

int finish_cpu(struct cmdline *cl)
{
	const char *arg = cl->cpu;
	size_t len = arg ? strcspn(arg, ",") : 0;

	if (!arg)
		return 0;
	cl->now = cl->cpu_place;
	if (is_baseline(arg, len)) {
		log_warn("-cpu %.*s: the guest gets the host's processor", (int)len, arg);
		return apply_features(cl, arg + len);
	}
	if ((len == 4 && strncmp(arg, "host", len) == 0) || (len == 3 && strncmp(arg, "max", len) == 0))
		return apply_features(cl, arg + len);
	error_set(cl->err, -EINVAL, "unable to find CPU model '%.*s'", (int)len, arg);
	error_hint(cl->err, "the guest gets the host's processor: use -cpu host, or leave it out");
	return -EINVAL;
}
