// SPDX-License-Identifier: Apache-2.0
// The sandbox of a machine: its stages, and what the broker permits, which follows from the command line.
#include "machine_sandbox.h"

#include "daemon.h"
#include "error.h"
#include "inet.h"
#include "json_value.h"
#include "log.h"
#include "machine.h"
#include "machine_broker.h"
#include "machine_memdev.h"
#include "permit.h"
#include "permit_removal.h"
#include "seccomp_confine.h"
#include "signals.h"
#include "term.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX 512u

static bool is_on(const struct machine *m)
{
	return m->opts->sandbox.mode != SANDBOX_OFF;
}

// ---- descriptors that the command line names

struct fd_list {
	int fds[FDS_MAX];
	unsigned n;
};

static void name_fd(struct fd_list *list, int fd)
{
	if (fd > STDERR_FILENO && list->n < FDS_MAX)
		list->fds[list->n++] = fd;
}

// A path such as /dev/fd/5 or /proc/self/fd/5.
static void name_fd_of_path(struct fd_list *list, const char *path)
{
	const char *number = path ? strstr(path, "/fd/") : NULL;

	if (number)
		name_fd(list, atoi(number + strlen("/fd/")));
}

static void name_fds_of_objects(struct fd_list *list, const struct machine_config *opts)
{
	for (unsigned i = 0; i < opts->nobjects; i++) {
		struct object_config *cfg = opts->objects[i];

		if (object_type_is(cfg->type, MEMORY_BACKEND))
			name_fd_of_path(list, memdev_config_of(cfg)->mem_path);
		else if (cfg->type == &rng_random_type)
			name_fd_of_path(list, ((const struct rng_config *)object_config_as(cfg, cfg->type))->filename);
	}
}

