// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - one -object and one -device, checked: of the command line, or of object_add and device_add later.
 * Nothing here opens, creates or starts anything.
 *
 * -object and -device arrive as key=value text or as JSON; both become a json_object, which a table of
 * properties (name, type, default, help) checks and writes into a struct. Text values are strings that
 * are converted ("4G", "on"); JSON values must have the right type, as in QEMU.
 *
 * The struct belongs to a type of objects or a model of devices, of which device_list.h has the lists. Its first member is
 * a struct object_config or a struct device_config: what all of them have. A pointer to that is how the rest of the program
 * passes one on; the code of the type or model converts it with object_config_as or device_config_as.
 */
#ifndef PMVM_CONFIG_H
#define PMVM_CONFIG_H

#include "props.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <vpmem.h>

struct json_object;
struct object_type;
struct device_model;

/* ---- one object, one device: what all have. Strings are owned by the struct. */

struct object_config {
	const struct object_type *type;
	char *id; /* not NULL, but in one that is empty */
};

struct device_config {
	const struct device_model *model;
	char *id;  /* NULL: none */
	char *bus; /* NULL, "pcie.N", or "pci.0"; for a device that does not go on PCI, the child_bus of another */
	char *child_bus; /* name of the bus that this device brings; NULL: none, or config_name_bus was not called yet */
	int bus_nr;      /* N, or -1: any; 0 if only addr is given */
	int slot;        /* addr=: device number on the bus, or -1 */
	bool event_idx, indirect_desc, queue_reset;
	bool register_page, pio_notify;
};

/*
 * One -object or -device, with qom-type or driver among its properties. These two functions check all of it, for the
 * command line and for the monitor; whether it fits those that exist is for the caller to check (config_check_links).
 * *out is the caller's; NULL on failure.
 */
int config_object(struct json_object *props, enum props_form form, struct object_config **out, struct vpmem_error *err);
int config_device(struct json_object *props, enum props_form form, struct device_config **out, struct vpmem_error *err);
/* The same for an object or a netdev whose type is known. */
int config_of_type(const struct object_type *type, struct json_object *props, enum props_form form,
                   struct object_config **out, struct vpmem_error *err);
/* NULL is allowed. */
void object_config_free(struct object_config *cfg);
void device_config_free(struct device_config *cfg);

/* Is the type the named one, or is that the type above it? */
bool object_type_is(const struct object_type *type, const char *name);

/* The whole struct, which must be of this type or model. */
void *object_config_as(struct object_config *cfg, const struct object_type *type);
void *device_config_as(struct device_config *cfg, const struct device_model *model);

/* ---- objects that devices name: properties of type PROP_LINK */

/* The id that the device's idx-th link names, or NULL: it has no more. Links that are not given do not count. */
const char *device_config_link(const struct device_config *cfg, unsigned idx, const struct prop **prop);
/* Does some link of the device name this object? */
bool device_config_names(const struct device_config *cfg, const char *object_id);

/*
 * Is each object that the device names there, and of the right type? `at` returns those that are there, idx from 0, then
 * NULL. -ENODEV and -EINVAL with QEMU's text; `command` is what creates an object, for the hint: "" or "object_add ".
 */
int config_check_links(const struct device_config *cfg,
                       const struct object_config *(*at)(const void *owner, unsigned idx), const void *owner,
                       const char *command, struct vpmem_error *err);

/* ---- buses that devices bring: device_model.child_bus, device_model.bus */

/* Those that are there: idx from 0, then NULL. */
typedef const struct device_config *config_device_at(const void *owner, unsigned idx);

/* Names the bus that the device brings, if its model has one: "ID.0", or "TYPE.N" with the first N that is free. -ENOMEM. */
int config_name_bus(struct device_config *cfg, config_device_at *at, const void *owner);
/*
 * The device that brings the bus for this one, which does not go on PCI: *idx. It is the one that is named, or the last one
 * of the right type, whose name the configuration then gets. -ENODEV with QEMU's text; `command` as above: "-device ".
 */
