// SPDX-License-Identifier: Apache-2.0
/*
 * vpmem.h - the virtio-pmem device as a library.
 *
 * A virtual machine monitor that embeds this library gives its guest persistent memory: a host file is
 * mapped into the guest's physical address space, the guest uses it by loads and stores (DAX), and when
 * the guest needs its stores to be durable it puts a flush request into a virtqueue. The library answers
 * that request after one fdatasync(2) of the file. It implements the section "PMEM Device" of the OASIS
 * virtio specification, with split virtqueues.
 *
 * The nouns:
 *
 *   guest memory   vpmem_gmem: which guest-physical addresses are RAM, and where that RAM is in this
 *                  process. Rings and requests may lie in RAM only.
 *   backing        vpmem_backing: one open file, mapped once and synced through the same descriptor
 *                  (Linux reports a writeback error once per open file).
 *   device         vpmem_device: virtio device 27 with one virtqueue. It knows no bus. Its registers are
 *                  the fields of the specification's "common configuration", one function each; a
 *                  transport (PCI, MMIO, vfio-user) maps its own layout onto them.
 *
 * What the library does not do: it creates no virtual machine, opens no socket and prints nothing. The
 * monitor maps the backing (vpmem_backing_hva, vpmem_backing_size) at the address that it gave the device.
 *
 * Threads. A device has one worker thread of its own, created with it and joined when it is destroyed.
 * All functions of a device may be called from any thread, at the same time, except vpmem_device_destroy,
 * which must be the last. Guest memory and backings must not change or go away while a device uses them.
 * A call that needs the device's lock waits for the worker for a bounded time, whatever the guest does: until it has
 * read 512 descriptors, or has answered 128 requests. It waits so once, and once more for each call of another thread
 * that gets the lock first, even if that began later. No call waits for a sync, except vpmem_device_destroy.
 *
 * System calls. A monitor may forbid its process what the library does not need, once the backings are open: then
 * no function opens a file, and none takes a path but vpmem_backing_close, which removes a file that open created and
 * nobody kept. With `files` of struct vpmem_backing_options, neither vpmem_backing_open nor that removal takes a path:
 * the functions given there do, with what calls they need. The calls of the library, as Linux names them, on x86-64
 * with glibc:
 *
 *   the worker           read, fdatasync, futex; on its first lines prctl(PR_SET_NAME), and what the C library does
 *                        where a thread begins and ends (set_robust_list, rseq, rt_sigprocmask, madvise, exit)
 *   device functions     futex, write; create: eventfd2, mmap, mprotect, rt_sigprocmask, clone3 or clone; destroy:
 *                        close, munmap
 *   vpmem_backing_sync   fdatasync
 *   ..._load, ..._store  getpid, process_vm_readv, process_vm_writev on this process itself; where these are refused
 *                        with EPERM or ENOSYS, pipe2, write, read, close
 *   ..._room             fstat, fstatfs, getrusage, fallocate, lseek, pread64, ioctl(FS_IOC_FIEMAP),
 *                        madvise(MADV_POPULATE_WRITE); prlimit64, which reads RLIMIT_FSIZE, and with such a limit
 *                        rt_sigprocmask, rt_sigpending, rt_sigtimedwait
 *   ..._is_truncated     statx
 *   ..._usage            mincore, fstat
 *   ..._close            fdatasync, madvise(MADV_REMOVE), munmap, close; to undo: fcntl(F_OFD_SETLK), ftruncate, and
 *                        what room needs for the limit; without `files` also fcntl(F_GETFL), fstat, lstat, unlink
 *   ..._open with files  fcntl(F_GETFL), fstat, mmap, madvise, mbind, prlimit64, fdatasync; with prealloc fstatfs,
 *                        ioctl(FS_IOC_FIEMAP), ioctl(FS_IOC_GETFLAGS), fallocate; after a failure those of close
 *
 * and of the C library brk, mmap, munmap, mremap for memory, newfstatat for fstat and lstat, and clock_gettime where
 * the kernel's clock cannot be read without a call. The callbacks' own calls come on top. A program that called
 * setlocale(3) may see its C library open a catalogue for the text of an error.
 *
 * Errors. Functions return 0 or -errno. Those with a `struct vpmem_error *err` (may be NULL) fill it when
 * they fail: `text` in QEMU's words where QEMU has the same error, `hint` with the next step or empty.
 *
 * The guest is not trusted: no register value, ring content or request can make these functions read or
 * write outside guest memory, wait without end, or allocate.
 */
