// SPDX-License-Identifier: Apache-2.0
// All options with their texts for -help, and the options of QEMU that are refused by name.
#include "options_internal.h"

#include <stddef.h>

// An option that fills one field of struct machine_config needs no handler, only the field's offset.
#define CONFIG(field) offsetof(struct machine_config, field)
#define HEADING(text)         \
	{                     \
		.usage = text \
	}
#define STRING(opt, field, arg, text)                                                                   \
	{                                                                                               \
		.name = opt, .kind = OPTION_STRING, .offset = CONFIG(field), .usage = arg, .help = text \
	}
#define FLAG(opt, field, text)                                                                       \
	{                                                                                            \
		.name = opt, .kind = OPTION_FLAG, .offset = CONFIG(field), .usage = "", .help = text \
	}
#define NOTHING(opt, text)                                                     \
	{                                                                      \
		.name = opt, .kind = OPTION_NOTHING, .usage = "", .help = text \
	}
#define PLAIN(opt, handler, text)                                                               \
	{                                                                                       \
		.name = opt, .kind = OPTION_PLAIN, .handle = handler, .usage = "", .help = text \
	}
#define ARGUMENT(opt, handler, arg, text)                                                           \
	{                                                                                           \
		.name = opt, .kind = OPTION_ARGUMENT, .handle = handler, .usage = arg, .help = text \
	}

