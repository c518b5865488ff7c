// SPDX-License-Identifier: Apache-2.0
// Errors of -object, -device and -pmem, by their full text, and the next step. Where QEMU has the error
// the text is QEMU's: the tables were made from what QEMU 7.2 printed for the same words.
#include "options_fixture.h"
#include "options_internal.h"
#include "unit_test.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#define M1 "-object memory-backend-file,id=m1,mem-path=f"
#define MEMFD "-object memory-backend-memfd,id=m1,size=1G"
#define IDENTIFIERS "letters, digits"

static const struct refused objects[] = {
	{ "-object ''", "-object : Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object =", "@Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object id=m1,mem-path=f", "@Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object ,", "@Parameter 'qom-type' does not accept value ''",
	  "the object types here are memory-backend-file" },
	{ "-object memory-backend-xx,id=m1", "@Parameter 'qom-type' does not accept value 'memory-backend-xx'",
	  "did you mean memory-backend-ram?" },
	{ "-object memory-backend-flie,id=m1", "@Parameter 'qom-type' does not accept value 'memory-backend-flie'",
	  "did you mean memory-backend-file?" },
	{ "-object memory-backend-ram,id=m1", "@can't create backend with size 0", NULL },
	{ "-object memory-backend-memfd,id=m1", "@can't create backend with size 0", NULL },
	{ "-object memory-backend-ram,id=m1,size=0", "@property 'size' of memory-backend-ram doesn't take value '0'",
	  NULL },
	{ "-object memory-backend-ram,size=1G", "@Parameter 'id' is missing", NULL },
	{ "-object memory-backend-ram,id=m1,size=1G,hugetlb=on", "@Invalid parameter 'hugetlb'", NULL },
	{ "-object memory-backend-ram,id=m1,size=1G,mem-path=f", "@Invalid parameter 'mem-path'", NULL },
	{ "-object memory-backend-ram,id=m1,size=1G,prealloc=on,reserve=off",
	  "@'prealloc=on' and 'reserve=off' are incompatible", NULL },
	{ "-object memory-backend-ram,id=m1,size=1G,policy=bind", "@host-nodes must be set for policy bind", NULL },
	{ MEMFD ",hugetlb=on,hugetlbsize=0", "@property 'hugetlbsize' of memory-backend-memfd doesn't take value '0'",
	  NULL },
	{ MEMFD ",hugetlb=on,hugetlbsize=3M", "@Hugepage size must be a power of 2", NULL },
	{ MEMFD ",hugetlbsize=2M", "@'hugetlbsize' needs 'hugetlb=on'", "add hugetlb=on" },
	{ MEMFD ",hugetlb=2M", "@Parameter 'hugetlb' expects 'on' or 'off'", NULL },
	{ MEMFD " -device virtio-pmem-pci,memdev=m1",
	  "-device virtio-pmem-pci,memdev=m1: Invalid parameter type for 'memdev', expected: memory-backend-file",
	  "a flush needs a file" },
	{ "-object foo,help", "@Parameter 'qom-type' does not accept value 'foo'", "-object help" },
	{ "-object memory-backend-file", "@Parameter 'id' is missing", NULL },
	{ "-object memory-backend-file,mem-path=f", "@Parameter 'id' is missing", NULL },
	{ "-object memory-backend-file,id=m1", "@Parameter 'mem-path' is missing", NULL },
	{ "-object memory-backend-file,id=1m,mem-path=f", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ "-object memory-backend-file,id=m1,,mem-path=f", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ M1 ",bogus=1", "@Invalid parameter 'bogus'", NULL },
	{ M1 ",mem_path=g", "@Invalid parameter 'mem_path'", "did you mean mem-path?" },
	{ M1 ",=x", "@Invalid parameter ''", NULL },
	{ M1 ",size=64X", "@Parameter 'size' expects a size value", "optional suffix k, M" },
	{ M1 ",size", "@Parameter 'size' expects a size value", "optional suffix k, M" },
	{ M1 ",size=64MB", "@Parameter 'size' expects a size value", "did you mean 64M?" },
	{ M1 ",size=64MiB", "@Parameter 'size' expects a size value", "did you mean 64M?" },
	{ M1 ",size=1.5gb", "@Parameter 'size' expects a size value", "did you mean 1.5g?" },
	{ M1 ",size=64M,offset=2mib", "@Parameter 'offset' expects a size value", "did you mean 2m?" },
	{ M1 ",size=64M,align=2MB", "@Parameter 'align' expects a size value", "did you mean 2M?" },
	{ "-pmem f,size=64MB", "@Parameter 'size' expects a size value", "did you mean 64M?" },
	{ M1 ",size=99999999T", "@Parameter 'size' expects a size value", "2^64 bytes or more" },
	{ M1 ",size=0", "@property 'size' of memory-backend-file doesn't take value '0'", NULL },
	{ M1 ",share=maybe", "@Parameter 'share' expects 'on' or 'off'", NULL },
	{ M1 ",policy=xx", "@Parameter 'policy' does not accept value 'xx'", "default, preferred, bind, interleave" },
	{ M1 ",policy=bind", "@host-nodes must be set for policy bind", NULL },
	{ M1 ",policy=preferred", "@host-nodes must be set for policy preferred", NULL },
	{ M1 ",policy=interleave", "@host-nodes must be set for policy interleave", NULL },
	{ M1 ",host-nodes=0",
	  "@host-nodes must be empty for policy default, or you should explicitly specify a policy other "
	  "than default",
	  NULL },
	{ M1 ",host-nodes=x,policy=bind", "@Parameter 'host-nodes' expects a uint64 value or range", NULL },
	{ M1 ",host-nodes=128,policy=bind", "@Invalid host-nodes value: 128", "0 to 63" },
	{ M1 ",align=3", "@alignment 0x3 must be multiples of page size 0x1000", NULL },
	{ M1 ",align=3M", "@alignment 0x300000 must be a power of two", NULL },
	{ M1 ",align=x", "@Parameter 'align' expects a size value", "optional suffix k, M" },
	{ M1 ",offset=1", "@offset 0x1 must be multiples of page size 0x1000", NULL },
	{ M1 ",prealloc=on,reserve=off", "@'prealloc=on' and 'reserve=off' are incompatible", NULL },
	{ M1 ",prealloc-threads=0", "@property 'prealloc-threads' of memory-backend-file doesn't take value '0'",
	  NULL },
	{ M1 ",prealloc-threads=x", "@Parameter 'prealloc-threads' expects a uint64 value", NULL },
	{ M1 ",prealloc-context=x", "@'prealloc-context=x' is not supported", "leave it out" },
	{ M1 ",pmem=on", "@property 'pmem' = 'on' is not supported with 'share' = 'off'", "add share=on" },
	{ M1 ",pmem=on,share=on,readonly=on", "@property 'pmem' = 'on' is not supported with 'readonly' = 'on'",
	  "leave pmem out" },
	{ M1 ",share=on,pmem-writeback=guest", "@property 'pmem-writeback' is not supported with 'pmem' = 'off'",
	  NULL },
	{ M1 ",share=on,pmem=on,pmem-writeback=never", "@Parameter 'pmem-writeback' does not accept value 'never'",
	  "auto, host, guest" },
	{ M1 ",rom=on", "@property 'rom' = 'on' is not supported with 'readonly' = 'off'", NULL },
	{ M1 ",rom=off,readonly=on,share=on",
	  "@property 'rom' = 'off' is incompatible with 'readonly' = 'on' and 'share' = 'on'", NULL },
	{ M1 ",rom=maybe", "@Parameter 'rom' does not accept value 'maybe'", "auto, on, off" },
	{ M1 " -object memory-backend-file,id=m1,mem-path=g",
	  "-object memory-backend-file,id=m1,mem-path=g: Duplicate ID 'm1' for object", NULL },
	{ M1 " -object {\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"g\"}",
	  "-object {\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"mem-path\":\"g\"}: attempt to add "
	  "duplicate property "
	  "'m1' to object (type 'container')",
	  NULL },

	{ "-object {", "@JSON parse error, premature EOI", NULL },
	{ "-object {}", "@Parameter 'qom-type' is missing", "memory-backend-file" },
	{ "-object {\"qom-type\":7}", "@Invalid parameter type for 'qom-type', expected: string",
	  "memory-backend-file" },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"mem-path\":\"f\"}", "@Parameter 'id' is missing", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"id\":7}",
	  "@Invalid parameter type for 'id', expected: string", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"id\":\"m1\",\"bogus\":1}",
	  "@Parameter 'bogus' is unexpected", NULL },
	{ "-object {\"qom-type\":\"memory-backend-file\",\"size\":\"64M\"}", "@Parameter 'size' expects uint64",
	  "a number of bytes: 67108864" },
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
	{ "-device vhost-user-blk-pci", "@chardev is mandatory", "qemu-storage-daemon" },
	{ "-device vhost-user-blk-pci,chardev=c,num-queues=0", "@invalid number of IO queues", "1 to 64" },
	{ "-device vhost-user-blk-pci,chardev=c,num-queues=65", "@invalid number of IO queues", "1 to 64" },
	{ "-device vhost-user-blk-pci,chardev=c,num-queues=65536", "@Parameter 'num-queues' expects uint16_t", NULL },
	{ "-device vhost-user-blk-pci,chardev=c,queue-size=0", "@queue size must be non-zero", NULL },
	{ "-device vhost-user-blk-pci,chardev=c,queue-size=2048", "@queue size must not exceed 1024", NULL },
	{ "-device vhost-user-blk-pci,chardev=c,queue-size=100", "@queue size must be a power of 2", NULL },
	{ "-device vhost-user-fs-pci", "@missing chardev", "virtiofsd" },
	{ "-device vhost-user-fs-pci,chardev=c", "@missing tag property", "mount -t virtiofs" },
	{ "-device vhost-user-fs-pci,chardev=c,tag=", "@tag property cannot be empty", NULL },
	{ "-device vhost-user-fs-pci,chardev=c,tag=a123456789012345678901234567890123456",
	  "@tag property must be 36 bytes or less", NULL },
	{ "-device vhost-user-fs-pci,chardev=c,tag=a,num-request-queues=0",
	  "@num-request-queues property must be larger than 0", NULL },
	{ "-device vhost-user-fs-pci,chardev=c,tag=a,num-request-queues=64",
	  "@num-request-queues property must be 63 or less", NULL },
	{ "-device vhost-user-fs-pci,chardev=c,tag=a,queue-size=100", "@queue-size property must be a power of 2",
	  NULL },
	{ "-device vhost-user-fs-pci,chardev=c,tag=a,queue-size=4096", "@queue-size property must be 1024 or smaller",
	  NULL },
	{ "-device vhost-user-fs-pci,chardev=c,tag=a,queue-size=65536", "@Parameter 'queue-size' expects uint16_t",
	  NULL },
	{ "-device vhost-user-device-pci", "@vhost-user-base: missing chardev", "-chardev socket" },
	{ "-device vhost-user-device-pci,chardev=c", "@vhost-user-base: need to define device id", "virtio-id" },
	{ "-device vhost-user-device-pci,chardev=c,virtio-id=64", "@virtio-id=64: an id is 1 to 63", NULL },
	{ "-device vhost-user-device-pci,chardev=c,virtio-id=4,num_vqs=65", "@num_vqs=65: a device has 1 to 64 queues",
	  NULL },
	{ "-device vhost-user-device-pci,chardev=c,virtio-id=4,vq_size=3",
	  "@vq_size=3: the size of a queue is a power of 2, up to 1024", NULL },
	{ "-device vhost-user-device-pci,chardev=c,virtio-id=4,config_size=257",
	  "@config_size=257: a configuration has up to 256 bytes", NULL },
	{ "-device vhost-vsock-pci", "@guest-cid property must be greater than 2", "guest-cid=3" },
	{ "-device vhost-vsock-pci,guest-cid=2", "@guest-cid property must be greater than 2", "guest-cid=3" },
	{ "-device vhost-vsock-pci,guest-cid=4294967295", "@guest-cid property must be a 32-bit number", NULL },
	{ "-device vhost-vsock-pci,guest-cid=x", "@Parameter 'guest-cid' expects integer", NULL },
	{ "-device vhost-vsock-pci,guest-cid=3,vhostfd=x", "@vhost-vsock: unable to parse vhostfd: x", "vhostfd=3" },
	{ "-device vhost-vsock-pci,guest-cid=3,seqpacket=2", "@Parameter 'seqpacket' does not accept value '2'",
	  "auto, on, off" },
	{ "-device vhost-vsock-pci,cid=3", "@Property 'vhost-vsock-pci.cid' not found", "did you mean" },
	{ "-device pxb-pcie,bus_nr=1", "@'pxb-pcie' is not a valid device model name", "-machine pci-buses=N" },
	{ "-device pcie-root-port", "@'pcie-root-port' is not a valid device model name", "-machine pci-buses=N" },
	{ "-device nvdimm,memdev=m1", "@'nvdimm' is not a valid device model name", "virtio-pmem-pci" },
	{ "-device virtio-pmem,memdev=zz", "@No 'virtio-bus' bus found for device 'virtio-pmem'",
	  "did you mean virtio-pmem-pci?" },
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
	{ "-device virtio-pmem-pci,memdev=zz,bus=pcie.8", "@Bus 'pcie.8' not found", "pcie.0 to pcie.7" },
	{ "-device virtio-pmem-pci,memdev=zz,bus=pcie.11", "@Bus 'pcie.11' not found", "pcie.0 to pcie.7" },
	{ "-device virtio-pmem-pci,memdev=zz,bus=pcie.", "@Bus 'pcie.' not found", "pcie.0 to pcie.7" },
	{ "-device virtio-pmem-pci,memdev=zz,bus=pci.1", "@Bus 'pci.1' not found", "pcie.0 to pcie.7" },
	{ "-device virtio-pmem-pci,memdev=zz,bus=", "@Bus '' not found", "pcie.0" },
	{ "-device virtio-pmem-pci,memdev=zz,event_idx=maybe", "@Parameter 'event_idx' expects 'on' or 'off'", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,disable-legacy=xx",
	  "@Parameter 'disable-legacy' does not accept value 'xx'", "auto, on, off" },
	{ "-device virtio-pmem-pci,memdev=zz,disable-legacy=off", "@'disable-legacy=off' is not supported",
	  "modern only" },
	{ "-device virtio-pmem-pci,memdev=zz,disable-modern=on", "@'disable-modern=on' is not supported",
	  "modern only" },
	{ "-device virtio-pmem-pci,memdev=zz,packed=on", "@'packed=on' is not supported", "split" },
	{ "-device virtio-pmem-pci,memdev=zz,iommu_platform=on", "@'iommu_platform=on' is not supported", "IOMMU" },
	{ "-device virtio-pmem-pci,memdev=zz,ats=on", "@'ats=on' is not supported", "IOMMU" },
	{ "-device virtio-pmem-pci,memdev=zz,multifunction=on", "@'multifunction=on' is not supported",
	  "one function" },
	{ "-device virtio-pmem-pci,memdev=zz,romfile=x", "@'romfile=x' is not supported", "firmware" },
	{ "-device virtio-pmem-pci,memdev=zz,acpi-index=1", "@'acpi-index=1' is not supported", "network" },
	{ "-device virtio-pmem-pci,memdev=zz,rombar=x", "@Parameter 'rombar' expects integer", NULL },
	{ "-device virtio-pmem-pci,memdev=zz,acpi-index=99999999999", "@Parameter 'acpi-index' expects uint32_t",
	  NULL },
	{ "-device virtio-pmem-pci,memdev=zz,addr=20", "@Property 'virtio-pmem-pci.addr' doesn't take value '20'",
	  "addr=5" },
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
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"memdev\":5}",
	  "@Invalid parameter type for 'memdev', expected: string", NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"event_idx\":\"on\"}",
	  "@Invalid parameter type for 'event_idx', expected: boolean", NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"memaddr\":\"0x1000\"}", "@Parameter 'memaddr' expects uint64",
	  NULL },
	{ "-device {\"driver\":\"virtio-pmem-pci\",\"help\":true}", "@Property 'virtio-pmem-pci.help' not found",
	  NULL },

	{ M1 " -device virtio-pmem-pci,memdev=m2", "-device virtio-pmem-pci,memdev=m2: Device 'm2' not found",
	  "did you mean memdev=m1?" },
	{ M1 " -device virtio-pmem-pci,memdev=m1 -device virtio-pmem-pci,memdev=m1,id=b",
	  "-device virtio-pmem-pci,memdev=m1,id=b: can't use already busy memdev: m1", "of its own" },
	{ "-pmem f,id=a " M1 " -device virtio-pmem-pci,memdev=m1,id=a",
	  "-device virtio-pmem-pci,memdev=m1,id=a: Duplicate ID 'a' for device", NULL },
	{ "-pmem f,id=a " M1 " -device {\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\",\"id\":\"a\"}",
	  "-device {\"driver\":\"virtio-pmem-pci\",\"memdev\":\"m1\",\"id\":\"a\"}: Duplicate device ID 'a'", NULL },
	{ "-pmem f,addr=5,id=a " M1 " -device virtio-pmem-pci,memdev=m1,addr=5.0",
	  "-device virtio-pmem-pci,memdev=m1,addr=5.0: PCI: slot 5 function 0 not available for "
	  "virtio-pmem-pci, in use by "
	  "virtio-pmem-pci,id=a",
	  "another slot" },
	{ M1 " -device virtio-pmem-pci,memdev=m1,bus=pcie.2 -machine pci-buses=2",
	  "-device virtio-pmem-pci,memdev=m1,bus=pcie.2: Bus 'pcie.2' not found", "pci-buses=3" },

	{ "-pmem ''", "-pmem : Parameter 'mem-path' is missing", NULL },
	{ "-pmem id=a", "@Parameter 'mem-path' is missing", NULL },
	{ "-pmem f,foo=1", "@Invalid parameter 'foo'", "-pmem help" },
	{ "-share ''", "-share : Parameter 'dir' is missing", "-share /srv/data" },
	{ "-share d,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-share d,sandbox=no", "@Parameter 'sandbox' does not accept value 'no'", "namespace, chroot" },
	{ "-share d,tag=", "@tag property cannot be empty", NULL },
	{ "-share /a/d -share /b/d/", "-share /b/d/: the tag 'd' is taken by another folder", "tag=NAME" },
	{ "-share a,id=x -share b,id=x", "-share b,id=x: Duplicate ID 'x-socket' for chardev", NULL },
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
	{ "-device virtio-balloon-pci,guest-stats-polling-interval=4294967296", "@timer value is too big", NULL },
	{ "-device virtio-balloon-pci,guest-stats-polling-interval=x",
	  "@Parameter 'guest-stats-polling-interval' expects integer", NULL },
	{ "-device virtio-balloon-pci,free-page-hint=on", "@'free-page-hint=on' is not supported",
	  "it makes a migration faster" },
	{ "-device virtio-balloon-pci,iothread=t0", "@'iothread=t0' is not supported", "a thread of its own" },
	{ "-device virtio-balloon-pci,vectors=2", "@Property 'virtio-balloon-pci.vectors' not found", NULL },
	{ "-device virtio-rng-pci,rng=zz", "@Device 'zz' not found", "rng names an object: rng-builtin,id=zz" },
	{ "-object rng-builtin,id=m1 -device virtio-pmem-pci,memdev=m1",
	  "-device virtio-pmem-pci,memdev=m1: Invalid parameter type for 'memdev', expected: memory-backend-file",
	  "a flush needs a file" },
	{ M1 " -device virtio-rng-pci,rng=m1",
	  "-device virtio-rng-pci,rng=m1: Invalid parameter type for 'rng', expected: rng-backend", NULL },
	{ "-device virtio-rng-pci,addr=5 -device virtio-rng-pci,addr=5,id=b",
	  "-device virtio-rng-pci,addr=5,id=b: PCI: slot 5 function 0 not available for virtio-rng-pci, in use by "
	  "virtio-rng-pci,id=(null)",
	  "choose another slot" },
	{ "-device virtio-rng-pci,period=0", "@'period' parameter expects a positive integer", NULL },
	{ "-device virtio-rng-pci,max-bytes=9223372036854775808",
	  "@'max-bytes' parameter must be non-negative, and less than 2^63", NULL },
	{ "-device virtio-rng-pci,vectors=4", "@'vectors=4' is not supported", "one for the virtqueue" },
	{ "-device virtconsole", "@No 'virtio-serial-bus' bus found for device 'virtconsole'",
	  "-device virtio-serial-pci" },
	{ "-device virtconsole -device virtio-serial",
	  "-device virtconsole: No 'virtio-serial-bus' bus found for device 'virtconsole'",
	  "-device virtio-serial-pci" },
	{ "-device virtio-serial,id=s -device virtconsole,bus=t.0", "-device virtconsole,bus=t.0: Bus 't.0' not found",
	  "bus=s.0?" },
	{ "-device virtio-serial,id=s -device virtconsole,bus=pci.0",
	  "-device virtconsole,bus=pci.0: Device 'virtconsole' can't go on PCI bus", "-device virtio-serial-pci" },
	{ "-device virtio-serial,id=s -device virtconsole,addr=5",
	  "-device virtconsole,addr=5: Property 'virtconsole.addr' not found", NULL },
	{ "-device virtio-serial,max_ports=0", "@Maximum number of serial ports not specified", NULL },
	{ "-device virtio-serial,max_ports=32", "@maximum ports supported: 31", "a second virtio-serial-pci" },
	{ "-device virtio-serial -device virtserialport,chardev=zz",
	  "-device virtserialport,chardev=zz: Property 'virtserialport.chardev' can't find value 'zz'",
	  "-chardev socket" },
	{ "-chardev null,id=a -device virtio-serial -device virtconsole,chardev=a -device virtserialport,chardev=a",
	  "-device virtserialport,chardev=a: Property 'virtserialport.chardev' can't take value 'a': Device 'a' is in use",
	  "a -chardev of its own" },
	{ "-device vmgenid,guid=", "@Property 'vmgenid.guid' doesn't take value ''", "auto" },
	{ "-device vmgenid,addr=5", "@Property 'vmgenid.addr' not found", NULL },
	{ "-device virtio-rng-pci,memdev=m1", "@Property 'virtio-rng-pci.memdev' not found", NULL },
	{ "-object rng-random,id=r0,filename=", "@Parameter 'filename' expects a valid filename", NULL },
	{ "-object rng-builtin,id=r0,filename=f", "@Invalid parameter 'filename'", NULL },
};

