"""A pmvm process with a Linux guest, driven over its console: for the demo and the tests.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
GUESTS = CHECKOUT / "build/guest"
# Emulated hosts are slow: these only bound a wait that would otherwise have no end.
BOOT_MAX = 400
COMMAND_MAX = 400
END_MAX = 200

MIB = 1 << 20
GIB = 1 << 30


_near = {}


@functools.cache
def near_directory():
    """The directory of the copies; it is removed when the program ends."""
    return tempfile.TemporaryDirectory(prefix="pmvm-files-")


def near(path):
    """A copy in the temporary directory: the checkout may be slow to read, and may change while tests run."""
    if path not in _near:
        directory = pathlib.Path(near_directory().name) / str(len(_near))
        directory.mkdir()
        _near[path] = pathlib.Path(shutil.copy(path, directory))
    return _near[path]


def pmvm():
    """The program under test."""
    return near(pathlib.Path(os.environ.get("PMVM", CHECKOUT / "build/pmvm")))


class Failed(Exception):
    """A wait failed; the text has the last output of the console."""


def wait_until(condition, what, timeout=COMMAND_MAX, step=0.05):
    """Waits until the function returns something true; returns that. `what` is the text of a failure, or gives it."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"{what() if callable(what) else what}: not so after {timeout} s")
        time.sleep(step)
    return value