int config_find_parent(struct device_config *cfg, config_device_at *at, const void *owner, const char *command,
                       unsigned *idx, struct vpmem_error *err);

/* ---- types and models */

/* A type of objects. */
struct object_type {
	const struct prop_class
		*props;      /* its name is QEMU's; over a struct whose first member is a struct object_config */
	size_t config_size;  /* of that struct */
	const char *base;    /* QEMU's type above it, which links may name: "memory-backend" */
	const char *example; /* what follows "TYPE,id=ID" in a hint: ",share=on,mem-path=FILE"; "" if nothing */
	/* The checks that need more than one property, and what follows from the properties. NULL: there are none. */
	int (*check)(struct object_config *cfg, struct json_object *props, struct vpmem_error *err);
};

/*
 * A model of devices. They are virtio devices behind PCI, and have the properties of virtio_pci_class; or they go on a bus
 * that another device brings, and have those of bus_device_class; or they are on the board.
 */
struct device_model {
	const struct prop_class *props; /* over a struct whose first member is a struct device_config */
	size_t config_size;
	const char *alias;               /* another name of QEMU's: "virtio-rng"; NULL: none */
	const char *category;            /* of -device help: "Misc" */
	const char *description;         /* one line for -device help */
	const char *virtio_name;         /* QEMU's name of the virtio device inside: "virtio-pmem"; NULL: none */
	const char *const *virtio_props; /* the properties that qom-list shows there; sorted, NULL-terminated */
	const char *bus;                 /* QEMU's type of the bus that it goes on: "virtio-serial-bus". NULL: PCI */
	const char *child_bus;           /* of the bus that it brings. NULL: none */
	bool on_board;                   /* on no bus: it is there from the start, and stays */
	int (*check)(struct device_config *cfg, struct vpmem_error *err); /* as above */
};

static inline bool device_model_is_pci(const struct device_model *model)
{
	return !model->bus && !model->on_board;
}

/* By index, up to NULL; and by name or alias, NULL if there is none. */
const struct object_type *object_type_at(unsigned idx);
const struct device_model *device_model_at(unsigned idx);
const struct object_type *object_type_find(const char *name);
const struct device_model *device_model_find(const char *name);

/* Prints the types (NULL or "help"), or the properties of one. -EINVAL, -ENODEV: there is no such type. */
int config_object_help(const char *type, FILE *out, struct vpmem_error *err);
int config_device_help(const char *driver, FILE *out, struct vpmem_error *err);

/* The table that every device model is based on (prop_class.base), over struct device_config. */
extern const struct prop_class virtio_pci_class;
/* The same for devices that do not go on PCI. */
extern const struct prop_class bus_device_class;

/* ---- memory-backend-file, memory-backend-memfd, memory-backend-ram */

#define MEMORY_BACKEND "memory-backend" /* QEMU's type above them */

struct memdev_config {
	struct object_config obj;
	char *mem_path;                       /* of a file; NULL for the others */
	struct vpmem_backing_options backing; /* its id and path point to obj.id and mem_path */
	bool dump_set;                        /* else -machine dump-guest-core= says what backing.dump is */
	bool hugetlb, seal;                   /* of a memfd */
	uint64_t hugetlbsize;                 /* bytes; 0: the host's default */
};
/* What all have; their own tables have it as the base. */
extern const struct prop_class memory_backend_class;
extern const struct prop_class memory_backend_file_class, memory_backend_memfd_class, memory_backend_ram_class;
extern const struct object_type memory_backend_file_type, memory_backend_memfd_type, memory_backend_ram_type;

/* The whole struct, of an object that is any memory backend. */
struct memdev_config *memdev_config_of(struct object_config *cfg);

/* ---- virtio-pmem-pci */

/* When a sync fails: report it to the guest, or pause the machine first. */
enum werror { WERROR_REPORT, WERROR_STOP };
extern const char *const werror_words[]; /* enum werror; ends with NULL */

struct pmem_config {
	struct device_config dev;
	char *memdev;
	uint64_t memaddr; /* 0: chosen */
	bool shmem;
	unsigned werror; /* enum werror */
};
extern const struct prop_class virtio_pmem_pci_class;
extern const struct device_model virtio_pmem_pci_model;

