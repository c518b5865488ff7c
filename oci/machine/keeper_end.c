// SPDX-License-Identifier: Apache-2.0
// What ends a machine: the container's exit, SIGKILL, a failure of one of the processes.
#include "error.h"
#include "keeper_internal.h"
#include "log.h"
#include "monotonic.h"
#include "ready.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define SHUTDOWN_MS 10000u /* for the guest to unmount and power off */
#define PMVM_END_MS 500
#define LAST_WORDS_MS 3000u /* from the end of the link to that of pmvm */

void keeper_fail(struct keeper *k, const char *fmt, ...)
{
	struct vpmem_error err = { 0 };
	va_list args;

	if (k->phase >= KEEPER_ENDING) {
		// The container's status is known: what is left of the machine is ended.
		keeper_set_phase(k, KEEPER_OVER);
		return;
	}
	va_start(args, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, args);
	va_end(args);
	k->status = KEEPER_FAILED;
	if (k->ready_fd >= 0)
		ready_report(&k->ready_fd, &err);
	else
		log_error("container %s: %s", k->plan->id, err.text);
	keeper_set_phase(k, KEEPER_OVER);
}

// ---- the container ends

static void on_shutdown_timeout(void *owner)
{
	keeper_set_phase(owner, KEEPER_OVER);
}

// The end of pmvm follows, or the timer.
static void on_shutdown(void *owner, struct json_object *ok, const char *error)
{
	(void)owner;
	(void)ok;
	(void)error;
}

static void ask_shutdown(struct keeper *k)
{
	link_ask(&k->link, "shutdown", NULL, SHUTDOWN_MS, on_shutdown, k);
}

static void on_drained(void *owner)
{
	struct keeper *k = owner;
	const uint64_t now_ms = monotonic_ms();
	unsigned limit_ms = SHUTDOWN_MS;

	if (k->kill_end_ms)
		limit_ms = k->kill_end_ms > now_ms ? (unsigned)(k->kill_end_ms - now_ms) : 0;
	keeper_arm(k, limit_ms, on_shutdown_timeout);
	keeper_pod_end(k, ask_shutdown);
}

void keeper_container_exited(struct keeper *k, int status)
{
	if (k->phase >= KEEPER_ENDING)
		return;
	if (k->phase == KEEPER_CREATING) {
		keeper_fail(k, "the agent in the guest says that the container has ended before it was created");
		return;
	}
	k->status = status;
	keeper_set_phase(k, KEEPER_ENDING);
	streams_drain(&k->streams, on_drained, k);
}

void keeper_killed(struct keeper *k)
{
	if (k->phase < KEEPER_ENDING)
		k->status = 128 + SIGKILL;
	keeper_set_phase(k, KEEPER_OVER);
}

// ---- one of the processes ends, or the guest does

// SIGKILL is what the kernel sends where the host, or the control group, has no memory left. An engine knows it by 137.
static void keep_kill_status(struct keeper *k, const struct helper *helper, bool is_known)
{
	if (!is_known && helper->pid == 0 && WIFSIGNALED(helper->status) && WTERMSIG(helper->status) == SIGKILL)
		k->status = 128 + SIGKILL;
}

void keeper_on_pmvm_ended(void *owner)
{
	struct keeper *k = owner;
	// Before it is created, the container has no status: create fails.
	const bool is_known = k->phase < KEEPER_CREATED || k->phase >= KEEPER_ENDING;
	char words[512];

	if (k->why[0])
		keeper_fail(k, "%s", k->why);
	else
		keeper_fail(k, "the machine has ended: %.400s", helper_last_words(&k->pmvm, words, sizeof(words)));
	keep_kill_status(k, &k->pmvm, is_known);
}

void keeper_on_virtiofsd_ended(void *owner)
{
	struct keeper *k = owner;
	const bool is_known = k->phase < KEEPER_CREATED || k->phase >= KEEPER_ENDING;
	struct pollfd pmvm = { .fd = k->pmvm.pid_fd, .events = POLLIN };
	char words[512];

	// It ends because pmvm does, as a rule. Then the end of pmvm is what counts.
	if (k->phase >= KEEPER_ENDING || k->why[0] || k->pmvm.pid == 0 || poll(&pmvm, 1, PMVM_END_MS) != 0)
		return;
	keeper_fail(k, "the volumes are gone: virtiofsd: %.400s",
	            helper_last_words(&k->virtiofsd, words, sizeof(words)));
	keep_kill_status(k, &k->virtiofsd, is_known);
}

void keeper_on_stopped(void *owner, const char *state)
{
	keeper_fail(owner, "the machine has stopped, in run state %s", state);
}

static void on_last_words_timeout(void *owner)
{
	struct keeper *k = owner;

	keeper_fail(k, "%s", k->why);
}

void keeper_on_link_lost(void *owner, const char *why)
{
	struct keeper *k = owner;

	// Ending, it is what was asked for; otherwise a guest that has crashed ends pmvm as well, which may say more.
	if (k->phase >= KEEPER_ENDING)
		return;
	snprintf(k->why, sizeof(k->why), "%s", why);
	keeper_arm(k, LAST_WORDS_MS, on_last_words_timeout);
}
