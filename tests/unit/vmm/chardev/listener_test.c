// SPDX-License-Identifier: Apache-2.0
// Sockets in the file system: who gets the path, who may connect, and peers that cannot be accepted.
#include "listen.h"
#include "listener.h"
#include "monotonic.h"
#include "unit_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RACE_ROUNDS 300u

static bool has_noreplace, has_links; // the file system can do this

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct fixture {
	char dir[64], path[128];
	struct loop loop;
	struct listener *listener;
	struct file_id id;
	unsigned naccepted;
	int fd, peer_fd;
} f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.fd = f.peer_fd = -1;
	has_noreplace = has_links = true;
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/socket", f.dir);
	pthread_mutex_lock(&lock);
	alarm(300);
	return loop_init(&f.loop, &lock);
}

static int teardown(void **state)
{
	(void)state;
	listener_close(f.listener);
	if (f.fd >= 0)
		close(f.fd);
	if (f.peer_fd >= 0)
		close(f.peer_fd);
	loop_fini(&f.loop);
	pthread_mutex_unlock(&lock);
	unlink(f.path);
	// Nothing else was left behind.
	return rmdir(f.dir);
}

static int listen_at(const char *path, int *fd)
{
	return listen_unix(path, 0777, 5, fd, &f.id, NULL);
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void leave_stale_socket(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(addr.sun_path, f.path, strlen(f.path) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static void a_stale_socket_is_replaced(void **state)
{
	(void)state;
	leave_stale_socket();
	assert_int_equal(listen_at(f.path, &f.fd), 0);
	f.peer_fd = connect_to(f.path);
	assert_true(f.peer_fd >= 0);
}

static void a_served_socket_is_not_replaced(void **state)
{
	int second = -1;

	(void)state;
	assert_int_equal(listen_at(f.path, &f.fd), 0);
	assert_int_equal(listen_at(f.path, &second), -EADDRINUSE);
	f.peer_fd = connect_to(f.path);
	assert_true(f.peer_fd >= 0);
}

// Takes all descriptors but some. Only in a process of its own.
static void leave_descriptors(int n)
{
	struct rlimit limit;
	int fd = -1, next_fd;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(2);
	while ((next_fd = dup(STDERR_FILENO)) >= 0)
		fd = next_fd;
	for (; n > 0; n--)
		close(fd--);
}

// The new socket and the old one take two descriptors: the third, to ask a server with, fails.
static void a_socket_is_not_replaced_when_its_server_cannot_be_asked(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(listen_at(f.path, &f.fd), 0);
	pid = fork();
	if (pid == 0) {
		int second = -1;

		leave_descriptors(2);
		_exit(listen_at(f.path, &second) == -EADDRINUSE ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	f.peer_fd = connect_to(f.path);
	assert_true(f.peer_fd >= 0);
}

static void what_is_no_socket_stays(void **state)
{
	char target[128];

	(void)state;
	close(open(f.path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(listen_at(f.path, &f.fd), -EADDRINUSE);
	assert_true(S_ISREG(mode_of(f.path)));
	unlink(f.path);
	snprintf(target, sizeof(target), "%s/target", f.dir);
	assert_int_equal(symlink(target, f.path), 0);
	assert_int_equal(listen_at(f.path, &f.fd), -EADDRINUSE);
	assert_true(S_ISLNK(mode_of(f.path)));
	assert_int_equal(mode_of(target), 0);
}

// Called before and after the path is next moved aside, once. Two threads may rename at the same time.
static void (*_Atomic before_rename)(void);
static void (*_Atomic after_rename)(void);

static void call_once(void (*_Atomic *hook)(void), const char *old)
{
	const char *slash = strrchr(old, '/');
	void (*fn)(void) = strcmp(slash ? slash + 1 : old, "socket") == 0 ? atomic_exchange(hook, NULL) : NULL;

	if (fn)
		fn();
}

int __real_renameat(int old_dir, const char *old, int new_dir, const char *new);
int __wrap_renameat(int old_dir, const char *old, int new_dir, const char *new);
int __wrap_renameat(int old_dir, const char *old, int new_dir, const char *new)
{
	int rc;

	call_once(&before_rename, old);
	rc = __real_renameat(old_dir, old, new_dir, new);
	call_once(&after_rename, old);
	return rc;
}

int __real_renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags);
int __wrap_renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags);
int __wrap_renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags)
{
	int rc;

	if (!has_noreplace) {
		errno = EINVAL;
		return -1;
	}
	call_once(&before_rename, old);
	rc = __real_renameat2(old_dir, old, new_dir, new, flags);
	call_once(&after_rename, old);
	return rc;
}

int __real_linkat(int old_dir, const char *old, int new_dir, const char *new, int flags);
int __wrap_linkat(int old_dir, const char *old, int new_dir, const char *new, int flags);
int __wrap_linkat(int old_dir, const char *old, int new_dir, const char *new, int flags)
{
	if (has_links)
		return __real_linkat(old_dir, old, new_dir, new, flags);
	errno = EPERM;
	return -1;
}

static void another_program_replaces_the_socket(void)
{
	unlink(f.path);
	assert_int_equal(listen_at(f.path, &f.peer_fd), 0);
}

static void is_reached_by_name(const char *path)
{
	int peer = connect_to(path);

	assert_true(peer >= 0);
	close(peer);
}

// Between the check of a stale socket and its removal, another program has put its own there.
static void a_socket_that_was_stale_a_moment_ago_is_not_replaced(void **state)
{
	(void)state;
	leave_stale_socket();
	before_rename = another_program_replaces_the_socket;
	assert_int_equal(listen_at(f.path, &f.fd), -EADDRINUSE);
	assert_null(atomic_load(&before_rename));
	is_reached_by_name(f.path);
}

static void nor_on_a_file_system_without_noreplace(void **state)
{
	has_noreplace = false;
	a_socket_that_was_stale_a_moment_ago_is_not_replaced(state);
}

static void a_stale_socket_is_replaced_without_noreplace(void **state)
{
	has_noreplace = false;
	a_stale_socket_is_replaced(state);
}

static void a_file_system_without_noreplace_and_hard_links_is_refused(void **state)
{
	(void)state;
	has_noreplace = has_links = false;
	assert_int_equal(listen_at(f.path, &f.fd), -EPERM);
}

static void a_third_program_takes_the_path(void)
{
	close(open(f.path, O_CREAT | O_EXCL | O_WRONLY, 0600));
}

static void another_and_a_third_one_come(void)
{
	another_program_replaces_the_socket();
	after_rename = a_third_program_takes_the_path;
}

// The name under which the socket of a program was left, in the directory.
static void find_kept(char *path, size_t size)
{
	DIR *dir = opendir(f.dir);
	struct dirent *entry;

	path[0] = '\0';
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, ".pmvm-", 6) == 0)
			snprintf(path, size, "%s/%.40s", f.dir, entry->d_name);
	closedir(dir);
}

// It cannot be put back, because the path is taken again. It stays under the spare name, also
// when the next start needs such a name.
static void the_socket_of_another_program_is_never_removed(void **state)
{
	char kept[128];

	(void)state;
	leave_stale_socket();
	before_rename = another_and_a_third_one_come;
	assert_int_equal(listen_at(f.path, &f.fd), -EADDRINUSE);
	assert_true(S_ISREG(mode_of(f.path)));
	find_kept(kept, sizeof(kept));
	is_reached_by_name(kept);
	unlink(f.path);
	leave_stale_socket();
	assert_int_equal(listen_at(f.path, &f.fd), 0);
	is_reached_by_name(kept);
	unlink(kept);
}

struct start {
	pthread_barrier_t *barrier;
	int fd, rc;
	struct file_id id;
};

static void *start_one(void *arg)
{
	struct start *start = arg;

	pthread_barrier_wait(start->barrier);
	start->rc = listen_unix(f.path, 0777, 5, &start->fd, &start->id, NULL);
	return NULL;
}

static bool is_reached(int listen_fd)
{
	int peer = connect_to(f.path), fd;

	assert_true(peer >= 0);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	close(peer);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void drop_probes(int listen_fd)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

// Of two starts at once, over a stale socket and over none, one gets the path, and the other one is refused.
static void of_two_starts_one_has_the_path(void **state)
{
	pthread_barrier_t barrier;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned round = 0; round < RACE_ROUNDS; round++) {
		struct start starts[2] = { { .barrier = &barrier, .fd = -1 }, { .barrier = &barrier, .fd = -1 } };
		pthread_t threads[2];
		unsigned won;

		if (round % 2)
			leave_stale_socket();
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, start_one, &starts[i]), 0);
		for (unsigned i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		won = starts[0].rc == 0 ? 0 : 1;
		assert_int_equal(starts[won].rc, 0);
		assert_int_equal(starts[!won].rc, -EADDRINUSE);
		drop_probes(starts[won].fd);
		assert_true(is_reached(starts[won].fd));
		file_id_unlink(&starts[won].id, f.path);
		close(starts[won].fd);
		assert_int_equal(mode_of(f.path), 0);
	}
	pthread_barrier_destroy(&barrier);
}

static void the_umask_only_takes_away(void **state)
{
	mode_t before = umask(0);

	(void)state;
	assert_int_equal(listen_unix(f.path, 0700, 5, &f.fd, &f.id, NULL), 0);
	assert_int_equal(mode_of(f.path) & 07777, 0700);
	file_id_unlink(&f.id, f.path);
	close(f.fd);
	umask(077);
	assert_int_equal(listen_unix(f.path, 0777, 5, &f.fd, &f.id, NULL), 0);
	assert_int_equal(mode_of(f.path) & 07777, 0700);
	umask(before);
}

// The name beside it is longer, and must not count.
static void the_longest_path_fits(void **state)
{
	struct sockaddr_un addr;
	char path[sizeof(addr.sun_path) + 1];

	(void)state;
	memset(path, 'x', sizeof(path));
	memcpy(path, f.path, strlen(f.path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(listen_at(path, &f.fd), -ENAMETOOLONG);
	path[sizeof(path) - 2] = '\0';
	assert_int_equal(listen_at(path, &f.fd), 0);
	f.peer_fd = connect_to(path);
	assert_true(f.peer_fd >= 0);
	unlink(path);
}

// There the directory has no room for that name.
static void so_does_the_longest_directory(void **state)
{
	struct sockaddr_un addr;
	char dir[sizeof(addr.sun_path) - 2], before[sizeof(f.path)];

	(void)state;
	memcpy(before, f.path, sizeof(before));
	memset(dir, 'x', sizeof(dir));
	memcpy(dir, f.dir, strlen(f.dir));
	dir[strlen(f.dir)] = '/';
	dir[sizeof(dir) - 1] = '\0';
	assert_int_equal(mkdir(dir, 0700), 0);
	for (int round = 0; round < 4; round++) {
		has_noreplace = round < 2;
		snprintf(f.path, sizeof(f.path), "%s/s", dir);
		if (round % 2)
			leave_stale_socket();
		assert_int_equal(listen_at(f.path, &f.fd), 0);
		f.peer_fd = connect_to(f.path);
		assert_true(f.peer_fd >= 0);
		close(f.peer_fd);
		close(f.fd);
		f.fd = f.peer_fd = -1;
		unlink(f.path);
	}
	assert_int_equal(rmdir(dir), 0);
	memcpy(f.path, before, sizeof(before));
}

static void a_name_without_folder_is_in_the_working_directory(void **state)
{
	char before[4096];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(f.dir), 0);
	assert_int_equal(listen_at("socket", &f.fd), 0);
	assert_int_equal(chdir(before), 0);
	f.peer_fd = connect_to(f.path);
	assert_true(f.peer_fd >= 0);
	assert_int_equal(listen_at("no/such/folder/socket", &f.peer_fd), -ENOENT);
}

static int on_accepted(void *owner, int fd)
{
	(void)owner;
	f.naccepted++;
	close(fd);
	return 0;
}

static void open_listener(bool turn_away)
{
	const struct listener_config cfg = {
		.path = f.path,
		.module = "test",
		.mode = 0700,
		.npeers_max = 1,
		.turn_away = turn_away,
		.accepted = on_accepted,
	};

	assert_int_equal(listener_open(&cfg, &f.loop, &f.listener, NULL), 0);
}

static void turn(void)
{
	loop_wake(&f.loop);
	assert_int_equal(loop_once(&f.loop), 0);
}

static void the_end_leaves_the_socket_of_another(void **state)
{
	(void)state;
	open_listener(false);
	unlink(f.path);
	assert_int_equal(listen_at(f.path, &f.fd), 0);
	listener_close(f.listener);
	f.listener = NULL;
	assert_true(S_ISSOCK(mode_of(f.path)));
	f.peer_fd = connect_to(f.path);
	assert_true(f.peer_fd >= 0);
}

// A socket that would be polled again at once took all of a processor's time.
static void without_descriptors_the_loop_sleeps(bool turn_away)
{
	struct rlimit before, none;
	uint64_t began;
	int next_fd;

	open_listener(turn_away);
	f.peer_fd = connect_to(f.path);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	// The lowest number that is free is the first one beyond the limit.
	next_fd = dup(f.peer_fd);
	close(next_fd);
	none = (struct rlimit) { .rlim_cur = (rlim_t)next_fd, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	began = monotonic_ms();
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(f.naccepted, 0);
	// Nobody wakes the loop now but its own timer, which was armed in these turns, for a second.
	assert_int_equal(loop_once(&f.loop), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_true(monotonic_ms() - began > 500);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(f.naccepted, 1);
}

static void a_console_without_descriptors_sleeps(void **state)
{
	(void)state;
	without_descriptors_the_loop_sleeps(false);
}

static void a_monitor_without_descriptors_sleeps(void **state)
{
	(void)state;
	without_descriptors_the_loop_sleeps(true);
}

static void one_too_many_waits_or_is_turned_away(void **state)
{
	char byte;
	int second;

	(void)state;
	open_listener(false);
	f.peer_fd = connect_to(f.path);
	second = connect_to(f.path);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(f.naccepted, 1);
	listener_peer_left(f.listener);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(f.naccepted, 2);
	close(second);
	listener_close(f.listener);
	open_listener(true);
	close(f.peer_fd);
	f.peer_fd = connect_to(f.path);
	second = connect_to(f.path);
	for (unsigned i = 0; i < 10; i++)
		turn();
	assert_int_equal(f.naccepted, 3);
	assert_int_equal(read(second, &byte, 1), 0);
	close(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stale_socket_is_replaced),
		TEST(a_served_socket_is_not_replaced),
		TEST(a_socket_is_not_replaced_when_its_server_cannot_be_asked),
		TEST(what_is_no_socket_stays),
		TEST(a_socket_that_was_stale_a_moment_ago_is_not_replaced),
		TEST(nor_on_a_file_system_without_noreplace),
		TEST(a_stale_socket_is_replaced_without_noreplace),
		TEST(a_file_system_without_noreplace_and_hard_links_is_refused),
		TEST(the_socket_of_another_program_is_never_removed),
		TEST(of_two_starts_one_has_the_path),
		TEST(the_umask_only_takes_away),
		TEST(the_longest_path_fits),
		TEST(so_does_the_longest_directory),
		TEST(a_name_without_folder_is_in_the_working_directory),
		TEST(the_end_leaves_the_socket_of_another),
		TEST(a_console_without_descriptors_sleeps),
		TEST(a_monitor_without_descriptors_sleeps),
		TEST(one_too_many_waits_or_is_turned_away),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
