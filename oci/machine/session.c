// SPDX-License-Identifier: Apache-2.0
// The process that stands for one exec.
#include "session.h"

#include "control.h"
#include "descriptor.h"
#include "error.h"
#include "frame.h"
#include "keeper.h"
#include "log.h"
#include "ready.h"
#include "streams.h"

#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DESCRIPTOR_MS 10000

struct session {
	const struct session_plan *plan;
	int ready_fd; /* -1: it was reported */
	pthread_mutex_t lock;
	struct loop loop;
	int keeper_fd;
	struct wire_reader reader;
	struct loop_source keeper, signals;
	struct streams streams;
	bool is_started, has_exited, is_over;
	int status;
};

// ---- its end

static void fail(struct session *s, const struct vpmem_error *err)
{
	if (s->ready_fd >= 0)
		ready_report(&s->ready_fd, err);
	else if (!s->has_exited)
		log_error("exec: %s", err->text);
	s->is_over = true;
}

static void on_drained(void *owner)
{
	struct session *s = owner;

	s->is_over = true;
}

static void on_exit_event(struct session *s, struct json_object *message)
{
	s->has_exited = true;
	s->status = json_object_get_int(json_object_object_get(message, "status"));
	// An answer to its start that is late is of no more use.
	ready_report(&s->ready_fd, NULL);
	streams_drain(&s->streams, on_drained, s);
}

// ---- what the keeper says

static void on_stream(struct session *s, const char *which)
{
	int fd = descriptor_receive(s->keeper_fd, DESCRIPTOR_MS);

	if (fd >= 0 && streams_attach(&s->streams, which, fd) < 0)
		close(fd);
}

static void on_message(struct session *s, struct json_object *message)
{
	struct json_object *val = NULL;
	struct vpmem_error err = { 0 };

	if (json_object_object_get_ex(message, "stream", &val)) {
		on_stream(s, json_object_get_string(val));
	} else if (json_object_object_get_ex(message, "event", &val)) {
		on_exit_event(s, message);
	} else if (!s->is_started && control_result(message, NULL, &err) < 0) {
		fail(s, &err);
	} else {
		// Later ones answer what nobody waits for: a signal, a size. The streams may come after this.
		s->is_started = true;
		ready_report(&s->ready_fd, NULL);
	}
}

static void on_keeper(void *owner, short revents)
{
	struct session *s = owner;
	struct json_object *message;
	struct vpmem_error err = { 0 };
	int rc = wire_read(&s->reader, s->keeper_fd, &message, &err);

	(void)revents;
	if (rc == 1) {
		on_message(s, message);
		json_object_put(message);
	} else if (rc < 0) {
		loop_set_events(&s->loop, &s->keeper, 0);
		error_set(&err, rc, "the machine has ended");
		if (s->has_exited)
			return;
		// The process has ended with it, as one that is killed. One that did not run is an error of exec.
		if (s->is_started)
			s->status = 128 + SIGKILL;
		fail(s, &err);
	}
}

// ---- what it says to the keeper

static void tell(struct session *s, struct json_object *message)
{
	(void)wire_send(s->keeper_fd, message, NULL);
	json_object_put(message);
}

static void on_signal(void *owner, short revents)
{
	struct session *s = owner;
	struct signalfd_siginfo info;
	struct json_object *message;

	(void)revents;
	if (read(s->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || s->has_exited)
		return;
	message = json_object_new_object();
	if (info.ssi_signo == SIGWINCH) {
		const struct terminal_size size = terminal_get_size(s->streams.slave_fd);

		json_object_object_add(message, "do", json_object_new_string("resize"));
		json_object_object_add(message, "rows", json_object_new_int64(size.rows));
		json_object_object_add(message, "columns", json_object_new_int64(size.columns));
	} else {
		json_object_object_add(message, "do", json_object_new_string("signal"));
		json_object_object_add(message, "signal", json_object_new_int((int)info.ssi_signo));
	}
	tell(s, message);
}

static int watch_signals(struct session *s, struct vpmem_error *err)
{
	static const int passed[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		signal(passed[i], SIG_DFL);
		sigaddset(&set, passed[i]);
	}
	if (s->plan->terminal)
		sigaddset(&set, SIGWINCH);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &set, NULL);
	s->signals = (struct loop_source) {
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN, .ready = on_signal, .owner = s
	};
	if (s->signals.fd < 0 || loop_add(&s->loop, &s->signals) < 0)
		return error_set(err, -ENOMEM, "cannot watch for signals");
	return 0;
}

// ---- its life

static struct terminal_size first_size(struct json_object *process)
{
	struct json_object *size = json_object_object_get(process, "consoleSize");

	return (struct terminal_size) { (unsigned)json_object_get_int(json_object_object_get(size, "height")),
		                        (unsigned)json_object_get_int(json_object_object_get(size, "width")) };
}

static int start(struct session *s, struct vpmem_error *err)
{
	struct json_object *request;
	int rc = watch_signals(s, err);

	rc = rc ? rc :
	          streams_open(&s->streams, &s->loop, s->plan->terminal, s->plan->console_socket,
	                       first_size(s->plan->process), err);
	if (rc < 0)
		return rc;
	s->keeper_fd = control_connect(s->plan->state_dir, err);
	if (s->keeper_fd < 0)
		return s->keeper_fd;
	s->keeper = (struct loop_source) { .fd = s->keeper_fd, .events = POLLIN, .ready = on_keeper, .owner = s };
	rc = loop_add(&s->loop, &s->keeper);
	if (rc < 0)
		return error_set(err, rc, "out of memory");
	request = json_object_new_object();
	json_object_object_add(request, "do", json_object_new_string("exec"));
	json_object_object_add(request, "process", json_object_get(s->plan->process));
	if (s->plan->container)
		json_object_object_add(request, "container", json_object_new_string(s->plan->container));
	if (s->plan->cgroup)
		json_object_object_add(request, "cgroup", json_object_new_string(s->plan->cgroup));
	rc = wire_send(s->keeper_fd, request, err);
	json_object_put(request);
	return rc;
}

static void tear_down(struct session *s)
{
	streams_close(&s->streams);
	wire_reader_fini(&s->reader);
	if (s->keeper_fd >= 0)
		close(s->keeper_fd);
	if (s->signals.fd >= 0)
		close(s->signals.fd);
	if (s->ready_fd >= 0)
		close(s->ready_fd);
}

int session_run(const struct session_plan *plan, int ready_fd)
{
	struct session s = {
		.plan = plan,
		.ready_fd = ready_fd,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.keeper_fd = -1,
		.signals = { .fd = -1 },
		.status = KEEPER_FAILED,
	};
	struct vpmem_error err = { 0 };
	int rc;

	pthread_mutex_lock(&s.lock);
	if (loop_init(&s.loop, &s.lock) < 0)
		return KEEPER_FAILED;
	rc = start(&s, &err);
	if (rc < 0)
		fail(&s, &err);
	while (rc == 0 && !s.is_over)
		rc = loop_once(&s.loop);
	tear_down(&s);
	loop_fini(&s.loop);
	pthread_mutex_unlock(&s.lock);
	return s.status;
}