/* ---- vhost-vsock-pci */

enum seqpacket { SEQPACKET_AUTO, SEQPACKET_ON, SEQPACKET_OFF };

struct vsock_config {
	struct device_config dev;
	uint64_t guest_cid;
	unsigned seqpacket; /* enum seqpacket */
	char *vhostfd;
	int vhost_fd; /* what vhostfd says; -1: none */
};
extern const struct prop_class vhost_vsock_pci_class;
extern const struct device_model vhost_vsock_pci_model;

/* ---- vhost-user-blk-pci, vhost-user-fs-pci, vhost-user-device-pci: their back end is another process */

#define VHOST_USER_QUEUES_MAX 64u
#define VHOST_USER_QUEUES_AUTO UINT16_MAX /* of a blk device: one for each processor */

struct vhost_user_config {
	struct device_config dev;
	char *chardev;
	uint32_t nqueues;                       /* of an fs device, those for requests: there is one more */
	uint32_t queue_size;                    /* a power of two */
	bool config_wce, discard, write_zeroes; /* of a blk device */
	char *tag;                              /* of an fs device */
	bool repeat;                            /* the same */
	uint32_t virtio_id, config_size;        /* of any other device */
};
extern const struct prop_class vhost_user_blk_pci_class, vhost_user_device_pci_class, vhost_user_fs_pci_class;
extern const struct device_model vhost_user_blk_pci_model, vhost_user_device_pci_model, vhost_user_fs_pci_model;

/* The whole struct, of a device that is one of the three. */
struct vhost_user_config *vhost_user_config_of(struct device_config *cfg);
/* The checks that the three have in common. */
int vhost_user_config_check_size(const char *prop, uint32_t val, struct vpmem_error *err);

/* ---- rng-builtin, rng-random, virtio-rng-pci */

struct rng_config {
	struct object_config obj;
	char *filename; /* NULL for rng-builtin */
};
extern const struct prop_class rng_builtin_class, rng_random_class;
extern const struct object_type rng_builtin_type, rng_random_type;

struct rng_device_config {
	struct device_config dev;
	char *rng;          /* NULL: as rng-builtin */
	uint64_t max_bytes; /* in each period */
	uint32_t period_ms;
};
extern const struct prop_class virtio_rng_pci_class;
extern const struct device_model virtio_rng_pci_model;

/* ---- virtio-balloon-pci */

struct balloon_config {
	struct device_config dev;
	bool deflate_on_oom, free_page_reporting, page_poison;
	uint64_t stats_interval_s; /* 0: the guest is not asked; at most UINT32_MAX */
};
extern const struct prop_class virtio_balloon_pci_class;
extern const struct device_model virtio_balloon_pci_model;

/* ---- virtio-serial-pci; virtconsole, virtserialport */

#define SERIAL_PORTS_MAX 31u
#define SERIAL_PORT_NAME_MAX 255u /* bytes */

struct serial_device_config {
	struct device_config dev;
	bool emergency_write;
	uint32_t max_ports; /* 1 to SERIAL_PORTS_MAX */
};
extern const struct prop_class virtio_serial_pci_class;
extern const struct device_model virtio_serial_pci_model;

struct port_config {
	struct device_config dev;
	char *chardev, *name; /* NULL: none */
	uint32_t nr;          /* UINT32_MAX: any */
};
extern const struct prop_class virtconsole_class, virtserialport_class;
extern const struct device_model virtconsole_model, virtserialport_model;

/* ---- vmgenid */

struct vmgenid_config {
	struct device_config dev;
	char *guid; /* "auto", or 36 characters */
};
extern const struct prop_class vmgenid_class;
extern const struct device_model vmgenid_model;

/* ---- netdevs: network back ends. They are like objects, with ids of their own: object_config_free ends one. */

int config_netdev(struct json_object *props, enum props_form form, struct object_config **out, struct vpmem_error *err);
/* The types, by index up to NULL. */
const struct object_type *netdev_type_at(unsigned idx);
/* Prints the types (NULL or "help"), or the properties of one. -EINVAL: there is no such type. */
int config_netdev_help(const char *type, FILE *out, struct vpmem_error *err);