static void name_fds_of_tap(struct fd_list *list, const struct tap_config *tap)
{
	for (unsigned i = 0; i < tap->ntap_fds; i++)
		name_fd(list, tap->tap_fds[i]);
	for (unsigned i = 0; i < tap->nvhost_fds; i++)
		name_fd(list, tap->vhost_fds[i]);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void name_fds(struct fd_list *list, const struct machine_config *opts)
{
	int daemon_fds[2];

	daemon_get_fds(daemon_fds);
	for (unsigned i = 0; i < 2; i++)
		name_fd(list, daemon_fds[i]);
	name_fd_of_path(list, opts->kernel);
	name_fd_of_path(list, opts->initrd);
	for (unsigned i = 0; i < opts->nchardevs; i++) {
		if (opts->chardevs[i]->fd)
			name_fd(list, atoi(opts->chardevs[i]->fd));
		name_fd_of_path(list, opts->chardevs[i]->path);
		name_fd_of_path(list, opts->chardevs[i]->logfile);
	}
	name_fds_of_objects(list, opts);
	for (unsigned i = 0; i < opts->nnetdevs; i++)
		if (opts->netdevs[i]->type == &netdev_tap_type)
			name_fds_of_tap(list, object_config_as(opts->netdevs[i], &netdev_tap_type));
	for (unsigned i = 0; i < opts->ndevices; i++)
		if (opts->devices[i]->model == &vhost_vsock_pci_model)
			name_fd(list, ((const struct vsock_config *)device_config_as(opts->devices[i],
			                                                             &vhost_vsock_pci_model))
			                      ->vhost_fd);
	qsort(list->fds, list->n, sizeof(list->fds[0]), compare);
}

// ---- what the broker permits

// Not as a whole because a file in them was named: they are everybody's.
static const char *const wide_dirs[] = { "/", "/dev", "/etc", "/proc", "/sys" };

// What a user of /dev/fd or a random generator may name later.
static const char *const common_files[] = { "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/hwrng" };

static bool is_wide(const char *dir)
{
	for (unsigned i = 0; i < sizeof(wide_dirs) / sizeof(wide_dirs[0]); i++)
		if (strcmp(dir, wide_dirs[i]) == 0)
			return true;
	return false;
}

static int permit_dir(const char *dir)
{
	char resolved[PATH_MAX];
	int rc;

	if (!realpath(dir, resolved) || is_wide(resolved))
		return 0;
	rc = permit_add(resolved);
	return rc == -ENOMEM ? rc : 0;
}

// The file, and the directory that it is in.
static int permit_place(const char *path)
{
	char dir[PATH_MAX];
	const char *slash;

	// The name of an abstract socket, or one that nobody can open.
	if (!path || !*path || strlen(path) >= sizeof(dir))
		return 0;
	if (permit_add(path) == -ENOMEM)
		return -ENOMEM;
	slash = strrchr(path, '/');
	if (!slash)
		return permit_dir(".");
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return permit_dir(dir);
}

static int permit_inet(const char *host, const char *port)
{
	struct inet_addr addr;

	if (!port || inet_parse(host, port, &addr) < 0)
		return 0;
	return permit_add_address((const struct sockaddr *)&addr.addr, addr.len);
}

static int permit_chardevs(const struct machine_config *opts)
{
	int rc = 0;

	for (unsigned i = 0; i < opts->nchardevs && rc == 0; i++) {
		const struct chardev_config *cfg = opts->chardevs[i];

		rc = permit_place(cfg->path);
		rc = rc ? rc : permit_place(cfg->logfile);
		rc = rc ? rc : permit_inet(cfg->host, cfg->port);
	}
	return rc;
}

static int permit_objects(const struct machine_config *opts)
{
	int rc = 0;

	for (unsigned i = 0; i < opts->nobjects && rc == 0; i++) {
		struct object_config *cfg = opts->objects[i];

		if (object_type_is(cfg->type, MEMORY_BACKEND))
			rc = permit_place(memdev_config_of(cfg)->mem_path);
		else if (cfg->type == &rng_random_type)
			rc = permit_place(((const struct rng_config *)object_config_as(cfg, cfg->type))->filename);
	}
	return rc;
}

static int permit_net_address(const struct netdev_address *addr)
{
	int rc = permit_place(addr->path);

	return rc ? rc : permit_inet(addr->host, addr->port);
}

static int permit_netdevs(const struct machine_config *opts)
{
	int rc = 0;

	for (unsigned i = 0; i < opts->nnetdevs && rc == 0; i++) {
		struct object_config *cfg = opts->netdevs[i];

		if (cfg->type == &netdev_stream_type) {
			rc = permit_net_address(&((struct stream_config *)object_config_as(cfg, cfg->type))->addr);
		} else if (cfg->type == &netdev_dgram_type) {
			const struct dgram_config *dgram = object_config_as(cfg, cfg->type);

			rc = permit_net_address(&dgram->local);
			rc = rc ? rc : permit_net_address(&dgram->remote);
		}
	}
	return rc;
}

// In the broker.
static int permit_all(void *owner)
{
	const struct machine *m = owner;
	const struct sandbox_config *cfg = &m->opts->sandbox;
	int rc = permit_dir(".");

	permit_begin();
	rc = rc ? rc : permit_place(m->opts->pidfile);
	rc = rc ? rc : permit_objects(m->opts);
	rc = rc ? rc : permit_chardevs(m->opts);
	rc = rc ? rc : permit_netdevs(m->opts);
	for (unsigned i = 0; i < cfg->ndirs && rc == 0; i++)
		rc = permit_add(cfg->dirs[i]);
	for (unsigned i = 0; i < sizeof(common_files) / sizeof(common_files[0]) && rc == 0; i++)
		rc = permit_add(common_files[i]) == -ENOMEM ? -ENOMEM : 0;
	if (cfg->net)
		permit_add_all_addresses();
	return rc;
}

// ---- what the broker may remove, besides sockets and what it creates itself

// A file of the command line that this start creates. One that is there already was somebody's before.
static int permit_new(const char *path)
{
	return path && *path && access(path, F_OK) < 0 && errno == ENOENT ? permit_add_removal(path) : 0;
}

static int permit_new_files(const struct machine_config *opts)
{
	int rc = 0;

	for (unsigned i = 0; i < opts->nchardevs && rc == 0; i++) {
		rc = opts->chardevs[i]->kind == CHARDEV_FILE ? permit_new(opts->chardevs[i]->path) : 0;
		rc = rc ? rc : permit_new(opts->chardevs[i]->logfile);
	}
	for (unsigned i = 0; i < opts->nobjects && rc == 0; i++)
		if (object_type_is(opts->objects[i]->type, MEMORY_BACKEND))
			rc = permit_new(memdev_config_of(opts->objects[i])->mem_path);
	return rc;
}

// Before the broker is forked, and so before this start creates any of them.
static int permit_removals(const struct machine_config *opts, struct vpmem_error *err)
{
	int rc = permit_new_files(opts);

	// One that an earlier process left is used again.
	if (rc == 0 && opts->pidfile)
		rc = permit_add_removal(opts->pidfile);
	return rc ? error_set(err, rc, "sandbox: cannot start the broker: %s", strerror(-rc)) : 0;
}

// ---- stages

static enum seccomp_mode calls_mode(const struct machine *m)
{
	return m->opts->sandbox.mode == SANDBOX_LOG ? SECCOMP_LOG : SECCOMP_KILL;
}

static struct broker_process_options broker_options(struct machine *m)
{
	return (struct broker_process_options) { .ops = machine_broker_ops,
		                                 .nops = machine_broker_nops,
		                                 .permit = permit_all,
		                                 .owner = m,
		                                 .root = m->opts->run_root,
		                                 .calls = calls_mode(m) };
}

int machine_broker_up(struct machine *m, struct vpmem_error *err)
{
	const struct broker_process_options opts = broker_options(m);
	struct fd_list named = { .n = 0 };
	int rc;

	m->broker.fd = -1;
	if (!is_on(m))
		return 0;
	rc = permit_removals(m->opts, err);
	if (rc < 0)
		return rc;
	name_fds(&named, m->opts);
	// It opened a description of its own for an earlier message.
	log_close();
	walls_close_inherited(named.fds, named.n);
	return broker_process_start(&opts, &m->broker, err);
}

void machine_broker_down(struct machine *m)
{
	broker_process_end(&m->broker);
}

// The last wall: what stands above needs calls that it forbids.
static int filter_calls(const struct machine *m, struct vpmem_error *err)
{
	int rc = seccomp_set_up(calls_mode(m), term_restore);

	if (rc == -ENOSYS) {
		log_warn("the sandbox does not filter system calls: %s", seccomp_missing());
		return 0;
	}
	rc = rc ? rc : vpmem_open_pipe();
	rc = rc ? rc : json_value_prepare();
	rc = rc ? rc : seccomp_confine(THREAD_MAIN);
	if (rc == 0)
		return 0;
	error_set(err, rc, "cannot enter the sandbox: the filter of system calls: %s", strerror(-rc));
	error_hint(err, "run without it, for a guest that you trust: -sandbox off");
	return rc;
}

int machine_sandbox_up(struct machine *m, struct vpmem_error *err)
{
	const struct broker_process_options opts = broker_options(m);
	int rc;

	if (!is_on(m))
		return 0;
	// Messages go on, though no descriptor can be opened again by its name below /proc.
	log_open_for_good();
	signals_remember_ignored();
	rc = broker_process_connect(&m->broker, &opts, err);
	if (rc == 0 && m->opts->run_user)
		rc = privileges_drop(&m->run_user, NULL, err);
	rc = rc ? rc : walls_raise(&m->walls, err);
	rc = rc ? rc : filter_calls(m, err);
	machine_hint_limit(rc, err);
	m->is_sandboxed = rc == 0;
	return rc;
}

// Without a sandbox, the process itself is what changes.
int machine_settled(struct machine *m, struct vpmem_error *err)
{
	const struct privileges *user = m->opts->run_user ? &m->run_user : NULL;

	if (is_on(m))
		return broker_process_settle(user, m->opts->run_root, err);
	if (!user && !m->opts->run_root)
		return 0;
	log_open();
	return privileges_drop(&m->run_user, m->opts->run_root, err);
}