#ifndef VPMEM_H
#define VPMEM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VPMEM_API __attribute__((visibility("default")))
#else
#define VPMEM_API
#endif

#define VPMEM_VERSION "0.1.0"

/* A guest's kernel maps persistent memory in units of 2 MiB: a backing is a multiple of it. */
#define VPMEM_GRANULE (UINT64_C(2) << 20)

/* An error as a person reads it: what is wrong, and the next step ("" if there is none). */
struct vpmem_error {
	char text[512];
	char hint[256];
};

/* ---- guest memory -------------------------------------------------------------------------------- */

struct vpmem_gmem;

/* An empty map of guest memory. Returns NULL when out of memory. */
VPMEM_API struct vpmem_gmem *vpmem_gmem_create(void);
VPMEM_API void vpmem_gmem_destroy(struct vpmem_gmem *gmem);

/*
 * Declares [gpa, gpa + size) as RAM that lies at `hva` in this process. Borrows the memory.
 * -EINVAL: size is 0, the range wraps, hva is NULL, or gpa and hva differ modulo 16 (rings are accessed as
 * aligned words). -EEXIST: overlaps a region. -ENOSPC: more than 16 regions.
 */
VPMEM_API int vpmem_gmem_add(struct vpmem_gmem *gmem, uint64_t gpa, uint64_t size, void *hva);

/*
 * The one way from a guest-physical address to a pointer: NULL unless all of [gpa, gpa + len) lies in
 * one region. len 0 gives NULL.
 */
VPMEM_API void *vpmem_gmem_hva(const struct vpmem_gmem *gmem, uint64_t gpa, uint64_t len);

/* ---- backing ------------------------------------------------------------------------------------- */

struct vpmem_backing;

enum vpmem_rom { VPMEM_ROM_AUTO, VPMEM_ROM_ON, VPMEM_ROM_OFF };

/* NUMA policy, the words and meanings of mbind(2). */
enum vpmem_policy {
	VPMEM_POLICY_DEFAULT,
	VPMEM_POLICY_PREFERRED,
	VPMEM_POLICY_BIND,
	VPMEM_POLICY_INTERLEAVE,
};

/* QEMU's word for each policy, with a NULL at the end. */
VPMEM_API extern const char *const vpmem_policy_words[];

/*
 * Real persistent memory (`pmem`): what makes stores leave the CPU caches before a flush is
 * answered. Linux as the guest does so itself: its fsync writes back the cache lines of every page that was
 * stored to, and only then requests a flush. The specification does not require that of a driver, it requires the
 * device to make "all writes completed before a flush request" persist. So the device relies on it only with
 * VPMEM_WRITEBACK_GUEST.
 */
enum vpmem_writeback {
	/*
	 * Neither, where the host's CPU caches are in the persistence domain (eADR: the region's
	 * persistence_domain in sysfs is "cpu_cache"): a store that is visible is durable. Elsewhere as HOST.
	 */
	VPMEM_WRITEBACK_AUTO,
	/* The host: each flush is an fdatasync(2), which writes back the pages stored to since the last one. */
	VPMEM_WRITEBACK_HOST,
	/* The guest: a flush makes no system call. What a guest did not write back itself may be lost. */
	VPMEM_WRITEBACK_GUEST,
};

struct vpmem_file_ops;

