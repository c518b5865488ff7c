// SPDX-License-Identifier: Apache-2.0
// Every error of the command line, by its full text: QEMU's where QEMU has it (most lines were taken from
// what QEMU 7.2 printed for the same words), and the next step.
#include "fake_log.h"
#include "options_fixture.h"
#include "options_internal.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct refused {
	const char *line;
	const char *text;  /* "@": the line, then ": " */
	const char *hint;  /* part of it; NULL: there is none */
};

#define M1 "-object memory-backend-file,id=m1,mem-path=f"
#define IDENTIFIERS "letters, digits"

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
	{ "disk.img", "disk.img: an option begins with '-'", "-pmem disk.img" },
	{ "''", ": an option begins with '-'", "-pmem" },
	{ "-append x", "-append only allowed with -kernel option", "-kernel vmlinuz" },
	{ "-initrd x", "-initrd only allowed with -kernel option", "-kernel vmlinuz" },
	{ "-initrd x -append y", "-append only allowed with -kernel option", "-kernel vmlinuz" },
	{ "-nographic", "no guest: -kernel is missing, and there is no firmware to boot from a disk", "-kernel vmlinuz" },
	{ "-S", "-S: not supported yet", "leave it out" },
	{ "-daemonize", "-daemonize: not supported yet", "setsid" },
	{ "-no-shutdown", "-no-shutdown: not supported yet", "powers off" },
	{ "-sandbox on", "-sandbox: not supported yet", "leave it out" },
	{ "--chardev x", "--chardev: not supported yet", "-serial" },
	{ "-drive file=x", "-drive: not supported", "-pmem FILE" },
	{ "-boot c", "-boot: not supported", "-kernel" },
	{ "-monitor stdio", "@not supported yet", "-monitor none" },
	{ "-qmp unix:x", "@not supported yet", "-qmp none" },
	{ "-net nic", "@not supported", "-net none" },
	{ "-nic user", "@not supported", "-nic none" },
	{ "-parallel stdio", "@not supported", "-parallel none" },
};

