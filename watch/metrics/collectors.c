// SPDX-License-Identifier: Apache-2.0
// The table of metrics. Names and units follow the conventions of Prometheus.
#include "collector.h"

static const char *const run_states[] = { "running",        "paused",   "prelaunch", "io-error",
	                                  "internal-error", "shutdown", NULL };
static const char *const pmem_states[] = { "ok", "no-space", "failed", NULL };
static const char *const vhost_user_states[] = { "running", "idle", "disconnected", "needs-reset", NULL };
static const char *const sandbox_modes[] = { "off", "on", "log", NULL };
static const char *const namespaces[] = { "user", "mount", "net", "ipc", NULL };

#define NS 1e-9

// clang-format off
#define FAMILY(name_, type_, unit_, help_) .family = { .name = name_, .type = METRIC_##type_, .unit = unit_, .help = help_ }
#define MACHINE(name_, unit_, help_, query_, path_) \
	{ FAMILY(name_, GAUGE, unit_, help_), .write = write_machine, .query = QUERY_##query_, .path = path_ }
#define PMEM(name_, type_, unit_, help_, path_, scale_) \
	{ FAMILY(name_, type_, unit_, help_), .write = write_pmem, .path = path_, .scale = scale_ }
#define VCPU(name_, help_, path_) \
	{ FAMILY(name_, COUNTER, NULL, help_), .write = write_vcpu, .query = QUERY_CPUS, .path = path_ }
#define FLAG(name_, help_, path_) \
	{ FAMILY(name_, GAUGE, NULL, help_), .write = write_sandbox_flag, .query = QUERY_SANDBOX, .path = path_ }
#define STATES(name_, help_, write_, query_, path_, words_) \
	{ FAMILY(name_, STATESET, NULL, help_), .write = write_, .query = QUERY_##query_, .path = path_, .words = words_ }
#define OTHER(name_, type_, unit_, help_, write_) { FAMILY(name_, type_, unit_, help_), .write = write_ }

const struct collector collectors[] = {
	{ FAMILY("pmvm_up", GAUGE, NULL, "Whether the machine answered all queries in time."),
	  .write = write_up, .of_down = true },
	{ FAMILY("pmvm_query_duration_seconds", GAUGE, "seconds", "How long the machine took to answer, or to fail."),
	  .write = write_duration, .of_down = true },
	OTHER("pmvm_build", INFO, NULL, "Version of the program that runs the machine.", write_version),
	OTHER("pmvm_machine", INFO, NULL, "Name and UUID that the machine was given.", write_machine_info),
	STATES("pmvm_run_state", "Run state of the machine.", write_state, STATUS, "status", run_states),
	MACHINE("pmvm_memory_bytes", "bytes", "RAM of the machine.", MEMORY, "base-memory"),
	MACHINE("pmvm_plugged_memory_bytes", "bytes", "Persistent memory of the machine.", MEMORY, "plugged-memory"),
	MACHINE("pmvm_balloon_memory_bytes", "bytes", "RAM that the balloon leaves to the guest.", BALLOON, "actual"),

	OTHER("pmvm_process_cpu_seconds", COUNTER, "seconds", "Processor time of the process, with the guest.",
	      write_cpu_time),
	OTHER("pmvm_process_resident_memory_bytes", GAUGE, "bytes",
	      "Resident memory of the process, with RAM and persistent memory of the guest.", write_resident),
	OTHER("pmvm_vcpus", GAUGE, NULL, "Number of vCPUs.", write_vcpus),
	OTHER("pmvm_vcpu_cpu_seconds", COUNTER, "seconds", "Processor time of the thread of a vCPU.", write_vcpu_time),
	VCPU("pmvm_vcpu_bus_locks", "Accesses of a vCPU that locked the memory bus of the host.", "bus-locks"),
	VCPU("pmvm_vcpu_notify_exits", "Times that a vCPU blocked interrupts of the host for too long.", "notify-exits"),
	OTHER("pmvm_vcpu_exits", COUNTER, NULL, "Exits of a vCPU, as KVM counts them.", write_exits),
	OTHER("pmvm_vcpu_exits_by_reason", COUNTER, NULL, "Exits of a vCPU for the reasons that KVM counts.",
	      write_exits_by_reason),

	OTHER("pmvm_pmem", INFO, NULL, "File and options of a pmem device.", write_pmem_info),
	STATES("pmvm_pmem_state", "State of a pmem device.", write_pmem_state, PMEM, "state", pmem_states),
	PMEM("pmvm_pmem_size_bytes", GAUGE, "bytes", "Size of a pmem device.", "size", 0),
	PMEM("pmvm_pmem_resident_bytes", GAUGE, "bytes", "Bytes of the device that are in the memory of the host.",
	     "resident", 0),
	PMEM("pmvm_pmem_allocated_bytes", GAUGE, "bytes", "Bytes that the file takes on the disk of the host.",
	     "allocated", 0),
	PMEM("pmvm_pmem_flushes_requested", COUNTER, NULL, "Flush requests of the guest.", "flushes.requested", 0),
	PMEM("pmvm_pmem_flushes_completed", COUNTER, NULL, "Flush requests that were answered, with any status.",
	     "flushes.completed", 0),
	PMEM("pmvm_pmem_flushes_failed", COUNTER, NULL, "Flush requests that were answered with an error.",
	     "flushes.failed", 0),
	OTHER("pmvm_pmem_sync_duration_seconds", HISTOGRAM, "seconds", "How long the syncs of the file took.",
	      write_pmem_syncs),
	PMEM("pmvm_pmem_syncs", COUNTER, NULL, "Syncs of the file. One may serve several flushes.", "syncs.count", 0),
	PMEM("pmvm_pmem_sync_errors", COUNTER, NULL, "Syncs of the file that failed.", "syncs.errors", 0),
	PMEM("pmvm_pmem_sync_duration_max_seconds", GAUGE, "seconds", "The longest sync so far.", "syncs.max-ns", NS),
	{ FAMILY("pmvm_pmem_sync_in_flight_seconds", GAUGE, "seconds", "Age of the sync that runs; 0: none does."),
	  .write = write_pmem_zero, .path = "syncs.in-flight-ns", .scale = NS },
	PMEM("pmvm_pmem_interrupts", COUNTER, NULL, "Interrupts for completed requests.", "interrupts", 0),
	PMEM("pmvm_pmem_refused_stores", COUNTER, NULL, "Stores of the guest to read-only memory.", "refused-stores", 0),
	PMEM("pmvm_pmem_error_errno", GAUGE, NULL, "Number of the error, of a device whose state is failed.",
	     "error.errno", 0),
	PMEM("pmvm_pmem_error_timestamp_seconds", GAUGE, "seconds", "When the sync failed, of a device whose state is failed.",
	     "error.time", 0),

	OTHER("pmvm_net", INFO, NULL, "Back end of a network card.", write_net_info),
	OTHER("pmvm_net_link_up", GAUGE, NULL, "Whether a network card has a link.", write_net_link),
	OTHER("pmvm_vhost_user_connected", GAUGE, NULL, "Whether a vhost-user device has a back end.",
	      write_vhost_user_connected),
	STATES("pmvm_vhost_user_state", "State of a vhost-user device.", write_vhost_user_state, VHOST_USER, "state",
	       vhost_user_states),

	STATES("pmvm_sandbox_mode", "Mode of the sandbox.", write_state, SANDBOX, "mode", sandbox_modes),
	FLAG("pmvm_sandbox_no_new_privileges", "Whether the process can gain no privileges.", "no-new-privileges"),
	FLAG("pmvm_sandbox_undumpable", "Whether other processes of the user cannot read the process's memory.", "undumpable"),
	FLAG("pmvm_sandbox_empty_root", "Whether the process has an empty root directory.", "empty-root"),
	MACHINE("pmvm_sandbox_landlock_version", NULL, "Version of Landlock that is in force; 0: none.", SANDBOX,
	        "landlock"),
	{ FAMILY("pmvm_sandbox_namespace", GAUGE, NULL, "Whether the process has a namespace of its own."),
	  .write = write_sandbox_namespaces, .query = QUERY_SANDBOX, .path = "namespaces", .words = namespaces },
	OTHER("pmvm_sandbox_system_calls", GAUGE, NULL, "System calls that a kind of thread may make.",
	      write_sandbox_threads),
};
// clang-format on
const unsigned ncollectors = sizeof(collectors) / sizeof(collectors[0]);
