// SPDX-License-Identifier: Apache-2.0
/*
 * process_stats.h - what the kernel knows about the process of a machine: processor time, memory, exits of its vCPUs.
 *
 * The process is the one that listens on the monitor's socket. It is believed only if the threads that query-cpus-fast
 * names are threads of that process: a socket that a service manager passed has the manager's process, and a process of
 * another pid namespace has other numbers.
 *
 * The counts of exits are those of KVM in debugfs, which only root can read. They are of the whole machine.
 */
#ifndef PMVM_PROCESS_STATS_H
#define PMVM_PROCESS_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VCPUS_MAX 288u
#define EXIT_REASONS 8u /* exit_reasons below */

struct json_object;

struct process_stats {
	bool is_known;
	double cpu_s;           /* user and system, all threads */
	uint64_t resident_size; /* bytes, with the guest's RAM and what it has mapped of its files */
	unsigned nvcpus;
	double vcpu_s[VCPUS_MAX]; /* by index */
	bool has_exits;
	uint64_t exits;                         /* all */
	uint64_t exits_by_reason[EXIT_REASONS]; /* their sum is less: KVM has no counter for some reasons */
	bool has_reason[EXIT_REASONS];
};

/* Names of KVM's files without "_exits", and of labels: "io", "mmio", ... */
extern const char *const exit_reasons[EXIT_REASONS];

/* pid 0: unknown. cpus is the answer to query-cpus-fast, or NULL. debugfs: where it is mounted. */
void process_stats_read(struct process_stats *stats, pid_t pid, struct json_object *cpus, const char *debugfs);

#endif
