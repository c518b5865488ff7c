// SPDX-License-Identifier: Apache-2.0
// Errors of the command line and of the machine's options, by their full text, and the next step. Where
// QEMU has the error the text is QEMU's: the tables were made from what QEMU 7.2 printed for the same words.
#include "fake_log.h"
#include "options_fixture.h"
#include "options_internal.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NINE_MONITORS                                                                              \
	"-qmp unix:a,server=on -qmp unix:b,server=on -qmp unix:c,server=on -qmp unix:d,server=on " \
	"-qmp unix:e,server=on -qmp unix:f,server=on -qmp unix:g,server=on -qmp unix:h,server=on -qmp unix:i,server=on"

static const struct refused words[] = {
	{ "-foo", "-foo: invalid option", "pmvm -help" },
	{ "--foo", "--foo: invalid option", "pmvm -help" },
	{ "--", "--: invalid option", "pmvm -help" },
	{ "-", "-: invalid option", "pmvm -help" },
	{ "-smpp 2", "-smpp: invalid option", "did you mean -smp?" },
	{ "-nographics", "-nographics: invalid option", "did you mean -nographic?" },
	{ "--kernal k", "--kernal: invalid option", "did you mean -kernel?" },
	{ "-m=1G", "-m=1G: invalid option", "-m 1G" },
	{ "-name", "-name: requires an argument", "usage: -name [guest=]NAME" },
	{ "-m", "-m: requires an argument", "usage: -m " },
	{ "--object", "--object: requires an argument", "usage: -object " },
	{ "disk.img", "disk.img: an option begins with '-'", "quote both: -kernel \"k disk.img\"" },
	{ "-no-reboot disk.img", "disk.img: an option begins with '-'", "pmvm -help" },
	{ "/proc/self/exe", "/proc/self/exe: an option begins with '-'", "-pmem /proc/self/exe" },
	{ "/proc/self", "/proc/self: an option begins with '-'", "quote both" },
	{ "-append console=ttyS0 root=/dev/pmem0 rw", "root=/dev/pmem0: an option begins with '-'",
	  "-append \"console=ttyS0 root=/dev/pmem0 ...\"" },
	{ "--append quiet /proc/self/exe", "/proc/self/exe: an option begins with '-'", "quote the whole text" },
	{ "-append \u201cconsole=ttyS0 quiet\u201d", "quiet\u201d: an option begins with '-'",
	  "U+201C (left double quotation mark), which is no quote for a shell" },
	{ "-name my machine", "machine: an option begins with '-'", "-name \"my machine\"" },
	{ "''", "'': an empty word is no option", "variable of a shell" },
	{ "\u2013nographic", "\u2013nographic: begins with U+2013 (en dash), not with '-'",
	  "type the dash again: -nographic" },
	{ "\u2014nographic", "\u2014nographic: begins with U+2014 (em dash), not with '-'",
	  "type the dash again: -nographic" },
	{ "\u2212\u2212smp 2", "\u2212\u2212smp: begins with U+2212 (minus sign), not with '-'",
	  "type the dash again: -smp" },
	{ "\u2013", "\u2013: begins with U+2013 (en dash), not with '-'", "leave that character out" },
	{ "\u00a0-m 1G", "\u00a0-m: begins with U+00A0 (no-break space), not with '-'", "leave that character out" },
	{ "\ufeff-m 1G", "\ufeff-m: begins with U+FEFF (byte order mark), not with '-'", "leave that character out" },
	{ "-no\u2011reboot", "-no\u2011reboot: invalid option", "it has U+2011 (non-breaking hyphen) in it" },
	{ "-m\u00a01G", "-m\u00a01G: invalid option", "it has U+00A0 (no-break space) in it" },
	{ "\r", "\r: begins with a carriage return, not with '-'", "sed -i 's/\\r$//'" },
	{ "-nographic\r", "-nographic\r: invalid option", "sed -i 's/\\r$//'" },
	{ "-smp 2\r", "@Parameter 'smp.cpus' expects integer", "sed -i 's/\\r$//'" },
	{ "\u0434\u0438\u0441\u043a", "\u0434\u0438\u0441\u043a: an option begins with '-'", "quote both" },
	{ "-append x", "-append only allowed with -kernel option", "-kernel vmlinuz" },
	{ "-initrd x", "-initrd only allowed with -kernel option", "-kernel vmlinuz" },
	{ "-initrd x -append y", "-append only allowed with -kernel option", "-kernel vmlinuz" },
	{ "-nographic", "no guest: -kernel is missing, and there is no firmware to boot from a disk",
	  "-kernel vmlinuz" },
	{ "-drive file=x", "@not supported", "-pmem FILE" },
	{ "-drive file=x,if=ide,foo=1", "@not supported", "-pmem FILE" },
	{ "-drive file=/nonexistent,if=none,id=a", "@Could not open '/nonexistent': No such file or directory", NULL },
	{ "-drive if=none,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-bios bios.bin", "@not supported", "no firmware" },
	{ "-boot c", "@'order=c' is not supported", "-kernel" },
	{ "-boot menu=on", "@'menu=on' is not supported", "no firmware" },
	{ "-boot strict=perhaps", "@Parameter 'strict' expects 'on' or 'off'", NULL },
	{ "-global virtio-rng-pci.period=5", "@'virtio-rng-pci.period=5' is not supported",
	  "-device virtio-rng-pci,period=5" },
	{ "-global driver=virtio-rng-pci,property=period", "@Parameter 'value' is missing", "for example" },
	{ "-global virtio-rng-pci.period", "@Parameter 'driver' is missing", "for example" },
	{ "-msg foo=on", "@Invalid parameter 'foo'", NULL },
	{ "-msg guest-name=on", "@'guest-name=on' is not supported yet", NULL },
	{ "-echr x", "@Bad argument to echr", "1 to 127" },
	{ "-echr 0", "@Bad argument to echr", "1 to 127" },
	{ "-echr 128", "@Bad argument to echr", "1 to 127" },
	{ "-echr -1", "@Bad argument to echr", "1 to 127" },
	{ "-sandbox maybe", "@Parameter 'enable' does not accept value 'maybe'", "off, on, log" },
	{ "-sandbox on,spawn=allow", "@'spawn=allow' is not supported", "denies this always" },
	{ "-sandbox on,elevateprivileges=children", "@'elevateprivileges=children' is not supported",
	  "denies this always" },
	{ "-sandbox on,dir=/nonexistent", "@dir=/nonexistent: No such file or directory", NULL },
	{ "-sandbox on,dri=/", "@Invalid parameter 'dri'", "dir" },
	{ "-run-with async-teardown=on", "@'async-teardown=on' is not supported yet", NULL },
	{ "-readconfig /nonexistent", "@Could not open '/nonexistent': No such file or directory", NULL },
	{ "-monitor udp:x", "@'udp:x' is not a valid char driver", "unix:PATH,server=on" },
	{ "-monitor mon:stdio", "@'mon:stdio' is not a valid char driver", "stdio, null" },
	{ "-qmp tcp:localhost,server=on", "@'tcp:localhost,server=on' is not a valid char driver", "tcp:[HOST]:PORT" },
	{ "-qmp tcp:localhost:http,server=on", "@Parameter 'port' expects a number up to 65535", "not looked up" },
	{ "-serial stdio -monitor stdio", "-monitor stdio: cannot use stdio by multiple character devices",
	  "unix:PATH" },
	{ "-qmp stdio -serial mon:stdio", "-serial mon:stdio: cannot use stdio by multiple character devices",
	  "unix:PATH" },
	{ "-nographic -kernel k -serial stdio", "cannot use stdio by multiple character devices",
	  "-nographic uses stdio" },
	{ "-nographic -kernel k -daemonize -serial null", "-nographic cannot be used with -daemonize", "no display" },
	{ "-nographic -kernel k -daemonize", "-nographic cannot be used with -daemonize", "no display" },
	{ "-kernel k -serial stdio -daemonize", "-serial stdio: cannot use stdio with -daemonize", "unix:PATH" },
	{ "-kernel k -daemonize -qmp stdio", "-qmp stdio: cannot use stdio with -daemonize", "unix:PATH" },
	{ NINE_MONITORS, "-qmp unix:i,server=on: there are 8 monitors already", NULL },
	{ "-parallel stdio", "@not supported", "-parallel none" },
};

