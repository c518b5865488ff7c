"""Devices that come and go while the guest works.

SPDX-License-Identifier: Apache-2.0
"""
import time

import counters
from bench_common import Figure, alternate, directory, end, settle

PLUG = Figure(
    "device_add to /dev/pmemN in the guest",
    "ms",
    "host's clock, from the QMP command to the line of a guest's process that inotify wakes; 4 devices of each machine",
    ratio_max=0.5,
)
EXITS = Figure(
    "exits to user space for a device_add",
    "",
    "tracepoint kvm:kvm_userspace_exit, until the guest is idle again",
    ratio_max=0.5,
)
UNPLUG = Figure("device_del to DEVICE_DELETED", "ms", "host's clock; QEMU refuses to unplug virtio-pmem")
FIGURES = [PLUG, EXITS, UNPLUG]
APPEAR_MAX = 60
EACH = 4  # devices for one machine


def add_device(guest, qmp, image, number, bus):
    """(milliseconds, exits)"""
    qmp.run(
        "object-add",
        {
            "qom-type": "memory-backend-file",
            "id": f"mem{number}",
            "mem-path": str(image),
            "size": 64 << 20,
            "share": True,
        },
    )
    start, node = len(guest.output), f"/dev/pmem{number}"
    guest.send(f"dax-tool await {node}\n")
    time.sleep(1)
    with counters.user_exits(guest.process.pid) as exits:
        began = time.monotonic()
        qmp.run("device_add", {"driver": "virtio-pmem-pci", "memdev": f"mem{number}", "id": f"nv{number}"} | bus)
        guest.wait_for(f"{node} is there", APPEAR_MAX, start)
        took = (time.monotonic() - began) * 1000
        time.sleep(1)
    return took, exits.total()


def remove_device(qmp, number):
    began = time.monotonic()
    qmp.run("device_del", id=f"nv{number}")
    qmp.wait_event("DEVICE_DELETED", device=f"nv{number}")
    return (time.monotonic() - began) * 1000


def measure(peers, runs, samples):
    for _, peer in alternate([peer for peer in peers if peer.has_pmem], -(-runs // EACH), "plug"):
        # QEMU's root bus takes no device while the machine runs.
        on_ports = peer.name != "pmvm"
        ports = [
            word for number in range(EACH) for word in ("-device", f"pcie-root-port,id=rp{number},chassis={number + 1}")
        ]
        with directory("tmpfs") as where, peer(where, ports if on_ports else []) as guest, guest.qmp() as qmp:
            settle(guest)
            for number in range(EACH):
                bus = {"bus": f"rp{number}"} if on_ports else {}
                took, exits = add_device(guest, qmp, where / f"{number}.img", number, bus)
                samples.add(PLUG, peer.name, took)
                samples.add(EXITS, peer.name, exits)
            for number in range(EACH) if peer.unplugs else []:
                samples.add(UNPLUG, peer.name, remove_device(qmp, number))
                settle(guest)
            end(guest)