const struct option option_table[] = {
	HEADING("The guest"),
	STRING("kernel", kernel, "FILE", "Linux kernel: a bzImage, or a vmlinux with PVH entry"),
	STRING("initrd", initrd, "FILE", "initial RAM disk"),
	STRING("append", append, "TEXT", "the kernel's command line"),
	ARGUMENT("m", handle_m, "[size=]N[K|M|G|T][,slots=N][,maxmem=SIZE]",
	         "guest RAM; a number alone is MiB (default: 128M);\n"
	         "slots and maxmem are checked and have no effect"),
	ARGUMENT("smp", handle_smp, "[cpus=]N[,maxcpus=N][,sockets=N][,cores=N][,threads=N]",
	         "processors, 1 to 64 (default: 1); one socket for the guest"),
	ARGUMENT("name", handle_name, "[guest=]NAME", "name of the virtual machine"),
	ARGUMENT("uuid", handle_uuid, "UUID", "identity of the virtual machine"),

	HEADING("Persistent memory and other devices"),
	ARGUMENT("pmem", handle_pmem, "FILE[,size=N][,id=ID][,readonly=on][,share=off][,PROP=VALUE]...",
	         "FILE as /dev/pmemN in the guest: an -object with its -device;\n"
	         "a missing file is created; '-pmem help' lists the properties"),
	ARGUMENT("share", handle_share, "DIR[,tag=NAME][,id=ID][,sandbox=WORD]",
	         "a folder of the host, by the program virtiofsd; in the guest:\n"
	         "mount -t virtiofs NAME /mnt; NAME is the last part of DIR"),
	ARGUMENT("object", handle_object, "memory-backend-file,id=ID,mem-path=FILE[,PROP=VALUE]...",
	         "a file as memory; share=on writes to the file; also as JSON;\n"
	         "'-object help' lists all types, '-object TYPE,help' properties"),
	ARGUMENT("device", handle_device, "virtio-pmem-pci,memdev=ID[,id=ID][,PROP=VALUE]...",
	         "an object as /dev/pmemN in the guest; also as JSON;\n"
	         "'-device help' lists all devices, '-device NAME,help' properties"),

	HEADING("Network and sockets"),
	ARGUMENT("nic", handle_nic, "user|tap|stream|dgram|vhost-user|none[,mac=MAC][,PROP=VALUE]...",
	         "a network card with its back end; user needs the program passt,\n"
	         "and no privilege; the properties are those of -netdev"),
	ARGUMENT("netdev", handle_netdev, "user|tap|stream|dgram|vhost-user,id=ID[,PROP=VALUE]...",
	         "a network back end, for -device virtio-net-pci,netdev=ID;\n"
	         "'-netdev TYPE,help' lists the properties"),
	ARGUMENT("net", handle_net, "nic[,macaddr=MAC]|user|tap|none[,PROP=VALUE]...",
	         "a card and a back end, one of each: an older form of -nic"),

	HEADING("Console"),
	PLAIN("nographic", handle_nographic,
	      "serial port and monitor on this terminal; Ctrl-a c switches,\n"
	      "Ctrl-a x quits, Ctrl-a h helps"),
	ARGUMENT("serial", handle_serial, "stdio|mon:stdio|file:PATH|pty|null|none|unix:PATH,...|tcp:...|chardev:ID",
	         "back end of the serial port, which is ttyS0 in the guest;\n"
	         "mon:stdio adds a monitor on the same terminal: Ctrl-a c switches"),
	ARGUMENT("chardev", handle_chardev, "null|stdio|file|socket|pty|ringbuf,id=ID[,PROP=VALUE]...",
	         "a back end that others name by its id;\n"
	         "'-chardev socket,help' lists the properties of one"),
	ARGUMENT("echr", handle_echr, "N", "the escape character is the one with this number, not Ctrl-a"),
	ARGUMENT("display", handle_display, "none", "there is no display"),
	ARGUMENT("vga", handle_vga, "none", "there is no display"),
	ARGUMENT("parallel", handle_none_only, "none", "there is no parallel port"),

	HEADING("Monitor"),
	ARGUMENT("monitor", handle_monitor, "stdio|null|none|unix:PATH,server=on,wait=off|chardev:ID",
	         "a monitor for people: type help in it"),
	ARGUMENT("qmp", handle_qmp, "stdio|null|none|unix:PATH,server=on,wait=off|chardev:ID",
	         "a monitor for programs: JSON, QEMU's protocol"),
	ARGUMENT("qmp-pretty", handle_qmp_pretty, "stdio|null|none|unix:PATH,server=on,wait=off|chardev:ID",
	         "the same, indented"),
	ARGUMENT("mon", handle_mon, "[chardev=]ID[,mode=readline|control][,pretty=on]",
	         "a monitor on a -chardev: for people, or (control) for programs"),

	HEADING("The machine"),
	ARGUMENT("machine", handle_machine, "[type=]NAME[,accel=kvm][,PROP=VALUE]...",
	         "pmvm, or q35, pc, microvm for the same;\n"
	         "memory-backend=ID: RAM is this object"),
	ARGUMENT("M", handle_machine, "NAME", "the same as -machine"),
	ARGUMENT("numa", handle_numa, "node,memdev=ID", "one node: the same as -machine memory-backend=ID"),
	ARGUMENT("accel", handle_accel, "kvm", "KVM is the only accelerator; others may be given beside it"),
	NOTHING("enable-kvm", "the same as -accel kvm"),
	ARGUMENT("cpu", handle_cpu, "host|max[,-vmx][,-svm][,pmu=off]",
	         "the host's processor, all of it or without some features"),
	ARGUMENT("boot", handle_boot, "[strict=on|off][,menu=off]", "accepted: the kernel of -kernel boots"),
	ARGUMENT("bios", handle_bios, "qboot.rom", "accepted: there is no firmware"),
	NOTHING("usb", "accepted: the machine has no USB devices"),
	ARGUMENT("drive", handle_drive, "file=FILE,if=none[,id=ID]",
	         "a file that no device has; the machine has no disks"),
	ARGUMENT("global", handle_global, "DRIVER.PROP=VALUE", "a default of a device; only one that changes nothing"),
	ARGUMENT("rtc", handle_rtc, "base=utc", "the guest's clock is in UTC"),
	ARGUMENT("overcommit", handle_overcommit, "mem-lock=off,cpu-pm=off", "memory is not locked"),

	HEADING("Running"),
	FLAG("S", stopped, "do not start the guest before the monitor's cont"),
	FLAG("no-reboot", no_reboot, "exit instead of rebooting"),
	FLAG("no-shutdown", no_shutdown, "pause instead of exiting when the guest powers off"),
	FLAG("daemonize", daemonize, "go to the background once the machine is ready"),
	STRING("pidfile", pidfile, "FILE", "write the process id to FILE"),
	PLAIN("nodefaults", handle_nodefaults, "no serial port and no monitor by -nographic"),
	ARGUMENT("readconfig", handle_readconfig, "FILE", "more options from FILE: [device], then driver = \"...\""),
	ARGUMENT("D", handle_ignored, "FILE", "accepted: there is no trace that would go to FILE"),
	ARGUMENT("msg", handle_msg, "timestamp=on|off", "begin each message with the time"),
	ARGUMENT("run-with", handle_run_with, "[user=NAME|UID:GID][,chroot=DIR]",
	         "once everything is open, become this user and see only DIR;\n"
	         "later files are opened as that user, below DIR"),
	STRING("runas", run_user, "NAME|UID:GID", "the same as -run-with user="),
	ARGUMENT("sandbox", handle_sandbox, "on|off|log[,dir=PATH]...[,net=on]",
	         "limit this process to what the machine needs (default: on);\n"
	         "files that are opened later are below the directories of the\n"
	         "command line, the working directory, or a PATH"),
	STRING("chroot", run_root, "DIR", "the same as -run-with chroot="),
	NOTHING("no-user-config", "accepted: there are no configuration files"),

	HEADING("Information"),
	PLAIN("version", handle_version, "print the version"),
	PLAIN("h", handle_help, "the same as -help"),
	PLAIN("help", handle_help, "print this text"),
	{ 0 },
};

