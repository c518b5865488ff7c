// SPDX-License-Identifier: Apache-2.0
/*
 * machine_fault.h - what the host cannot provide: room, a whole file, a sync that succeeds. The machine pauses in the
 * run state io-error, or a device fails its flushes, and an event says which device and why (machine_fault.c).
 */
#ifndef PMVM_MACHINE_FAULT_H
#define PMVM_MACHINE_FAULT_H

#include <stdbool.h>
#include <vpmem.h>

struct machine;
struct pmem;

/* Starts the timer that finds what nothing reports: files that were truncated, accesses that never succeed. */
int machine_watch(struct machine *m);
/* Has some file been truncated? From the timer, and before the guest goes on. */
void machine_watch_files(struct machine *m);

/*
 * The host cannot provide a page of this device (NULL: it is not known of which): the guest stops now, with one report.
 * Any thread with the lock.
 */
void machine_io_error(struct machine *m, struct pmem *pmem, int error);
/*
 * The same in a vCPU's thread, which may ask no file system: the main loop does, by machine_find_reason. NULL: KVM does not
 * say where the access went.
 */
void machine_no_page(struct machine *m, struct pmem *pmem, int error);
/* Main thread: why the host had no page, if a vCPU needed one since the last call. */
void machine_find_reason(struct machine *m);
/* The device leaves. The guest is halted, and what the main loop finds then is its reason. */
void machine_forget_no_page(const struct pmem *pmem);
/* Why the host cannot provide a page of this device: 0 if it can, else -errno. A file that is truncated is noted. */
int machine_pmem_reason(struct pmem *pmem);

/* For cont: is there room now where there was none? Returns 0, or -errno with a text for the operator. */
int machine_check_room(struct machine *m, struct vpmem_error *err);
/* For cont: rc, with the text of it in err. */
int machine_cannot_go_on(const struct pmem *pmem, int rc, struct vpmem_error *err);
/* At a reset: what the old guest waited for does not matter to the new one. */
void machine_forget_faults(struct machine *m);

/* The callback of a device. Any thread; no machine lock. */
void machine_on_device_event(void *opaque, enum vpmem_event event, int error, const char *text);
/* Sends the events for what flush workers reported since the last call. Main thread. */
void machine_report_sync_errors(struct machine *m);
/* The same for one device, in the thread that is about to free it. */
void machine_report_sync_error(struct pmem *pmem);
/* With cont: devices with werror=stop whose failure was reported answer their flushes. */
void machine_release_pmems(struct machine *m);

#endif