/* The properties of QEMU's memory-backend-file, with its defaults in VPMEM_BACKING_OPTIONS_INIT. */
struct vpmem_backing_options {
	const char *id; /* name for messages */
	/* file, block device, directory (then an unlinked scratch file in it), or /dev/daxX.Y */
	const char *path;
	uint64_t size;                  /* bytes to map; 0: what the file has beyond `offset` */
	uint64_t offset;                /* bytes from the start of the file, a multiple of the page size */
	uint64_t align;                 /* alignment of the mapping, a power of two; 0: chosen (2 MiB, or 1 GiB) */
	bool share;                     /* true: MAP_SHARED; false: copy-on-write, the file never changes */
	bool readonly;                  /* open the file read-only */
	enum vpmem_rom rom;             /* map without write permission; auto: as readonly (QEMU 8.2) */
	bool prealloc;                  /* reserve now all blocks that stores will need, or refuse */
	bool reserve;                   /* false: MAP_NORESERVE */
	bool merge;                     /* MADV_MERGEABLE */
	bool dump;                      /* false: MADV_DONTDUMP */
	bool discard_data;              /* at close, throw the contents away (MADV_REMOVE), if stores go to the file */
	bool pmem;                      /* the file lies on persistent memory of the host: map it with MAP_SYNC */
	enum vpmem_writeback writeback; /* with pmem */
	uint64_t host_nodes;            /* bit n: NUMA node n */
	enum vpmem_policy policy;
	const struct vpmem_file_ops *files; /* open the file in another process; NULL: in this one. Copied */
};

#define VPMEM_BACKING_OPTIONS_INIT                           \
	{                                                    \
		.reserve = true, .merge = true, .dump = true \
	}

/*
 * Do options contradict each other, whatever the file is? Touches nothing. Returns 0, or -EINVAL with err filled.
 * vpmem_backing_open begins with it. The rules and texts are those of QEMU's memory-backend-file.
 */
VPMEM_API int vpmem_backing_check(const struct vpmem_backing_options *opts, struct vpmem_error *err);

/*
 * Opens, locks, if missing creates, and maps a file. A file that is opened for writing is locked by an
 * open-file-description lock (fcntl F_OFD_SETLK): exclusively with share on, so that a second user is
 * refused with -EBUSY and a text that names its process; readers take a shared lock.
 * A file created here has its full size at once (sparse unless prealloc) and is removed again by
 * vpmem_backing_close unless vpmem_backing_keep was called; in the same way an existing empty file gets its
 * size and loses it again. A file with content is never extended. A size beyond the process's limit (RLIMIT_FSIZE) is
 * -EFBIG, without SIGXFSZ.
 *
 * With `prealloc` the file gets blocks for its holes, and blocks of its own for those that it shares with another file.
 * -ENOSPC: there is no space for them. -EOPNOTSUPP: the file system cannot reserve blocks, or writes every change to a
 * new one (btrfs, unless the file is nodatacow). A snapshot or reflink that is made later shares the blocks again.
 * overlayfs hides the file system below it: there `prealloc` also succeeds over btrfs, where it guarantees nothing.
 *
 * With `pmem` the mapping is made with MAP_SYNC: a file's block is allocated for good before the guest's
 * first store to it, so no metadata is left for a flush to write, and where nobody needs to write back CPU
 * caches either (see enum vpmem_writeback) vpmem_backing_sync has nothing to do and makes no system call. Then
 * the file is synced once here and once at close. A file that is not on a DAX file system is refused
 * (-EOPNOTSUPP).
 * /dev/daxX.Y takes `pmem` or `readonly`, and share on. It cannot be synced: without persistent CPU caches it
 * needs VPMEM_WRITEBACK_GUEST. Offset, size and address are multiples of the device's alignment.
 * -EINVAL: options contradict each other or the file. Others: what the system call gave.
 */
VPMEM_API int vpmem_backing_open(const struct vpmem_backing_options *opts, struct vpmem_backing **out,
                                 struct vpmem_error *err);

