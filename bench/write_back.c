// SPDX-License-Identifier: Apache-2.0
/*
 * write_back.c - what a flush costs whose pages are written by the process, compared with the page cache's write-back.
 *
 * A bare-metal guest stores to pages of a file that it has as memory, and asks for a flush, again and again. A worker
 * thread makes the stores durable. docs/performance.md explains the figures.
 *
 * Usage: bench-write-back FILE SIZE-MIB MODE WAY WORK NPAGES STEP ROUNDS [count] [unread]
 *   MODE   shared | private | bitmap | unarmed | ring             (write_back.h)
 *   WAY    direct | dsync | uring | uring-dsync | buffered | redo        (of the last three)
 *   WORK   hot    each round stores to the same NPAGES pages, STEP pages apart, and flushes them
 *          cold   each round stores to pages that the guest has not touched before, and flushes them
 *          store  each round stores to the same pages, without a flush; all rounds are measured
 *          load   each round loads from pages that the guest has not touched before, without a flush
 *   count  counts system calls as well, which costs instructions
 *   unread does not compare the file with the guest's stores, for a disk that keeps no data
 * The file exists. All but its first page and the pages of the work may be unwritten.
 * Prints, for a round: nanoseconds, nested faults, those of the fast path, exits, exits to user space, system calls.
 */
#include "write_back.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ALIGNMENT (2ul << 20)
#define WARM_ROUNDS 3u
#define SYS_ENTER "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"

static const char *const mode_names[] = { "shared", "private", "bitmap", "unarmed", "ring", NULL };
static const char *const way_names[] = { "direct", "dsync", "uring", "uring-dsync", "buffered", "redo", NULL };
static const char *const work_names[] = { "hot", "cold", "store", "load", NULL };
enum work { WORK_HOT, WORK_COLD, WORK_STORE, WORK_LOAD };

static enum mode mode;
static enum way way;
static struct window window;
static struct vm vm;
static int calls_fd = -1;
static bool is_counted, is_unread;

