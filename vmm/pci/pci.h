// SPDX-License-Identifier: Apache-2.0
/*
 * pci.h - the PCI buses: configuration space, BARs, INTx.
 *
 * The machine has one or more root buses, 0 to nbuses - 1, side by side: each is below a host bridge of its own, and
 * there are no bridges between them. A bus has 32 device numbers with one function each; number 0 is the host
 * bridge. A *slot* counts through all of them: 32 * bus + device number. `struct pci_bus` is all the buses.
 *
 * Configuration space is reached by the ports 0xcf8/0xcfc and by ECAM; both end in pci_config_read and pci_config_write.
 * A device describes itself once (identity, capabilities, BAR sizes). The bus calls its bar_mapped and bar_unmapped when
 * the guest moves a BAR or switches its decoding on or off. The monitor assigns
 * the BARs before the guest starts, as firmware would; a guest may move them.
 *
 * The life of a device: pci_device_create, pci_capability_add for each capability, pci_bus_plug (from here
 * on the guest sees it), pci_bus_unplug, pci_device_free. Plug and unplug work while the guest runs.
 *
 * There are two windows for memory BARs. Each bus has an equal share of both, because Linux does not let host bridges
 * share one; a BAR is assigned from its bus's share. It is decoded only while it lies wholly inside one of the windows,
 * on whichever bus's share, and overlaps no other decoded BAR. RAM and the pmem windows lie outside of both, so no BAR
 * can shadow them. A BAR that the guest put elsewhere is not decoded; it is tried again whenever a BAR or a command
 * register changes. I/O BARs follow the same rules in a window of ports, all of which is bus 0's.
 *
 * All of it runs under the machine lock, except the pci_intx functions, which any thread may call.
 */
#ifndef PMVM_PCI_H
#define PMVM_PCI_H

#include "io.h"
#include "vm.h"
#include "vm_limits.h"
#include <vpmem.h>

#define PCI_BARS_MAX 6u
#define PCI_CONFIG_SIZE 256u /* conventional; the rest of the 4 KiB of ECAM reads 0 */
#define PCI_INTX_LINES_MAX 16u
/* A write selects what the data port reaches, and does nothing else: it may come late, but before the next access to that. */
#define PCI_CONFIG_ADDRESS_PORT 0xcf8u
#define PCI_CONFIG_PORT_SIZE 4u

struct pci_bus;
struct pci_device;

/* Where BARs are assigned. Size 0: there is none. */
struct pci_windows {
	uint64_t mem32_gpa, mem32_size;
	uint64_t mem64_gpa, mem64_size;
	uint64_t port, nports;
};

struct pci_bus_config {
	struct vm *vm;
	struct io_space *pio, *mmio;
	unsigned nbuses;               /* 1 to PCI_BUSES_MAX */
	uint64_t ecam_gpa;             /* 1 MiB for each bus */
	struct pci_windows windows;    /* of all buses together */
	unsigned intx_gsi, intx_lines; /* device d, pin p (0 = A): intx_gsi + (d + p) % intx_lines */
};

/* Registers the ports and the ECAM window, and plugs a host bridge into the first slot of each bus. */
int pci_bus_create(const struct pci_bus_config *cfg, struct pci_bus **out, struct vpmem_error *err);

/* Every other device must have been unplugged. NULL is allowed. */
void pci_bus_destroy(struct pci_bus *bus);

/* Every device: decoding off, BARs as assigned at the start, capabilities as new; then the devices' own reset. */
void pci_bus_reset(struct pci_bus *bus);

struct vm *pci_bus_vm(const struct pci_bus *bus);
unsigned pci_bus_count(const struct pci_bus *bus);
/* One bus's share of the windows. */
struct pci_windows pci_bus_windows(const struct pci_bus *bus, unsigned nr);

/* ---- what a device says of itself ---------------------------------------------------------------- */

/* A BAR. A 64-bit BAR also takes the number after its own. */
struct pci_bar_desc {
	uint64_t size; /* bytes: a power of two; memory 4 KiB or more, ports 16 to 256; 0: no BAR */
	bool io;       /* ports, not memory; on bus 0 only */
	bool is_64bit;
	bool prefetchable; /* then it is also 64-bit, and assigned from the 64-bit window */
	/* Accesses while it is decoded, as in io_region. NULL: the device maps a memory slot in bar_mapped. */
	uint64_t (*read)(void *owner, uint64_t off, unsigned width);
	void (*write)(void *owner, uint64_t off, unsigned width, uint64_t val);
};