def lives_in_group(group):
    """Whether a process of this process group has not ended, or has threads that have not."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            state, of_group, nthreads = fields[0], int(fields[2]), int(fields[17])
            if of_group == group and (state not in "ZX" or nthreads > 1):
                return True
    return False


# A directory of which a sandboxed machine may open files later, besides those of its command line. None: no other one.
opened_later = None  # pylint: disable=invalid-name
# The sandbox of machines that do not choose one. With "log", forbidden calls are made, and the kernel's log has them.
SANDBOX = os.environ.get("PMVM_SANDBOX", "on")


def sandboxed(args):
    """The arguments as text, with those of the sandbox."""
    args = [*map(str, args)]
    if "-sandbox" in args:
        return args
    if opened_later:
        return [*args, "-sandbox", f"{SANDBOX},dir={opened_later}"]
    return args if SANDBOX == "on" else [*args, "-sandbox", SANDBOX]


class Vm:
    """A running pmvm. As a context manager it is ended, whatever state it is in."""

    def __init__(self, args, cwd=None, console=subprocess.PIPE, prefix=(), program=None):
        self.command = [*map(str, prefix), str(program or pmvm()), *sandboxed(args)]
        self.output = bytearray()
        self.changed = threading.Condition()
        self.closed = False
        self.process = subprocess.Popen(
            self.command, cwd=cwd, stdin=subprocess.PIPE, stdout=console, stderr=subprocess.PIPE, start_new_session=True
        )
        self.errors = bytearray()
        self.threads = [
            threading.Thread(target=self._read, args=(stream, sink), daemon=True)
            for stream, sink in ((self.process.stdout, self.output), (self.process.stderr, self.errors))
            if stream
        ]
        for thread in self.threads:
            thread.start()
        self.commands = 0

    def _read(self, stream, sink):
        while data := os.read(stream.fileno(), 65536):
            with self.changed:
                sink += data
                self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    @property
    def text(self):
        with self.changed:
            return self.output.decode(errors="replace")

    @property
    def error_text(self):
        with self.changed:
            return self.errors.decode(errors="replace")

    def wait_for(self, pattern, timeout=COMMAND_MAX, start=0):
        """Waits until the console shows the pattern after `start`; returns the match."""
        compiled, end = re.compile(pattern.encode(), re.MULTILINE), time.monotonic() + timeout
        with self.changed:
            while not (match := compiled.search(self.output, start)):
                left = end - time.monotonic()
                if left <= 0 or (self.closed and self.process.poll() is not None):
                    why = f"in {timeout} s" if left <= 0 else f"before pmvm ended with {self.process.returncode}"
                    raise Failed(
                        f"did not see {pattern!r} {why}\n--- stderr\n{self.errors.decode(errors='replace')}"
                        f"\n--- console\n{self.output[-4000:].decode(errors='replace')}"
                    )
                self.changed.wait(min(left, 0.2))
        return match

    def wait_for_error(self, text, timeout=COMMAND_MAX):
        """Waits until the text is on standard error: it may arrive after the event or the answer that it explains."""
        wait_until(lambda: text in self.error_text, lambda: f"{text!r} on standard error\n{self.error_text}", timeout)

    def send(self, data):
        self.process.stdin.write(data if isinstance(data, bytes) else data.encode())
        self.process.stdin.flush()

    def end(self, timeout=END_MAX):
        """Waits for the process to end by itself; returns its exit status."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"pmvm did not end in {timeout} s\n{self.text[-3000:]}") from None
        for thread in self.threads:
            thread.join(10)
        return status

    def signal(self, number):
        """Sends a signal to the process and to the prefix that started it."""
        os.killpg(self.process.pid, number)

    def kill(self):
        """Kills the process with SIGKILL, which has the effect of a crash on its data.

        Returns when those that it started have also ended: a tracer's end does not wait for the program's, nor that
        one for its broker's, and until then their files and locks are in use.
        """
        self.signal(signal.SIGKILL)
        self.process.wait(END_MAX)
        wait_until(
            lambda: not lives_in_group(self.process.pid), "the end of all processes of a killed machine", END_MAX
        )

    def __enter__(self):
        return self

    def _explain(self):
        """Prints what helps to see why a test failed."""
        status = self.process.poll()
        print(f"pmvm {'runs' if status is None else f'has ended with {status}'}")
        print(f"--- stderr\n{self.error_text[-4000:]}\n--- console\n{self.text[-4000:]}")

    def __exit__(self, kind, *exc):
        if kind is not None:
            self._explain()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(END_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
                if kind is None:
                    raise Failed(f"SIGTERM did not end pmvm in {END_MAX} s\n{self.text[-3000:]}") from None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


# The kernel's command line. Without its self-tests and the preparation of traces, which no test needs, a guest starts
# in four fifths of the time where the processor is emulated.
KERNEL = "console=ttyS0 quiet cryptomgr.notests initcall_blacklist=crypto_kdf108_init,init_kprobe_trace"


class Guest(Vm):
    """A Linux guest with a shell on ttyS0."""

    def __init__(
        self,
        *args,
        flavour="cloud",
        image="vmlinux",
        memory="256M",
        cpus=1,
        append="",
        cwd=None,
        wait=True,
        prefix=(),
        serial=("-nographic",),
        archives=(),
        program=None,
    ):
        kernel, initrd = kernel_files(flavour, image)
        if archives:
            initrd = with_archives(initrd, archives)
        super().__init__(
            [
                "-m",
                memory,
                "-smp",
                cpus,
                *serial,
                "-kernel",
                kernel,
                "-initrd",
                initrd,
                "-append",
                f"{KERNEL} {append}",
                *args,
            ],
            cwd=cwd,
            prefix=prefix,
            program=program,
        )
        if wait:
            try:
                self.booted()
            except BaseException:
                # No context manager ends it; it would run on beside all later tests.
                self.kill()
                raise

    def booted(self, start=0):
        self.wait_for(r"pmvm-guest: ready", BOOT_MAX, start)
        self.send("stty -echo; PS1=; PS2=\n")
        self.run("true")

    def run(self, command, timeout=COMMAND_MAX, check=True):
        """Runs a shell command in the guest; returns its output, or (status, output) without `check`."""
        self.commands += 1
        start = len(self.output)
        self.send(f"{{ {command}\n}} 2>&1; echo \"<end {self.commands:04}:\"$?'>'\n")
        # Include the end of the line: later output of the console begins after it.
        match = self.wait_for(rf"<end {self.commands:04}:(\d+)>\r?\n", timeout, start)
        output = bytes(self.output[start : match.start()]).decode(errors="replace").replace("\r\n", "\n").strip()
        status = int(match[1])
        if not check:
            return status, output
        if status:
            raise Failed(f"in the guest: {command}: status {status}\n{output}")
        return output

    def heed_power_button(self, script):
        """Makes the guest run the script when the power button is pressed."""
        self.run(
            "modprobe -a button evdev && mkdir -p /etc/acpi/PWRF /var/log /var/run && "
            f"echo '{script}' >/etc/acpi/PWRF/00000080 && chmod +x /etc/acpi/PWRF/00000080"
        )
        self.run("acpid -f >/dev/console 2>&1 & usleep 300000")

    def power_off(self):
        self.send("poweroff -f\n")
        return self.end()


def kernel_files(flavour="cloud", image="bzImage"):
    """Paths of a kernel and its initrd."""
    return [near(GUESTS / flavour / name) for name in (image, "initrd.img")]


def with_archives(initrd, names):
    """Returns an initramfs followed by archives of build/guest, such as "ndctl": the kernel unpacks all of them."""
    path = initrd.with_name("-".join([initrd.stem, *names]) + ".img")
    if not path.exists():
        path.write_bytes(b"".join(file.read_bytes() for file in [initrd, *(GUESTS / f"{name}.img" for name in names)]))
    return path


def linux_options(append=""):
    """The options of a machine with 256 MiB and the cloud kernel, without a console."""
    kernel, initrd = kernel_files()
    return ["-m", "256M", "-kernel", kernel, "-initrd", initrd, "-append", f"{KERNEL} {append}"]


def pmem(path, number=1, size=None, **properties):
    """The options of one pair: -object memory-backend-file and -device virtio-pmem-pci."""
    properties = {"share": "on"} | {key.replace("_", "-"): value for key, value in properties.items()}
    backend = "".join(f",{key}={value}" for key, value in properties.items())
    size = f",size={size}" if size else ""
    return [
        "-object",
        f"memory-backend-file,id=mem{number},mem-path={path}{size}{backend}",
        "-device",
        f"virtio-pmem-pci,memdev=mem{number},id=nv{number}",
    ]


def run_pmvm(*args, cwd=None, timeout=END_MAX, **kwargs):
    """A pmvm that ends by itself: (status, stdout, stderr)."""
    done = subprocess.run(
        [str(pmvm()), *map(str, args)],
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        **kwargs,
    )
    return done.returncode, done.stdout, done.stderr