/*
 * ---- the file in another process ----
 *
 * A process that may open no files can have another one, which may, open those of its backings. The monitor carries
 * messages between the two:
 *
 *   the process with the backing                             the process that opens files
 *   vpmem_backing_open -> files.open ----- request, id, path ----> vpmem_file_open
 *                                    <---- vpmem_file, descriptor, or vpmem_error -+
 *   map, prealloc, pmem
 *   vpmem_backing_close -> files.remove -- path, descriptor -----> vpmem_file_remove
 *
 * The other one does all that needs a name: it opens or creates the file, locks it, gives a new one its size, searches
 * /proc for the process that has the lock, and reads /sys. The lock belongs to the open file, so it goes with the
 * descriptor, as does the claim on a block device. A relative path begins in the working directory of the process that
 * opens.
 *
 * Both check what they receive. vpmem_file_open takes any numbers and strings. vpmem_backing_open compares the answer
 * with the descriptor and the options, and refuses one that cannot be true with -EPROTO.
 */

#define VPMEM_FILE_SHARE UINT32_C(1)
#define VPMEM_FILE_READONLY UINT32_C(2)
#define VPMEM_FILE_PMEM UINT32_C(4)

/* What has to be known to open a file: the options of these names. Plain data for a message. */
struct vpmem_file_request {
	uint64_t size, offset, align;
	uint32_t flags;    /* VPMEM_FILE_... */
	uint32_t reserved; /* 0 */
};

/*
 * A file that is open. Plain data for a message. The process that receives it sets fd to the descriptor that came with
 * it. The rest is for the library only.
 */
struct vpmem_file {
	int32_t fd;
	uint32_t kind, flags, undo, domain, reserved;
	uint64_t page_size, size;
};

/*
 * What carries the messages. Both are called by the thread that opens or closes the backing. The strings end with 0 and
 * are not NULL; `path` may be of any length.
 */
struct vpmem_file_ops {
	/*
	 * As vpmem_file_open. err is not NULL, and empty. On success fd is a descriptor of this process (close-on-exec),
	 * which the library takes; on failure nothing is open.
	 */
	int (*open)(void *opaque, const struct vpmem_file_request *request, const char *id, const char *path,
	            struct vpmem_file *file, struct vpmem_error *err);
	/* As vpmem_file_remove. Borrows fd. The result is ignored: what cannot be removed stays. */
	int (*remove)(void *opaque, const char *path, int fd);
	void *opaque;
};

/*
 * Opens a file for the backing of another process; its errors and texts are those of vpmem_backing_open. `id` may be
 * NULL. `user_pid` is that process, as its number is in this one (0: unknown): where it has the file already, the text
 * of -EBUSY says so. The caller owns file->fd, sends it and closes its own: the lock is released with the last copy.
 * The call may wait for the file system. Unless err is NULL, it searches for the holder of a lock, for 2 s at most.
 */
VPMEM_API int vpmem_file_open(const struct vpmem_file_request *request, const char *id, const char *path, int user_pid,
                              struct vpmem_file *file, struct vpmem_error *err);

/*
 * Did that call create the file? The other process has reason to request vpmem_file_remove for these files only. The
 * process that serves it can note their inodes, and refuse others.
 */
VPMEM_API bool vpmem_file_is_created(const struct vpmem_file *file);

/*
 * Removes the name of a file, if `fd` is that file, open for reading and writing, and no other open file has a lock on
 * it. Borrows fd, which keeps an exclusive lock. -ESTALE: the path names another file. -EBUSY: it is in use. -EINVAL:
 * no regular file, or not open for writing. Others: what the system call gave.
 */
VPMEM_API int vpmem_file_remove(const char *path, int fd);

/*
 * The backing is in use for good: a file that open created, or gave its size, stays as it is, and `discard_data`
 * takes effect at close. A vpmem_backing_sync that succeeded has the same effect: what was acknowledged stays.
 */
VPMEM_API void vpmem_backing_keep(struct vpmem_backing *backing);

