// SPDX-License-Identifier: Apache-2.0
// Exercises files on a DAX file system from inside the guest, for the demo and the tests.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// One line of a record file, so that `cat` shows it: number and checksum, of fixed length.
#define RECORD_FORMAT "record %010" PRIu64 " %016" PRIx64 "\n"
#define RECORD_LEN 35

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "dax-tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	const uint64_t value = strtoull(text, &end, 0);
	if (errno || end == text || *end) {
		fprintf(stderr, "dax-tool: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

// splitmix64's mixing step: neighbouring inputs give unrelated outputs.
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

// A file is processed eight bytes at a time; the last piece may be shorter.
enum { WORD_LEN = 8 };

static uint64_t pattern(uint64_t seed, uint64_t off)
{
	return mix(seed * 0x9e3779b97f4a7c15u + off / WORD_LEN);
}

static size_t word_len(size_t off, size_t size)
{
	return size - off < WORD_LEN ? size - off : WORD_LEN;
}

static int open_file(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	return fd;
}

static size_t file_size(int fd, const char *path)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		die(path);
	return (size_t)st.st_size;
}

// /dev/daxX.Y has no size to set and no fsync, and is mapped in units of its alignment.
static bool is_device(int fd, const char *path)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		die(path);
	return S_ISCHR(st.st_mode);
}

static uint8_t *map_file(int fd, size_t size, int prot, const char *path)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	return p;
}

static int cmd_write(char **args)
{
	const size_t size = number(args[1]);
	const uint64_t seed = number(args[2]);
	const int fd = open_file(args[0], O_RDWR | O_CREAT);
	const bool device = is_device(fd, args[0]);
	if (!device && ftruncate(fd, (off_t)size) < 0)
		die(args[0]);
	uint8_t *p = map_file(fd, size, PROT_READ | PROT_WRITE, args[0]);
	for (size_t off = 0; off < size; off += WORD_LEN) {
		const uint64_t word = pattern(seed, off);
		memcpy(p + off, &word, word_len(off, size));
	}
	if (!device && msync(p, size, MS_SYNC) < 0)
		die("msync");
	printf("ok %zu\n", size);
	return 0;
}

static int cmd_verify(char **args)
{
	const size_t size = number(args[1]);
	const uint64_t seed = number(args[2]);
	const int fd = open_file(args[0], O_RDONLY);
	if (!is_device(fd, args[0]) && file_size(fd, args[0]) != size) {
		printf("wrong size %zu\n", file_size(fd, args[0]));
		return 1;
	}
	const uint8_t *p = map_file(fd, size, PROT_READ, args[0]);
	for (size_t off = 0; off < size; off += WORD_LEN) {
		const uint64_t word = pattern(seed, off);
		if (memcmp(p + off, &word, word_len(off, size)) != 0) {
			printf("wrong bytes at %zu\n", off);
			return 1;
		}
	}
	printf("ok %zu\n", size);
	return 0;
}

// Another file's bytes, past the page cache and straight into the pages of the mapping: a device writes there.
static int cmd_direct(char **args)
{
	const int from = open_file(args[0], O_RDONLY | O_DIRECT);
	const int to = open_file(args[1], O_RDWR | O_CREAT);
	const size_t size = file_size(from, args[0]);
	if (ftruncate(to, (off_t)size) < 0)
		die(args[1]);
	uint8_t *p = map_file(to, size, PROT_READ | PROT_WRITE, args[1]);
	for (size_t done = 0; done < size;) {
		const ssize_t n = read(from, p + done, size - done);
		if (n <= 0)
			die(args[0]);
		done += (size_t)n;
	}
	if (fsync(to) < 0)
		die(args[1]);
	printf("ok %zu\n", size);
	return 0;
}

// A virtio-pmem guest must refuse MAP_SYNC: stores are durable only after a flush request.
static int cmd_mapsync(char **args)
{
	const int fd = open_file(args[0], O_RDWR | O_CREAT);
	if (file_size(fd, args[0]) == 0 && ftruncate(fd, 4096) < 0)
		die(args[0]);
	const void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	if (p != MAP_FAILED) {
		puts("mapped");
		return 1;
	}
	const int error = errno;
	puts(strerrorname_np(error));
	return error == EOPNOTSUPP ? 0 : 1;
}