#define N0 "-netdev tap,id=n0"
#define CARD "-device virtio-net-pci"
#define STREAM "-netdev stream,id=n0"
#define DGRAM "-netdev dgram,id=n0"
#define USER "-netdev user,id=n0"
#define VHOST_USER "-netdev vhost-user,id=n0"

static const struct refused networks[] = {
	{ "-netdev ''", "-netdev : Parameter 'type' is missing", "tap" },
	{ "-netdev bridge,id=n0", "@Parameter 'type' does not accept value 'bridge'", "tap, user" },
	{ "-netdev tap", "@Parameter 'id' is missing", NULL },
	{ "-netdev tap,id=0", "@Parameter 'id' expects an identifier", IDENTIFIERS },
	{ N0 " " N0, "-netdev tap,id=n0: Duplicate ID 'n0' for netdev", NULL },
	{ N0 ",foo=1", "@Invalid parameter 'foo'", NULL },
	{ N0 ",vhost=off,vhostfd=3", "@vhostfd(s)= is not valid without vhost", NULL },
	{ N0 ",script=/etc/qemu-ifup", "@'script=/etc/qemu-ifup' is not supported", "no programs" },
	{ N0 ",downscript=x", "@'downscript=x' is not supported", "no programs" },
	{ N0 ",helper=x", "@'helper=x' is not supported", "fd=" },
	{ N0 ",queues=0", "@queues=0: a tap has 1 to 31 queues here", NULL },
	{ N0 ",queues=32", "@queues=32: a tap has 1 to 31 queues here", NULL },
	{ N0 ",fd=x", "@fd=x: not the numbers of open descriptors", "inherited" },
	{ N0 ",fd=3:4", "@fd=3:4: not the numbers of open descriptors", "fds=3:4" },
	{ N0 ",fds=3:", "@fds=3:: not the numbers of open descriptors", "inherited" },
	{ N0 ",fds=", "@fds=: not the numbers of open descriptors", "inherited" },
	{ N0 ",fd=3,fds=4", "@fd= and fds= are mutually exclusive", NULL },
	{ N0 ",fd=3,ifname=tap0", "@ifname= is invalid with fd=", "leave ifname out" },
	{ N0 ",fds=3:4,queues=2", "@queues= is invalid with fds=", "leave queues out" },
	{ N0 ",vhostfds=3", "@vhostfds= is invalid if fds= wasn't specified", NULL },
	{ N0 ",fds=3:4,vhostfds=5", "@The number of fds passed does not match the number of vhostfds passed", NULL },
	{ N0 ",queues=2,vhostfd=5", "@vhostfd= is for one queue: use fds= and vhostfds=", NULL },
	{ "-netdev {\"type\":\"tap\",\"id\":\"n0\",\"vhost\":\"on\"}",
	  "@Invalid parameter type for 'vhost', expected: boolean", NULL },

	{ STREAM, "@Parameter 'addr' is missing", "addr.type=unix" },
	{ STREAM ",addr.type=unix", "@Parameter 'addr.path' is missing", NULL },
	{ STREAM ",addr.path=x", "@Parameter 'addr.type' is missing", NULL },
	{ STREAM ",addr.type=vsock", "@Parameter 'addr.type' does not accept value 'vsock'", "inet" },
	{ STREAM ",addr.type=inet,addr.host=::1", "@Parameter 'addr.port' is missing", NULL },
	{ STREAM ",addr.type=inet,addr.host=::1,addr.port=http", "@Parameter 'addr.port' expects a number up to 65535",
	  "not looked up" },
	{ STREAM ",addr.type=fd,addr.str=zz", "@Unable to parse FD number 'zz'", "inherited" },
	{ STREAM ",addr.type=unix,addr.path=x,server=on,reconnect=1",
	  "@'reconnect' option is incompatible with socket in server listen mode", NULL },
	{ STREAM ",addr.type=fd,addr.str=3,reconnect=1", "@'reconnect' option is incompatible with 'fd' address type",
	  NULL },
	{ STREAM ",addr.type=unix,addr.path=x,addr.abstract=on", "@'addr.abstract=on' is not supported",
	  "file system" },
	{ "-netdev {\"type\":\"stream\",\"id\":\"n0\",\"addr\":{\"type\":\"unix\"}}",
	  "@Parameter 'addr.path' is missing", NULL },
	{ DGRAM, "@dgram requires local= parameter", "local.path" },
	{ VHOST_USER, "@Parameter 'chardev' is missing", "-chardev socket" },
	{ VHOST_USER ",chardev=c0,queues=0", "@vhost-user number of queues must be in range [1, 31]", NULL },
	{ VHOST_USER ",chardev=c0,queues=32", "@vhost-user number of queues must be in range [1, 31]", NULL },
	{ VHOST_USER ",chardev=c0 -chardev null,id=c1", "chardev \"c0\" not found", "-chardev socket,id=c0" },
	{ DGRAM ",local.type=unix,local.path=x", "@type=inet or type=unix requires remote parameter", NULL },
	{ DGRAM ",local.type=unix,local.path=x,remote.type=inet,remote.host=::1,remote.port=1",
	  "@local and remote address must be of the same type", NULL },
	{ DGRAM ",local.type=fd,local.str=3,remote.type=fd,remote.str=4", "@type=fd requires no remote parameter",
	  NULL },
	{ USER ",ipv4=off,ipv6=off", "@IPv4 and IPv6 disabled", NULL },
	{ USER ",restrict=on", "@'restrict=on' is not supported", "isolate" },
	{ USER ",tftp=/x", "@'tftp=/x' is not supported", "serves no files" },
	{ USER ",guestfwd=tcp:10.0.2.4:1-cmd:x", "@'guestfwd=tcp:10.0.2.4:1-cmd:x' is not supported", "address host" },
	{ USER ",net=zz", "@Failed to parse netmask", NULL },
	{ USER ",net=10.0.0.0/3", "@Invalid netmask provided (must be in range 4-32)", NULL },
	{ USER ",net=10.0.0.0/255.0.255.0", "@Failed to parse netmask", NULL },
	{ USER ",host=1.2.3.4", "@Host doesn't belong to network", NULL },
	{ USER ",dhcpstart=1.2.3.4", "@DHCP doesn't belong to network", NULL },
	{ USER ",dns=zz", "@Failed to parse DNS", NULL },
	{ USER ",dns=10.0.2.2", "@DNS must be different from host", NULL },
	{ USER ",dhcpstart=10.0.2.2", "@DHCP must be different from host and DNS", NULL },
	{ USER ",hostfwd=tcp::22", "@Invalid host forwarding rule 'tcp::22' (Bad host port separator)", NULL },
	{ USER ",hostfwd=xx:22-:22", "@Invalid host forwarding rule 'xx:22-:22' (Bad protocol name)", NULL },
	{ USER ",hostfwd=tcp:zz:22-:22", "@Invalid host forwarding rule 'tcp:zz:22-:22' (Bad host address)", NULL },
	{ USER ",hostfwd=tcp::x-:22", "@Invalid host forwarding rule 'tcp::x-:22' (Bad host port)", NULL },
	{ USER ",hostfwd=tcp::22-:0", "@Invalid host forwarding rule 'tcp::22-:0' (Bad guest port)", NULL },
	{ USER ",hostfwd=tcp::0-:22", "@Invalid host forwarding rule 'tcp::0-:22' (Bad host port)", "name one" },
	{ USER ",hostfwd=tcp::1-:2,hostfwd=tcp::3-10.0.2.16:4",
	  "@hostfwd to 10.0.2.16 is not supported: the guest has 10.0.2.15", "dhcpstart=10.0.2.16" },

	{ "-nic bridge", "@Parameter 'type' does not accept value 'bridge'", "user" },
	{ "-nic user,model=e1000", "@Unsupported NIC model: e1000", "leave model out" },
	{ "-nic user,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-nic user,mac=zz", "@Property 'virtio-net-device.mac' doesn't take value 'zz'", NULL },
	{ "-nic user,id=a -nic user,id=a", "-nic user,id=a: Duplicate ID 'a' for netdev", NULL },
	{ "-net nic,foo=1", "@Invalid parameter 'foo'", NULL },
	{ "-net nic,model=rtl8139", "@Unsupported NIC model: rtl8139", "leave model out" },
	{ "-net nic -net nic", "-net nic: a second -net nic is not supported: there is no hub", "-nic user" },
	{ "-net user -net tap", "-net tap: a second -net with a back end is not supported: there is no hub",
	  "-nic user" },
	{ "-net nic -net foo", "-net foo: Parameter 'type' does not accept value 'foo'", "user" },
	{ "-net nic -net user,hostfwd=zz", "-net user,hostfwd=zz: Invalid host forwarding rule 'zz' (No : separators)",
	  NULL },
	{ "-net ''", "-net : Parameter 'type' is missing", NULL },

	{ CARD, "@'netdev' property must be set", "-netdev tap" },
	{ N0 " " CARD ",netdev=n1", CARD ",netdev=n1: Property 'virtio-net-device.netdev' can't find value 'n1'",
	  "-netdev tap,id=n1" },
	{ N0 " " CARD ",netdev=n0 " CARD ",netdev=n0,id=b",
	  CARD ",netdev=n0,id=b: Property 'virtio-net-device.netdev' can't take value 'n0', it's in use",
	  "of its own" },
	{ N0 " " CARD ",netdev=n0,mac=zz",
	  CARD ",netdev=n0,mac=zz: Property 'virtio-net-device.mac' doesn't take value 'zz'", NULL },
	{ CARD ",netdev=n0,mac=52:54:00:12:34:5",
	  "@Property 'virtio-net-device.mac' doesn't take value '52:54:00:12:34:5'", NULL },
	{ CARD ",netdev=n0,mac=52:54:00:12:34:567",
	  "@Property 'virtio-net-device.mac' doesn't take value '52:54:00:12:34:567'", NULL },
	{ CARD ",netdev=n0,mac=53:54:00:12:34:56",
	  "@Property 'virtio-net-device.mac' doesn't take value '53:54:00:12:34:56'", "even" },
	{ CARD ",netdev=n0,rx_queue_size=300",
	  "@Invalid rx_queue_size (= 300), must be a power of 2 between 256 and 1024.", NULL },
	{ CARD ",netdev=n0,tx_queue_size=128",
	  "@Invalid tx_queue_size (= 128), must be a power of 2 between 256 and 1024", NULL },
	{ CARD ",netdev=n0,tx_queue_size=512", "@rx_queue_size and tx_queue_size differ", "same size" },
	{ CARD ",netdev=n0,host_mtu=67", "@host_mtu=67: an MTU is 68 to 65535", NULL },
	{ CARD ",netdev=n0,rss=on", "@'rss=on' is not supported", "RSS" },
};

