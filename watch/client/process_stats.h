// SPDX-License-Identifier: Apache-2.0
/*
 * process_stats.h - what the kernel knows about the process of a machine: processor time and memory.
 *
 * The process is the one that listens on the monitor's socket. It is believed only if the threads that query-cpus-fast
 * names are threads of that process: a socket that a service manager passed has the manager's process, and a process of
 * another pid namespace has other numbers.
 */
#ifndef PMVM_PROCESS_STATS_H
#define PMVM_PROCESS_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VCPUS_MAX 288u

struct json_object;

struct process_stats {
	bool is_known;
	double cpu_s;           /* user and system, all threads */
	uint64_t resident_size; /* bytes, with the guest's RAM and what it has mapped of its files */
	unsigned nvcpus;
	double vcpu_s[VCPUS_MAX]; /* by index */
};

/* pid 0: unknown. cpus is the answer to query-cpus-fast, or NULL. */
void process_stats_read(struct process_stats *stats, pid_t pid, struct json_object *cpus);

#endif