static int cmd_fsync(char **args)
{
	const uint64_t n = number(args[1]);
	const int fd = open_file(args[0], O_RDWR | O_CREAT);
	if (file_size(fd, args[0]) < 4096 && ftruncate(fd, 4096) < 0)
		die(args[0]);
	volatile uint8_t *p = map_file(fd, 4096, PROT_READ | PROT_WRITE, args[0]);
	for (uint64_t i = 0; i < n; i++) {
		p[i % 4096]++;
		if (fsync(fd) < 0)
			die("fsync");
	}
	printf("fsync %" PRIu64 "\n", n);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare_ns(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

// One store through a mapping, and the call that makes it durable, timed N times; the first ones warm up.
static int cmd_latency(char **args)
{
	enum { WARM_UP = 10 };
	const uint64_t n = number(args[1]);
	const bool sync_mapping = strcmp(args[2], "msync") == 0;
	const int fd = open_file(args[0], O_RDWR | O_CREAT);
	if (file_size(fd, args[0]) < 4096 && ftruncate(fd, 4096) < 0)
		die(args[0]);
	uint8_t *p = map_file(fd, 4096, PROT_READ | PROT_WRITE, args[0]);
	uint64_t *times = calloc(n + WARM_UP, sizeof(*times));
	if (!times || n == 0)
		die("calloc");
	for (uint64_t i = 0; i < n + WARM_UP; i++) {
		const uint64_t began = now_ns();
		p[i % 4096]++;
		if (sync_mapping ? msync(p, 4096, MS_SYNC) : fsync(fd))
			die(args[2]);
		times[i] = now_ns() - began;
	}
	qsort(times + WARM_UP, n, sizeof(*times), compare_ns);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", times[WARM_UP + n / 2], times[WARM_UP], times[WARM_UP + n - 1]);
	free(times);
	return 0;
}

static void format_record(char line[static RECORD_LEN + 1], uint64_t i)
{
	const int len = snprintf(line, RECORD_LEN + 1, RECORD_FORMAT, i, mix(i));
	if (len != RECORD_LEN) {
		fprintf(stderr, "dax-tool: record number too large: %" PRIu64 "\n", i);
		exit(2);
	}
}

// The number of good records at the beginning of the file, which is the number of the last one.
static uint64_t good_records(int fd, const char *path)
{
	char expected[RECORD_LEN + 1], line[RECORD_LEN];
	for (uint64_t i = 1;; i++) {
		const ssize_t len = pread(fd, line, RECORD_LEN, (off_t)((i - 1) * RECORD_LEN));
		if (len < 0)
			die(path);
		format_record(expected, i);
		if (len != RECORD_LEN || memcmp(line, expected, RECORD_LEN) != 0)
			return i - 1;
	}
}

// Continues after the last good record, so that it can be called again after a power failure.
static void write_records(int fd, const char *path, uint64_t n, int (*sync)(int fd), const char *prefix)
{
	const uint64_t first = good_records(fd, path) + 1;
	for (uint64_t i = first; i < first + n; i++) {
		char line[RECORD_LEN + 1];
		format_record(line, i);
		if (pwrite(fd, line, RECORD_LEN, (off_t)((i - 1) * RECORD_LEN)) != RECORD_LEN)
			die(path);
		if (sync(fd) < 0)
			die("sync");
		printf("%srecord %" PRIu64 " durable\n", prefix, i);
	}
}

static int cmd_records(char **args)
{
	const int fd = open_file(args[0], O_RDWR | O_CREAT);
	if (ftruncate(fd, (off_t)(good_records(fd, args[0]) * RECORD_LEN)) < 0)
		die(args[0]);
	write_records(fd, args[0], number(args[1]), fsync, "");
	return 0;
}

// For several writers on one console. In place, only data changes, so each fdatasync is a flush of its own, at the same
// time as those of other writers. Writers that append wait for each other in the file system's journal.
static int cmd_named_records(char **args)
{
	const bool in_place = strcmp(args[2], "in-place") == 0;
	const int fd = open_file(args[0], O_RDWR | O_CREAT);
	char prefix[64];
	if (snprintf(prefix, sizeof(prefix), "%s: ", args[0]) >= (int)sizeof(prefix)) {
		fprintf(stderr, "dax-tool: name too long: %s\n", args[0]);
		return 2;
	}
	const uint64_t room = file_size(fd, args[0]) / RECORD_LEN;
	uint64_t n = number(args[1]);
	if (in_place && n > room - good_records(fd, args[0]))
		n = room - good_records(fd, args[0]);
	if (!in_place && ftruncate(fd, (off_t)(good_records(fd, args[0]) * RECORD_LEN)) < 0)
		die(args[0]);
	write_records(fd, args[0], n, in_place ? fdatasync : fsync, prefix);
	return 0;
}

static int cmd_check_records(char **args)
{
	printf("%" PRIu64 "\n", good_records(open_file(args[0], O_RDONLY), args[0]));
	return 0;
}

static int cmd_isdax(char **args)
{
	struct statx st;
	if (statx(AT_FDCWD, args[0], 0, STATX_BASIC_STATS, &st) < 0)
		die(args[0]);
	const bool dax = st.stx_attributes & STATX_ATTR_DAX;
	puts(dax ? "dax" : "not dax");
	return dax ? 0 : 1;
}

static int cmd_cache(char **args)
{
	(void)args;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long kib;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Cached: %lu kB", &kib) == 1) {
			printf("%lu\n", kib);
			fclose(f);
			return 0;
		}
	}
	die("/proc/meminfo");
}