/* Any of these may be NULL. */
struct pci_device_ops {
	/* The BAR is decoded at gpa (an I/O BAR: port) from now on. An error, which is logged, leaves it undecoded. */
	int (*bar_mapped)(void *owner, unsigned bar, gpa_t gpa);
	void (*bar_unmapped)(void *owner, unsigned bar, gpa_t gpa);
	/* The guest is about to read, or has written, `width` bytes at `off`, beyond the standard header. */
	void (*config_read)(void *owner, unsigned off, unsigned width);
	void (*config_written)(void *owner, unsigned off, unsigned width);
	/* The guest cleared Bus Master Enable: the device may not touch memory or send messages any more. */
	void (*master_cleared)(void *owner);
	/* The machine is reset: the configuration space already is. */
	void (*reset)(void *owner);
};

struct pci_device_desc {
	const char *name; /* model, for messages; borrowed */
	const char *id;   /* the user's, or NULL; borrowed */
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	bool intx;           /* has an interrupt pin: A */
	struct pci_bar_desc bars[PCI_BARS_MAX];
	const struct pci_device_ops *ops; /* borrowed */
	void *owner;
};

int pci_device_create(const struct pci_device_desc *desc, struct pci_device **out);
/* Must not be plugged. NULL is allowed. */
void pci_device_free(struct pci_device *dev);

/* Appends a capability of len bytes, zero but for its header, and returns its offset. Before plugging. */
unsigned pci_capability_add(struct pci_device *dev, uint8_t id, unsigned len);

/* The device's own view of its configuration space: no masks, no side effects. width is 1, 2 or 4. */
uint32_t pci_config_get(const struct pci_device *dev, unsigned off, unsigned width);
void pci_config_set(struct pci_device *dev, unsigned off, unsigned width, uint32_t val);
/* Which bits the guest may write. Before plugging. */
void pci_config_set_writable(struct pci_device *dev, unsigned off, unsigned width, uint32_t mask);

/* ---- the bus and its devices ---------------------------------------------------------------------- */

/*
 * Puts a device on bus nr (-1: the first one that has room) at a device number (-1: the first free one) and assigns its
 * BARs. A number without a bus is on bus 0. -EBUSY: the slot is taken. -ENOSPC: none is free, or no room for a BAR.
 * -EINVAL, -ENODEV: no such number, no such bus. Texts as QEMU's.
 */
int pci_bus_plug(struct pci_bus *bus, struct pci_device *dev, int nr, int number, struct vpmem_error *err);

/* Takes it out: BARs unmapped, interrupt line released. The guest reads all ones from now on. */
void pci_bus_unplug(struct pci_device *dev);

/* The device in a slot, or NULL. */
struct pci_device *pci_bus_device(const struct pci_bus *bus, unsigned slot);
const struct pci_device_desc *pci_device_description(const struct pci_device *dev);
unsigned pci_device_slot(const struct pci_device *dev);
unsigned pci_device_gsi(const struct pci_device *dev);

/* The address in a BAR's register; *mapped (may be NULL) says whether it is decoded there. */
gpa_t pci_device_bar(const struct pci_device *dev, unsigned bar, bool *mapped);

/* A guest's access to configuration space, by port or by ECAM: off < 4096, width 1, 2 or 4. Absent: all ones. */
uint32_t pci_config_read(struct pci_bus *bus, unsigned slot, unsigned off, unsigned width);
void pci_config_write(struct pci_bus *bus, unsigned slot, unsigned off, unsigned width, uint32_t val);

/* ---- INTx ----------------------------------------------------------------------------------------- */

/*
 * Each device has up to 8 reasons to interrupt, one bit each. Its pin is asserted while any bit is set and
 * neither the command register (INTX_DISABLE) nor pci_intx_block forbids it. A line is the OR of all pins
 * on it. Any thread, while the device is plugged.
 */
void pci_intx_raise(struct pci_device *dev, uint8_t causes);
/* Takes back all causes and returns what they were: a read-to-clear register. */
uint8_t pci_intx_take(struct pci_device *dev);
/* MSI-X is in use: the pin stays low and the status register does not show an interrupt. */
void pci_intx_block(struct pci_device *dev, bool blocked);

#endif
