"""The device and the machine under bare-metal guest programs (tests/guest), which drive them from ring 0.

A program prints one TAP line for each fact that it checked, then SUCCESS or FAILURE, and powers off.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import re
import shutil
import signal
import struct
import time

import pytest

from machine import CHECKOUT, MIB, Failed, Vm, linux_options, pmem, run_pmvm, wait_until
from monitor import Qmp, Refused

PROGRAMS = CHECKOUT / "build/tests/guest"
PROGRAM_MAX = 400
SIZE = 16 * MIB


def machine(program, *args, memory="128M", cpus=1, append="", prefix=()):
    """A pmvm that runs the program, its words and lines seen through Vm."""
    kernel = PROGRAMS / f"{program}.elf"
    if not kernel.exists():
        pytest.fail(f"{kernel} is missing: run `make`")
    return Vm(["-m", memory, "-smp", cpus, "-nographic", "-kernel", kernel, "-append", append, *args], prefix=prefix)


def verdict(vm, wanted_status=0):
    """Waits for the program's end and judges what it printed. Returns its TAP lines."""
    status = failed = None
    try:
        vm.wait_for(r"^(SUCCESS|FAILURE)\r?$", PROGRAM_MAX)
        status = vm.end()
    except Failed as failure:
        failed = failure
    if failed:
        pytest.fail(f"the guest program did not come to its end; its last words are below\n{failed}", pytrace=False)
    lines = vm.text.replace("\r", "").splitlines()
    wrong = [
        f"{line}\n    {after}" if after.startswith("#") else line
        for line, after in zip(lines, lines[1:])
        if line.startswith("not ok ") or "# SKIP" in line
    ]
    checks = [line for line in lines if re.match(r"(not )?ok ", line)]
    numbers = [int(re.match(r"(?:not )?ok (\d+)", line)[1]) for line in checks]
    for line in checks:
        print(line)
    texts = "\n".join(wrong)
    assert not wrong, f"{len(wrong)} of {len(checks)} facts are not so:\n{texts}\n{vm.error_text}"
    assert numbers == list(range(1, len(checks) + 1)), "TAP lines are missing or doubled"
    assert f"1..{len(checks)}" in lines and checks, "the plan does not match the TAP lines"
    assert lines[-1] == "SUCCESS"
    assert status == wanted_status, f"pmvm ended with {status}\n{vm.error_text}"
    return checks


def run(*args, **kwargs):
    with machine(*args, **kwargs) as vm:
        return verdict(vm)


def with_properties(pair, **properties):
    """The options of one pair with more properties of the device."""
    return [
        *pair[:-1],
        ",".join([pair[-1], *(f"{key.replace('_', '-')}={value}" for key, value in properties.items())]),
    ]


def words(path, off, n):
    with open(path, "rb") as file:
        file.seek(off)
        return list(struct.unpack(f"<{n}Q", file.read(8 * n)))


def test_flush(tmp_path):
    """Negotiation, requests in every framing, the index past 65536; three devices that do not mix."""
    images = [tmp_path / f"{n}.img" for n in range(3)]
    pairs = [option for n, image in enumerate(images) for option in pmem(image, n, size=f"{(n + 1) * 16}M")]
    run("flush", *pairs, append=f"size={SIZE}")
    for off in range(0, SIZE, 4096):
        assert words(images[0], off, 1) == [0x1122334400000000 | off], f"{images[0]} at {off}"
    assert images[0].read_bytes()[-8:] == struct.pack("<Q", 0x6C617374206F6E65)
    assert [words(image, 0, 1) for image in images[1:]] == [[0x4156494345000001], [0x4156494345000002]]


def test_flush_without_optional_features(tmp_path):
    """The properties event_idx, indirect_desc and queue_reset take a feature away each."""
    off = "event_idx=off,indirect_desc=off,queue_reset=off"
    pair = pmem(tmp_path / "a.img", size="16M")
    with machine("flush", *pair[:-1], f"{pair[-1]},{off}", append=f"size={SIZE}") as vm:
        vm.wait_for(r"# features 0x100000000\b")