void die(const char *what)
{
	fprintf(stderr, "bench-write-back: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int find_name(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	fprintf(stderr, "bench-write-back: no such word: %s\n", name);
	exit(2);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (value == 0 || *end || value > UINT32_MAX) {
		fprintf(stderr, "bench-write-back: not a number from 1: %s\n", text);
		exit(2);
	}
	return value;
}

static void open_window(const char *path, size_t size)
{
	int flags = mode == MODE_SHARED ? MAP_SHARED : MAP_PRIVATE;
	uint8_t *room = mmap(NULL, size + ALIGNMENT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	window.size = size;
	window.fd = open(path, O_RDWR | O_CLOEXEC);
	if (window.fd < 0)
		die(path);
	window.direct_fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (window.direct_fd < 0)
		window.direct_fd = window.fd;
	if (room == MAP_FAILED)
		die("mmap");
	room += (ALIGNMENT - (uintptr_t)room % ALIGNMENT) % ALIGNMENT;
	window.hva = mmap(room, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE, window.fd, 0);
	if (window.hva == MAP_FAILED)
		die("mmap of the file");
}

static void flush(void)
{
	if (mode == MODE_SHARED) {
		if (fdatasync(window.fd) < 0)
			die("fdatasync");
	} else {
		struct dirty dirty = log_take();

		if (way == WAY_REDO)
			redo_write(&dirty);
		else
			write_runs(&dirty);
	}
}

static void open_way(const char *path, size_t npages)
{
	char log[4096];

	if (way != WAY_REDO) {
		write_open(&window, way, npages);
		return;
	}
	snprintf(log, sizeof(log), "%s.log", path);
	redo_open(&window, log);
}

static void *worker(void *opaque)
{
	uint64_t one = 1, count;

	(void)opaque;
	for (;;) {
		if (read(vm.kick_efd, &count, sizeof(count)) != sizeof(count))
			die("eventfd");
		flush();
		if (write(vm.done_efd, &one, sizeof(one)) != sizeof(one))
			die("eventfd");
	}
	return NULL;
}

/* Counts the system calls of this thread, and of those that it starts from now on. */
static void count_calls(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .inherit = 1 };
	FILE *id = fopen(SYS_ENTER, "re");
	unsigned long long config;

	if (!id || fscanf(id, "%llu", &config) != 1)
		die(SYS_ENTER);
	fclose(id);
	attr.config = config;
	calls_fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (calls_fd < 0)
		die("perf_event_open");
}

static uint64_t calls(void)
{
	uint64_t count = 0;

	if (calls_fd >= 0 && read(calls_fd, &count, sizeof(count)) != sizeof(count))
		die("system calls");
	return count;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void measure(const struct guest_work *work)
{
	struct vm_counts before = vm_counts(&vm), after;
	uint64_t calls_before = calls(), began = now_ns(), ns, ncalls;
	double rounds = work->rounds;

	vm_work(&vm, work);
	ns = now_ns() - began;
	ncalls = calls() - calls_before;
	after = vm_counts(&vm);
	printf("ns %.0f faults %.3f fast %.3f exits %.3f user-exits %.3f calls %.3f\n", (double)ns / rounds,
	       (double)(after.faults - before.faults) / rounds,
	       (double)(after.fast_faults - before.fast_faults) / rounds, (double)(after.exits - before.exits) / rounds,
	       (double)(after.user_exits - before.user_exits) / rounds, (double)ncalls / rounds);
}

/* The file has what the guest stored in its last round. */
static void check_file(const struct guest_work *work)
{
	uint32_t value = work->value + work->rounds - 1, found;
	uint64_t first = work->start_gpa - WINDOW_GPA + (uint64_t)(work->rounds - 1) * work->round_step_size;

	for (uint32_t i = 0; i < work->npages; i++) {
		uint64_t off = first + (uint64_t)i * work->step_size;

		if (pread(window.fd, &found, sizeof(found), (off_t)off) != sizeof(found))
			die("pread");
		if (found != value) {
			fprintf(stderr, "bench-write-back: offset 0x%llx of the file has %u, not %u\n",
			        (unsigned long long)off, found, value);
			exit(1);
		}
	}
}

static void run(enum work kind, uint32_t npages, uint32_t step, uint32_t rounds)
{
	bool fresh = kind == WORK_COLD || kind == WORK_LOAD;
	struct guest_work work = { .start_gpa = WINDOW_GPA,
		                   .npages = npages,
		                   .step_size = step * PAGE_SIZE,
		                   .round_step_size = fresh ? npages * step * PAGE_SIZE : 0,
		                   .value = 1 };

	if ((uint64_t)npages * step * (fresh ? rounds + WARM_ROUNDS : 1) * PAGE_SIZE > window.size) {
		fprintf(stderr, "bench-write-back: the work needs more pages than the file has\n");
		exit(2);
	}
	work.flags = (kind == WORK_HOT || kind == WORK_COLD ? GUEST_FLUSH : 0) | (kind == WORK_LOAD ? GUEST_READ : 0);
	if (kind != WORK_STORE) {
		work.rounds = WARM_ROUNDS;
		vm_work(&vm, &work);
		work.start_gpa += WARM_ROUNDS * work.round_step_size;
		work.value += WARM_ROUNDS;
	}
	work.rounds = rounds;
	measure(&work);
	if (way == WAY_REDO && mode != MODE_SHARED)
		redo_apply();
	if ((work.flags & GUEST_FLUSH) && !is_unread)
		check_file(&work);
}

int main(int argc, char **argv)
{
	enum work work;
	pthread_t thread;

	for (int i = 9; i < argc; i++) {
		is_counted |= strcmp(argv[i], "count") == 0;
		is_unread |= strcmp(argv[i], "unread") == 0;
	}
	if (argc < 9 || argc > 9 + is_counted + is_unread) {
		fputs("usage: bench-write-back FILE SIZE-MIB MODE WAY WORK NPAGES STEP ROUNDS [count] [unread]\n",
		      stderr);
		return 2;
	}
	mode = (enum mode)find_name(mode_names, argv[3]);
	way = (enum way)find_name(way_names, argv[4]);
	work = (enum work)find_name(work_names, argv[5]);
	if (mode == MODE_PRIVATE && (work == WORK_HOT || work == WORK_COLD)) {
		fputs("bench-write-back: without a log there is no flush of a private mapping\n", stderr);
		return 2;
	}
	open_window(argv[1], number(argv[2]) << 20);
	if (is_counted)
		count_calls();
	vm_open(&vm, mode, &window);
	log_open(&vm, mode, &window);
	open_way(argv[1], number(argv[6]));
	if (pthread_create(&thread, NULL, worker, NULL))
		die("pthread_create");
	run(work, (uint32_t)number(argv[6]), (uint32_t)number(argv[7]), (uint32_t)number(argv[8]));
	return 0;
}