static void refuses_networks(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(networks); i++)
		check_refused(&networks[i]);
}

// A card may come before its netdev.
static void takes_networks(void **state)
{
	static const char line[] = "-kernel k -device virtio-net,netdev=n1,mq=on,csum=off,mac=52:54:00:aa:bb:cc,"
				   "host_mtu=9000,vectors=6 -netdev tap,id=n1,fds=7:8,vhostfds=9:10 "
				   "-netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=on,queues=4";
	static const uint8_t mac[] = { 0x52, 0x54, 0, 0xaa, 0xbb, 0xcc };
	struct machine_config opts;
	struct vpmem_error err;
	const struct tap_config *tap;
	const struct net_config *net;

	(void)state;
	assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
	assert_int_equal(opts.nnetdevs, 2);
	tap = object_config_as(opts.netdevs[0], &netdev_tap_type);
	assert_int_equal(tap->queues, 2);
	assert_int_equal(tap->ntap_fds, 2);
	assert_int_equal(tap->tap_fds[1], 8);
	assert_int_equal(tap->nvhost_fds, 2);
	assert_int_equal(tap->vhost_fds[0], 9);
	tap = object_config_as(opts.netdevs[1], &netdev_tap_type);
	assert_string_equal(tap->ifname, "tap0");
	assert_int_equal(tap->queues, 4);
	assert_true(tap->vnet_hdr);
	net = device_config_as(opts.devices[0], &virtio_net_pci_model);
	assert_memory_equal(net->mac, mac, sizeof(mac));
	assert_true(net->mq && !net->features[NET_CSUM] && net->features[NET_GUEST_TSO4]);
	assert_int_equal(net->host_mtu, 9000);
	machine_config_free(&opts);
}