/* Keys of -netdev that may repeat (keyval.h). */
#define NETDEV_LIST_KEYS "dnssearch|guestfwd|hostfwd"
/*
 * The members of a netdev as its table of properties has them: what JSON nests is flat ("addr.type"), and the texts of a list are
 * lines of one text. The caller owns it; NULL: out of memory.
 */
struct json_object *netdev_flat(struct json_object *props);

/* ---- -netdev stream, dgram */

/* A socket's address. Only what belongs to its type is set. */
struct netdev_address {
	char *type; /* NULL: there is no address */
	char *path, *host, *port, *str;
};

struct stream_config {
	struct object_config obj;
	struct netdev_address addr;
	bool server;
	uint32_t reconnect; /* seconds; 0: not after the end of a connection */
};
extern const struct prop_class netdev_stream_class;
extern const struct object_type netdev_stream_type;

struct dgram_config {
	struct object_config obj;
	struct netdev_address local, remote;
};
extern const struct prop_class netdev_dgram_class;
extern const struct object_type netdev_dgram_type;

/* ---- -netdev user: passt */

struct user_config {
	struct object_config obj;
	bool ipv4, ipv6;
	char *net, *host, *dhcpstart, *dns;
	char *dnssearch, *hostfwd; /* a line for each; NULL: none */
	/* What net, host and dhcpstart say, as passt takes it. */
	char address[16], netmask[16], gateway[16];
};
extern const struct prop_class netdev_user_class;
extern const struct object_type netdev_user_type;

/* One hostfwd. Texts are terminated; host: "" is any address. */
struct hostfwd {
	bool udp;
	char host[16], guest[16];
	uint16_t host_port, guest_port;
};
/* The line at *text, which moves behind it. 1; 0: there is no more; -EINVAL with QEMU's text. */
int hostfwd_next(const char **text, struct hostfwd *out, struct vpmem_error *err);

/* ---- -netdev vhost-user */

struct netdev_vhost_user_config {
	struct object_config obj;
	char *chardev;
	uint32_t queues; /* pairs, 1 to NET_QUEUES_MAX */
};
extern const struct prop_class netdev_vhost_user_class;
extern const struct object_type netdev_vhost_user_type;

/* ---- -netdev tap */

#define NET_QUEUES_MAX 31u /* a virtio-net device has two virtqueues for each, and the control queue */

struct tap_config {
	struct object_config obj;
	char *ifname, *fd, *fds, *vhostfd, *vhostfds;
	uint32_t queues; /* 1 to NET_QUEUES_MAX */
	bool vnet_hdr, vhost;
	/* What fd, fds, vhostfd and vhostfds say; 0 of them: none was given. */
	unsigned ntap_fds, nvhost_fds;
	int tap_fds[NET_QUEUES_MAX], vhost_fds[NET_QUEUES_MAX];
};
extern const struct prop_class netdev_tap_class;
extern const struct object_type netdev_tap_type;

/* ---- virtio-net-pci */

/* The features that a property switches off. */
enum net_feature {
	NET_CSUM,
	NET_CTRL_GUEST_OFFLOADS,
	NET_CTRL_MAC_ADDR,
	NET_CTRL_RX,
	NET_CTRL_VQ,
	NET_GUEST_CSUM,
	NET_GUEST_ECN,
	NET_GUEST_TSO4,
	NET_GUEST_TSO6,
	NET_HOST_ECN,
	NET_HOST_TSO4,
	NET_HOST_TSO6,
	NET_MRG_RXBUF,
	NET_STATUS,
	NET_FEATURES
};

struct net_config {
	struct device_config dev;
	char *netdev, *mac_text;
	uint8_t mac[6]; /* what mac_text says, if it was given */
	bool mq;
	bool features[NET_FEATURES];
	uint32_t host_mtu, rx_queue_size, tx_queue_size;
};
extern const struct prop_class virtio_net_pci_class;
extern const struct device_model virtio_net_pci_model;

#endif
