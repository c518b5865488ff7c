// SPDX-License-Identifier: Apache-2.0
// -help and -version.
#include "options_internal.h"

#include <stdio.h>
#include <string.h>

#define INDENT "                "

static void print_lines(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf(INDENT "%.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void print_option(const struct option *opt)
{
	int len = printf("-%s%s%s", opt->name, *opt->usage ? " " : "", opt->usage);

	// A short one has its help on the same line.
	if (len < (int)strlen(INDENT) && !strchr(opt->help, '\n')) {
		printf("%*s%s\n", (int)strlen(INDENT) - len, "", opt->help);
		return;
	}
	putchar('\n');
	print_lines(opt->help);
}

int handle_help(struct cmdline *cl, const char *arg)
{
	(void)cl;
	(void)arg;
	printf("pmvm version " VPMEM_VERSION ": a virtual machine with persistent memory\n"
	       "usage: pmvm -kernel FILE [option]...\n");
	for (const struct option *opt = option_table; opt->name || opt->usage; opt++) {
		if (opt->name)
			print_option(opt);
		else
			printf("\n%s:\n", opt->usage);
	}
	printf("\nFor example, a kernel with a console and 4 GiB of persistent memory in disk.img:\n"
	       "  pmvm -m 1G -nographic -kernel vmlinuz -initrd initrd.img \\\n"
	       "       -append console=ttyS0 -pmem disk.img,size=4G\n"
	       "Options begin with one dash or two. The syntax is QEMU's; see pmvm(1).\n");
	return HANDLED_HELP;
}

int handle_version(struct cmdline *cl, const char *arg)
{
	(void)cl;
	(void)arg;
	printf("pmvm version " VPMEM_VERSION "\n");
	return HANDLED_HELP;
}
