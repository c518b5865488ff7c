"""The emulated machine: starts it, finds it, stops it.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import protocol
from box_common import BOX, CHECKOUT, IMAGES, BoxError, console_tail, say
from session import Lost, Session

GUEST = CHECKOUT / "build/guest/generic"
START_MAX = 180  # seconds; 5 are usual
STOP_MAX = 10  # seconds for a clean stop, and again for each harder way
IDLE_MAX = 1800  # seconds after which an idle box ends,
IDLE_MAX_AUTO = 60  # and one that `box exec` started and could not stop, because it was killed
MEM_GIB = 6  # where this machine has as much to spare
NVDIMM = 512 << 20  # bytes of persistent memory of the box, kept in build/box/nvdimm.img


@contextlib.contextmanager
def locked():
    """Holds the lock that starting and stopping the box need."""
    BOX.mkdir(parents=True, exist_ok=True)
    with open(BOX / "lock", "w", encoding="utf-8") as f:
        end = time.monotonic() + START_MAX
        while True:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise BoxError(f"waited {START_MAX} s for another command that starts or stops the box") from None
                time.sleep(0.1)
        yield


def start_time(pid):
    """When a process started, in clock ticks; with the pid it identifies a process. None if it has ended."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def alive(state):
    return start_time(state["pid"]) == state["start_time"]


