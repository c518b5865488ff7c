// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp-gen.c - makes the seccomp programs of each kind of thread, at build time, so that pmvm does not contain
 * libseccomp.
 *
 * Usage: seccomp-gen > seccomp_programs.h
 */
#include "seccomp_rules.h"

#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_LEVEL 3u     /* of libseccomp: KILL_PROCESS. Not what the kernel of the build has */
#define HOT_PRIORITY 255 /* compared first */

static const char *const names[THREAD_KINDS] = {
	[THREAD_MAIN] = "main",     [THREAD_VCPU] = "vcpu",     [THREAD_FLUSH] = "flush",
	[THREAD_REAPER] = "reaper", [THREAD_WORKER] = "worker", [THREAD_BROKER] = "broker",
};

_Noreturn static void die(const char *what, const char *call, int rc)
{
	fprintf(stderr, "seccomp-gen: %s: %s: %s\n", what, call, strerror(-rc));
	exit(EXIT_FAILURE);
}

static void add(scmp_filter_ctx ctx, const struct seccomp_rule *rule, uint32_t action)
{
	struct scmp_arg_cmp args[2];
	int rc;

	for (unsigned i = 0; i < rule->nconditions; i++) {
		const struct seccomp_condition *c = &rule->conditions[i];

		args[i] = c->mask == UINT64_MAX ? SCMP_CMP64(c->arg, SCMP_CMP_EQ, c->value, 0) :
		                                  SCMP_CMP64(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value);
	}
	rc = seccomp_rule_add_exact_array(ctx, action, rule->nr, rule->nconditions, args);
	// Two kinds may have a line each, which main has twice.
	if (rc < 0 && rc != -EEXIST)
		die("cannot add a rule", rule->name, rc);
}

static scmp_filter_ctx make(enum thread_kind kind)
{
	const struct seccomp_rule last = { .nr = SECCOMP_LAST_CALL, .name = "the last call" };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int rc = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) : -ENOMEM;

	if (rc < 0)
		die("cannot begin", names[kind], rc);
	for (unsigned i = 0; i < NSECCOMP_RULES; i++) {
		const struct seccomp_rule *rule = &seccomp_rules[i];

		if (seccomp_rule_allows(rule, kind))
			add(ctx, rule, SCMP_ACT_ALLOW);
		else if (seccomp_rule_answers(rule, kind))
			add(ctx, rule, SCMP_ACT_ERRNO((uint32_t)rule->error));
	}
	add(ctx, &last, SCMP_ACT_KILL_PROCESS);
	if (seccomp_allows_some(SYS_ioctl, kind))
		seccomp_syscall_priority(ctx, SYS_ioctl, HOT_PRIORITY);
	return ctx;
}

static unsigned count_calls(enum thread_kind kind)
{
	unsigned n = 0;

	for (int nr = 0; nr < 1024; nr++)
		n += seccomp_allows_some(nr, kind);
	return n;
}

static size_t print_program(enum thread_kind kind)
{
	scmp_filter_ctx ctx = make(kind);
	FILE *file = tmpfile();
	struct sock_filter insn;
	size_t n = 0;
	int rc = file ? seccomp_export_bpf(ctx, fileno(file)) : -errno;

	if (rc < 0)
		die("cannot write a program", names[kind], rc);
	printf("static const struct sock_filter %s_program[] = {\n", names[kind]);
	rewind(file);
	for (; fread(&insn, sizeof(insn), 1, file) == 1; n++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", insn.code, insn.jt, insn.jf, insn.k);
	printf("};\n\n");
	fclose(file);
	seccomp_release(ctx);
	return n;
}

int main(void)
{
	size_t ninsns[THREAD_KINDS];

	seccomp_api_set(API_LEVEL);
	printf("// Made by tools/seccomp-gen.c of seccomp_list.h.\n");
	printf("#define OWN_PID 0x%xu\n#define LAST_CALL %d\n\n", (unsigned)SECCOMP_OWN_PID, SECCOMP_LAST_CALL);
	for (unsigned kind = 0; kind < THREAD_KINDS; kind++)
		ninsns[kind] = print_program((enum thread_kind)kind);
	printf("static const struct program programs[] = {\n");
	for (unsigned kind = 0; kind < THREAD_KINDS; kind++)
		printf("\t{ %s_program, %zu, { \"%s\", %u } },\n", names[kind], ninsns[kind], names[kind],
		       count_calls((enum thread_kind)kind));
	printf("};\n");
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