/*
 * Makes all stores durable that were visible before the call: one fdatasync(2) on the descriptor that
 * was mapped. A read-only or copy-on-write backing has nothing to write, and one on real persistent memory may
 * have nothing to write either (enum vpmem_writeback): returns 0 at once.
 * Returns 0 or -errno. Any thread.
 */
VPMEM_API int vpmem_backing_sync(struct vpmem_backing *backing);

/*
 * Syncs once more, unmaps, closes, unlocks. Returns the result of that last sync; the backing is gone in
 * any case. NULL is allowed.
 */
VPMEM_API int vpmem_backing_close(struct vpmem_backing *backing);

/*
 * When the host cannot provide a page of the mapping (no space for a new block, or the file was truncated), a guest's
 * access fails in KVM, and one of this process would be SIGBUS. These copy without that risk: 0, -ERANGE (beyond the
 * backing), -EROFS (mapped without write permission), or -EFAULT: not now. A store goes where the guest's own goes:
 * into the file, or with `share` off into the private copy; one that failed may be done in part. They use
 * process_vm_readv(2) and process_vm_writev(2). Where a sandbox refuses these, a pipe copies the data, and -EMFILE or
 * -ENFILE means that there were no two descriptors for it. Any thread.
 */
VPMEM_API int vpmem_backing_load(const struct vpmem_backing *backing, uint64_t off, void *buf, uint64_t len);
VPMEM_API int vpmem_backing_store(struct vpmem_backing *backing, uint64_t off, const void *buf, uint64_t len);
/*
 * Makes that pipe now, one for all backings of this process, so that the sandbox need not permit the creation of one. It
 * stays open; a process that was forked later must not use it. 0 or -errno.
 */
VPMEM_API int vpmem_open_pipe(void);

/*
 * Would the host's file system give a store the block that it needs? A store needs one in a hole, where the block is
 * shared with another file (a reflink, a snapshot), and everywhere on a file system that writes each change to a new
 * place. The function requests such blocks, 2 MiB at most. If there is space, the file keeps them; no byte changes.
 * The effect accumulates: each call requests what the file still lacks, so N calls may give it 2 MiB * N. On hugetlbfs
 * a call requests one page. The work of a call is bounded: of a file with more than 4000 extents, not all are examined.
 *
 * 0: it would. -ENOSPC, -EDQUOT: there is no space. Another errno, such as -EIO or -EROFS: it takes no writes any more.
 * -EFAULT: a store would fail, the reason is unknown. Where fallocate(2) does not answer (btrfs), needs Linux 5.14.
 * vpmem_backing_is_truncated: the file has become shorter than the mapping. Not while another thread is in either.
 */
VPMEM_API int vpmem_backing_room(const struct vpmem_backing *backing);
VPMEM_API bool vpmem_backing_is_truncated(const struct vpmem_backing *backing);