static void a_share_is_a_device_a_chardev_and_ram(void **state)
{
	static const char *const tags[] = { "data", "share", "share", "own" };
	static const char *const lines[] = { "-share /srv/data//", "-share ..", "-share /", "-share d,tag=own" };
	struct machine_config opts;
	struct vpmem_error err;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		char line[80];

		snprintf(line, sizeof(line), "-kernel k -m 64 %s", lines[i]);
		assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
		assert_string_equal(vhost_user_config_of(opts.devices[0])->tag, tags[i]);
		assert_string_equal(opts.devices[0]->id, "share0");
		assert_string_equal(opts.chardevs[0]->id, vhost_user_config_of(opts.devices[0])->chardev);
		assert_string_equal(opts.shares[0].chardev, opts.chardevs[0]->id);
		assert_null(opts.shares[0].sandbox);
		assert_string_equal(opts.memory_backend, opts.objects[0]->id);
		assert_int_equal(memdev_config_of(opts.objects[0])->backing.size, 64 << 20);
		assert_true(memdev_config_of(opts.objects[0])->backing.share);
		machine_config_free(&opts);
	}
	/* RAM that the user has chosen stays. */
	assert_int_equal(parse_line("-kernel k -share d,id=x,sandbox=chroot -share e -m 1G -object "
	                            "memory-backend-ram,id=r,size=1G -machine memory-backend=r",
	                            &opts, &err),
	                 OPTIONS_RUN);
	assert_int_equal(opts.nobjects, 1);
	assert_string_equal(opts.memory_backend, "r");
	assert_string_equal(opts.devices[0]->id, "x");
	assert_string_equal(opts.devices[1]->id, "share1");
	assert_string_equal(opts.shares[0].sandbox, "chroot");
	machine_config_free(&opts);
}

