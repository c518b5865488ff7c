"""Programs that start QEMU, with pmvm in its place: kunit.py of a kernel tree, and vng of virtme-ng.

tests/foreign-tools downloads them.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import subprocess
import sys

import pytest

from machine import CHECKOUT, GUESTS, kernel_files, pmvm

TOOLS = CHECKOUT / "build/tools"
KUNIT = TOOLS / "linux-source-6.12/tools/testing/kunit/kunit.py"
TOOL_MAX = 240
UDEVD = "/usr/lib/systemd/systemd-udevd"
# Runs a program where /usr has udev as well, in a mount namespace of its own.
WITH_UDEV = 'mount -t overlay -o "lowerdir=$0/udev:/usr" udev /usr && exec "$@"'

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (TOOLS / "done").exists(), reason="they are not there: run tests/foreign-tools"),
]


def run_tool(tmp_path, *command, path=(), **environment):
    environment |= {"PATH": ":".join([*map(str, path), os.environ["PATH"]]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=tmp_path,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        timeout=TOOL_MAX,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    print(f"{done.stdout[-6000:]}\n--- stderr\n{done.stderr[-6000:]}")
    return done


def test_kunit_reads_the_results(tmp_path):
    """The kernel is a program that prints what one with KUnit does, and restarts."""
    path, build = tmp_path / "bin", tmp_path / "build"
    kernel = build / "arch/x86/boot/bzImage"
    path.mkdir()
    kernel.parent.mkdir(parents=True)
    (path / "qemu-system-x86_64").symlink_to(pmvm())
    shutil.copy(CHECKOUT / "build/tests/guest/ktap.elf", kernel)
    words = ["exec", "--arch=x86_64", f"--build_dir={build}", "--timeout=120"]
    done = run_tool(tmp_path, sys.executable, KUNIT, *words, path=[path])
    assert done.returncode == 0
    assert "Ran 2 tests: passed: 2" in done.stdout
    assert "-bios qboot.rom" in done.stdout


def test_vng_runs_a_command(tmp_path):
    """The guest's root is that of the host, by virtiofsd; the command's output and status come back by serial ports."""
    kernel = tmp_path / "boot/vmlinuz"
    modules = next((GUESTS / "cloud/modules/lib/modules").iterdir())
    kernel.parent.mkdir()
    shutil.copy(kernel_files()[0], kernel)
    (tmp_path / "lib/modules").mkdir(parents=True)
    (tmp_path / "lib/modules" / modules.name).symlink_to(modules)
    (tmp_path / "host").write_text("from the host\n")
    path = [TOOLS / "bin", TOOLS / "root/usr/bin"]
    packages = TOOLS / "root/usr/lib/python3/dist-packages"
    options = ["-v", "--run", kernel, "--qemu", pmvm(), "--memory", "512M", "--cpus", "1"]
    udev = [] if os.path.exists(UDEVD) else ["unshare", "-m", "sh", "-c", WITH_UDEV, TOOLS]
    script = f"uname -r; cat {tmp_path}/host; exit 7"
    done = run_tool(tmp_path, *udev, "vng", *options, "--", script, path=path, PYTHONPATH=packages)
    assert modules.name in done.stdout and "from the host" in done.stdout
    assert done.returncode == 7