def running():
    """The state of the running box, or None."""
    try:
        state = json.loads((BOX / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return state if alive(state) else None


def save(state):
    (BOX / "state.tmp").write_text(json.dumps(state), encoding="utf-8")
    (BOX / "state.tmp").replace(BOX / "state.json")


def default_mem():
    """At most three quarters of what this machine has free."""
    meminfo = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    free_kib = int(re.search(r"MemAvailable: +(\d+)", meminfo)[1])
    return f"{min(MEM_GIB, max(2, free_kib * 3 // 4 // 1048576))}G"


def size_bytes(size):
    """Returns the bytes of a size such as 6G."""
    number = subprocess.run(["numfmt", "--from=iec", size], stdout=subprocess.PIPE, text=True, check=False).stdout
    if not number:
        raise BoxError(f"not a size: {size}")
    return int(number)


def make_disk(size):
    """The disk of the box; one of the same size from before is kept."""
    disk = BOX / "disk.img"
    wanted = size_bytes(size)
    if disk.exists() and disk.stat().st_size == wanted:
        return
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as f:
        f.truncate(wanted)
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    if not mkfs or subprocess.run([mkfs, "-qF", "-b", "4096", disk], check=False).returncode:
        disk.unlink()
        raise BoxError("--disk: cannot make an ext4 file system on it")


def share(tag, path, readonly):
    """Gives a directory of this machine to the box, by 9p. multidevs: inode numbers of several disks would collide."""
    escaped = str(path).replace(",", ",,")
    return [
        "-fsdev",
        f"local,id={tag},path={escaped},security_model=none,multidevs=remap,readonly={readonly}",
        "-device",
        f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]


def network_card(peer):
    """A card whose only cable leads to the box of another directory: each frame is a datagram between two sockets."""
    address = hashlib.sha256(os.fsencode(BOX)).digest()[:3].hex(":")
    return [
        "-netdev",
        f"dgram,id=cable,local.type=unix,local.path=net.sock,remote.type=unix,remote.path={peer}/net.sock",
        "-device",
        f"virtio-net-pci,netdev=cable,mac=52:54:00:{address},romfile=",
    ]


def accelerator(state):
    # tb-size: MiB of translated code. With 1,024, QEMU's choice, guests start a fifth slower: the kernel of each is
    # written to memory from which another ran, whose translations must go first.
    if state["count"]:
        # The clock counts instructions: one nanosecond for each. When no processor is busy, it jumps to the next timer.
        return ["-accel", "tcg,thread=single,tb-size=128", "-icount", "shift=0,sleep=off,align=off"]
    return ["-accel", "tcg,thread=multi,tb-size=128"]


def qemu_command(state):
    # idle=poll: an emulated processor that halts sometimes misses its timer. One whose clock counts instructions does
    # not miss it, and polling would execute a thousand million instructions for each second of waiting: minutes.
    idle = "" if state["count"] else "idle=poll"
    mount = "box.mount=no" if state["nbd"] else ""
    append = [
        f"console=ttyS0 panic=-1 mitigations=off cryptomgr.notests {idle} quiet",
        "box.checkout=" + base64.b64encode(os.fsencode(CHECKOUT)).decode(),
        mount,
        state["append"],
    ]
    # With erms the kernels would clear and copy memory by bytes, which takes an emulator eight times as long as by
    # words: 12 ms for a page of 2 MiB.
    # Paths are relative to BOX: a socket's path must be short.
    # The NVDIMM's platform also saves the CPU caches (eADR): true, because an emulated processor has none.
    memory = size_bytes(state["mem"])
    command = [
        "qemu-system-x86_64",
        "-M",
        "q35,nvdimm=on,nvdimm-persistence=cpu",
        *accelerator(state),
        "-cpu",
        "max,+svm,+npt,-erms",
        "-smp",
        str(state["cpus"]),
        "-m",
        f"{memory}B,slots=1,maxmem={memory + (1 << 30)}B",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "file:console.log",
        "-kernel",
        GUEST / "vmlinux",
        "-initrd",
        IMAGES / "initrd.img",
        "-append",
        " ".join(append),
        *share("hostroot", "/", "on"),
        *share("checkout", CHECKOUT, "on"),
        *share("shared", BOX / "shared", "off"),
        "-chardev",
        "socket,id=monitor,path=monitor.sock,server=on,wait=off",
        "-mon",
        "chardev=monitor",
        "-object",
        f"memory-backend-file,id=nvdimm,mem-path=nvdimm.img,share=on,size={NVDIMM}",
        "-device",
        "nvdimm,memdev=nvdimm",
        "-device",
        "virtio-serial-pci",
    ]
    for number in range(protocol.SESSIONS + 1):
        name = protocol.port_name(number)
        command += [
            "-chardev",
            f"socket,id={name},path={name}.sock,server=on,wait=off",
            "-device",
            f"virtserialport,chardev={name},name={name}",
        ]
    if state["peer"]:
        command += network_card(state["peer"])
    if state["disk"]:
        command += ["-drive", "file=disk.img,format=raw,if=virtio,cache=writeback"]
    for number, socket in enumerate(state["nbd"]):
        # The server has the cache of these disks: QEMU forwards a flush of the box and caches nothing.
        command += [
            "-blockdev",
            f"driver=nbd,node-name=disk{number},server.type=unix,server.path={socket}",
            "-device",
            f"virtio-blk-pci,drive=disk{number},write-cache=on",
        ]
    return command


def set_idle_max(seconds, answer_max):
    """Sets the idle time after which the agent ends the box; its answer shows that the box is ready."""
    with Session(0, answer_max) as session:
        session.request(["sh", "-c", f"echo {seconds} >/run/box-idle-max"])
        session.converse(stdin=False)


def wait_ready(qemu, idle_max):
    end = time.monotonic() + START_MAX
    while time.monotonic() < end:
        if qemu.poll() is not None:
            log = (BOX / "qemu.log").read_text(errors="replace").strip()
            raise BoxError(f"the box ended while starting: {log}\n{console_tail()}")
        with contextlib.suppress(OSError, Lost):
            return set_idle_max(idle_max, answer_max=5)
        time.sleep(0.05)
    raise BoxError(f"waited {START_MAX} s for the box to become ready\n{console_tail()}")


def boot(state):
    """Starts QEMU and waits until the agent answers; removes everything if that fails."""
    with contextlib.suppress(FileNotFoundError):
        (BOX / "console.log").replace(BOX / "console.log.old")
    with open(BOX / "qemu.log", "wb") as log:
        qemu = subprocess.Popen(
            qemu_command(state), cwd=BOX, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    state |= {"pid": qemu.pid, "start_time": start_time(qemu.pid), "began": time.time()}
    try:
        save(state)
        wait_ready(qemu, IDLE_MAX_AUTO if state["automatic"] else IDLE_MAX)
    except BaseException:
        end_process(state)
        raise


def start(args, automatic):
    """Starts the box unless it runs; `automatic`: the last command to end stops it."""
    with locked():
        state = running()
        if state:
            if args.disk and not state["disk"]:
                raise BoxError("the box runs without a disk; stop it first")
            if state["automatic"] and not automatic:
                set_idle_max(IDLE_MAX, answer_max=60)
                save(state | {"automatic": False})
            return
        began = time.monotonic()
        if subprocess.run([CHECKOUT / "tests/box/build"], stdout=sys.stderr, check=False).returncode:
            raise BoxError("cannot build the box, see above")
        (BOX / "shared").mkdir(exist_ok=True)
        if args.disk:
            make_disk(args.disk)
        say("starting the emulated machine")
        boot(
            {
                "mem": args.mem or default_mem(),
                "cpus": args.cpus,
                "disk": args.disk,
                "nbd": args.nbd,
                "peer": args.peer,
                "append": args.append,
                "count": args.count_instructions,
                "automatic": automatic,
            }
        )
        say(f"ready after {time.monotonic() - began:.1f} s")


def wait_gone(state, seconds):
    end = time.monotonic() + seconds
    while alive(state):
        if time.monotonic() > end:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(state["pid"], os.WNOHANG)
        time.sleep(0.02)
    return True


def end_process(state, signals=(signal.SIGTERM, signal.SIGKILL)):
    for number in signals:
        with contextlib.suppress(ProcessLookupError):
            os.kill(state["pid"], number)
        if wait_gone(state, STOP_MAX):
            return
    raise BoxError(f"cannot end process {state['pid']}")


def power_off(state):
    """Asks the agent to switch the box off; returns whether that worked."""
    with contextlib.suppress(OSError, Lost):
        with Session(0) as session:
            session.send(b"P")
            return wait_gone(state, STOP_MAX)
    return not alive(state)


def stop(now=False):
    """Ends the box: by its own power-off, by signals where that takes too long, by SIGKILL at once if `now`."""
    with locked():
        state = running()
        if not state:
            return False
        if now:
            end_process(state, [signal.SIGKILL])
        elif not power_off(state):
            say(f"the box did not switch itself off within {STOP_MAX} s, ending it")
            end_process(state)
        (BOX / "state.json").unlink()
        for path in BOX.glob("*.sock"):
            path.unlink()
        return True
