// SPDX-License-Identifier: Apache-2.0
// The life of the process that keeps a machine.
#include "keeper.h"

#include "error.h"
#include "keeper_internal.h"
#include "nics.h"
#include "passed_signals.h"
#include "ready.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define HELPER_END_MS 1000u
#define RESIZE_MS 10000u

// ---- what others see of it

static const char *status_of(enum keeper_phase phase, bool is_paused)
{
	switch (phase) {
	case KEEPER_CREATING:
		return "creating";
	case KEEPER_CREATED:
	case KEEPER_STARTING:
		return "created";
	case KEEPER_RUNNING:
		return is_paused ? "paused" : "running";
	case KEEPER_ENDING:
	case KEEPER_OVER:
		break;
	}
	return "stopped";
}

const char *keeper_status_name(const struct keeper *k)
{
	return status_of(k->phase, k->monitor.is_paused);
}

void keeper_set_phase(struct keeper *k, enum keeper_phase phase)
{
	// An end is not taken back. A start that failed is.
	if (phase < k->phase && k->phase >= KEEPER_ENDING)
		return;
	k->phase = phase;
	if (k->plan->status_changed)
		k->plan->status_changed(k->plan->owner, keeper_status_name(k));
}

void keeper_arm(struct keeper *k, unsigned timeout_ms, void (*expired)(void *owner))
{
	loop_del_timer(&k->loop, &k->timer);
	k->timer = (struct loop_timer) { .expired = expired, .owner = k };
	if (loop_add_timer(&k->loop, &k->timer) == 0)
		loop_arm(&k->loop, &k->timer, timeout_ms);
}

// ---- signals

static void on_resized(void *owner, struct json_object *ok, const char *error)
{
	(void)owner;
	(void)ok;
	(void)error;
}

static void resize(struct keeper *k)
{
	struct terminal_size size;
	struct json_object *arguments;

	if (!k->streams.terminal || k->phase < KEEPER_CREATED || k->phase >= KEEPER_ENDING || k->monitor.is_paused)
		return;
	size = terminal_get_size(k->streams.slave_fd);
	arguments = json_object_new_object();
	json_object_object_add(arguments, "process", json_object_new_string("init"));
	json_object_object_add(arguments, "rows", json_object_new_int64(size.rows));
	json_object_object_add(arguments, "columns", json_object_new_int64(size.columns));
	link_ask(&k->link, "resize", arguments, RESIZE_MS, on_resized, k);
}

/*
 * Who signals this process means the container. Before it is created there is none, and the machine ends.
 */
static void on_signal(void *owner, short revents)
{
	struct keeper *k = owner;
	struct signalfd_siginfo info;

	(void)revents;
	if (read(k->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		resize(k);
	} else if (k->phase == KEEPER_CREATING) {
		keeper_fail(k, "signal %u while the container was created", info.ssi_signo);
		k->status = 128 + (int)info.ssi_signo;
	} else {
		keeper_signal(k, (int)info.ssi_signo, false, (struct control_ticket) { 0 });
	}
}

// ---- its life

static void tear_down(struct keeper *k)
{
	struct vpmem_error gone = { .text = "the machine has ended" };

	// Before the processes end: none of it is news any more.
	link_close(&k->link);
	ready_report(&k->ready_fd, &gone);
	vm_monitor_close(&k->monitor);
	helper_end(&k->pmvm, k->phase == KEEPER_OVER ? 0 : HELPER_END_MS);
	// It ends by itself when pmvm has.
	helper_end(&k->virtiofsd, HELPER_END_MS);
	keeper_pod_free(k);
	control_close(&k->control);
	keeper_exec_free(k);
	streams_close(&k->streams);
	parts_fini(&k->parts);
	if (k->signals.fd >= 0)
		close(k->signals.fd);
	if (k->view_fd >= 0)
		close(k->view_fd);
	if (k->plan->nics)
		nics_fini(k->plan->nics);
}

static void run(struct keeper *k, transport_open *open)
{
	struct vpmem_error err = { 0 };
	int rc = passed_signals_watch(&k->loop, &k->signals, &err);

	rc = rc ? rc : keeper_start(k, open, &err);
	if (rc < 0)
		ready_report(&k->ready_fd, &err);
	while (rc == 0 && k->phase != KEEPER_OVER)
		rc = loop_once(&k->loop);
	keeper_set_phase(k, KEEPER_OVER);
	tear_down(k);
}

int keeper_run_with(const struct machine_plan *plan, int ready_fd, transport_open *open)
{
	struct keeper k = {
		.plan = plan,
		.ready_fd = ready_fd,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.status = KEEPER_FAILED,
		.transport = { .listener_fd = -1, .vhost_fd = -1 },
		.signals = { .fd = -1, .ready = on_signal, .owner = &k },
		.view_fd = -1,
	};

	pthread_mutex_lock(&k.lock);
	if (loop_init(&k.loop, &k.lock) < 0)
		return KEEPER_FAILED;
	run(&k, open);
	loop_fini(&k.loop);
	pthread_mutex_unlock(&k.lock);
	return k.status;
}

int keeper_run(const struct machine_plan *plan, int ready_fd)
{
	return keeper_run_with(plan, ready_fd, transport_open_vsock);
}
