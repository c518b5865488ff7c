// SPDX-License-Identifier: Apache-2.0
// The process that stands for a further container of a pod.
#include "member_internal.h"

#include "control.h"
#include "descriptor.h"
#include "error.h"
#include "keeper.h"
#include "log.h"
#include "passed_signals.h"
#include "ready.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTOR_MS 10000
#define KEEPER_END_MS 500

static void note(struct member *m, const char *status)
{
	if (m->plan->status_changed)
		m->plan->status_changed(m->plan->owner, status);
}

// ---- its end

static void fail(struct member *m, const struct vpmem_error *err)
{
	if (m->ready_fd >= 0)
		ready_report(&m->ready_fd, err);
	else if (!m->has_exited)
		log_error("container %s: %s", m->plan->id, err->text);
	m->is_over = true;
}

static void check_over(struct member *m)
{
	m->is_over |= m->is_drained && m->is_gone;
}

static void on_drained(void *owner)
{
	struct member *m = owner;

	m->is_drained = true;
	check_over(m);
}

static void on_exit_event(struct member *m, struct json_object *message)
{
	if (m->has_exited)
		return;
	m->has_exited = true;
	m->status = m->lost_status ? m->lost_status : json_object_get_int(json_object_object_get(message, "status"));
	note(m, "stopped");
	streams_drain(&m->streams, on_drained, m);
}

/*
 * The guest waits without end for what it has asked virtiofsd for, with a lock that all its shares need. A new one, which has
 * nothing to serve, refuses that with EIO, and all that comes later, as nobody has opened a session with it. So the container
 * can end, and its device can go.
 */
static void replace_virtiofsd(struct member *m)
{
	const struct share_plan plan = {
		.program = m->plan->paths.virtiofsd,
		.dir = m->parts.share_dir,
		.socket_dir = m->plan->state_dir,
		.listener_fd = &m->listener_fd,
	};
	struct vpmem_error err = { 0 };

	helper_end(&m->virtiofsd, 0);
	if (share_server_start(&m->virtiofsd, &plan, &m->loop, NULL, NULL, NULL, &err) < 0)
		log_error("container %s: %s", m->plan->id, err.text);
}

static void on_virtiofsd_ended(void *owner)
{
	struct member *m = owner;
	struct vpmem_error err = { 0 };
	// As for a single container, SIGKILL is what the kernel sends where memory is short.
	const bool is_killed = WIFSIGNALED(m->virtiofsd.status) && WTERMSIG(m->virtiofsd.status) == SIGKILL;
	struct pollfd keeper = { .fd = m->keeper_fd, .events = POLLRDHUP };
	char words[512];

	// It ends because pmvm has let it go, as a rule.
	if (m->has_exited || m->is_over || poll(&keeper, 1, KEEPER_END_MS) != 0)
		return;
	error_set(&err, -EIO, "the volumes are gone: virtiofsd: %.400s",
	          helper_last_words(&m->virtiofsd, words, sizeof(words)));
	replace_virtiofsd(m);
	// The keeper hears of it from pmvm, as it does not read while `create` is under way.
	if (m->ready_fd >= 0) {
		fail(m, &err);
		return;
	}
	// The keeper takes the container out of the guest, and says when it has ended.
	(void)member_tell(m, member_request(m, "lost"), NULL);
	log_error("container %s: %s", m->plan->id, err.text);
	m->lost_status = is_killed ? 128 + SIGKILL : KEEPER_FAILED;
}

// ---- what the keeper says

static void check_created(struct member *m)
{
	struct vpmem_error err = { 0 };

	if (m->ready_fd < 0 || !m->has_answered || !streams_are_complete(&m->streams))
		return;
	if (m->plan->joined_dir && binds_cover_root(m->plan->joined_dir, &err) < 0) {
		fail(m, &err);
		return;
	}
	note(m, "created");
	ready_report(&m->ready_fd, NULL);
}

static void on_stream(struct member *m, const char *which)
{
	int fd = descriptor_receive(m->keeper_fd, DESCRIPTOR_MS);

	if (fd >= 0 && streams_attach(&m->streams, which, fd) < 0)
		close(fd);
	check_created(m);
}

