// SPDX-License-Identifier: Apache-2.0
/*
 * machine_hotplug.h - devices that come and go while the guest runs (machine_hotplug.c). What front ends call is in
 * machine.h: machine_device_add, machine_device_del.
 */
#ifndef PMVM_MACHINE_HOTPLUG_H
#define PMVM_MACHINE_HOTPLUG_H

struct machine;

int machine_hotplug_attach(struct machine *m);
/* The guest runs again: it has all the time to answer that it had before. */
void machine_restart_unplug_timers(struct machine *m);
/* At a reset: devices whose removal was asked for are gone afterwards, as under QEMU. vCPUs are parked. */
void machine_eject_requested(struct machine *m);
/* In the main thread: the devices that the guest ejected are finished, each by a thread of its own. */
void machine_start_reapers(struct machine *m);
/* At the end: waits for the threads that finish unplugs. The machine lock is released meanwhile. */
void machine_join_unplugs(struct machine *m);

#endif
