#!/usr/bin/python3
"""Runs a guest and a container with the programs that packages have installed in another root directory.

SPDX-License-Identifier: Apache-2.0

Usage: tests/on-kvm unshare --mount tests/installed.py ROOT guest|container
       tests/on-kvm unshare --mount tests/installed.py ROOT command CMD ARG...

A guest writes to its persistent memory; a container says its kernel; a command runs there. tools/check-deb calls this.
ROOT is not changed: the programs run in an overlay of it, with the devices, /tmp and /run of this machine, in a mount
namespace that ends with this program. Their files are those of the packages; only the guest's small system and busybox
are not. The exit status is 0 when all is as it should be.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path[:0] = [str(CHECKOUT / "guest"), str(CHECKOUT / "tests/system")]
import machine
import oci_runtime

SHARED = ["dev", "proc", "sys", "tmp", "run"]
RECORD = "written by the guest"
PMEM_LEN = 16 << 20
STATUS = 5
CALL_MAX = 900  # seconds: an emulated host is slow


def make_root(lower, folder):
    """An overlay of the other system, in which the programs may write; returns it."""
    root = folder / "root"
    for name in ("root", "upper", "work"):
        (folder / name).mkdir()
    options = f"lowerdir={lower},upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    for name in SHARED:
        subprocess.run(["mount", "--rbind", f"/{name}", root / name], check=True)
    return root


def run_guest(root, folder):
    """A guest writes to its persistent memory and syncs; the host's file has it."""
    image = folder / "image"
    with machine.Guest(
        *machine.pmem(image, size=PMEM_LEN, prealloc="on"), prefix=("chroot", root), program="/usr/bin/pmvm"
    ) as vm:
        vm.run(f"echo '{RECORD}' | dd of=/dev/pmem0 conv=fsync")
        assert image.read_bytes().startswith(RECORD.encode()), "the file has not what the guest wrote and synced"
        status = vm.power_off()
        assert status == 0, f"pmvm ended with {status}\n{vm.error_text}"


def make_bundle(root, folder):
    bundle = folder / "bundle"
    bundle.mkdir()
    oci_runtime.make_tree(bundle / "rootfs")
    subprocess.run(["chroot", root, "pmvm-oci", "spec", "--bundle", bundle], check=True, timeout=CALL_MAX)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["/bin/sh", "-c", f"uname -r; exit {STATUS}"]}
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def run_container(root, folder):
    """A container runs, in a machine that has the kernel of the packages."""
    modules = [path.name for path in (root / "lib/modules").iterdir()]
    done = subprocess.run(
        ["chroot", root, "pmvm-oci", "run", "--bundle", make_bundle(root, folder), "installed"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=CALL_MAX,
        check=False,
    )
    assert done.returncode == STATUS, f"pmvm-oci run ended with {done.returncode}, not {STATUS}"
    assert done.stdout.strip() in modules, f"the container's kernel is {done.stdout.strip()!r}, not one of {modules}"


def run_command(root, folder, command):
    subprocess.run(["chroot", root, "env", f"AUTOPKGTEST_TMP={folder}", *command], check=True, timeout=CALL_MAX)


def run_in(root, folder, what, command):
    if what == "guest":
        run_guest(root, folder)
    elif what == "command":
        run_command(root, folder, command)
    elif why := oci_runtime.why_not_on_host():
        sys.exit(why)
    else:
        run_container(root, folder)


def main():
    lower, what, *command = sys.argv[1:] if len(sys.argv) > 2 else ["", ""]
    if what not in ("guest", "container", "command") or bool(command) != (what == "command"):
        sys.exit(__doc__.split("\n\n")[2])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pmvm-installed-", dir="/tmp"))
    root = make_root(lower, folder)
    try:
        run_in(root, folder, what, command)
    finally:
        subprocess.run(["umount", "--recursive", root], check=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
