// SPDX-License-Identifier: Apache-2.0
// The life of the machine: run, stop, reset, end.
#include "machine.h"

#include "acpi_ged.h"
#include "chardev.h"
#include "error.h"
#include "log.h"
#include "machine_fault.h"
#include "machine_hotplug.h"
#include "machine_load.h"
#include "machine_store.h"
#include "pci.h"
#include "serial.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

// ---- running and not running

static void send_event(struct machine *m, enum machine_event_kind kind, enum machine_cause cause)
{
	machine_event_send(m, &(struct machine_event) { .kind = kind, .cause = cause });
}

static void park_all(struct machine *m)
{
	machine_halt(m);
	vcpus_pause(&m->vcpus);
}

// From running into a state in which the guest does not run.
static void stop_in(struct machine *m, enum run_state state)
{
	if (m->run_state != RUN_STATE_RUNNING)
		return;
	park_all(m);
	// Parking a vCPU completes its exit, in which another fault may show.
	machine_find_reason(m);
	machine_pause_devices(m, true);
	kvm_clock_stop(&m->kvm);
	m->run_state = state;
	send_event(m, MACHINE_EVENT_STOP, CAUSE_NONE);
}

void machine_stop(struct machine *m)
{
	stop_in(m, RUN_STATE_PAUSED);
}

// What was found since the last call, in whichever thread.
static void pause_for_faults(struct machine *m)
{
	machine_find_reason(m);
	// Another one may show while the vCPUs park.
	while (m->io_error || m->internal_error) {
		enum run_state state = m->internal_error ? RUN_STATE_INTERNAL_ERROR : RUN_STATE_IO_ERROR;

		if (m->internal_error)
			m->internal_error = false;
		else
			m->io_error = false;
		stop_in(m, state);
		// The operator had stopped it, or it is paused for what weighs less.
		if (m->run_state == RUN_STATE_PAUSED ||
		    (m->run_state == RUN_STATE_IO_ERROR && state == RUN_STATE_INTERNAL_ERROR))
			m->run_state = state;
	}
}

static int go_on(struct machine *m, struct vpmem_error *err)
{
	int rc;

	machine_report_sync_errors(m);
	if (m->io_error) {
		m->io_error = false;
		m->run_state = RUN_STATE_IO_ERROR;
		error_set(err, -EIO, "a sync failed or a file was truncated while the machine was stopped");
		error_hint(err, "see info pmem, then cont");
		return -EIO;
	}
	rc = machine_check_room(m, err);
	if (rc == 0)
		rc = machine_do_stores(m, err);
	if (rc < 0)
		return rc;
	kvm_clock_start(&m->kvm);
	machine_pause_devices(m, false);
	if (m->run_state != RUN_STATE_PRELAUNCH)
		vcpus_forgive_pause(&m->vcpus);
	m->run_state = RUN_STATE_RUNNING;
	send_event(m, MACHINE_EVENT_RESUME, CAUSE_NONE);
	machine_restart_unplug_timers(m);
	machine_release_pmems(m);
	// With a request that the guest made while it was being stopped, the main loop goes first.
	if (m->requested == REQUEST_NONE)
		vcpus_resume(&m->vcpus);
	return 0;
}

int machine_cont(struct machine *m, struct vpmem_error *err)
{
	if (m->internal_error)
		pause_for_faults(m);
	if (run_state_needs_reset(m->run_state)) {
		error_set(err, -EPERM, "Resetting the Virtual Machine is required");
		error_hint(err, m->run_state == RUN_STATE_SHUTDOWN ?
		                        "the guest has powered off: system_reset, then cont" :
		                        "KVM cannot go on with the guest, see the log: system_reset, then cont");
		return -EPERM;
	}
	if (m->run_state == RUN_STATE_RUNNING)
		return 0;
	// A device with werror=stop may have failed meanwhile: the operator decides first.
	machine_watch_files(m);
	return go_on(m, err);
}

