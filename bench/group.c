// SPDX-License-Identifier: Apache-2.0
/*
 * group.c - what it costs to make several files of one file system durable: by a thread and an fdatasync for each, as
 * devices with a worker of their own do, one file after the other, or by one syncfs for all.
 *
 * Before each round a page of each file is stored to, through a mapping.
 *
 * Usage: bench-group DIRECTORY FILES ROUNDS together|in-turn|syncfs       prints nanoseconds for a round
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 64u
#define FILE_SIZE (16u << 20)
#define PAGE_SIZE 4096u

static unsigned nfiles, nrounds;
static pthread_barrier_t barrier;
static struct file {
	int fd;
	uint8_t *map;
} files[FILES_MAX];

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void open_file(struct file *file, const char *directory, unsigned idx)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%u", directory, idx);
	file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->fd < 0 || posix_fallocate(file->fd, 0, FILE_SIZE))
		die(path);
	file->map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (file->map == MAP_FAILED)
		die(path);
	// Every block is written once: what is measured later changes data only.
	memset(file->map, 1, FILE_SIZE);
	if (fdatasync(file->fd))
		die(path);
}

static void store(struct file *file, unsigned round)
{
	file->map[round * PAGE_SIZE % FILE_SIZE]++;
}

static void *worker(void *opaque)
{
	struct file *file = opaque;

	for (unsigned round = 0; round < nrounds; round++) {
		pthread_barrier_wait(&barrier);
		store(file, round);
		if (fdatasync(file->fd))
			die("fdatasync");
	}
	return NULL;
}

static void together(void)
{
	pthread_t threads[FILES_MAX];

	pthread_barrier_init(&barrier, NULL, nfiles);
	for (unsigned i = 0; i < nfiles; i++)
		if (pthread_create(&threads[i], NULL, worker, &files[i]))
			die("pthread_create");
	for (unsigned i = 0; i < nfiles; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}

static void in_turn(void)
{
	for (unsigned round = 0; round < nrounds; round++)
		for (unsigned i = 0; i < nfiles; i++) {
			store(&files[i], round);
			if (fdatasync(files[i].fd))
				die("fdatasync");
		}
}

static void by_syncfs(void)
{
	for (unsigned round = 0; round < nrounds; round++) {
		for (unsigned i = 0; i < nfiles; i++)
			store(&files[i], round);
		if (syncfs(files[0].fd))
			die("syncfs");
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = { { "together", together }, { "in-turn", in_turn }, { "syncfs", by_syncfs } };
	uint64_t began;

	nfiles = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
	nrounds = argc == 5 ? (unsigned)atoi(argv[3]) : 0;
	for (unsigned i = 0; i < 3 && nfiles > 0 && nfiles <= FILES_MAX && nrounds > 0; i++) {
		if (strcmp(argv[4], ways[i].name) != 0)
			continue;
		for (unsigned file = 0; file < nfiles; file++)
			open_file(&files[file], argv[1], file);
		sync();
		// Who counts the disk's flushes begins here, and continues on request.
		puts("ready");
		fflush(stdout);
		(void)getchar();
		began = now_ns();
		ways[i].run();
		printf("%llu\n", (unsigned long long)((now_ns() - began) / nrounds));
		return 0;
	}
	fprintf(stderr, "usage: bench-group DIRECTORY FILES(1-%u) ROUNDS together|in-turn|syncfs\n", FILES_MAX);
	return 2;
}