static void on_message(struct member *m, struct json_object *message)
{
	struct json_object *val = NULL;
	struct vpmem_error err = { 0 };

	if (json_object_object_get_ex(message, "stream", &val)) {
		on_stream(m, json_object_get_string(val));
	} else if (json_object_object_get_ex(message, "event", &val)) {
		if (strcmp(json_object_get_string(val), "exit") == 0) {
			on_exit_event(m, message);
		} else {
			m->is_gone = true;
			check_over(m);
		}
	} else if (!m->has_answered && control_result(message, NULL, &err) < 0) {
		fail(m, &err);
	} else {
		// Later ones answer what nobody waits for: a signal, a size.
		m->has_answered = true;
		check_created(m);
	}
}

// The machine has ended with all that ran in it.
static void on_lost(struct member *m)
{
	struct vpmem_error err = { 0 };

	error_set(&err, -EPIPE, "the machine of the pod has ended");
	if (!m->has_exited) {
		m->status = 128 + SIGKILL;
		note(m, "stopped");
	}
	fail(m, &err);
}

static void on_keeper(void *owner, short revents)
{
	struct member *m = owner;
	struct json_object *message;
	int rc = wire_read(&m->reader, m->keeper_fd, &message, NULL);

	(void)revents;
	if (rc == 1) {
		on_message(m, message);
		json_object_put(message);
	} else if (rc < 0) {
		loop_set_events(&m->loop, &m->keeper, 0);
		on_lost(m);
	}
}

// ---- what it says to the keeper

static void on_signal(void *owner, short revents)
{
	struct member *m = owner;
	struct signalfd_siginfo info;
	struct json_object *message;

	(void)revents;
	if (read(m->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || m->has_exited || m->ready_fd >= 0)
		return;
	if (info.ssi_signo == SIGWINCH) {
		const struct terminal_size size = terminal_get_size(m->streams.slave_fd);

		message = member_request(m, "resize");
		json_object_object_add(message, "rows", json_object_new_int64(size.rows));
		json_object_object_add(message, "columns", json_object_new_int64(size.columns));
	} else {
		message = member_request(m, "kill");
		json_object_object_add(message, "signal", json_object_new_int((int)info.ssi_signo));
	}
	(void)member_tell(m, message, NULL);
}

// ---- its life

static int start(struct member *m, struct vpmem_error *err)
{
	const struct bundle *bundle = m->plan->bundle;
	const struct terminal_size size = { bundle->console_rows, bundle->console_columns };
	int rc = passed_signals_watch(&m->loop, &m->signals, err);

	rc = rc ? rc : streams_open(&m->streams, &m->loop, bundle->terminal, m->plan->console_socket, size, err);
	if (rc < 0)
		return rc;
	m->keeper_fd = control_connect(m->plan->pod_dir, err);
	if (m->keeper_fd < 0)
		return m->keeper_fd;
	rc = member_come_in(m, on_virtiofsd_ended, err);
	if (rc < 0)
		return rc;
	m->keeper = (struct loop_source) { .fd = m->keeper_fd, .events = POLLIN, .ready = on_keeper, .owner = m };
	rc = loop_add(&m->loop, &m->keeper);
	return rc ? error_set(err, rc, "out of memory") : 0;
}

static void tear_down(struct member *m)
{
	streams_close(&m->streams);
	wire_reader_fini(&m->reader);
	// The keeper takes what is left out of the guest.
	if (m->keeper_fd >= 0)
		close(m->keeper_fd);
	// A guest that still has the device would wait for ever, and it ends when pmvm has removed it.
	if (m->is_served)
		helper_abandon(&m->virtiofsd);
	else
		helper_end(&m->virtiofsd, 0);
	parts_fini(&m->parts);
	free(m->addresses);
	json_object_put(m->joined);
	if (m->listener_fd >= 0)
		close(m->listener_fd);
	if (m->signals.fd >= 0)
		close(m->signals.fd);
	if (m->ready_fd >= 0)
		close(m->ready_fd);
}

int member_run(const struct machine_plan *plan, int ready_fd)
{
	struct member m = {
		.plan = plan,
		.ready_fd = ready_fd,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.keeper_fd = -1,
		.listener_fd = -1,
		.signals = { .fd = -1, .ready = on_signal, .owner = &m },
		.status = KEEPER_FAILED,
	};
	struct vpmem_error err = { 0 };
	int rc;

	pthread_mutex_lock(&m.lock);
	if (loop_init(&m.loop, &m.lock) < 0)
		return KEEPER_FAILED;
	rc = start(&m, &err);
	if (rc < 0)
		fail(&m, &err);
	while (rc == 0 && !m.is_over)
		rc = loop_once(&m.loop);
	tear_down(&m);
	loop_fini(&m.loop);
	pthread_mutex_unlock(&m.lock);
	return m.status;
}