static int cmd_read(char **args)
{
	const int fd = open_file(args[0], O_RDONLY);
	const size_t size = file_size(fd, args[0]);
	uint64_t hash = size;
	const uint8_t *p = size ? map_file(fd, size, PROT_READ, args[0]) : NULL;
	for (size_t off = 0; off < size; off += WORD_LEN) {
		uint64_t word = 0;
		memcpy(&word, p + off, word_len(off, size));
		hash = mix(hash + word);
	}
	printf("%016" PRIx64 " %zu\n", hash, size);
	return 0;
}

// Sleeps until then: polling every few milliseconds would take the processor from the program that makes the file.
static int cmd_await(char **args)
{
	char event[sizeof(struct inotify_event) + NAME_MAX + 1];
	char *slash = strrchr(args[0], '/');
	const int fd = inotify_init1(IN_CLOEXEC);

	if (!slash || slash == args[0]) {
		fprintf(stderr, "dax-tool: not a file in a directory: %s\n", args[0]);
		return 2;
	}
	*slash = '\0';
	if (fd < 0 || inotify_add_watch(fd, args[0], IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		die(args[0]);
	*slash = '/';
	while (access(args[0], F_OK) < 0)
		if (read(fd, event, sizeof(event)) < 0)
			die(args[0]);
	printf("%s is there\n", args[0]);
	return 0;
}

static const struct command {
	const char *name, *args, *help;
	int nargs;
	int (*run)(char **args);
} commands[] = {
	{ .name = "write",
	  .nargs = 3,
	  .run = cmd_write,
	  .args = "FILE BYTES SEED",
	  .help = "write a pattern through a mapping, msync it (a DAX device has no msync)" },
	{ .name = "verify", .nargs = 3, .run = cmd_verify, .args = "FILE BYTES SEED", .help = "check that pattern" },
	{ .name = "direct",
	  .nargs = 2,
	  .run = cmd_direct,
	  .args = "FROM TO",
	  .help = "copy by O_DIRECT reads into a mapping, fsync it" },
	{ .name = "read",
	  .nargs = 1,
	  .run = cmd_read,
	  .args = "FILE",
	  .help = "read all through a mapping, print a checksum and the size" },
	{ .name = "fsync",
	  .nargs = 2,
	  .run = cmd_fsync,
	  .args = "FILE N",
	  .help = "N times: one store through a mapping, one fsync" },
	{ .name = "latency",
	  .nargs = 3,
	  .run = cmd_latency,
	  .args = "FILE N fsync|msync",
	  .help = "the same, timed; print median, minimum and maximum in nanoseconds" },
	{ .name = "mapsync",
	  .nargs = 1,
	  .run = cmd_mapsync,
	  .args = "FILE",
	  .help = "try MAP_SYNC, print the error; success is EOPNOTSUPP" },
	{ .name = "records",
	  .nargs = 2,
	  .run = cmd_records,
	  .args = "FILE N",
	  .help = "append N checksummed records, an fsync after each" },
	{ .name = "named-records",
	  .nargs = 3,
	  .run = cmd_named_records,
	  .args = "FILE N in-place|append",
	  .help = "the same, each line with the file's name; in-place: overwrite, with fdatasync" },
	{ .name = "check-records",
	  .nargs = 1,
	  .run = cmd_check_records,
	  .args = "FILE",
	  .help = "print the number of the last good record" },
	{ .name = "isdax",
	  .nargs = 1,
	  .run = cmd_isdax,
	  .args = "FILE",
	  .help = "print whether the file is accessed by DAX" },
	{ .name = "await",
	  .nargs = 1,
	  .run = cmd_await,
	  .args = "FILE",
	  .help = "sleep until the file exists, print a line" },
	{ .name = "cache",
	  .nargs = 0,
	  .run = cmd_cache,
	  .args = "",
	  .help = "print the size of the page cache in KiB" },
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0); // a line is written as soon as its fsync has returned
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];
		if (argc == c->nargs + 2 && strcmp(argv[1], c->name) == 0)
			return c->run(argv + 2);
	}
	fputs("usage: dax-tool COMMAND\n", stderr);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-13s %-15s  %s\n", commands[i].name, commands[i].args, commands[i].help);
	return 2;
}
