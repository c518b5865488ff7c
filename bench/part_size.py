"""The size of the program.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import shutil
import subprocess

import machine
import peers as peers_module
from bench_common import MIB, Figure, say

METHOD = "meson --buildtype=minsize -Dstatic=enabled, unused sections dropped, strip"
STATIC = Figure("stripped static program", "MiB", METHOD, value_max=1)
DEFAULT = Figure("the same as it is built by default", "MiB", "make, strip", value_max=1)
PROGRAM = Figure("program and its libraries", "MiB", "stripped; the libraries that ldd names")
FIGURES = [STATIC, DEFAULT, PROGRAM]
OPTIONS = [
    "--buildtype=minsize",
    "-Dstatic=enabled",
    "-Db_pie=false",
    "-Ddefault_library=static",
    "-Dc_link_args=-Wl,-z,noseparate-code -Wl,--build-id=none",
]


def build_static():
    build = machine.CHECKOUT / "build/bench-static"
    again = ["--reconfigure"] if (build / "build.ninja").exists() else []
    subprocess.run(["meson", "setup", *again, build, machine.CHECKOUT, *OPTIONS], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, "pmvm"], check=True, stdout=subprocess.DEVNULL)
    return build / "pmvm"


def stripped_mib(program):
    target = machine.CHECKOUT / "build/bench-stripped"
    subprocess.run(["strip", "-o", target, program], check=True)
    size = target.stat().st_size
    target.unlink()
    return size / MIB


def with_libraries_mib(program):
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    libraries = [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
    return stripped_mib(program) + sum(pathlib.Path(library).stat().st_size for library in libraries) / MIB


def measure(_, __, samples):
    say("  size: building a static program")
    samples.add(STATIC, "pmvm", stripped_mib(build_static()))
    samples.add(DEFAULT, "pmvm", stripped_mib(machine.CHECKOUT / "build/pmvm"))
    samples.add(PROGRAM, "pmvm", with_libraries_mib(machine.CHECKOUT / "build/pmvm"))
    if shutil.which(peers_module.QEMU):
        samples.add(PROGRAM, "QEMU", with_libraries_mib(shutil.which(peers_module.QEMU)))
