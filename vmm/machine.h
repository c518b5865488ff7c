// SPDX-License-Identifier: Apache-2.0
/*
 * machine.h - the virtual machine: what it is made of, and its life.
 *
 * One lock guards the machine. Every exit of a vCPU, every callback of the event loop and every function
 * below runs under it; it is released only while a vCPU is in the guest and while the loop sleeps. The
 * flush path never takes it. Lock order: machine lock, device lock (in libvpmem), interrupt leaf locks.
 *
 * Threads: the main thread runs the event loop, each vCPU has a thread, each pmem device a flush worker.
 */
#ifndef PMVM_MACHINE_H
#define PMVM_MACHINE_H

#include "acpi_pm.h"
#include "boot.h"
#include "chardev.h"
#include "config.h"
#include "io.h"
#include "kvm.h"
#include "loop.h"
#include "pci.h"
#include "serial.h"
#include "vcpu.h"
#include "virtio_pci.h"

#define MEMDEVS_MAX 64u
#define PMEMS_MAX PCI_DEVICES_MAX

/* What ends the present run of the guest; the highest one wins. */
enum machine_request { REQUEST_NONE, REQUEST_RESET, REQUEST_POWER_OFF, REQUEST_QUIT, REQUEST_FAIL };

/* A memory backend: -object memory-backend-file. */
struct memdev {
	char *id;
	struct vpmem_backing *backing;
	bool in_use;  /* a device has it */
};

/* A pmem device: -device virtio-pmem-pci. */
struct pmem {
	char *id;                 /* NULL: none */
	struct memdev *memdev;
	struct virtio_pci *vp;
	gpa_t slot_gpa;           /* its memory slot; 0: none, or a BAR (shmem) */
};

struct machine {
	pthread_mutex_t lock;
	const struct options *opts;  /* borrowed */
	struct loop loop;
	struct loop_source signals;
	enum machine_request request;

	struct kvm kvm;
	struct ram {
		uint8_t *hva;
		uint64_t size;
	} ram_low, ram_high;         /* from 0, and from RAM_HIGH_BASE */
	struct vpmem_gmem *gmem;
	struct io_space pio, mmio;

	gpa_t pmem_gpa, mem64_gpa;   /* windows above RAM: pmem, then 64-bit PCI */
	uint64_t pmem_size, mem64_size;

	int kernel_fd, initrd_fd, pidfile_fd;
	struct acpi_pm acpi_pm;
	struct chardev *console;
	struct serial *serial;
	struct pci_bus *pci;
	unsigned nmemdevs, npmems;
	struct memdev memdevs[MEMDEVS_MAX];
	struct pmem pmems[PMEMS_MAX];
	struct vcpus vcpus;
	int close_error;             /* data was lost: the -errno of a failed flush, or of a last sync */
};

/*
 * Builds the machine that the options describe, with the guest loaded and ready to run. On failure
 * nothing is left behind: no created file, socket or pidfile, and the terminal is as it was.
 */
int machine_build(const struct options *opts, struct machine **out, struct vpmem_error *err);

/* Runs until the guest powers off, somebody ends the program, or the machine fails. Returns 0 or -errno. */
int machine_run(struct machine *m);

/* Takes everything down. Returns 0, or the -errno of a flush or a last sync that failed. */
int machine_destroy(struct machine *m);

/* Asks for something from any thread that holds the lock: the guest stops now, the main thread does it. */
void machine_request(struct machine *m, enum machine_request request);

/* A guest access to a pmem window that KVM could not do in memory. */
void machine_pmem_fault(struct machine *m, gpa_t gpa, bool is_write);
/* The device whose window holds gpa, or NULL. */
struct pmem *machine_pmem_at(struct machine *m, gpa_t gpa);

#endif