/* Does this result mean that the file system, or a quota, has no space? */
static inline bool vpmem_is_no_space(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

/* What an operator should know about an open backing, for a log: that its file cannot be locked. NULL: nothing. */
VPMEM_API const char *vpmem_backing_warning(const struct vpmem_backing *backing);

VPMEM_API void *vpmem_backing_hva(const struct vpmem_backing *backing);     /* aligned as `align` says */
VPMEM_API uint64_t vpmem_backing_size(const struct vpmem_backing *backing); /* bytes mapped */
VPMEM_API bool vpmem_backing_is_rom(const struct vpmem_backing *backing);   /* mapped without write access */
VPMEM_API const char *vpmem_backing_id(const struct vpmem_backing *backing);
VPMEM_API const char *vpmem_backing_path(const struct vpmem_backing *backing);

/* How much of a backing exists at the moment. */
struct vpmem_usage {
	/*
	 * Bytes of the mapping that are in memory, as mincore(2) reports: in the page cache, or copied from it.
	 * Linux does not report that to a process that neither owns nor may write the file; then this is the size.
	 */
	uint64_t resident_size;
	/*
	 * Bytes that the host's file system has allocated for the file, as a whole, but at most the mapped size:
	 * of a file that is mapped in part, an upper bound. Of a block device: the mapped size.
	 */
	uint64_t allocated_size;
};

/*
 * Nothing is cached. Takes no lock of the library and does not allocate, but the kernel visits every page
 * of the mapping, 16 MiB per system call: microseconds for 16 MiB mapped by large pages, up to half a
 * millisecond for pages it must search one by one, so seconds for hundreds of GiB. Not for a thread that
 * others wait for. Any thread. Returns 0 or -errno.
 */
VPMEM_API int vpmem_backing_usage(const struct vpmem_backing *backing, struct vpmem_usage *out);

/*
 * The descriptor that is mapped, for another process of the machine (a vhost-user back end) that maps the memory as well;
 * borrowed. In *off, where the mapping begins in the file. -1: what the guest stores is not in the file (copy-on-write),
 * or the file is open for reading only.
 */
VPMEM_API int vpmem_backing_fd(const struct vpmem_backing *backing, uint64_t *off);

/* The alignment a guest-physical address needs for large pages to be possible: 2 MiB or 1 GiB, or `align`. */
VPMEM_API uint64_t vpmem_backing_align(const struct vpmem_backing *backing);

/* ---- device -------------------------------------------------------------------------------------- */

struct vpmem_device;

#define VPMEM_VIRTIO_ID 27  /* "PMEM device" */
#define VPMEM_QUEUE_COUNT 1 /* flush_queue */
#define VPMEM_QUEUE_SIZE_MAX 128
#define VPMEM_CONFIG_SIZE 16 /* le64 start, le64 size */
#define VPMEM_SHMEM_ID 0     /* shared memory region of VIRTIO_PMEM_F_SHMEM_REGION */

enum vpmem_interrupt { VPMEM_INTERRUPT_CONFIG, VPMEM_INTERRUPT_QUEUE };

enum vpmem_event {
	VPMEM_EVENT_GUEST_FAULT, /* the guest broke the specification; the device set DEVICE_NEEDS_RESET */
	VPMEM_EVENT_SYNC_FAILED, /* the host could not make data durable; `error` is the -errno */
};

/*
 * What the monitor provides. `interrupt` and `event` are called with the device's lock held, from the worker or from
 * a thread that writes a register: they must be quick, must not block and must not call the device; only
 * vpmem_device_status they may.
 */
struct vpmem_callbacks {
	/*
	 * Used buffers were added (QUEUE), or device_status or the configuration changed (CONFIG): interrupt the driver.
	 * A device that runs (DRIVER_OK) changes its status by itself only to DEVICE_NEEDS_RESET, with CONFIG.
	 */
	void (*interrupt)(void *opaque, enum vpmem_interrupt source);
	/* Something an operator should know. May be NULL. */
	void (*event)(void *opaque, enum vpmem_event event, int error, const char *text);
	/*
	 * In the worker's thread, before its first work and without the lock: for example to confine the thread. Where it
	 * returns -errno instead of 0, the thread ends, and vpmem_device_create fails with that. May be NULL.
	 */
	int (*worker_started)(void *opaque);
	void *opaque;
};

struct vpmem_device_options {
	const char *name;              /* for messages */
	const struct vpmem_gmem *gmem; /* borrowed */
	struct vpmem_backing *backing; /* borrowed */
	uint64_t gpa;                  /* where the monitor maps the backing; 0 while unknown (shmem) */
	bool shmem;                    /* offer VIRTIO_PMEM_F_SHMEM_REGION */
	bool no_event_idx;             /* do not offer VIRTIO_F_EVENT_IDX */
	bool no_indirect_desc;         /* do not offer VIRTIO_F_INDIRECT_DESC */
	bool no_ring_reset;            /* do not offer VIRTIO_F_RING_RESET */
	bool hold_on_error;            /* do not answer the flushes of a failed sync before vpmem_device_release */
	struct vpmem_callbacks callbacks;
};

/*
 * A device in its reset state, with its worker asleep. -EINVAL: the backing is smaller than 2 MiB or no
 * multiple of it (`err` names the two nearest sizes that work), or the options are not complete.
 */
VPMEM_API int vpmem_device_create(const struct vpmem_device_options *opts, struct vpmem_device **out,
                                  struct vpmem_error *err);

/*
 * Resets, waits for a sync that is under way, joins the worker. Returns what vpmem_device_error would return
 * after that. NULL is allowed. Not from a callback.
 */
VPMEM_API int vpmem_device_destroy(struct vpmem_device *dev);

/* Feature bits offered, 32 at a time: word 0 is bits 0 to 31. Words beyond 1 read 0. */
VPMEM_API uint32_t vpmem_device_features(const struct vpmem_device *dev, uint32_t word);
VPMEM_API uint32_t vpmem_device_driver_features(struct vpmem_device *dev, uint32_t word);
/* Ignored after FEATURES_OK and for words beyond 1. */
VPMEM_API void vpmem_device_set_driver_features(struct vpmem_device *dev, uint32_t word, uint32_t bits);

/*
 * device_status. Reading takes no lock. Writing 0 resets: when the call returns, the device does not
 * touch guest memory and raises no interrupt until it is initialised again, even if a sync of before is
 * still running (its result is dropped); it does not wait for that sync.
 * FEATURES_OK stays clear if the driver accepted bits that were not offered, or not VERSION_1.
 */
VPMEM_API uint8_t vpmem_device_status(const struct vpmem_device *dev);
VPMEM_API void vpmem_device_set_status(struct vpmem_device *dev, uint8_t status);

/* config_generation: changes when the device configuration did since the last reset. */
VPMEM_API uint8_t vpmem_device_config_generation(const struct vpmem_device *dev);
/* Copies [off, off + len) of struct virtio_pmem_config, which is read-only; bytes beyond its end read 0. */
VPMEM_API void vpmem_device_config_read(struct vpmem_device *dev, uint32_t off, void *buf, uint32_t len);

/*
 * The monitor moved the window of a device that may be found by its absolute address (a BAR that the guest
 * placed anew): what the driver reads as `start`; 0 while it is not mapped.
 */
VPMEM_API void vpmem_device_set_gpa(struct vpmem_device *dev, uint64_t gpa);

/* A virtqueue's registers as the driver sees them. A queue index >= VPMEM_QUEUE_COUNT reads all 0. */
struct vpmem_queue {
	uint16_t size;       /* queue_size: VPMEM_QUEUE_SIZE_MAX after reset */
	bool enabled;        /* queue_enable */
	uint64_t desc_gpa;   /* queue_desc */
	uint64_t driver_gpa; /* queue_driver: available ring */
	uint64_t device_gpa; /* queue_device: used ring */
};
VPMEM_API struct vpmem_queue vpmem_queue_get(struct vpmem_device *dev, uint16_t queue_idx);

/*
 * All registers at one moment, for a transport that shows many of them at once: the device's lock is taken once. The
 * driver selects words of 32 feature bits and a queue, as by the functions above; words beyond 1 and a queue that does not
 * exist read 0.
 */
struct vpmem_select {
	uint32_t device_feature_word, driver_feature_word;
	uint16_t queue_idx;
};
struct vpmem_snapshot {
	uint32_t features, driver_features;
	uint8_t status, config_generation;
	struct vpmem_queue queue;
	uint8_t config[VPMEM_CONFIG_SIZE]; /* struct virtio_pmem_config */
};
VPMEM_API void vpmem_device_snapshot(struct vpmem_device *dev, const struct vpmem_select *select,
                                     struct vpmem_snapshot *out);

/*
 * Writes size and addresses; `enabled` is ignored. Takes effect only while the queue is not enabled (the
 * registers are latched by vpmem_queue_enable) and for a queue that exists. A size that is 0, no power of
 * two or above the maximum is not stored.
 */
VPMEM_API void vpmem_queue_set(struct vpmem_device *dev, uint16_t queue_idx, const struct vpmem_queue *regs);

/*
 * queue_enable = 1. Rings that are misaligned or not wholly inside guest memory leave the queue disabled
 * and set DEVICE_NEEDS_RESET. Ignored before FEATURES_OK.
 */
VPMEM_API void vpmem_queue_enable(struct vpmem_device *dev, uint16_t queue_idx);

/* queue_reset = 1 (VIRTIO_F_RING_RESET): as device reset, for this queue only. Ignored if not negotiated. */
VPMEM_API void vpmem_queue_reset(struct vpmem_device *dev, uint16_t queue_idx);

/* The driver notified the queue. */
VPMEM_API void vpmem_queue_kick(struct vpmem_device *dev, uint16_t queue_idx);

/*
 * The eventfd on which the worker waits: give it to KVM_IOEVENTFD and a guest's notification needs no
 * exit to this process. Owned by the device. -1 for a queue that does not exist.
 */
VPMEM_API int vpmem_queue_kick_efd(const struct vpmem_device *dev, uint16_t queue_idx);

/*
 * A sync that failed makes every later flush fail, over driver restarts and resets, because the kernel
 * forgets which pages it could not write. 0 while all is well, else the -errno. Clearing is an operator's
 * decision, and holds for what the operator knew: `nsync_errors` is the `sync_errors` of vpmem_device_stats at the
 * last failure that was reported. -EAGAIN, and the error stays: another sync has failed since. Safe from any thread,
 * but not from a callback.
 */
VPMEM_API int vpmem_device_error(const struct vpmem_device *dev);
VPMEM_API int vpmem_device_clear_error(struct vpmem_device *dev, uint64_t nsync_errors);
/* As if a sync had failed: the monitor knows that data is lost (the file was truncated). rc < 0. No event is raised. */
VPMEM_API void vpmem_device_set_error(struct vpmem_device *dev, int rc);

/*
 * With hold_on_error: the flushes that wait since VPMEM_EVENT_SYNC_FAILED are answered; after a sync of their own
 * if the error was cleared meanwhile, else with failure. Does nothing if none waits.
 */
VPMEM_API void vpmem_device_release(struct vpmem_device *dev);

#define VPMEM_SYNC_BUCKETS 26

/*
 * Counters since creation. Reading them takes no lock, and what is read is no instant: while the worker is
 * busy, `syncs` and the histogram may differ by one. Clearing the error does not change the counters.
 */
struct vpmem_stats {
	uint64_t requests;        /* flush requests taken from the ring */
	uint64_t completed;       /* requests returned to the driver, whatever their status */
	uint64_t failed;          /* of these, with a status other than 0 */
	uint64_t syncs;           /* calls of vpmem_backing_sync that ended */
	uint64_t interrupts;      /* VPMEM_INTERRUPT_QUEUE raised */
	uint64_t sync_errors;     /* of the syncs, those that failed */
	uint64_t sync_ns;         /* how long all syncs that ended took, together */
	uint64_t sync_ns_max;     /* the longest of them */
	uint64_t sync_started_ns; /* CLOCK_MONOTONIC when the sync that is under way began; 0: none is */
	/*
	 * Bucket i counts the syncs that took less than 2^(i + 10) ns, and not less than what bucket i - 1 ends
	 * with: the first is below 1.024 us. The last one has no end: 2^34 ns, 17 s, and longer.
	 */
	uint64_t sync_histogram[VPMEM_SYNC_BUCKETS];
	int error;          /* vpmem_device_error: 0, or the -errno that is kept */
	int64_t error_time; /* CLOCK_REALTIME, in seconds, when that sync had failed; 0: error is 0 */
};
VPMEM_API struct vpmem_stats vpmem_device_stats(const struct vpmem_device *dev);

#ifdef __cplusplus
}
#endif
#endif
