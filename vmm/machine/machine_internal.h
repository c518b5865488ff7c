// SPDX-License-Identifier: Apache-2.0
/*
 * machine_internal.h - what the parts of the machine share: machine.c (life), machine_build.c (assembly),
 * machine_memory.c (RAM and windows), machine_memdev.c (memory backends), machine_pmem.c (devices),
 * machine_hotplug.c (how they come and go), machine_fault.c (what the host cannot provide),
 * machine_store.c (guest stores that wait for it).
 */
#ifndef PMVM_MACHINE_INTERNAL_H
#define PMVM_MACHINE_INTERNAL_H

#include "machine.h"

/* Loads the guest into memory and puts vCPU 0 at its entry. vCPUs are parked. */
int machine_load_guest(struct machine *m, struct vpmem_error *err);

/* machine_memory.c */
int machine_ram_up(struct machine *m, struct vpmem_error *err);
void machine_ram_down(struct machine *m); /* legal after an up that failed half-way */
/* Where pmem and 64-bit BARs go, above RAM and below the processor's limit. After machine_ram_up. */
int machine_place_windows(struct machine *m, struct vpmem_error *err);

/* machine_memdev.c, machine_pmem.c. Both take the configuration on success; *cfg is empty then. */
int machine_add_memdev(struct machine *m, struct memdev_config *cfg, struct vpmem_error *err);
int machine_add_pmem(struct machine *m, struct pmem_config *cfg, struct vpmem_error *err);
/* Those of the command line. */
int machine_add_pmems(struct machine *m, struct vpmem_error *err);
/* The next step after -EMFILE, which many devices run into. */
void machine_hint_limit(int rc, struct vpmem_error *err);
/* At the end, all of them; the errors of last syncs go to m->close_error. */
void machine_drop_memdevs(struct machine *m);
void machine_drop_pmems(struct machine *m);

/* machine_hotplug.c */
int machine_hotplug_attach(struct machine *m);
/* The guest runs again: it has all the time to answer. */
void machine_unplugs_go_on(struct machine *m);
/* The machine is reset: devices whose removal was asked for are gone afterwards, as under QEMU. vCPUs are parked. */
void machine_eject_requested(struct machine *m);
/* Waits for the threads that finish unplugs. Machine lock held; it is released meanwhile. */
void machine_join_unplugs(struct machine *m);

/* Takes a device out of the bus and of guest memory; its last sync may still run. */
void machine_detach_pmem(struct pmem *pmem);
/* Ends the detached device and its place in the list: waits for that sync, without the machine lock if `unlocked`. */
void machine_remove_pmem(struct pmem *pmem, bool unlocked);
void machine_free_pmem(struct pmem *pmem);
/* By id or QOM path; NULL: none. */
struct pmem *machine_find_pmem(struct machine *m, const char *id);
const char *pmem_name(const struct pmem *pmem); /* the id, or the backend's */

/* machine_fault.c */
int machine_watch(struct machine *m);
/* Has some file been cut? Now and then anyway, and before the guest goes on. */
void machine_watch_files(struct machine *m);
void machine_on_device_event(void *opaque, enum vpmem_event event, int error, const char *text);
/* What flush workers reported since the last call. Main thread; for one device: whoever is about to free it. */
void machine_tell_sync_errors(struct machine *m);
void machine_tell_sync_error(struct pmem *pmem);
/* Before cont: looks whether there is room now, and does the stores that wait. */
int machine_recover(struct machine *m, struct vpmem_error *err);
/* At a reset: what the old guest waited for is no concern of the new one. */
void machine_forget_faults(struct machine *m);
/* With cont: those of werror=stop whose failure the operator was told of answer their flushes. */
void machine_release_pmems(struct machine *m);
/*
 * The host cannot provide a page for this device (NULL: it is not known for which): the guest stops now, with one
 * report. Any thread with the lock.
 */
void machine_io_error(struct machine *m, struct pmem *pmem, int error);
/* Why that is: 0 if the host could, else -errno. A file that is cut is noted. */
int machine_pmem_reason(struct pmem *pmem);
/* For cont: rc, with the text of it in err. */
int machine_cannot_go_on(const struct pmem *pmem, int rc, struct vpmem_error *err);

/* machine_store.c */
/* Does the stores that wait, in their order, each once. Stops at the first that fails. */
int machine_do_stores(struct machine *m, struct vpmem_error *err);
/* The guest that made them is gone. */
void machine_forget_stores(struct machine *m);
/* At the end: a store that waits was made, whatever comes after it. A failure goes to m->close_error. */
void machine_end_stores(struct machine *m);
/* The device goes: what the guest stored into it goes with it. */
void machine_forget_stores_to(struct pmem *pmem);

struct pmem *machine_pmem_in_slot(struct machine *m, unsigned slot);
/* The device whose window holds gpa, and where in the window that is; or NULL. */
struct pmem *machine_pmem_at(struct machine *m, gpa_t gpa, uint64_t *off);
/* A guest access to a pmem window that KVM could not do in memory: reads into data, or stores it. */
void machine_pmem_access(struct pmem *pmem, uint64_t off, void *data, unsigned len, bool is_write);
/* The host could not provide memory for some guest access. */
void machine_no_memory(struct machine *m);

/* machine_cpu.c: the vCPUs of this machine, with the registers of this architecture. */
int machine_cpus_up(struct machine *m, struct vpmem_error *err);
void machine_cpus_down(struct machine *m); /* legal after an up that failed half-way */
/* All vCPUs as new, vCPU 0 at the kernel's entry. They are parked. */
int machine_cpus_reset(struct machine *m, const struct boot_entry *entry);

#endif