static const struct refused machines[] = {
	{ "-m 64x", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m -1", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m size=", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m ,slots=2", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m 0.5", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
	{ "-m 256MB", "@Parameter 'size' expects a non-negative number below 2^64", "kilo-, mega-" },
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
	{ "-m 256M,maxmem=100M", "@invalid value of maxmem: maximum memory size (0x6400000) must be at least the initial "
	                         "memory size (0x10000000)", NULL },
	{ "-m 256M,slots=2,maxmem=256M", "@invalid value of maxmem: memory slots were specified but maximum memory size "
	                                 "(0x10000000) is equal to the initial memory size (0x10000000)", NULL },
	{ "-m 256M,maxmem=1073741825", "@maximum memory size must by aligned to multiple of 4096 bytes", NULL },
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
	{ "-smp 2,maxcpus=1", "@Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (1) * dies (1) "
	                      "* cores (1) * threads (1) == maxcpus (1) < smp_cpus (2)", NULL },
	{ "-smp 2,sockets=1,cores=1,threads=1", "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	  "sockets (1) * dies (1) * cores (1) * threads (1) != maxcpus (2)", NULL },
	{ "-smp 2,sockets=3", "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	                      "sockets (3) * dies (1) * cores (0) * threads (1) != maxcpus (2)", NULL },
	{ "-smp 3,sockets=2", "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	                      "sockets (2) * dies (1) * cores (1) * threads (1) != maxcpus (3)", NULL },
	{ "-smp 2,sockets=2,cores=2,threads=2", "@Invalid CPU topology: product of the hierarchy must match maxcpus: "
	  "sockets (2) * dies (1) * cores (2) * threads (2) != maxcpus (2)", NULL },

	{ "-machine foo", "@unsupported machine type: \"foo\"", "-machine help" },
	{ "-M microvn", "@unsupported machine type: \"microvn\"", "did you mean microvm?" },
	{ "-machine q35,foo=1", "@Property 'pmvm-machine.foo' not found", NULL },
	{ "-machine q35,accel=tcg", "@invalid accelerator tcg", "KVM only" },
	{ "-machine accel=tcg:xen", "@invalid accelerator tcg:xen", "KVM only" },
	{ "-machine q35,mem-merge=xx", "@Parameter 'mem-merge' expects 'on' or 'off'", NULL },
	{ "-machine q35,mem-merge=on", "@'mem-merge=on' is not supported yet", NULL },
	{ "-machine q35,usb=on", "@'usb=on' is not supported", "no USB" },
	{ "-machine q35,memory-backend=m1", "@'memory-backend=m1' is not supported yet", NULL },
	{ "-accel tcg", "@invalid accelerator tcg", "KVM only" },
	{ "-accel tcg,foo=1", "@invalid accelerator tcg", "KVM only" },
	{ "-accel kv", "@invalid accelerator kv", "KVM only" },
	{ "-accel kvm,foo=1", "@Property 'kvm-accel.foo' not found", NULL },
	{ "-accel ''", "-accel : invalid accelerator ", "KVM only" },
	{ "-cpu qemu64", "@unable to find CPU model 'qemu64'", "-cpu host" },
	{ "-cpu hos", "@unable to find CPU model 'hos'", "-cpu host" },
	{ "-cpu host,+avx", "@'+avx' is not supported yet: CPU features cannot be chosen", "-cpu host alone" },
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
	{ "-serial unix:", "@Parameter 'path' is missing", "unix:console.sock,server=on,wait=off" },
	{ "-serial unix:s", "@a socket in client connect mode is not supported yet", "server=on" },
	{ "-serial unix:s,wait=off", "@'wait' option is incompatible with socket in client connect mode", "server=on" },
	{ "-serial unix:s,server=maybe", "@Parameter 'server' expects 'on' or 'off'", NULL },
	{ "-serial unix:s,server=on,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-serial null -serial stdio", "-serial stdio: there is one serial port, and it was given before", "leave one" },
};

static const struct refused objects[] = {
	{ "-object ''", "-object : Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object =", "@Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object id=m1,mem-path=f", "@Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object ,", "@Parameter 'qom-type' does not accept value ''", "memory-backend-file" },
	{ "-object memory-backend-xx,id=m1", "@Parameter 'qom-type' does not accept value 'memory-backend-xx'",
	  "memory-backend-file" },
	{ "-object memory-backend-flie,id=m1", "@Parameter 'qom-type' does not accept value 'memory-backend-flie'",
	  "did you mean memory-backend-file?" },
	{ "-object memory-backend-ram,id=m1,size=1G",
	  "@'memory-backend-ram' is not supported: a virtio-pmem device needs a file to flush", "scratch file" },
	{ "-object memory-backend-memfd,id=m1,size=1G",
	  "@'memory-backend-memfd' is not supported: a virtio-pmem device needs a file to flush", "scratch file" },
	{ "-object foo,help", "@Parameter 'qom-type' does not accept value 'foo'", "-object help" },
	{ "-object memory-backend-file", "@Parameter 'id' is missing", NULL },
	{ "-object memory-backend-file,mem-path=f", "@Parameter 'id' is missing", NULL },
	{ "-object memory-backend-file,id=m1", "@Parameter 'mem-path' is missing", NULL },
	{ "-object memory-backend-file,id=1m,mem-path=f", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ "-object memory-backend-file,id=m1,,mem-path=f", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ M1 ",bogus=1", "@Invalid parameter 'bogus'", NULL },
	{ M1 ",mem_path=g", "@Invalid parameter 'mem_path'", "did you mean mem-path?" },
	{ M1 ",=x", "@Invalid parameter ''", NULL },
	{ M1 ",size=64X", "@Parameter 'size' expects a size value", NULL },
	{ M1 ",size", "@Parameter 'size' expects a size value", NULL },
	{ M1 ",size=99999999T", "@Parameter 'size' expects a size value", NULL },
	{ M1 ",size=0", "@property 'size' of memory-backend-file doesn't take value '0'", NULL },
	{ M1 ",share=maybe", "@Parameter 'share' expects 'on' or 'off'", NULL },
	{ M1 ",policy=xx", "@Parameter 'policy' does not accept value 'xx'", "default, preferred, bind, interleave" },
	{ M1 ",policy=bind", "@host-nodes must be set for policy bind", NULL },
	{ M1 ",policy=preferred", "@host-nodes must be set for policy preferred", NULL },
	{ M1 ",policy=interleave", "@host-nodes must be set for policy interleave", NULL },
	{ M1 ",host-nodes=0", "@host-nodes must be empty for policy default, or you should explicitly specify a policy other "
	                      "than default", NULL },
	{ M1 ",host-nodes=x,policy=bind", "@Parameter 'host-nodes' expects a uint64 value or range", NULL },
	{ M1 ",host-nodes=128,policy=bind", "@Invalid host-nodes value: 128", "0 to 63" },
	{ M1 ",align=3", "@alignment 0x3 must be multiples of page size 0x1000", NULL },
	{ M1 ",align=3M", "@alignment 0x300000 must be a power of two", NULL },
	{ M1 ",align=x", "@Parameter 'align' expects a size value", NULL },
	{ M1 ",offset=1", "@offset 0x1 must be multiples of page size 0x1000", NULL },
	{ M1 ",prealloc=on,reserve=off", "@'prealloc=on' and 'reserve=off' are incompatible", NULL },
	{ M1 ",prealloc-threads=0", "@property 'prealloc-threads' of memory-backend-file doesn't take value '0'", NULL },
	{ M1 ",prealloc-threads=x", "@Parameter 'prealloc-threads' expects a uint64 value", NULL },
	{ M1 ",prealloc-context=x", "@'prealloc-context=x' is not supported", "leave it out" },
	{ M1 ",pmem=on", "@'pmem=on' is not supported yet", "leave pmem out" },
	{ M1 ",rom=on", "@property 'rom' = 'on' is not supported with 'readonly' = 'off'", NULL },
	{ M1 ",rom=off,readonly=on,share=on",
	  "@property 'rom' = 'off' is incompatible with 'readonly' = 'on' and 'share' = 'on'", NULL },
	{ M1 ",rom=maybe", "@Parameter 'rom' does not accept value 'maybe'", "auto, on, off" },
	{ M1 " -object memory-backend-file,id=m1,mem-path=g",
	  "-object memory-backend-file,id=m1,mem-path=g: Duplicate ID 'm1' for object", NULL },
	{ M1 " -object {\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"g\"}",
	  "-object {\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"g\"}: attempt to add duplicate property "
	  "'m1' to object (type 'container')", NULL },

	{ "-object {", "@JSON parse error, premature EOI", NULL },
	{ "-object {}", "@Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object {\"qom-type\":7}", "@Invalid parameter type for 'qom-type', expected: string", "memory-backend-file" },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"mem-path\":\"f\"}", "@Parameter 'id' is missing", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"id\":7}", "@Invalid parameter type for 'id', expected: string",
	  NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"bogus\":1}", "@Parameter 'bogus' is unexpected",
	  NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"size\":\"64M\"}", "@Parameter 'size' expects uint64", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"share\":\"on\"}",
	  "@Invalid parameter type for 'share', expected: boolean", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"host-nodes\":0}",
	  "@Invalid parameter type for 'host-nodes', expected: array", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"host-nodes\":[\"0\"]}",
	  "@Parameter 'host-nodes[0]' expects uint64", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"policy\":7}",
	  "@Invalid parameter type for 'policy', expected: string", NULL },
};

static const struct refused devices[] = {
	{ "-device ''", "-device : Parameter 'driver' is missing", "virtio-pmem-pci" },
	{ "-device foo=1", "@Parameter 'driver' is missing", "virtio-pmem-pci" },
	{ "-device ,", "@'' is not a valid device model name", "virtio-pmem-pci" },
	{ "-device virtio-pmem-xxx", "@'virtio-pmem-xxx' is not a valid device model name", "virtio-pmem-pci" },
	{ "-device virtio-pmem-pic,foo=1", "@'virtio-pmem-pic' is not a valid device model name",
	  "did you mean virtio-pmem-pci?" },
	{ "-device nvdimm,memdev=m1", "@'nvdimm' is not a valid device model name", "virtio-pmem-pci" },
	{ "-device virtio-pmem,memdev=zz", "@No 'virtio-bus' bus found for device 'virtio-pmem'", "virtio-pmem-pci" },
	{ "-device foo,help", "@Device 'foo' not found", "-device help" },
	{ "-device virtio-pmem-pci", "@'memdev' property must be set", NULL },
	{ "-device virtio-pmem-pci,memdev=", "@'memdev' property must be set", NULL },
	{ "-device virtio-pmem-pci,memdev=zz", "@Device 'zz' not found", "memory-backend-file,id=zz" },
	{ "-device virtio-pmem-pci,memdev=zz,id=1a", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ "-device virtio-pmem-pci,memdev=zz,id=", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ "-device virtio-pmem-pci,memdev=zz,foo=1", "@Property 'virtio-pmem-pci.foo' not found", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,vectors=2", "@Property 'virtio-pmem-pci.vectors' not found", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,eventidx=on", "@Property 'virtio-pmem-pci.eventidx' not found",
	  "did you mean event_idx?" },
	{ "-device virtio-pmem-pci,memdev=zz,x-pcie-pm-init=on", "@Property 'virtio-pmem-pci.x-pcie-pm-init' not found",
	  "leave it out" },
	{ "-device virtio-pmem-pci,memdev=zz,bus=nobus", "@Bus 'nobus' not found", "pcie.0" },
	{ "-device virtio-pmem-pci,memdev=zz,bus=", "@Bus '' not found", "pcie.0" },
	{ "-device virtio-pmem-pci,memdev=zz,event_idx=maybe", "@Parameter 'event_idx' expects 'on' or 'off'", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,disable-legacy=xx", "@Parameter 'disable-legacy' does not accept value 'xx'",
	  "auto, on, off" },
	{ "-device virtio-pmem-pci,memdev=zz,disable-legacy=off", "@'disable-legacy=off' is not supported", "modern only" },
	{ "-device virtio-pmem-pci,memdev=zz,disable-modern=on", "@'disable-modern=on' is not supported", "modern only" },
	{ "-device virtio-pmem-pci,memdev=zz,packed=on", "@'packed=on' is not supported", "split" },
	{ "-device virtio-pmem-pci,memdev=zz,iommu_platform=on", "@'iommu_platform=on' is not supported", "IOMMU" },
	{ "-device virtio-pmem-pci,memdev=zz,ats=on", "@'ats=on' is not supported", "IOMMU" },
	{ "-device virtio-pmem-pci,memdev=zz,multifunction=on", "@'multifunction=on' is not supported", "one function" },
	{ "-device virtio-pmem-pci,memdev=zz,romfile=x", "@'romfile=x' is not supported", "firmware" },
	{ "-device virtio-pmem-pci,memdev=zz,acpi-index=1", "@'acpi-index=1' is not supported", "network" },
	{ "-device virtio-pmem-pci,memdev=zz,rombar=x", "@Parameter 'rombar' expects integer", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,acpi-index=99999999999", "@Parameter 'acpi-index' expects uint32_t", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,addr=20", "@Property 'virtio-pmem-pci.addr' doesn't take value '20'", "addr=5" },
	{ "-device virtio-pmem-pci,memdev=zz,addr=5.1",
	  "@PCI: single function device can't be populated in function 5.1", "addr=5" },
	{ "-device virtio-pmem-pci,memdev=zz,addr=0",
	  "@PCI: slot 0 function 0 not available for virtio-pmem-pci, in use by the host bridge", "1 to 1f" },
	{ "-device virtio-pmem-pci,memdev=zz,memaddr=4G", "@Parameter 'memaddr' expects integer", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,memaddr=0x100001000", "@address must be aligned to 0x200000 bytes", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,memaddr=0x140000000,shmem=on",
	  "@'memaddr' and 'shmem=on' are incompatible: the guest places a BAR", NULL },

	{ "-device {", "@JSON parse error, premature EOI", NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\"}x", "@Expecting at most one JSON value", NULL },
	{ "-device {}", "@Parameter 'driver' is missing", "virtio-pmem-pci" },
	{ "-device []", "@'[]' is not a valid device model name", "virtio-pmem-pci" },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"memdev\":5}", "@Invalid parameter type for 'memdev', expected: string",
	  NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"event_idx\":\"on\"}",
	  "@Invalid parameter type for 'event_idx', expected: boolean", NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"memaddr\":\"0x1000\"}", "@Parameter 'memaddr' expects uint64", NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"help\":true}", "@Property 'virtio-pmem-pci.help' not found", NULL },

	{ M1 " -device virtio-pmem-pci,memdev=m2", "-device virtio-pmem-pci,memdev=m2: Device 'm2' not found",
	  "did you mean memdev=m1?" },
	{ M1 " -device virtio-pmem-pci,memdev=m1 -device virtio-pmem-pci,memdev=m1,id=b",
	  "-device virtio-pmem-pci,memdev=m1,id=b: can't use already busy memdev: m1", "of its own" },
	{ "-pmem f,id=a " M1 " -device virtio-pmem-pci,memdev=m1,id=a",
	  "-device virtio-pmem-pci,memdev=m1,id=a: Duplicate ID 'a' for device", NULL },
	{ "-pmem f,id=a " M1 " -device {\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\",\"id\":\"a\"}",
	  "-device {\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\",\"id\":\"a\"}: Duplicate device ID 'a'", NULL },
	{ "-pmem f,addr=5,id=a " M1 " -device virtio-pmem-pci,memdev=m1,addr=5.0",
	  "-device virtio-pmem-pci,memdev=m1,addr=5.0: PCI: slot 5 function 0 not available for virtio-pmem-pci, in use by "
	  "virtio-pmem-pci,id=a", "another slot" },

	{ "-pmem ''", "-pmem : Parameter 'mem-path' is missing", NULL },
	{ "-pmem id=a", "@Parameter 'mem-path' is missing", NULL },
	{ "-pmem f,foo=1", "@Invalid parameter 'foo'", "-pmem help" },
	{ "-pmem f,sise=1G", "@Invalid parameter 'sise'", "did you mean size?" },
	{ "-pmem f,adr=5", "@Invalid parameter 'adr'", "did you mean addr?" },
	{ "-pmem f,memdev=x", "@Invalid parameter 'memdev'", "leave memdev out" },
	{ "-pmem f,qom-type=x", "@Invalid parameter 'qom-type'", "leave qom-type out" },
	{ "-pmem f,driver=x", "@Invalid parameter 'driver'", "leave driver out" },
	{ "-pmem f,id=1a", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ "-pmem f,size=0", "@property 'size' of memory-backend-file doesn't take value '0'", NULL },
	{ "-pmem f,addr=0", "@PCI: slot 0 function 0 not available for virtio-pmem-pci, in use by the host bridge",
	  "1 to 1f" },
	{ "-pmem f,id=a -pmem g,id=a", "-pmem g,id=a: Duplicate ID 'a-mem' for object", NULL },
};

static void check_refused(const struct refused *c)
{
	bool wants_kernel = strstr(c->text, "-kernel") == NULL;
	char line[1024], want[1024];
	struct vpmem_error err;
	struct options opts;

	snprintf(line, sizeof(line), "%s%s", wants_kernel ? "-no-reboot -kernel k " : "", c->line);
	snprintf(want, sizeof(want), "%s%s%s", *c->text == '@' ? c->line : "", *c->text == '@' ? ": " : "",
	         c->text + (*c->text == '@'));
	if (parse_line(line, &opts, &err) != OPTIONS_ERROR)
		fail_msg("accepted: %s", line);
	assert_string_equal(err.text, want);
	if (!c->hint && err.hint[0])
		fail_msg("%s: hint: %s", line, err.hint);
	if (c->hint && !strstr(err.hint, c->hint))
		fail_msg("%s: hint: '%s' lacks '%s'", line, err.hint, c->hint);
	assert_null(opts.kernel);
	assert_null(opts.memdevs);
	assert_null(opts.pmems);
}

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

static void refuses_objects(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(objects); i++)
		check_refused(&objects[i]);
}

static void refuses_devices(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(devices); i++)
		check_refused(&devices[i]);
}

