"""What a running pmvm has: threads, descriptors, mappings, private memory; and its system calls.

An unplugged device leaves a thread for a moment: the one that frees the device ends after it has sent DEVICE_DELETED
(vmm/machine/machine_hotplug.c), and the kernel's thread for vhost ends after its descriptor is closed. All that is
read here is read only after these threads have ended, so that two readings can be compared.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import re
import subprocess
import time

ENDS_MAX = 200


def proc(vm):
    return pathlib.Path(f"/proc/{vm.process.pid}")


def names_of_descriptors(vm):
    """Without KVM's statistics of a vCPU: they are opened once, when it has first not answered for a while."""
    found = []
    for entry in (proc(vm) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(entry))
    return sorted(name for name in found if not name.startswith("anon_inode:kvm-vcpu-stats:"))


def names_of_threads(vm):
    found = []
    for task in (proc(vm) / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append((task / "comm").read_text().rstrip("\n"))
    return sorted(found)


def leftovers(vm):
    """The names of threads that are about to end.

    A thread without a name of its own has that of its creator, so the creator's name is there twice: it frees a device,
    or it is a worker that has only just begun. A vhost device has one thread of the kernel's.
    """
    names = names_of_threads(vm)
    creators = [name for name in set(names) if re.fullmatch(r"pmvm.*|CPU \d+/KVM", name)]
    vhost = [name for name in names if name.startswith("vhost-")]
    devices = [name for name in names_of_descriptors(vm) if name.startswith("/dev/vhost-")]
    return [name for name in creators if names.count(name) > 1] + vhost[len(devices) :]


def settle(vm):
    end = time.monotonic() + ENDS_MAX
    while left := leftovers(vm):
        assert time.monotonic() < end, f"threads of devices that are gone have not ended in {ENDS_MAX} s: {left}"
        time.sleep(0.01)


def threads(vm):
    """The names of the threads."""
    settle(vm)
    return names_of_threads(vm)


def descriptors(vm):
    """What the descriptors stand for."""
    settle(vm)
    return names_of_descriptors(vm)


def maps(vm):
    settle(vm)
    return (proc(vm) / "maps").read_text()


def private_kib(vm, ram_kib):
    """Private dirty memory without the guest's RAM, which is the one mapping of at least that size."""
    settle(vm)
    total = size = 0
    for line in (proc(vm) / "smaps").read_text().splitlines():
        match = re.match(r"(Size|Private_Dirty): +(\d+) kB", line)
        if match and match[1] == "Size":
            size = int(match[2])
        elif match and size < ram_kib:
            total += int(match[2])
    return total


def statuses(vm):
    """What /proc says about each thread, but for one that ends meanwhile."""
    for task in (proc(vm) / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield (task / "status").read_text()


@contextlib.contextmanager
def traced(vm, log, *options):
    """Every thread is under strace."""
    settle(vm)
    command = ["strace", "-f", "-qq", "-o", log, *options, "-p", str(vm.process.pid)]
    with subprocess.Popen(command, start_new_session=True) as tracer:
        try:
            end = time.monotonic() + ENDS_MAX
            while any("TracerPid:\t0\n" in text for text in statuses(vm)):
                assert tracer.poll() is None, f"strace ended with {tracer.returncode}"
                assert time.monotonic() < end, f"strace does not have all threads in {ENDS_MAX} s"
                time.sleep(0.05)
            yield
        finally:
            tracer.terminate()
            tracer.wait(ENDS_MAX)
