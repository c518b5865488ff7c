"""From the start of the process to the guest's first process.

SPDX-License-Identifier: Apache-2.0
"""
import re
import subprocess

import peers as peers_module
from bench_common import Failed, Figure, alternate, directory, end, pmem

START = Figure(
    "start to the guest's ready line",
    "ms",
    (
        "from exec of the process to the line that the guest's /init prints when its modules are "
        "loaded, without pmem; host's clock"
    ),
    ratio_max=0.5,
)
INIT = Figure("the guest's part of it", "ms", "/proc/uptime of the guest, in that line")
CALLS = Figure(
    "system calls before the first KVM_RUN",
    "",
    "strace -f, with one pmem whose file is new, and a QMP socket; of all threads; -sandbox off",
    value_max=100,
)
SANDBOX_CALLS = Figure("the same with -sandbox on", "", "the same, of all processes: pmvm's broker is one")
FIGURES = [START, INIT, CALLS, SANDBOX_CALLS]


class PmvmVmlinux(peers_module.Pmvm):
    """With the kernel of QEMU best, which needs no decompression."""

    name = "pmvm vmlinux"
    image = "vmlinux"


def calls_before_run(peer, sandbox):
    with directory("tmpfs") as where:
        log = where / "strace"
        with peer(where, [*pmem(where / "a.img"), "-sandbox", sandbox], prefix=["strace", "-f", "-o", log]) as guest:
            end(guest)
        # A call that another thread's interrupts has two lines.
        calls = [line for line in log.read_text(errors="replace").splitlines() if "resumed>" not in line]
        for number, line in enumerate(calls):
            if "KVM_RUN" in line:
                return number
    raise Failed(f"{peer.name}: strace has seen no KVM_RUN")


def measure(peers, runs, samples):
    for run, peer in alternate([*peers, PmvmVmlinux], runs, "start"):
        with directory("tmpfs") as where:
            with peer(where) as guest:
                # booted() has waited longer; the moment is when the line came.
                samples.add(START, peer.name, (guest.ready_at - guest.began) * 1000)
                samples.add(INIT, peer.name, float(re.search(r"pmvm-guest: ready ([\d.]+)", guest.text)[1]) * 1000)
                guest.send("poweroff -f\n")
                try:
                    guest.process.wait(60)
                except subprocess.TimeoutExpired:
                    guest.kill()  # a machine without ACPI cannot switch itself off
        if run == 0 and peer.has_pmem and peer is not PmvmVmlinux:
            samples.add(CALLS, peer.name, calls_before_run(peer, "off"))
            samples.add(SANDBOX_CALLS, peer.name, calls_before_run(peer, "on"))
