"""What KVM counts of a running machine's vCPUs, read from outside (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD).

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import os
import struct

SYS_PIDFD_GETFD = 438  # the same number on every architecture
HEADER = struct.Struct("=6I")  # flags, name_size, num_desc, id_offset, desc_offset, data_offset
DESCRIPTOR = struct.Struct("=IhHII")  # flags, exponent, size, offset, bucket_size; the name follows

libc = ctypes.CDLL(None, use_errno=True)


def copies(pid, what):
    """Copies of the process's descriptors for which /proc says `what`."""
    pidfd = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if what not in os.readlink(f"/proc/{pid}/fd/{name}"):
                continue
            fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
            if fd < 0:
                raise OSError(ctypes.get_errno(), f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
            yield fd
    finally:
        os.close(pidfd)


def counters(pid, *names):
    """The counters of these names, each the sum over all vCPUs; pmvm keeps a statistics descriptor for each.

    None where KVM has no statistics (Linux before 5.14).
    """
    totals, nvcpus = dict.fromkeys(names, 0), 0
    for fd in copies(pid, "kvm-vcpu-stats"):
        nvcpus += 1
        _, name_size, ndescriptors, _, descriptors_off, data_off = HEADER.unpack(os.pread(fd, HEADER.size, 0))
        size = DESCRIPTOR.size + name_size
        table = os.pread(fd, size * ndescriptors, descriptors_off)
        for at in range(0, len(table), size):
            off = DESCRIPTOR.unpack_from(table, at)[3]
            name = table[at + DESCRIPTOR.size : at + size].split(b"\0")[0].decode()
            if name in totals:
                totals[name] += struct.unpack("=Q", os.pread(fd, 8, data_off + off))[0]
        os.close(fd)
    return totals if nvcpus else None