#define RAM "-object memory-backend-memfd,id=ram,size=256M"

static const struct refused machines[] = {
	{ "-m 64x", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m -1", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m size=", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m ,slots=2", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m 0.5", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m 256MB", "@Parameter 'size' expects a non-negative number below 2^64", "did you mean 256M? optional" },
	{ "-m 1G,maxmem=2GiB", "@Parameter 'maxmem' expects a non-negative number below 2^64", "did you mean 2G?" },
	{ "-m 1G,maxmem=", "@Parameter 'maxmem' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m 99999999999999999999", "@Value '99999999999999999999' is out of range for parameter 'size'", NULL },
	{ "-m 17592186044416", "@Value '17592186044416' is out of range for parameter 'size'", NULL },
	{ "-m 17592186044415", "@memory size (0xfffffffffff00000) must be at most 0x100000000000", "MiB" },
	{ "-m 16385G", "@memory size (0x100040000000) must be at most 0x100000000000", "MiB" },
	{ "-m 1", "@memory size (0x100000) must be at least 0x200000", "128M" },
	{ "-m 256M,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-m 256M,slot=1", "@Invalid parameter 'slot'", "did you mean slots?" },
	{ "-m slots=2", "@slots specified but no max-size", NULL },
	{ "-m 256M,slots=2", "@slots specified but no max-size", NULL },
	{ "-m 256M,slots=x,maxmem=1G", "@Parameter 'slots' expects a number", NULL },
	{ "-m 256M,maxmem=100M",
	  "@invalid value of maxmem: maximum memory size (0x6400000) must be at least the initial "
	  "memory size (0x10000000)",
	  NULL },
	{ "-m 256M,slots=2,maxmem=256M",
	  "@invalid value of maxmem: memory slots were specified but maximum memory size "
	  "(0x10000000) is equal to the initial memory size (0x10000000)",
	  NULL },
	{ "-m 256M,maxmem=1073741825", "@maximum memory size must by aligned to multiple of 4096 bytes", NULL },
	{ "-machine memory-backend=nope", "@Memory backend 'nope' not found",
	  "memory-backend-memfd,id=nope,size=SIZE" },
	{ RAM " -machine memory-backend=rum", "-machine memory-backend=rum: Memory backend 'rum' not found",
	  "did you mean ram?" },
	{ RAM " -m 64M -machine memory-backend=ram",
	  "-machine memory-backend=ram: Machine memory size does not match the size of the memory backend",
	  "-m 268435456B" },
	{ RAM " -m 256M -machine memory-backend=ram -numa node,memdev=ram",
	  "-numa node,memdev=ram: '-machine memory-backend' and '-numa memdev' properties are mutually exclusive",
	  "leave one of them out" },
	{ "-object memory-backend-file,id=ram,mem-path=f,readonly=on -machine memory-backend=ram",
	  "-machine memory-backend=ram: memory backend 'ram' is read-only", "rom=off" },
	{ RAM " -machine memory-backend=ram -device virtio-pmem-pci,memdev=ram",
	  "-device virtio-pmem-pci,memdev=ram: Invalid parameter type for 'memdev', expected: memory-backend-file",
	  "scratch file" },
	{ "-object memory-backend-file,id=ram,mem-path=f -machine memory-backend=ram -device virtio-pmem-pci,memdev=ram",
	  "-device virtio-pmem-pci,memdev=ram: can't use already busy memdev: ram", "it is the guest's RAM" },
	{ "-numa node,memdev=nope", "@memdev=nope is ambiguous", "memory-backend-memfd,id=nope,size=SIZE" },
	{ RAM " -numa node,memdev=ram",
	  "-numa node,memdev=ram: total memory for NUMA nodes (0x10000000) should equal RAM size (0x8000000)",
	  "-m 268435456B" },
	{ "-numa node", "@total memory for NUMA nodes (0x0) should equal RAM size (0x8000000)", "node,memdev=ID" },
	{ "-numa node,mem=128M", "@Parameter -numa node,mem is not supported by this machine type",
	  "Use -numa node,memdev instead" },
	{ "-numa node,memdev=a -numa node,memdev=b", "-numa node,memdev=b: a second NUMA node is not supported",
	  "one node" },
	{ "-numa node,nodeid=1,memdev=a", "@NUMA node 1 is not supported", "one node" },
	{ "-numa node,memdev=ram,cpus=1", "@CPU index (1) should be smaller than maxcpus (1)", NULL },
	{ "-numa node,memdev=ram,cpus=64", "@Invalid cpus value: 64", "0 to 63" },
	{ "-numa dist,src=0,dst=1,val=20", "@'dist' is not supported", "one node" },
	{ "-numa dist", "@'dist' is not supported", "one node" },
	{ "-numa hmat-lb", "@'hmat-lb' is not supported", "one node" },
	{ "-numa nodes", "@Parameter 'type' does not accept value 'nodes'", "one node" },
	{ "-numa memdev=ram", "@Parameter 'type' is missing", NULL },
	{ "-m 256M,slots=300,maxmem=1G", "@unsupported amount of memory slots: 300", NULL },

	{ "-smp 0", "@Invalid CPU topology: CPU topology parameters must be greater than zero", NULL },
	{ "-smp 2,cores=0", "@Invalid CPU topology: CPU topology parameters must be greater than zero", NULL },
	{ "-smp 2x", "@Parameter 'smp.cpus' expects integer", NULL },
	{ "-smp foo", "@Parameter 'smp.cpus' expects integer", NULL },
	{ "-smp 2,maxcpus=x", "@Parameter 'smp.maxcpus' expects integer", NULL },
	{ "-smp 2,foo=1", "@Parameter 'smp.foo' is unexpected", NULL },
	{ "-smp 2,core=1", "@Parameter 'smp.core' is unexpected", "did you mean cores?" },
	{ "-smp 2,clusters=2", "@'smp.clusters=2' is not supported", NULL },
	{ "-smp 65", "@Invalid SMP CPUs 65. The max CPUs supported by machine 'pmvm' is 64", NULL },
	{ "-smp 2,maxcpus=300", "@Invalid SMP CPUs 300. The max CPUs supported by machine 'pmvm' is 64", NULL },
	{ "-smp cores=65", "@Invalid SMP CPUs 65. The max CPUs supported by machine 'pmvm' is 64", NULL },
	{ "-smp 2,cores=65536", "@Invalid CPU topology: 65536 is too large", NULL },
	{ "-smp cores=65535,sockets=65535,threads=65535,dies=65535",
	  "@Invalid SMP CPUs 18445618199572250625. The max CPUs supported by machine 'pmvm' is 64", NULL },
	{ "-smp 2,maxcpus=1",
	  "@Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (1) * dies (1) "
	  "* cores (1) * threads (1) == maxcpus (1) < smp_cpus (2)",
	  NULL },
	{ "-smp 2,sockets=1,cores=1,threads=1",
	  "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	  "sockets (1) * dies (1) * cores (1) * threads (1) != maxcpus (2)",
	  NULL },
	{ "-smp 2,sockets=3",
	  "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	  "sockets (3) * dies (1) * cores (0) * threads (1) != maxcpus (2)",
	  NULL },
	{ "-smp 3,sockets=2",
	  "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	  "sockets (2) * dies (1) * cores (1) * threads (1) != maxcpus (3)",
	  NULL },
	{ "-smp 2,sockets=2,cores=2,threads=2",
	  "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	  "sockets (2) * dies (1) * cores (2) * threads (2) != maxcpus (2)",
	  NULL },

	{ "-machine foo", "@unsupported machine type: \"foo\"", "-machine help" },
	{ "-M microvn", "@unsupported machine type: \"microvn\"", "did you mean microvm?" },
	{ "-machine pci-buses=0", "@property 'pci-buses' of pmvm-machine doesn't take value '0'", NULL },
	{ "-machine pci-buses=9", "@Parameter 'pci-buses' expects a value from 1 to 8", "31 devices" },
	{ "-machine pci-buses=x", "@Parameter 'pci-buses' expects integer", NULL },
	{ "-machine q35,foo=1", "@Property 'pmvm-machine.foo' not found", NULL },
	{ "-machine q35,accel=tcg", "@invalid accelerator tcg", "KVM only" },
	{ "-machine accel=tcg:xen", "@invalid accelerator tcg:xen", "KVM only" },
	{ "-machine q35,mem_merge=on", "@'mem-merge=on' is not supported yet", NULL },
	{ "-machine q35,mem_merge=off,mem-merge=off", "@Conflict between 'mem_merge' and 'mem-merge'", NULL },
	{ "-accel tcg -accel xen", "-accel xen: invalid accelerator tcg", "KVM only" },
	{ "-machine acpi=maybe", "@'acpi=maybe' is not supported", "leave it out" },
	{ "-cpu host -cpu foo", "-cpu foo: unable to find CPU model 'foo'", "-cpu host" },
	{ "-cpu host,topoext=off", "@'topoext=off' is not supported", "as the host has it" },
	{ "-cpu kvm64,+avx", "@'+avx' is not supported", "vmx, svm and pmu can be on or off" },
	{ "-accel kvm,kernel_irqchip=on", "@Property 'kvm-accel.kernel_irqchip' not found",
	  "did you mean kernel-irqchip?" },
	{ "-overcommit mem_lock=off", "@Invalid parameter 'mem_lock'", "did you mean mem-lock?" },
	{ "-machine q35,mem-merge=xx", "@Parameter 'mem-merge' expects 'on' or 'off'", NULL },
	{ "-machine q35,mem-merge=on", "@'mem-merge=on' is not supported yet", NULL },
	{ "-machine q35,usb=on", "@'usb=on' is not supported", "no USB" },
	{ "-machine q35,memory-backend=m1", "@Memory backend 'm1' not found", "memory-backend-memfd,id=m1" },
	{ "-accel tcg", "@invalid accelerator tcg", "KVM only" },
	{ "-accel tcg,foo=1", "@invalid accelerator tcg", "KVM only" },
	{ "-accel kv", "@invalid accelerator kv", "KVM only" },
	{ "-accel kvm,foo=1", "@Property 'kvm-accel.foo' not found", NULL },
	{ "-accel ''", "-accel : invalid accelerator ", "KVM only" },
	{ "-cpu qemu64", "@unable to find CPU model 'qemu64'", "-cpu host" },
	{ "-cpu hos", "@unable to find CPU model 'hos'", "-cpu host" },
	{ "-cpu host,+avx", "@'+avx' is not supported", "vmx, svm and pmu can be on or off" },
	{ "-cpu host,-svm,hv_relaxed=on", "@'hv_relaxed=on' is not supported", "all other features are as the host" },
	{ "-cpu host,-vmxx", "@'-vmxx' is not supported", "did you mean vmx?" },
	{ "-cpu host,svm=maybe", "@Parameter 'svm' expects 'on' or 'off'", NULL },
	{ "-cpu host,-svm=on", "@'-svm=on' is not supported", "vmx, svm and pmu" },
	{ "-cpu host,+", "@'+' is not supported", "vmx, svm and pmu" },
	{ "-cpu host;-svm", "@unable to find CPU model 'host;-svm'", "-cpu host" },
	{ "-cpu EPYC,-svm", "@unable to find CPU model 'EPYC'", "-cpu host" },
	{ "-rtc base=localtime", "@'base=localtime' is not supported", "UTC" },
	{ "-rtc foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-overcommit mem-lock=on", "@'mem-lock=on' is not supported yet", NULL },
	{ "-name g,bar=1", "@Invalid parameter 'bar'", NULL },
	{ "-name g,process=p", "@'process=p' is not supported yet", "exec -a" },
	{ "-uuid foo", "@failed to parse UUID string: wrong format", "550e8400" },
	{ "-uuid 550e8400e29b41d4a716446655440000", "@failed to parse UUID string: wrong format", "550e8400" },
	{ "-uuid 550e8400-e29b-41d4-a716-44665544000g", "@failed to parse UUID string: wrong format", "550e8400" },

	{ "-display gtk", "@Parameter 'type' does not accept value 'gtk'", "-display none" },
	{ "-vga std", "@unknown vga type: std", "-vga none" },
	{ "-serial foo", "@'foo' is not a valid char driver", "stdio, mon:stdio, file:PATH" },
	{ "-serial stdio,foo=1", "@'stdio,foo=1' is not a valid char driver", "stdio, mon:stdio, file:PATH" },
	{ "-serial mon:null", "@'mon:null' is not a valid char driver", "stdio, mon:stdio, file:PATH" },
	{ "-serial ''", "-serial : '' is not a valid char driver", "stdio, mon:stdio, file:PATH" },
	{ "-serial file:", "@Could not open '': No such file or directory", NULL },
	{ "-serial unix:", "@Parameter 'path' is missing", "path=console.sock,server=on,wait=off" },
	{ "-kernel k -serial chardev:n",
	  "-serial chardev:n: could not connect serial device to character backend 'chardev:n'", "-chardev" },
	{ "-kernel k -mon chardev=nope", "-mon chardev=nope: chardev \"nope\" not found", "-chardev socket,id=nope" },
	{ "-kernel k -qmp chardev:nope", "-qmp chardev:nope: chardev \"nope\" not found", "-chardev socket,id=nope" },
	{ "-kernel k -chardev null,id=c -mon c -qmp chardev:c", "-qmp chardev:c: chardev 'c' is already in use",
	  "of its own" },
	{ "-kernel k -chardev null,id=c -mon c -serial chardev:c",
	  "-serial chardev:c: Property 'isa-serial.chardev' can't take value 'c', it's in use", "mux=on" },
	{ "-kernel k -chardev stdio,id=c,mux=on -mon c -mon c", "-mon c: chardev 'c' is already in use", "of its own" },
	{ "-mon mode=control", "@Parameter 'chardev' is missing", NULL },
	{ "-mon c,mode=fast", "@Parameter 'mode' does not accept value 'fast'", "readline, control" },
	{ "-mon c,pretty=on", "@'pretty' is not compatible with HMP monitors", NULL },
	{ "-chardev null", "@chardev: no id specified", NULL },
	{ "-chardev id=c", "@chardev: \"c\" missing backend", NULL },
	{ "-chardev sockt,id=c", "@'sockt' is not a valid char driver name", "did you mean socket?" },
	{ "-chardev udp,id=c", "@'udp' is not a valid char driver name", "file, null, pty" },
	{ "-chardev null,id=1c", "@Parameter 'id' expects an identifier", "starting with a letter" },
	{ "-chardev null,id=c,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-chardev null,id=c,mux=on", "@'mux=on' is not supported yet", "only stdio" },
	{ "-chardev null,id=c -chardev null,id=c", "-chardev null,id=c: Duplicate ID 'c' for chardev", NULL },
	{ "-serial null -chardev null,id=serial0", "-chardev null,id=serial0: Duplicate ID 'serial0' for chardev",
	  NULL },
	{ "-chardev stdio,id=a -chardev stdio,id=b",
	  "-chardev stdio,id=b: cannot use stdio by multiple character devices", "unix:PATH" },
	{ "-kernel k -chardev stdio,id=a -daemonize", "-chardev stdio,id=a: cannot use stdio with -daemonize",
	  "unix:PATH" },
	{ "-chardev file,id=c", "@chardev: file: no filename given", NULL },
	{ "-chardev file,id=c,path=f,input-path=g", "@'input-path=g' is not supported yet", "pty or socket" },
	{ "-chardev socket,id=c", "@Parameter 'path' is missing", "server=on" },
	{ "-chardev socket,id=c,path=p,fd=3", "@None or one of 'path', 'fd' or 'host' option required.", NULL },
	{ "-chardev socket,id=c,host=::1", "@chardev: socket: no port given", NULL },
	{ "-chardev socket,id=c,port=65536", "@Parameter 'port' expects a number up to 65535", "not looked up" },
	{ "-chardev socket,id=c,fd=x", "@Unable to parse FD number 'x'", NULL },
	{ "-chardev socket,id=c,path=p,server=on,reconnect=1",
	  "@'reconnect' option is incompatible with socket in server listen mode", NULL },
	{ "-chardev socket,id=c,fd=3,reconnect=1", "@'reconnect' option is incompatible with 'fd' address type", NULL },
	{ "-chardev socket,id=c,path=p,reconnect=1,reconnect-ms=1",
	  "@'reconnect' and 'reconnect-ms' are mutually exclusive", NULL },
	{ "-chardev socket,id=c,path=p,reconnect=4294968", "@Parameter 'reconnect' expects a number up to 4294967",
	  NULL },
	{ "-chardev socket,id=c,path=p,wait=on", "@'wait' option is incompatible with socket in client connect mode",
	  "server=on" },
	{ "-chardev socket,id=c,path=p,tls-creds=t", "@'tls-creds=t' is not supported", "proxy" },
	{ "-chardev ringbuf,id=c,size=3", "@size of ringbuf chardev must be power of two", NULL },
	{ "-chardev ringbuf,id=c,size=2G", "@size of ringbuf chardev must be at most 1G", NULL },
	{ "-serial unix:s,wait=off", "@'wait' option is incompatible with socket in client connect mode", "server=on" },
	{ "-serial unix:s,server=maybe", "@Parameter 'server' expects 'on' or 'off'", NULL },
	{ "-serial unix:s,server=on,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-serial null -serial stdio", "-serial stdio: there is one serial port, and it was given before",
	  "leave one" },
};

static void refuses_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(words); i++)
		check_refused(&words[i]);
}

