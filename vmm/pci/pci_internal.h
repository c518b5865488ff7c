// SPDX-License-Identifier: Apache-2.0
/* pci_internal.h - what the files of the PCI bus share: its state, and the calls between them. */
#ifndef PMVM_PCI_INTERNAL_H
#define PMVM_PCI_INTERNAL_H

#include "pci.h"

#include <pthread.h>

/* The widths of one access to configuration space. */
#define PCI_CONFIG_WIDTH_OK(width) ((width) == 1 || (width) == 2 || (width) == 4)

struct pci_bar {
	struct pci_bar_desc desc;
	gpa_t assigned_gpa; /* at the start and after every reset */
	gpa_t mapped_gpa;   /* where it is decoded, if mapped */
	gpa_t refused_gpa;  /* the last place that was refused, so that it is logged once; 0: none */
	bool mapped;
};

struct pci_device {
	struct pci_device_desc desc;
	struct pci_bus *bus; /* NULL: not plugged */
	unsigned slot;       /* through all buses */
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];     /* bits that the guest may change */
	uint8_t reset_config[PCI_CONFIG_SIZE]; /* the configuration space as plugged */
	unsigned last_cap, caps_end;
	struct pci_bar bars[PCI_BARS_MAX];
	/* Guarded by the bus's intx_lock. */
	uint8_t intx_causes;
	bool intx_blocked, intx_disabled, intx_asserted;
};

struct pci_bus {
	struct pci_bus_config cfg;
	unsigned nslots; /* of all buses */
	struct pci_device *host_bridges[PCI_BUSES_MAX];
	struct pci_device *devices[PCI_DEVICES_MAX];
	uint32_t config_address; /* port 0xcf8 */
	/* A leaf: guards the devices' intx fields and the counts, and keeps changes of a line in order. */
	pthread_mutex_t intx_lock;
	unsigned nasserted[PCI_INTX_LINES_MAX];
};

/* pci_host.c */
int pci_host_add(struct pci_bus *bus, struct vpmem_error *err);
void pci_host_remove(struct pci_bus *bus);

/* pci_config.c: everything as when it was plugged. The caller updates BARs and INTx. */
void pci_config_reset(struct pci_device *dev);

/* pci_bar.c */
void pci_bars_init(struct pci_device *dev);
int pci_bars_assign(struct pci_bus *bus, struct pci_device *dev, struct vpmem_error *err);
/* Unmaps what is decoded no longer, then maps what can be mapped: call it after every change. */
void pci_bars_update(struct pci_bus *bus);
void pci_bars_unmap(struct pci_device *dev);

/* pci_intx.c */
bool pci_intx_pending(struct pci_device *dev);
/* INTX_DISABLE was written. */
void pci_intx_disable(struct pci_device *dev, bool disabled);

#endif
