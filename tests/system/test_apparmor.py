"""A machine under the profile of AppArmor that dist/apparmor has, in enforce mode, where the kernel has AppArmor.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from echo import options, read_until, wait_until
from machine import CHECKOUT, MIB, Vm, pmem, pmvm
from monitor import Qmp, Refused, connect

PARSER, AA_EXEC = shutil.which("apparmor_parser"), shutil.which("aa-exec")
ENABLED = pathlib.Path("/sys/module/apparmor/parameters/enabled")
SECURITY = pathlib.Path("/sys/kernel/security")
NAME = "pmvm-test"
LOCAL = "include if exists <local/pmvm>"


def missing():
    if not PARSER or not AA_EXEC:
        return "the package apparmor is not installed"
    return None if ENABLED.exists() and ENABLED.read_text() == "Y\n" else "the kernel has no AppArmor"


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def parser(option, profile):
    command = [PARSER, option, "--skip-cache", profile]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(name="place")
def fixture_place():
    """A directory that the profile permits, with pmvm, while the profile is loaded under a name of its own."""
    with tempfile.TemporaryDirectory(prefix="pmvm-apparmor-") as name:
        place = pathlib.Path(name)
        shutil.copy(pmvm(), place / "pmvm")
        text = (CHECKOUT / "dist/apparmor/pmvm").read_text()
        assert LOCAL in text and "profile pmvm " in text and "peer=pmvm" in text
        text = text.replace("profile pmvm ", f"profile {NAME} ").replace("peer=pmvm", f"peer={NAME}")
        kernel = options()[options().index("-kernel") + 1]
        text = text.replace(LOCAL, f"{place}/** mrwk, {kernel} r,")
        (place / "profile").write_text(text)
        if not (SECURITY / "apparmor").exists():
            subprocess.run(["mount", "-t", "securityfs", "securityfs", SECURITY], check=True)
        parser("--replace", place / "profile")
        yield place
        parser("--remove", place / "profile")


def test_a_machine_under_the_profile(place, tmp_path):
    """All walls stand, the guest and its image work; what the profile does not permit is refused."""
    sockets = [item for name in ("qmp", "serial") for item in (f"-{name}", f"unix:{place}/{name},server=on,wait=off")]
    args = [*options(), *sockets, *pmem(place / "a.img", size="4M"), "-sandbox", f"on,dir={tmp_path}"]
    with Vm(args, prefix=(AA_EXEC, "-p", NAME, "--"), program=place / "pmvm", cwd=place) as vm:
        wait_until((place / "serial").exists)
        with connect(place / "serial") as serial:
            serial.sendall(b"alive\n")
            read_until(serial, b"line 1: alive")
        current = pathlib.Path(f"/proc/{vm.process.pid}/attr/current").read_text()
        assert current.strip() == f"{NAME} (enforce)"
        with Qmp(place / "qmp") as qmp:
            report = qmp.run("query-sandbox")
            assert report["namespaces"] == ["user", "mount", "net", "ipc"] and report["empty-root"]
            backend = {"qom-type": "memory-backend-file", "share": True, "size": 2 * MIB}
            qmp.run("object-add", backend | {"id": "yes", "mem-path": str(place / "new.img")})
            with pytest.raises(Refused, match="Permission denied"):
                qmp.run("object-add", backend | {"id": "no", "mem-path": str(tmp_path / "new.img")})
            qmp.run("quit")
        assert vm.end() == 0
    assert os.stat(place / "a.img").st_size == 4 * MIB
    assert not (tmp_path / "new.img").exists()