static void takes_sockets_and_passt(void **state)
{
	static const char line[] =
		"-kernel k -netdev stream,id=n0,server=off,addr.type=inet,addr.host=127.0.0.1,addr.port=12,reconnect=3 "
		"-netdev {\"type\":\"stream\",\"id\":\"n1\",\"server\":true,\"addr\":{\"type\":\"unix\",\"path\":\"s\"}} "
		"-netdev user,id=n2,net=192.168.7.0/24,hostfwd=tcp::2222-:22,hostfwd=udp:127.0.0.1:53-192.168.7.15:54 "
		"-netdev {\"type\":\"user\",\"id\":\"n3\",\"hostfwd\":[{\"str\":\"tcp::1-:2\"},{\"str\":\"tcp::3-:4\"}]}";
	const struct stream_config *stream;
	const struct user_config *user;
	struct machine_config opts;
	struct vpmem_error err;
	struct hostfwd fwd;
	const char *text;

	(void)state;
	assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
	stream = object_config_as(opts.netdevs[0], &netdev_stream_type);
	assert_string_equal(stream->addr.port, "12");
	assert_int_equal(stream->reconnect, 3);
	stream = object_config_as(opts.netdevs[1], &netdev_stream_type);
	assert_string_equal(stream->addr.path, "s");
	assert_true(stream->server);
	user = object_config_as(opts.netdevs[2], &netdev_user_type);
	assert_string_equal(user->address, "192.168.7.15");
	assert_string_equal(user->netmask, "255.255.255.0");
	assert_string_equal(user->gateway, "192.168.7.2");
	text = user->hostfwd;
	assert_int_equal(hostfwd_next(&text, &fwd, &err), 1);
	assert_true(!fwd.udp && fwd.host_port == 2222 && fwd.guest_port == 22 && !*fwd.host);
	assert_int_equal(hostfwd_next(&text, &fwd, &err), 1);
	assert_true(fwd.udp && fwd.host_port == 53 && fwd.guest_port == 54);
	assert_string_equal(fwd.host, "127.0.0.1");
	assert_int_equal(hostfwd_next(&text, &fwd, &err), 0);
	user = object_config_as(opts.netdevs[3], &netdev_user_type);
	assert_string_equal(user->hostfwd, "tcp::1-:2\ntcp::3-:4");
	assert_string_equal(user->address, "10.0.2.15");
	machine_config_free(&opts);
}

