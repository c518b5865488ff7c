// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp_rules.h - seccomp_list.h as a table, for the program that makes the filters of it, and for their test.
 */
#ifndef PMVM_SECCOMP_RULES_H
#define PMVM_SECCOMP_RULES_H

#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A number that stands for this process until a program is installed. No process has it: pid_max is lower. */
#define SECCOMP_OWN_PID UINT64_C(0x7069644d)

/* Made when a forbidden call was reported: ends the process. In no line of the list. */
#define SECCOMP_LAST_CALL SYS_pause

struct seccomp_condition {
	unsigned arg;
	uint64_t mask, value;
};

struct seccomp_rule {
	unsigned kinds; /* bits 1 << enum thread_kind */
	int nr;
	const char *name;
	bool is_answered; /* with this error, without being made */
	int error;
	unsigned nconditions; /* that hold */
	struct seccomp_condition conditions[2];
};

#define M (1u << THREAD_MAIN)
#define V (1u << THREAD_VCPU)
#define F (1u << THREAD_FLUSH)
#define R (1u << THREAD_REAPER)
#define W (1u << THREAD_WORKER)
#define B (1u << THREAD_BROKER)

#define ALL UINT64_MAX
#define OWN_PID SECCOMP_OWN_PID
#define SOCKET_TYPE (~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))
#define FUTEX_COMMAND ((uint64_t)(uint32_t)FUTEX_CMD_MASK)
#define CLONE_THREAD_FLAGS                                                                                 \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | \
	 CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#define SECCOMP_RULE(what_kinds, call, ...) { .kinds = (what_kinds), .nr = SYS_##call, .name = #call, __VA_ARGS__ },
#define ALLOW(kinds, call, why) SECCOMP_RULE(kinds, call, .nconditions = 0)
#define ALLOW_IF(kinds, call, arg, mask, value, why) \
	SECCOMP_RULE(kinds, call, .nconditions = 1, .conditions = { { arg, mask, (uint64_t)(value) } })
#define ALLOW_IF2(kinds, call, a, am, av, b, bm, bv, why) \
	SECCOMP_RULE(kinds, call, .nconditions = 2,       \
	             .conditions = { { a, am, (uint64_t)(av) }, { b, bm, (uint64_t)(bv) } })
#define ANSWER(kinds, call, err, why) SECCOMP_RULE(kinds, call, .is_answered = true, .error = err)

static const struct seccomp_rule seccomp_rules[] = {
#include "seccomp_list.h"
};
#define NSECCOMP_RULES (sizeof(seccomp_rules) / sizeof(seccomp_rules[0]))

#undef M
#undef V
#undef F
#undef R
#undef W
#undef B
#undef ALL
#undef ALLOW
#undef ALLOW_IF
#undef ALLOW_IF2
#undef ANSWER

/* The line is about this kind. What is about any thread of the machine is about main: they have its program as well. */
static inline bool seccomp_rule_is_of(const struct seccomp_rule *rule, enum thread_kind kind)
{
	return rule->kinds & (kind == THREAD_MAIN ? ~(1u << THREAD_BROKER) : 1u << kind);
}

/* A line of the list allows the call to this kind. */
static inline bool seccomp_rule_allows(const struct seccomp_rule *rule, enum thread_kind kind)
{
	return !rule->is_answered && seccomp_rule_is_of(rule, kind);
}

/* Some line allows the call to this kind, with whatever arguments. */
static inline bool seccomp_allows_some(int nr, enum thread_kind kind)
{
	for (unsigned i = 0; i < NSECCOMP_RULES; i++)
		if (seccomp_rules[i].nr == nr && seccomp_rule_allows(&seccomp_rules[i], kind))
			return true;
	return false;
}

/* The line is the answer that this kind gets. */
static inline bool seccomp_rule_answers(const struct seccomp_rule *rule, enum thread_kind kind)
{
	return rule->is_answered && seccomp_rule_is_of(rule, kind) && !seccomp_allows_some(rule->nr, kind);
}

#endif