static void no_arguments_ask_for_a_kernel(void **state)
{
	struct vpmem_error err = { "", "" };
	struct options opts;

	(void)state;
	assert_int_equal(options_parse(1, (char *[]) { "pmvm", NULL }, &opts, &err), OPTIONS_ERROR);
	assert_non_null(strstr(err.text, "-kernel is missing"));
	assert_non_null(strstr(err.hint, "pmvm -m 1G -nographic -kernel vmlinuz"));
	// The example must not be cut off.
	assert_non_null(strstr(err.hint, "pmvm -help)"));
}

static void qemus_other_options_are_refused_by_name(void **state)
{
	(void)state;
	for (const struct refused_option *refused = refused_table; refused->name; refused++) {
		struct vpmem_error err;
		struct options opts;
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
	struct options opts;

	(void)state;
	memset(arg + strlen(arg), 'a', sizeof(arg) - strlen(arg) - 1);
	argv[2] = arg;
	assert_int_equal(options_parse(3, argv, &opts, &err), OPTIONS_ERROR);
	assert_memory_equal(err.text, "-device virtio-pmem-pci,bus=nobus,memdev=aaa", 44);
	assert_non_null(strstr(err.text, "aaa...: Bus 'nobus' not found"));
}

/* As object_add and device_add of the monitor will: one at a time, against what is there. */
static void the_monitor_can_check_one_by_one(void **state)
{
	struct json_object *object = json_tokener_parse("{\"qom-type\":\"memory-backend-file\",\"id\":\"m1\","
	                                                "\"mem-path\":\"f\",\"size\":67108864}");
	struct json_object *device = json_tokener_parse("{\"driver\":\"virtio-pmem-pci\",\"id\":\"nv1\",\"memdev\":\"m1\"}");
	struct options have = { 0 };
	struct memdev_config memdev;
	struct pmem_config pmem;
	struct vpmem_error err;

	(void)state;
	assert_int_equal(config_pmem(device, true, &pmem, &err), 0);
	assert_int_equal(config_check_pmem(&have, &pmem, true, &err), -ENODEV);
	assert_string_equal(err.text, "Device 'm1' not found");

	assert_int_equal(config_memdev(object, true, &memdev, &err), 0);
	assert_int_equal(config_check_memdev(&have, &memdev, true, &err), 0);
	assert_int_equal(config_add_memdev(&have, &memdev), 0);
	assert_null(memdev.id);
	assert_int_equal(config_memdev(object, true, &memdev, &err), 0);
	assert_int_equal(config_check_memdev(&have, &memdev, true, &err), -EEXIST);
	assert_string_equal(err.text, "attempt to add duplicate property 'm1' to object (type 'container')");
	memdev_config_free(&memdev);

	assert_int_equal(config_check_pmem(&have, &pmem, true, &err), 0);
	assert_int_equal(config_add_pmem(&have, &pmem), 0);
	assert_int_equal(config_pmem(device, true, &pmem, &err), 0);
	assert_int_equal(config_check_pmem(&have, &pmem, true, &err), -EEXIST);
	assert_string_equal(err.text, "Duplicate device ID 'nv1'");
	pmem_config_free(&pmem);

	options_free(&have);
	json_object_put(object);
	json_object_put(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_words),
		cmocka_unit_test(refuses_machines),
		cmocka_unit_test(refuses_objects),
		cmocka_unit_test(refuses_devices),
		cmocka_unit_test(no_arguments_ask_for_a_kernel),
		cmocka_unit_test(qemus_other_options_are_refused_by_name),
		cmocka_unit_test(a_long_argument_does_not_hide_the_error),
		cmocka_unit_test(the_monitor_can_check_one_by_one),
	};

	return cmocka_run_group_tests_name("options_error", tests, NULL, NULL);
}