void machine_powerdown(struct machine *m)
{
	send_event(m, MACHINE_EVENT_POWERDOWN, CAUSE_NONE);
	acpi_ged_raise(&m->acpi_ged, ACPI_GED_POWER_BUTTON);
}

// ---- reset

// The same machine from its beginning. Devices first: none of them may write to memory while it is loaded.
static int reset(struct machine *m, enum machine_cause cause)
{
	struct vpmem_error err = { "", "" };
	int rc;

	park_all(m);
	// Another vCPU of the old life may have asked as well.
	if (m->requested == REQUEST_RESET)
		m->requested = REQUEST_NONE;
	machine_forget_stores(m);
	machine_forget_faults(m);
	m->internal_error = false;
	machine_eject_requested(m);
	pci_bus_reset(m->pci);
	pci_hotplug_reset(&m->pci_hotplug);
	acpi_ged_reset(&m->acpi_ged);
	serial_reset(m->serial);
	rc = kvm_reset_irqchips(&m->kvm);
	if (rc == 0)
		rc = machine_load_guest(m, &err);
	else
		error_set(&err, rc, "kvm: cannot reset the interrupt controllers: %s", strerror(-rc));
	if (rc < 0) {
		log_error("reset: %s", err.text);
		return rc;
	}
	send_event(m, MACHINE_EVENT_RESET, cause);
	if (m->run_state == RUN_STATE_RUNNING)
		vcpus_resume(&m->vcpus);
	else
		m->run_state = RUN_STATE_PRELAUNCH;
	return 0;
}

// ---- the main loop

int machine_start(struct machine *m, struct vpmem_error *err)
{
	// The files were checked a moment ago, when they were opened.
	if (!m->opts->stopped && !m->opts->daemonize && !chardev_list_is_awaited(&m->chardevs))
		(void)go_on(m, NULL);
	return vcpus_start(&m->vcpus, err);
}

// In spite of -no-shutdown.
static bool ends_for_good(enum machine_cause cause)
{
	return cause == CAUSE_HOST_QMP_QUIT || cause == CAUSE_HOST_SIGNAL || cause == CAUSE_HOST_ERROR;
}

// Serves what was asked for. Returns true when the machine has come to its end.
static bool serve_request(struct machine *m, int *result)
{
	enum request_kind request = m->requested;
	enum machine_cause cause = m->requested_cause;

	m->requested = REQUEST_NONE;
	if (request == REQUEST_NONE)
		return false;
	if (request == REQUEST_RESET && !m->opts->no_reboot) {
		*result = reset(m, cause);
		return *result < 0;
	}
	send_event(m, MACHINE_EVENT_SHUTDOWN, cause);
	if (m->opts->no_shutdown && !ends_for_good(cause)) {
		stop_in(m, RUN_STATE_SHUTDOWN);
		m->run_state = RUN_STATE_SHUTDOWN;
		return false;
	}
	*result = request == REQUEST_FAIL ? -EIO : 0;
	return true;
}

int machine_run(struct machine *m)
{
	int result = 0, rc = 0;
	bool start;

	pthread_mutex_lock(&m->lock);
	// Otherwise it has begun already, or something was found that the operator has to decide on.
	start = !m->opts->stopped && m->run_state == RUN_STATE_PRELAUNCH;
	while (rc == 0 && !serve_request(m, &result)) {
		// With wait=on, the guest starts when somebody listens.
		if (start && !chardev_list_is_awaited(&m->chardevs)) {
			start = false;
			(void)machine_cont(m, NULL);
		}
		machine_report_sync_errors(m);
		pause_for_faults(m);
		machine_start_reapers(m);
		machine_notify_state(m);
		rc = loop_once(&m->loop);
	}
	if (rc < 0)
		log_error("event loop: poll: %s", strerror(-rc));
	machine_notify_end(m);
	park_all(m);
	pthread_mutex_unlock(&m->lock);
	return rc ? rc : result;
}