@pytest.mark.parametrize("memory", ["128M", pytest.param("1G", marks=pytest.mark.long), "4G"])
def test_irq(tmp_path, memory):
    """MSI-X and INTx with all their masks; with RAM on both sides of 4 GiB too."""
    run("irq", *pmem(tmp_path / "a.img", size="16M"), memory=memory, append="rounds=100")


def test_reset(tmp_path):
    """Resets of device and queue while flushes are under way, and while another processor kicks."""
    run("reset", *pmem(tmp_path / "a.img", size="16M"), cpus=2, append="rounds=200")


def test_reset_during_slow_sync(tmp_path):
    """The same with a host that needs 20 ms for each sync, so that every reset comes in the middle of one."""
    needs_strace()
    slow = "strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=20000".split()
    run("reset", *pmem(tmp_path / "a.img", size="16M"), cpus=2, append=f"rounds=6 slow={2 ** 27}", prefix=slow)


def test_eject_with_a_flush_in_flight(tmp_path):
    """The guest sees neither device nor memory any more, the sync runs to its end, and the program ends in order."""
    needs_strace()
    slow = "strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=1000000".split()
    run("eject", *pmem(tmp_path / "a.img", size="16M"), append=f"slow={2 ** 32}", prefix=slow)
    assert (tmp_path / "a.img").read_bytes()[0] == 0x5A


@pytest.mark.parametrize("program,cpus", [("hostile_chain", 1), ("hostile_queue", 2), ("hostile_bus", 2)])
def test_hostile(tmp_path, program, cpus):
    """Whatever a driver does, pmvm runs on, and the device works again after a reset."""
    run(
        program,
        *pmem(tmp_path / "a.img", 1, size="16M"),
        *pmem(tmp_path / "b.img", 2, size="4M"),
        cpus=cpus,
        append="rounds=200",
    )


def loop(tmp_path):
    """A card that receives what it sends: its back end is a socket of datagrams that sends to itself."""
    end = f"type=unix,{{0}}.path={tmp_path}/loop"
    ends = ",".join(f"{name}.{end.format(name)}" for name in ("local", "remote"))
    return ["-netdev", f"dgram,id=n0,{ends}", "-device", "virtio-net-pci,netdev=n0"]


def test_hostile_to_devices_with_two_queues(tmp_path):
    """The same with the entropy device, a card and the balloon: each works after a reset, the others all the time."""
    run("hostile_devices", "-device", "virtio-rng-pci", *loop(tmp_path), "-device", "virtio-balloon-pci")