static void refuses_machines(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(machines); i++)
		check_refused(&machines[i]);
}

static void no_arguments_ask_for_a_kernel(void **state)
{
	struct vpmem_error err = { "", "" };
	struct machine_config opts;

	(void)state;
	assert_int_equal(options_parse(1, (char *[]) { "pmvm", NULL }, &opts, &err), OPTIONS_ERROR);
	assert_non_null(strstr(err.text, "-kernel is missing"));
	assert_non_null(strstr(err.hint, "pmvm -m 1G -nographic -kernel vmlinuz"));
	// The example must not be truncated.
	assert_non_null(strstr(err.hint, "pmvm -help)"));
}

static void qemus_other_options_are_refused_by_name(void **state)
{
	(void)state;
	for (const struct refused_option *refused = refused_table; refused->name; refused++) {
		struct vpmem_error err;
		struct machine_config opts;
		char line[80], want[80];

		for (const struct option *opt = option_table; opt->name || opt->usage; opt++)
			assert_true(!opt->name || strcmp(opt->name, refused->name) != 0);
		snprintf(line, sizeof(line), "-kernel k -%s", refused->name);
		snprintf(want, sizeof(want), "-%s: not supported%s", refused->name, refused->not_yet ? " yet" : "");
		assert_int_equal(parse_line(line, &opts, &err), OPTIONS_ERROR);
		assert_string_equal(err.text, want);
	}
}

