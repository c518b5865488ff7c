"""SIGKILL of pmvm at random moments, many times, while a guest writes: no record that was acknowledged is lost.

The guest's stores are in the host's page cache, which outlives the process, so SIGKILL cannot lose them. A device that
answers before its sync is therefore not found here; tests/powercut.py finds it. This test finds what makes the file
differ from what the guest saw: a private mapping, an answer for another file or offset, a start that truncates or
initialises the file again. It also finds a lock that remains, and a start that fails after the kill.

SPDX-License-Identifier: Apache-2.0
"""
import fcntl
import os
import random
import re
import subprocess
import time

import pytest

import bare
import machine
from machine import CHECKOUT, Guest, Vm, pmem

KILLS = 25
MANY_KILLS = int(os.environ.get("PMVM_KILLS", 200))
SEED = int(os.environ.get("PMVM_SEED", random.randrange(1 << 32)))
WRITING = (0, 0.25)  # seconds from the first reports to the kill
START_MAX = 200


def reported(text):
    """The number of each writer's last record, as the console shows it: whole lines only."""
    numbers = [0] * bare.NWRITERS
    for writer, number in re.findall(r"^bare/(\d+): record (\d+) durable\r?$", text, re.MULTILINE):
        numbers[int(writer)] = int(number)
    return numbers


def assert_unlocked(image):
    with open(image, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("kills", [KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.long)])
def test_bare_writers(tmp_path, kills):
    """Six writers that do not wait for each other; the same file goes on through all rounds."""
    print(f"PMVM_SEED={SEED}")
    chance = random.Random(SEED)
    image, program = tmp_path / "a.img", machine.near(CHECKOUT / "build/tests/guest/writers.elf")
    durable, nreports = [0] * bare.NWRITERS, 0
    for kill in range(kills):
        with Vm(["-m", "64M", "-nographic", "-kernel", program, *pmem(image, size="16M")]) as vm:
            # Some die before the guest runs, or before its first report; but for the first, which makes the file.
            if kill == 0 or chance.random() < 0.9:
                vm.wait_for(r"^bare/\d+: record \d+ durable", START_MAX)
            time.sleep(chance.uniform(*WRITING))
            assert vm.process.poll() is None, vm.error_text
            vm.kill()
            vm.end()
            text = vm.text
        nreports += text.count(" durable")
        durable = [max(pair) for pair in zip(durable, reported(text))]
        there = bare.last_good_records(image)
        assert all(a >= b for a, b in zip(there, durable)), f"kill {kill}: in the file {there}, reported {durable}"
        assert_unlocked(image)
        # What is there now must stay, reported or not.
        durable = there
    assert nreports >= kills, "too few reports for a result"


FILES = {"grown": "append", "fixed": "in-place"}


def records(guest):
    return {file: int(guest.run(f"dax-tool check-records {file}").split()[-1]) for file in FILES}


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.long)])
def test_linux_with_ext4(tmp_path, kills):
    """Two files on ext4 with DAX, one grows. Each start replays the journal; the file system is clean in the end."""
    print(f"PMVM_SEED={SEED}")
    chance, image, durable = random.Random(SEED), tmp_path / "a.img", dict.fromkeys(FILES, 0)
    for kill in range(kills + 1):
        with Guest(*pmem(image, size="64M")) as guest:
            if kill == 0:
                guest.run("mkfs.ext4 -q -b 4096 /dev/pmem0")
            guest.run("mkdir -p /mnt && mount -o dax /dev/pmem0 /mnt && cd /mnt")
            if kill == 0:
                guest.run("touch grown && dd if=/dev/zero of=fixed bs=1M count=2 conv=fsync")
            there = records(guest)
            assert all(
                there[file] >= durable[file] for file in FILES
            ), f"kill {kill}: {there} are there, {durable} reported"
            if kill == kills:
                guest.run("cd / && umount /mnt")
                assert guest.power_off() == 0
                break
            start = len(guest.output)
            guest.send(" ".join(f"dax-tool named-records {file} 1000000 {how} &" for file, how in FILES.items()) + "\n")
            for file in FILES:
                guest.wait_for(rf"^{file}: record \d+ durable", start=start)
            time.sleep(chance.uniform(0, 1))
            guest.kill()
            guest.end()
        for file, number in re.findall(r"^(\w+): record (\d+) durable\r?$", guest.text[start:], re.MULTILINE):
            there[file] = int(number)
        durable = there
        assert_unlocked(image)
    subprocess.run(
        ["e2fsck", "-fn", image], check=True, env=os.environ | {"PATH": "/usr/sbin:/sbin:" + os.environ["PATH"]}
    )
