// SPDX-License-Identifier: Apache-2.0
/*
 * options_internal.h - the command line while it is read: shared by the files of this room only.
 *
 * options.c walks the arguments and calls the handler that the table (options_table.c) names. A handler
 * checks its argument alone and stores it. The end of the command line is where the rest is checked: -m and -smp, which
 * merge when repeated, -kernel with -initrd and -append, the console, and every device against the objects.
 *
 * Handlers return 0, -errno with err set, or HANDLED_HELP: something was printed and nothing is to be run.
 * They write err without the option's name: options.c prepends it.
 */
#ifndef PMVM_OPTIONS_INTERNAL_H
#define PMVM_OPTIONS_INTERNAL_H

#include "options.h"
#include "props.h"
#include "vm_limits.h"

#define HANDLED_HELP 1

/* An option with its argument, for errors that are found later. Borrowed from argv. */
struct place {
	const char *option, *arg;
};

struct mem_args {
	struct place place;
	uint64_t size, maxmem, slots;
	bool has_maxmem, has_slots;
};

struct smp_args {
	struct place place;
	uint64_t cpus, maxcpus, sockets, dies, cores, threads; /* 0: not given */
};

struct numa_args {
	char *memdev, *mem;
	uint64_t cpus; /* a bit each */
	uint32_t nodeid;
};

struct cmdline {
	struct machine_config *opts;
	struct vpmem_error *err;
	struct place now;  /* the current option */
	struct place last; /* the one before it */
	struct mem_args mem;
	struct smp_args smp;
	struct place backend_place; /* of -machine memory-backend= */
	struct place numa_place;    /* of the last -numa */
	unsigned nnodes;
	char *cpu; /* of the last -cpu; owned */
	struct place cpu_place;
	struct place accel_place; /* of the last -accel; its option is NULL: there is none */
	char *accel;              /* the first one that is not kvm; owned */
	bool kvm_given;           /* by some -accel */
	char *numa_memdev;        /* owned */
	uint64_t numa_cpus;
	bool nographic, nodefaults;
	bool serial_given, monitor_given;
	unsigned nmonitor_words; /* -monitor and -qmp so far: the ids of their chardevs */
	struct place serial_place, monitor_places[MONITORS_MAX];
	bool stdio_used;
	struct place stdio_place; /* of the option that uses it; empty: -nographic */
	unsigned npmem_shorthands;
	struct device_config *
		*devices; /* not yet checked against the objects, which may come later; NULL: it was taken */
	enum props_form device_forms[PCI_DEVICES_MAX];
	struct place device_places[PCI_DEVICES_MAX];
	unsigned ndevices;
	struct json_object *net_card, *net_backend; /* of -net; owned; NULL: none so far */
	struct place net_card_place, net_backend_place;
};

enum option_kind {
	OPTION_ARGUMENT, /* handle(cl, argument) */
	OPTION_PLAIN,    /* handle(cl, NULL): there is no argument */
	OPTION_STRING,   /* the argument goes into the char * at offset */
	OPTION_FLAG,     /* no argument: sets the bool at offset */
	OPTION_NOTHING,  /* no argument: what it asks for is always so */
};

struct option {
	const char *name; /* without dash; NULL: usage is a heading of -help */
	enum option_kind kind;
	union {
		int (*handle)(struct cmdline *cl, const char *arg); /* OPTION_ARGUMENT, OPTION_PLAIN */
		size_t offset; /* in struct machine_config: OPTION_STRING, OPTION_FLAG */
	};
	const char *usage; /* what follows the name in -help; "" if nothing */
	const char *help;  /* lines separated by '\n' */
};
extern const struct option option_table[]; /* ends with an entry that is all zero */

/* An option that QEMU has and pmvm does not: the error that is better than "invalid option". */
struct refused_option {
	const char *name;
	bool not_yet;     /* planned */
	const char *hint; /* next step, or NULL */
};
extern const struct refused_option refused_table[]; /* ends with an entry that is all zero */

/* Text with an implied key into the struct that the class describes. HANDLED_HELP: help was printed. */
int option_keyval(struct cmdline *cl, const char *arg, const char *implied_key, const struct prop_class *cls,
                  void *obj);
/* Replaces an allocated string. */
int option_string(struct cmdline *cl, char **field, const char *arg);
int option_not_supported(struct cmdline *cl, bool not_yet);

const char *option_name(const char *word);
/* NULL: there is none. */
const struct option *option_find(const char *name, size_t len);

/* options_word.c. Both return -EINVAL: a word without a dash where an option should be; an unknown option. */
int option_stray(struct cmdline *cl, const char *word);
int option_unknown(struct cmdline *cl, const char *word, const char *name);
/* The word (may be NULL) ends in a carriage return. */
bool word_has_cr(const char *word);
void hint_cr(struct vpmem_error *err);

/* options_help.c */
int handle_help(struct cmdline *cl, const char *arg);
int handle_version(struct cmdline *cl, const char *arg);

