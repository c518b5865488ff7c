"""Devices that come and go while the guest works.

SPDX-License-Identifier: Apache-2.0
"""
import time

from common import Figure, alternate, directory, end, settle

PLUG = Figure("device_add to /dev/pmem0 in the guest", "ms", "host's clock, from the QMP command to the line of a guest's process that inotify wakes",
              ratio_max=0.5)
UNPLUG = Figure("device_del to DEVICE_DELETED", "ms", "host's clock; QEMU refuses to unplug virtio-pmem")
FIGURES = [PLUG, UNPLUG]
APPEAR_MAX = 60


def add_device(peer, guest, qmp, image, bus):
    qmp.run("object-add", {"qom-type": "memory-backend-file", "id": "mem1", "mem-path": str(image), "size": 64 << 20, "share": True})
    start = len(guest.output)
    guest.send("dax-tool await /dev/pmem0\n")
    time.sleep(1)
    began = time.monotonic()
    qmp.run("device_add", {"driver": "virtio-pmem-pci", "memdev": "mem1", "id": "nv1"} | bus)
    guest.wait_for("/dev/pmem0 is there", APPEAR_MAX, start)
    return (time.monotonic() - began) * 1000


def measure(peers, runs, samples):
    for _, peer in alternate([peer for peer in peers if peer.has_pmem], runs, "plug"):
        # QEMU's root bus takes no device while the machine runs.
        port = [] if peer.name == "pmvm" else ["-device", "pcie-root-port,id=rp1,chassis=1"]
        with directory("tmpfs") as where, peer(where, port) as guest, guest.qmp() as qmp:
            settle(guest)
            samples.add(PLUG, peer.name, add_device(peer, guest, qmp, where / "a.img", {"bus": "rp1"} if port else {}))
            if peer.unplugs:
                began = time.monotonic()
                qmp.run("device_del", id="nv1")
                qmp.wait_event("DEVICE_DELETED")
                samples.add(UNPLUG, peer.name, (time.monotonic() - began) * 1000)
            end(guest)