// Each stands for a back end and a card.
static void takes_nics(void **state)
{
	static const char line[] =
		"-kernel k -nic user,model=virtio,hostfwd=tcp::1-:2,mac=52:54:00:aa:bb:cc -nic none "
		"-nic tap,id=t,ifname=tap0 -net nic,model=virtio,macaddr=52:54:00:12:34:58,name=card "
		"-net user -net none";
	struct machine_config opts;
	struct vpmem_error err;
	const struct net_config *net;

	(void)state;
	assert_int_equal(parse_line(line, &opts, &err), OPTIONS_RUN);
	assert_int_equal(opts.nnetdevs, 3);
	assert_int_equal(opts.ndevices, 3);
	assert_ptr_equal(opts.netdevs[0]->type, &netdev_user_type);
	assert_string_equal(opts.netdevs[0]->id, "nic0");
	assert_ptr_equal(opts.netdevs[1]->type, &netdev_tap_type);
	assert_ptr_equal(opts.netdevs[2]->type, &netdev_user_type);
	net = device_config_as(opts.devices[0], &virtio_net_pci_model);
	assert_string_equal(net->netdev, "nic0");
	assert_int_equal(net->mac[3], 0xaa);
	assert_null(net->dev.id);
	net = device_config_as(opts.devices[1], &virtio_net_pci_model);
	assert_string_equal(net->netdev, "t");
	net = device_config_as(opts.devices[2], &virtio_net_pci_model);
	assert_string_equal(net->netdev, "nic1");
	assert_string_equal(net->dev.id, "card");
	assert_int_equal(net->mac[5], 0x58);
	machine_config_free(&opts);
	assert_int_equal(parse_line("-kernel k -net user", &opts, &err), OPTIONS_RUN);
	assert_int_equal(opts.nnetdevs, 0);
	machine_config_free(&opts);
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

/* As object_add and device_add of the monitor will: one at a time, against what is there. */
static void objects_and_devices_join_one_by_one(void **state)
{
	struct json_object *object = json_tokener_parse("{\"qom-type\":\"memory-backend-file\",\"id\":\"m1\","
	                                                "\"mem-path\":\"f\",\"size\":67108864}");
	struct json_object *device =
		json_tokener_parse("{\"driver\":\"virtio-pmem-pci\",\"id\":\"nv1\",\"memdev\":\"m1\"}");
	struct machine_config have = { 0 };
	struct object_config *memdev;
	struct device_config *pmem;
	struct vpmem_error err;

	(void)state;
	assert_int_equal(config_device(device, PROPS_JSON, &pmem, &err), 0);
	assert_int_equal(options_check_device(&have, pmem, PROPS_JSON, &err), -ENODEV);
	assert_string_equal(err.text, "Device 'm1' not found");

	assert_int_equal(config_object(object, PROPS_JSON, &memdev, &err), 0);
	assert_int_equal(options_check_object(&have, memdev, PROPS_JSON, &err), 0);
	assert_int_equal(options_add_object(&have, memdev), 0);
	assert_int_equal(config_object(object, PROPS_JSON, &memdev, &err), 0);
	assert_int_equal(options_check_object(&have, memdev, PROPS_JSON, &err), -EEXIST);
	assert_string_equal(err.text, "attempt to add duplicate property 'm1' to object (type 'container')");
	object_config_free(memdev);

	assert_int_equal(options_check_device(&have, pmem, PROPS_JSON, &err), 0);
	assert_int_equal(options_add_device(&have, pmem), 0);
	assert_int_equal(config_device(device, PROPS_JSON, &pmem, &err), 0);
	assert_int_equal(options_check_device(&have, pmem, PROPS_JSON, &err), -EEXIST);
	assert_string_equal(err.text, "Duplicate device ID 'nv1'");
	device_config_free(pmem);

	machine_config_free(&have);
	json_object_put(object);
	json_object_put(device);
}

#define FULL "PCI: no slot/function available for virtio-pmem-pci, all in use or reserved"

/* n devices on the command line, with what follows; "%u" in the form of one is its number. */
static enum options_result parse_many(unsigned n, const char *form, const char *more, struct machine_config *opts,
                                      struct vpmem_error *err)
{
	static char line[32768];
	size_t len = (size_t)snprintf(line, sizeof(line), "-kernel k%s", more);

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, form, i);
	assert_true(len < sizeof(line));
	return parse_line(line, opts, err);
}