/* However long the argument is, the error is whole. */
static void a_long_argument_does_not_hide_the_error(void **state)
{
	char *argv[] = { "pmvm", "-device", NULL, NULL };
	struct vpmem_error err = { "", "" };
	char arg[5000] = "virtio-pmem-pci,bus=nobus,memdev=";
	struct machine_config opts;

	(void)state;
	memset(arg + strlen(arg), 'a', sizeof(arg) - strlen(arg) - 1);
	argv[2] = arg;
	assert_int_equal(options_parse(3, argv, &opts, &err), OPTIONS_ERROR);
	assert_memory_equal(err.text, "-device virtio-pmem-pci,bus=nobus,memdev=aaa", 44);
	assert_non_null(strstr(err.text, "aaa...: Bus 'nobus' not found"));
}

/* The same for a name or a value that the error itself quotes. */
static void a_long_word_does_not_hide_the_error(void **state)
{
	static const struct {
		const char *option, *before, *after, *error; // option NULL: the word stands alone
	} cases[] = {
		{ NULL, "", "", "a: an option begins with '-'" },
		{ NULL, "-", "", "a: invalid option" },
		{ NULL, "\u2013", "", "a: begins with U+2013 (en dash), not with '-'" },
		{ "-serial", "", "", "a' is not a valid char driver" },
		{ "-serial", "unix:", ",server=on", "a' is too long" },
		{ "-cpu", "host,+", "", "a' is not supported" },
		{ "-machine", "", "=1", "a' not found" },
		{ "-machine", "usb=", "", "a' is not supported" },
		{ "-smp", "", "=1", "a' is unexpected" },
		{ "-device", "", "", "a' is not a valid device model name" },
		{ "-device", "virtio-pmem-pci,memdev=m,bus=", "", "a' not found" },
		{ "-device", "virtio-pmem-pci,memdev=m,", "=1", "a' not found" },
		{ "-device", "virtio-pmem-pci,memdev=", "", "a' not found" },
		{ "-m", "1", "", "' expects a non-negative number below 2^64" },
	};
	char word[6000];

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const char *option = cases[i].option;
		char *argv[] = { "pmvm", option ? (char *)option : word, option ? word : NULL, NULL };
		struct vpmem_error err = { "", "" };
		struct machine_config opts;

		snprintf(word, sizeof(word), "%s%05000d%s", cases[i].before, 0, cases[i].after);
		for (char *c = word + strlen(cases[i].before); *c == '0'; c++)
			*c = 'a';
		assert_int_equal(options_parse(option ? 3 : 2, argv, &opts, &err), OPTIONS_ERROR);
		if (!strstr(err.text, cases[i].error))
			fail_msg("'%s' is not in: %s", cases[i].error, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_words),
		cmocka_unit_test(refuses_machines),
		cmocka_unit_test(no_arguments_ask_for_a_kernel),
		cmocka_unit_test(qemus_other_options_are_refused_by_name),
		cmocka_unit_test(a_long_argument_does_not_hide_the_error),
		cmocka_unit_test(a_long_word_does_not_hide_the_error),
	};

	return cmocka_run_group_tests_name("options_error", tests, NULL, NULL);
}