def test_balloon(tmp_path):
    """Two queues, each with its vector; the configuration interrupt; resets of a queue and the device in flight."""
    options = ["-device", "virtio-balloon-pci", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    pages = 512
    with machine("balloon", *options, append=f"target={pages}") as vm, Qmp(tmp_path / "qmp") as qmp:
        vm.wait_for("^# set the target", PROGRAM_MAX)
        qmp.run("balloon", value=128 * MIB - pages * 4096)
        verdict(vm)
        assert qmp.wait_event("BALLOON_CHANGE")["data"]["actual"] == 128 * MIB - pages * 4096


def test_hostile_with_a_file_that_is_truncated(tmp_path):
    """Rings and requests in a window with nothing below it: pmvm touches none of it, and lives."""
    image = tmp_path / "a.img"
    with (
        machine(
            "hostile_truncated",
            *pmem(image, 1, size="16M"),
            *pmem(tmp_path / "b.img", 2, size="4M"),
            "-S",
            "-qmp",
            f"unix:{tmp_path}/qmp,server=on,wait=off",
        ) as vm,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        os.truncate(image, 0)
        qmp.run("cont")
        assert qmp.wait_event("PMEM_ERROR", PROGRAM_MAX)["data"]["id"] == "nv1"
        verdict(vm, wanted_status=1)


@pytest.mark.parametrize("page", ["on", "off"])
def test_registers(tmp_path, page):
    """Read as memory they are what they are by configuration space, whatever is done; and trapped too."""
    run(
        "registers",
        *with_properties(pmem(tmp_path / "a.img", size="16M"), x_register_page=page),
        append=f"page={int(page == 'on')}",
    )


def test_registers_as_a_page_table(tmp_path):
    """A guest may stop its own processor by that; pmvm stays in command and ends in order."""
    with machine("registers", *pmem(tmp_path / "a.img", size="16M"), append="table=1") as vm:
        vm.wait_for("^# here it goes", PROGRAM_MAX)
        time.sleep(0.5)
        if vm.process.poll() is None:
            vm.signal(signal.SIGTERM)
        assert vm.end() == 0


def test_shmem(tmp_path):
    """shmem=on: the window is a BAR, which may move; the file has the data."""
    image = tmp_path / "a.img"
    pair = pmem(image, size="16M")
    run("shmem", *pair[:-1], f"{pair[-1]},shmem=on", append=f"size={SIZE}")
    for off in range(0, SIZE, 4096):
        assert words(image, off, 1) == [0x5348000000000000 | off], f"at {off}"
    assert words(image, 4096 + 8, 1) == [0x6D6F766564]


def test_shmem_beside_fixed_window(tmp_path):
    """A size that is no power of two, beside a device whose window has a fixed address."""
    pair = pmem(tmp_path / "a.img", 1, size="6M")
    run("shmem", *pair[:-1], f"{pair[-1]},shmem=on", *pmem(tmp_path / "b.img", 2, size="4M"), append=f"size={6 * MIB}")


def file_of_marked_pages(path):
    path.write_bytes((struct.pack("<Q", 0x6D6F72662066696C) + bytes(4088)) * (SIZE // 4096))
    return path.read_bytes()


def test_window_shared(tmp_path):
    """share=on: what the guest stores is in the file."""
    image = tmp_path / "a.img"
    file_of_marked_pages(image)
    run("window", *pmem(image))
    assert [words(image, off, 2) for off in range(0, SIZE, SIZE // 64)] == [[0x6D6F72662066696C, 0x73746F72656421]] * 64


def test_window_copied(tmp_path):
    """share=off: the guest's stores are its own, the file never changes."""
    image = tmp_path / "a.img"
    before = file_of_marked_pages(image)
    run("window", *pmem(image, share="off"))
    assert image.read_bytes() == before


def test_window_readonly(tmp_path):
    """readonly=on, a file without write permission: stores are refused and reported, the guest runs on."""
    image = tmp_path / "a.img"
    before = file_of_marked_pages(image)
    image.chmod(0o444)
    with machine("window", *pmem(image, readonly="on"), append="rom=1") as vm:
        verdict(vm)
        assert "read-only" in vm.error_text
    assert image.read_bytes() == before


@pytest.mark.parametrize("store", ["cmpxchg16b", "vmovdqu"])
def test_a_store_that_kvm_cannot_emulate_pauses(tmp_path, store):
    """To readonly=on memory: counted and reported as any other; the guest cannot go on, but after a reset."""
    image = tmp_path / "a.img"
    image.write_bytes(bytes(SIZE))
    qmp_option = ("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=on")
    number = ["cmpxchg16b", "vmovdqu"].index(store)
    with (
        machine("unemulated", *pmem(image, readonly="on"), *qmp_option, append=f"store={number}") as vm,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        assert qmp.wait_event("PMEM_STORE_REFUSED", PROGRAM_MAX)["data"]["id"] == "nv1"
        qmp.wait_event("STOP")
        assert qmp.run("query-status") == {"running": False, "status": "internal-error"}
        assert qmp.run("query-pmem")[0]["refused-stores"] == 1
        vm.wait_for_error("KVM cannot emulate an instruction")
        with pytest.raises(Refused, match="Resetting the Virtual Machine is required"):
            qmp.run("cont")
        qmp.run("system_reset")
        qmp.wait_event("RESET")
        assert qmp.run("query-status")["status"] == "prelaunch"
        qmp.run("cont")
        verdict(vm)
        assert "# boot 1" in vm.text
    assert image.read_bytes() == bytes(SIZE)


def test_machine_and_reboots(tmp_path):
    """Reset register, keyboard controller and triple fault start the same machine again."""
    image = tmp_path / "a.img"
    with machine("machine", *pmem(image, size="16M")) as vm:
        verdict(vm)
        boots = re.findall(r"^# boot (\d+)", vm.text, re.MULTILINE)
        assert boots == ["0", "1", "2", "3"]
        assert "# string output: the quick brown fox jumps over the lazy dog\n" in vm.text.replace("\r", "")
    assert words(image, 0, 2) == [0x6D616368696E6531, 3]


def test_no_reboot(tmp_path):
    """-no-reboot: the first reset is the end, with status 0."""
    with machine("machine", "-no-reboot", *pmem(tmp_path / "a.img", size="16M")) as vm:
        assert vm.end() == 0
        assert "# reset by the reset register" in vm.text and "# boot 1" not in vm.text


# ---- what the host does, counted by strace


def needs_strace():
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")


COUNT = 60  # flushes one at a time
SIGNALS_MAX = 20  # returns of KVM_RUN that are due to signals


def count_calls(tmp_path, append, name, **properties):
    """(fdatasync calls, returns of KVM_RUN) of a run, the last sync at the end included."""
    log = tmp_path / f"{name}.strace"
    pair = with_properties(pmem(tmp_path / f"{name}.img", size="16M"), **properties)
    prefix = ("strace", "-f", "--seccomp-bpf", "-qq", "-o", log, "-e", "trace=fdatasync,ioctl")
    run("syscalls", *pair, append=append, prefix=prefix)
    text = log.read_text(encoding="utf-8", errors="replace")
    return len(re.findall(r"\bfdatasync\(", text)), len(re.findall(r"\bioctl\(\d+, KVM_RUN\b", text))


def test_syscalls_per_flush(tmp_path):
    """A sync for each flush that was answered before the next, one for many that came together, no exit for a kick.

    Linux flushes with a read of the status before: no exit for that either, but with x-register-page=off.
    """
    needs_strace()
    none_syncs, none_runs = count_calls(tmp_path, "status=1", "none")
    single_syncs, single_runs = count_calls(tmp_path, f"status=1 single={COUNT}", "single")
    port_syncs, port_runs = count_calls(tmp_path, f"status=1 single={COUNT}", "ports", modern_pio_notify="on")
    _, trapped_runs = count_calls(tmp_path, f"status=1 single={COUNT}", "trapped", x_register_page="off")
    burst_syncs, _ = count_calls(tmp_path, "burst=128", "burst")
    assert single_syncs - none_syncs == COUNT, "flushes one at a time"
    assert port_syncs - none_syncs == COUNT, "the same with notifications by ports"
    assert burst_syncs - none_syncs == 1, "128 flushes with one kick"
    assert (
        abs(single_runs - none_runs) < SIGNALS_MAX
    ), "KVM_RUN returns with flushes and reads of the status, and with none"
    assert abs(port_runs - none_runs) < SIGNALS_MAX, "the same with notifications by ports"
    assert -SIGNALS_MAX <= trapped_runs - none_runs - COUNT < SIGNALS_MAX, "the same with x-register-page=off"


STATIC_CALLS = 13  # of a static program, before its first own one


def calls_before_a_guest(log):
    """The lines of strace before the first KVM_RUN, waiting for that. A call that was interrupted has two lines."""
    end = time.monotonic() + PROGRAM_MAX
    while not log.exists() or "KVM_RUN" not in (text := log.read_text(encoding="utf-8", errors="replace")):
        assert time.monotonic() < end, f"no KVM_RUN in {PROGRAM_MAX} s"
        time.sleep(0.1)
    calls = [line for line in text.splitlines() if "resumed>" not in line]
    calls = calls[: next(i for i, line in enumerate(calls) if "KVM_RUN" in line)]
    # The broker of the sandbox is a process of its own.
    broker = next((match[1] for line in calls if (match := re.search(r"clone\(.*SIGCHLD.*= (\d+)$", line))), "none")
    return [line for line in calls if not line.startswith(broker)]


@pytest.mark.parametrize("sandbox,cpus,calls_max", [("off", 1, 99), ("off", 2, 115), ("on", 1, 169)])
def test_syscalls_of_a_start(tmp_path, sandbox, cpus, calls_max):
    """Of all threads, from execve until Linux runs, with a pmem whose file is new, and a QMP socket.

    A program with shared libraries has more calls before its first own one, which polls the standard descriptors.
    """
    needs_strace()
    log, qmp_option = tmp_path / "strace", ("-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off")
    options = [*linux_options(), "-smp", cpus, "-nographic", *pmem(tmp_path / "a.img", size="16M"), *qmp_option]
    options += ["-sandbox", sandbox]
    with Vm(options, prefix=("strace", "-f", "-qq", "-o", log)) as vm:
        calls = calls_before_a_guest(log)
        # Not before: the main thread may serve a client while the vCPU's thread comes up.
        with Qmp(tmp_path / "qmp") as qmp:
            qmp.run("quit")
        assert vm.end() == 0
    first = next(i for i, line in enumerate(calls) if "poll([{fd=0" in line)
    is_static = not any("ld.so" in line for line in calls[:first])
    ncalls = len(calls) if is_static else STATIC_CALLS + len(calls) - first
    print(f"{ncalls} system calls")
    assert 50 < ncalls <= calls_max, f"{ncalls} system calls:\n" + "\n".join(calls)


# ---- a flood of requests that are not in due form


# Each write to an eventfd takes 8 ms. By one of them the worker raises the interrupt of a batch, with the device's
# lock held: so the other threads have time to ask for the lock, and the guest to fill the ring again, on any number of
# processors. --seccomp-bpf: strace stops no other call, where the worker has just released the lock, for example.
SLOW_INTERRUPTS = (
    "strace -f --seccomp-bpf -qq -o /dev/null -P anon_inode:[eventfd] -e trace=write -e inject=write:delay_enter=8000"
).split()


@contextlib.contextmanager
def flooded(tmp_path, append=""):
    """A machine whose second vCPU floods the ring, while the first one accesses registers; and its monitor."""
    needs_strace()
    options = [*pmem(tmp_path / "a.img", size="16M"), "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off"]
    with (
        machine("flood", *options, cpus=2, append=append, prefix=SLOW_INTERRUPTS) as vm,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        yield vm, qmp


def test_flood_leaves_the_registers_to_others(tmp_path):
    """A register access of another vCPU waits for a bounded number of requests, and a flood ends in NEEDS_RESET."""
    with flooded(tmp_path) as (vm, _):
        verdict(vm)
        print("".join(re.findall(r"^# .*\n", vm.text, re.MULTILINE)))


@pytest.mark.parametrize("end", ["quit", "SIGTERM"])
def test_flood_leaves_the_monitor_to_others(tmp_path, end):
    """The monitor answers under a flood that has no end, and the program ends when it is asked to."""
    with flooded(tmp_path, "endless=1") as (vm, qmp):
        vm.wait_for("^# the flood begins", PROGRAM_MAX)
        served = []

        def is_under_way():
            served.append(qmp.run("query-pmem")[0]["flushes"]["completed"])
            assert qmp.run("query-status")["status"] == "running"
            return len(served) >= 20 and served[-1] > served[0]

        wait_until(is_under_way, lambda: f"requests are served all the time: {served}", PROGRAM_MAX, 0)
        assert served == sorted(served)
        print(f"# requests served at each answer: {served}")
        if end == "quit":
            qmp.run("quit")
        else:
            vm.signal(signal.SIGTERM)
        assert vm.end() == 0


def test_kernel_is_refused(tmp_path):
    """A program that is not one: pmvm says so and leaves no file."""
    kernel, image = tmp_path / "cut.elf", tmp_path / "a.img"
    kernel.write_bytes((PROGRAMS / "flush.elf").read_bytes()[:5000])
    status, _, error = run_pmvm("-nographic", "-kernel", kernel, *pmem(image, size="16M"))
    assert status == 1 and str(kernel) in error and not image.exists()