static void as_many_buses_as_the_devices_need(void **state)
{
	static const unsigned counts[][2] = { { 1, 1 },  { 31, 1 },  { 32, 2 }, { 62, 2 },
		                              { 63, 3 }, { 128, 5 }, { 248, 8 } };
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	for (unsigned i = 0; i < COUNT(counts); i++) {
		assert_int_equal(parse_many(counts[i][0], " -pmem f%u", "", &opts, &err), OPTIONS_RUN);
		assert_int_equal(opts.nbuses, counts[i][1]);
		assert_int_equal(opts.ndevices, counts[i][0]);
		machine_config_free(&opts);
	}
	for (unsigned n = 249; n < 300; n += 25) {
		assert_int_equal(parse_many(n, " -pmem f%u", "", &opts, &err), OPTIONS_ERROR);
		assert_non_null(strstr(err.text, FULL));
	}
}

static void no_more_devices_than_the_buses_take(void **state)
{
	struct vpmem_error err;
	struct machine_config opts;

	(void)state;
	assert_int_equal(parse_many(62, " -pmem f%u", " -machine pci-buses=2", &opts, &err), OPTIONS_RUN);
	machine_config_free(&opts);
	assert_int_equal(parse_many(63, " -pmem f%u", " -machine pci-buses=2", &opts, &err), OPTIONS_ERROR);
	assert_string_equal(err.text, "-pmem f62: " FULL);
	assert_non_null(strstr(err.hint, "-machine pci-buses=3"));
	assert_int_equal(parse_many(32, " -pmem f%u", " -machine pci-buses=1", &opts, &err), OPTIONS_ERROR);
	assert_non_null(strstr(err.hint, "-machine pci-buses=2"));
	assert_int_equal(parse_many(31, " -pmem f%u,bus=pcie.3", "", &opts, &err), OPTIONS_RUN);
	assert_int_equal(opts.nbuses, 4);
	machine_config_free(&opts);
	assert_int_equal(parse_many(32, " -pmem f%u,bus=pcie.3", "", &opts, &err), OPTIONS_ERROR);
	assert_string_equal(err.text, "-pmem f31,bus=pcie.3: " FULL);
	assert_non_null(strstr(err.hint, "pcie.3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_networks),
		cmocka_unit_test(takes_networks),
		cmocka_unit_test(a_share_is_a_device_a_chardev_and_ram),
		cmocka_unit_test(takes_sockets_and_passt),
		cmocka_unit_test(takes_nics),
		cmocka_unit_test(refuses_objects),
		cmocka_unit_test(refuses_devices),
		cmocka_unit_test(as_many_buses_as_the_devices_need),
		cmocka_unit_test(no_more_devices_than_the_buses_take),
		cmocka_unit_test(objects_and_devices_join_one_by_one),
	};

	return cmocka_run_group_tests_name("options_device", tests, NULL, NULL);
}