#define NO_DISKS "the machine has no disks: a file becomes /dev/pmemN by -pmem FILE"
#define NO_FIRMWARE "there is no firmware: the kernel of -kernel boots"
#define NO_DISPLAY "the machine has no display: use -nographic"
#define NO_MIGRATION "there are no snapshots and no migration"

#define LATER(opt, text)                                   \
	{                                                  \
		.name = opt, .not_yet = true, .hint = text \
	}
#define NEVER(opt, text)                  \
	{                                 \
		.name = opt, .hint = text \
	}

const struct refused_option refused_table[] = {
	/* Not yet. */
	LATER("action", "-no-reboot is supported"),
	LATER("add-fd", NULL),
	LATER("async-teardown", NULL),
	LATER("d", NULL),
	LATER("gdb", NULL),
	LATER("mem-path", "-object memory-backend-file,id=ram,mem-path=FILE,size=SIZE -machine memory-backend=ram"),
	LATER("mem-prealloc", "-object memory-backend-ram,id=ram,size=SIZE,prealloc=on -machine memory-backend=ram"),
	LATER("preconfig", NULL),
	LATER("s", NULL),
	LATER("set", "give the property to the -device"),
	LATER("trace", NULL),

	/* Not planned. */
	NEVER("L", NO_FIRMWARE),
	NEVER("acpitable", NULL),
	NEVER("audio", "the machine has no sound"),
	NEVER("audio-help", "the machine has no sound"),
	NEVER("audiodev", "the machine has no sound"),
	NEVER("blockdev", NO_DISKS),
	NEVER("cdrom", NO_DISKS),
	NEVER("compat", NULL),
	NEVER("debugcon", NULL),
	NEVER("dfilter", NULL),
	NEVER("dtb", "a guest finds its devices by ACPI"),
	NEVER("dump-vmstate", NO_MIGRATION),
	NEVER("enable-sync-profile", NULL),
	NEVER("fda", NO_DISKS),
	NEVER("fdb", NO_DISKS),
	NEVER("fsdev", "a folder of the host is -share DIR, which the guest mounts by virtiofs"),
	NEVER("full-screen", NO_DISPLAY),
	NEVER("fw_cfg", NO_FIRMWARE),
	NEVER("hda", NO_DISKS),
	NEVER("hdb", NO_DISKS),
	NEVER("hdc", NO_DISKS),
	NEVER("hdd", NO_DISKS),
	NEVER("icount", "it is for emulated processors"),
	NEVER("incoming", NO_MIGRATION),
	NEVER("iscsi", NO_DISKS),
	NEVER("k", NO_DISPLAY),
	NEVER("loadvm", NO_MIGRATION),
	NEVER("mtdblock", NO_DISKS),
	NEVER("no-acpi", "a guest finds its devices by ACPI"),
	NEVER("no-fd-bootchk", NO_FIRMWARE),
	NEVER("no-hpet", "there is no HPET: leave it out"),
	NEVER("only-migratable", NO_MIGRATION),
	NEVER("option-rom", NO_FIRMWARE),
	NEVER("pflash", NO_FIRMWARE),
	NEVER("plugin", "it is for emulated processors"),
	NEVER("portrait", NO_DISPLAY),
	NEVER("rotate", NO_DISPLAY),
	NEVER("sd", NO_DISKS),
	NEVER("seed", NULL),
	NEVER("singlestep", "it is for emulated processors"),
	NEVER("smbios", NO_FIRMWARE),
	NEVER("snapshot", "share=off on a -pmem keeps its file unchanged"),
	NEVER("spice", NO_DISPLAY),
	NEVER("tpmdev", NULL),
	NEVER("usbdevice", "the machine has no USB"),
	NEVER("virtfs", "a folder of the host is -share DIR, which the guest mounts by virtiofs"),
	NEVER("vnc", NO_DISPLAY),
	NEVER("watchdog-action", "the machine has no watchdog"),
	NEVER("win2k-hack", NO_DISKS),
	NEVER("xen-attach", NULL),
	NEVER("xen-domid", NULL),
	NEVER("xen-domid-restrict", NULL),
	{ 0 },
};