/* options_machine.c */
int handle_machine(struct cmdline *cl, const char *arg);
int handle_accel(struct cmdline *cl, const char *arg);
int finish_accel(struct cmdline *cl);
int handle_rtc(struct cmdline *cl, const char *arg);
int handle_overcommit(struct cmdline *cl, const char *arg);
int handle_name(struct cmdline *cl, const char *arg);
int handle_uuid(struct cmdline *cl, const char *arg);

/* options_cpu.c: the last -cpu counts, and is checked at the end */
int handle_cpu(struct cmdline *cl, const char *arg);
int finish_cpu(struct cmdline *cl);

/* options_accept.c */
int handle_bios(struct cmdline *cl, const char *arg);
int handle_boot(struct cmdline *cl, const char *arg);
int handle_drive(struct cmdline *cl, const char *arg);
int handle_echr(struct cmdline *cl, const char *arg);
int handle_global(struct cmdline *cl, const char *arg);
int handle_ignored(struct cmdline *cl, const char *arg);
int handle_msg(struct cmdline *cl, const char *arg);
int handle_run_with(struct cmdline *cl, const char *arg);
int handle_sandbox(struct cmdline *cl, const char *arg);

/* options_readconfig.c */
int handle_readconfig(struct cmdline *cl, const char *arg);

/* options_size.c: -m and -smp */
int handle_m(struct cmdline *cl, const char *arg);
int handle_smp(struct cmdline *cl, const char *arg);
int finish_m(struct cmdline *cl);
int finish_smp(struct cmdline *cl);

/* options_memory.c */
int handle_numa(struct cmdline *cl, const char *arg);
int finish_memory(struct cmdline *cl);

/* options_console.c */
int handle_nographic(struct cmdline *cl, const char *arg);
int handle_nodefaults(struct cmdline *cl, const char *arg);
int handle_serial(struct cmdline *cl, const char *arg);
int handle_display(struct cmdline *cl, const char *arg);
int handle_vga(struct cmdline *cl, const char *arg);
int handle_none_only(struct cmdline *cl, const char *arg);
int handle_monitor(struct cmdline *cl, const char *arg);
int handle_qmp(struct cmdline *cl, const char *arg);
int handle_qmp_pretty(struct cmdline *cl, const char *arg);
int handle_mon(struct cmdline *cl, const char *arg);
int finish_console(struct cmdline *cl);

/* options_chardev.c */
int handle_chardev(struct cmdline *cl, const char *arg);
/*
 * A word of -serial, -monitor or -qmp: "chardev:ID" changes *id; for others, a chardev with that id is added. is_shared:
 * "mon:stdio". `kinds` lists the words for the hint.
 */
int option_chardev_word(struct cmdline *cl, const char *arg, const char *kinds, bool is_shared, const char **id);
/* NULL: there is none so far. */
struct chardev_config *option_find_chardev(const struct cmdline *cl, const char *id);

/* options_device.c */
int handle_object(struct cmdline *cl, const char *arg);
int handle_device(struct cmdline *cl, const char *arg);
int handle_netdev(struct cmdline *cl, const char *arg);
/* A netdev, a device: checked alone, and kept. */
int option_add_netdev(struct cmdline *cl, struct json_object *json, enum props_form form);
int option_add_device(struct cmdline *cl, struct json_object *json, enum props_form form);

/* options_net.c */
int handle_nic(struct cmdline *cl, const char *arg);
int handle_net(struct cmdline *cl, const char *arg);
/* Before finish_devices. */
int finish_net(struct cmdline *cl);

int handle_pmem(struct cmdline *cl, const char *arg);
int handle_share(struct cmdline *cl, const char *arg);
int finish_share(struct cmdline *cl);
/* Takes the configuration on success. -EEXIST: its id is taken. */
int option_add_chardev(struct cmdline *cl, struct chardev_config *cfg);
int option_add_object(struct cmdline *cl, struct json_object *json, enum props_form form);
int finish_devices(struct cmdline *cl);

/*
 * options_fit.c: can this one be added to those in `have`? An object: the id is free. A device: the id, the slot, the bus
 * and a slot at all are free, the objects and the netdev that it names exist and are not busy. `have` is borrowed for the call; QEMU has
 * other texts for JSON than for key=value.
 */
/* Names the bus that the device brings, and finds the one that it goes on, if that is not PCI. */
int options_place_device(const struct machine_config *have, struct device_config *cfg, struct vpmem_error *err);
int options_check_object(const struct machine_config *have, const struct object_config *cfg, enum props_form form,
                         struct vpmem_error *err);
int options_check_device(const struct machine_config *have, const struct device_config *cfg, enum props_form form,
                         struct vpmem_error *err);
/* The chardev that a netdev names is there. */
int options_check_netdev(const struct machine_config *have, const struct object_config *cfg, struct vpmem_error *err);
/* Whether some device names the netdev. */
bool options_netdev_has_card(const struct machine_config *opts, const char *id);
/* How many PCI buses the devices need. */
unsigned options_nbuses(const struct machine_config *opts);
/* Takes the configuration into the list. -ENOMEM: it stays the caller's. */
int options_add_object(struct machine_config *opts, struct object_config *cfg);
int options_add_device(struct machine_config *opts, struct device_config *cfg);

#endif
