// SPDX-License-Identifier: Apache-2.0
/*
 * write_back.h - the parts of bench-write-back, which compares two ways to make a guest's stores durable.
 *
 * The *window* is a file that the guest has as memory. In the mode `shared` it is a shared mapping and a flush is one
 * fdatasync, as in pmvm. In the modes `bitmap` and `ring` it is a private mapping: the kernel neither writes it back nor
 * write-protects it. KVM's dirty log (its bitmap or its ring) reports the pages that the guest stored to, and a flush
 * writes these pages to the file. The mode `private` is the private mapping without a log: no flush is possible. The mode
 * `unarmed` never clears the bitmap: stores do not fault again, and each flush writes all pages that were ever dirty. For
 * the same pages again and again, it is a bound for processors that log stores without an exit (PML).
 */
#ifndef BENCH_WRITE_BACK_H
#define BENCH_WRITE_BACK_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096u
#define WINDOW_GPA 0x40000000u
#define WINDOW_SLOT 1u

enum mode { MODE_SHARED, MODE_PRIVATE, MODE_BITMAP, MODE_UNARMED, MODE_RING };

/* How the dirty pages get to the file and become durable. */
enum way {
	WAY_DIRECT,      // O_DIRECT pwrite for each run of pages, one fdatasync
	WAY_DSYNC,       // O_DIRECT pwritev2 with RWF_DSYNC for each run
	WAY_URING,       // as WAY_DIRECT, all by one io_uring_enter
	WAY_URING_DSYNC, // as WAY_DSYNC, all by one io_uring_enter
	WAY_BUFFERED,    // pwrite through the page cache, one fdatasync
	WAY_REDO         // one O_DIRECT pwrite to a log, one fdatasync; to their places when the log is full
};

struct window {
	uint8_t *hva;
	size_t size;
	int fd;
	int direct_fd; // the same file with O_DIRECT; `fd` where the file system has none
};

/* What the guest does next. The guest reads it at a fixed address: the order and sizes are known to its code. */
struct guest_work {
	uint32_t start_gpa;
	uint32_t npages;
	uint32_t step_size; // from one page to the next
	uint32_t rounds;
	uint32_t round_step_size; // from the first page of a round to that of the next
	uint32_t flags;
	uint32_t value; // that it stores; one more after each round
};
#define GUEST_FLUSH 1u // ask for a flush after each round
#define GUEST_READ 2u  // load instead of store

struct vm {
	int kvm_fd, vm_fd, vcpu_fd;
	int stats_fd;
	struct kvm_run *run;
	struct kvm_dirty_gfn *ring; // MODE_RING
	struct guest_work *work;
	int kick_efd, done_efd;
};

/* Prints what failed with errno, and ends the program. */
_Noreturn void die(const char *what);

// ---- write_back_vm.c: a virtual machine with one vCPU and a guest that knows struct guest_work

#define RING_ENTRIES 65536u // the most that KVM has: a round may dirty that many pages

/* Makes it; the guest is ready for its first work. */
void vm_open(struct vm *vm, enum mode mode, const struct window *window);
/* Lets the guest do `work`. A flush that it asks for is signalled on `kick_efd`, and awaited on `done_efd`. */
void vm_work(struct vm *vm, const struct guest_work *work);

struct vm_counts {
	uint64_t faults, fast_faults, exits, user_exits;
};
/* What KVM has counted so far. */
struct vm_counts vm_counts(struct vm *vm);

// ---- write_back_log.c: which pages are dirty

/* A run of consecutive dirty pages. */
struct run {
	uint32_t first_page, npages;
};
struct dirty {
	struct run *runs;
	size_t nruns;
};
void log_open(struct vm *vm, enum mode mode, const struct window *window);
/* Takes the pages that were stored to since the last call, and arms the log for them again. */
struct dirty log_take(void);

// ---- write_back_write.c: writes them

/* Not for WAY_REDO. */
void write_open(const struct window *window, enum way way, size_t runs_max);
/* Returns when they are durable. */
void write_runs(const struct dirty *dirty);

// ---- write_back_redo.c: WAY_REDO

/* Makes the log, a file at `path`. */
void redo_open(const struct window *window, const char *path);
void redo_write(const struct dirty *dirty);
/* Writes what the log has to its place. */
void redo_apply(void);

#endif
