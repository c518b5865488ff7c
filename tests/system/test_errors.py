"""Bad input: each error names the thing and the next step, exits with 1, and leaves nothing behind.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shutil
import socket
import stat
import subprocess

import pytest

from machine import MIB, kernel_files, pmem, pmvm, run_pmvm


@pytest.fixture(name="kernel")
def fixture_kernel():
    return kernel_files()[0]


def refused(tmp_path, *args, **kwargs):
    """Runs pmvm, which must refuse and leave the directory as it was; returns its messages."""
    before = sorted(path.name for path in tmp_path.iterdir())
    status, output, errors = run_pmvm("-nographic", *args, cwd=tmp_path, **kwargs)
    assert (status, output) == (1, ""), errors
    assert errors.startswith("pmvm: "), errors
    assert sorted(path.name for path in tmp_path.iterdir()) == before, f"left behind\n{errors}"
    return errors


def test_kernel_missing(tmp_path):
    errors = refused(tmp_path, "-kernel", "nothing", *pmem("a.img", size="16M"))
    assert "could not load kernel 'nothing': No such file or directory" in errors and "hint:" in errors


def test_initrd_missing(tmp_path, kernel):
    errors = refused(tmp_path, "-kernel", kernel, "-initrd", "nothing", *pmem("a.img", size="16M"))
    assert "could not load initrd 'nothing': No such file or directory" in errors


def test_a_part_of_the_path_is_no_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    errors = refused(tmp_path, "-kernel", "file/vmlinuz")
    assert (
        "could not load kernel 'file/vmlinuz': Not a directory" in errors and "should be a directory is none" in errors
    )


def test_line_ends_of_dos(tmp_path, kernel):
    """A script with CR LF: the last word of a line ends in a carriage return."""
    assert "hint: the path ends in a carriage return" in refused(tmp_path, "-kernel", f"{kernel}\r")
    assert "hint: the word ends in a carriage return" in refused(tmp_path, "-kernel", kernel, "-smp", "2\r")
    assert "hint: the word ends in a carriage return" in refused(tmp_path, "-kernel", kernel, "\r")


def test_append_without_quotes(tmp_path, kernel):
    errors = refused(tmp_path, "-kernel", kernel, "-append", "console=ttyS0", "root=/dev/pmem0", "rw")
    assert 'hint: quote the whole text of -append: -append "console=ttyS0 root=/dev/pmem0 ..."' in errors
    assert "-pmem" not in errors


def test_typographic_dash(tmp_path, kernel):
    errors = refused(tmp_path, "-kernel", kernel, "\u2013no-reboot")
    assert "begins with U+2013 (en dash), not with '-'" in errors and "-no-reboot" in errors


@pytest.mark.parametrize(
    "args", [["-help"], ["-version"], ["-device", "help"], ["-object", "memory-backend-file,help"]]
)
def test_help_that_cannot_be_written(args):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([pmvm(), *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert "cannot write to standard output: No space left on device" in done.stderr


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_kernel_unreadable(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            pmvm(),
            "-nographic",
            "-kernel",
            tmp_path / "secret",
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1
    assert "secret': Permission denied" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", b"hello\n" * 1000, b"MZ" + bytes(4096), bytes(MIB)],
    ids=["empty", "ELF magic", "text", "DOS magic", "zeros"],
)
def test_not_a_kernel(tmp_path, content):
    (tmp_path / "k").write_bytes(content)
    errors = refused(tmp_path, "-kernel", "k", *pmem("a.img", size="16M"))
    assert "'k'" in errors and "hint:" in errors


def test_directory_as_kernel(tmp_path):
    assert "not a regular file" in refused(tmp_path, "-kernel", ".", *pmem("a.img", size="16M"))


def test_initrd_too_large(tmp_path, kernel):
    with open(tmp_path / "big", "wb") as big:
        big.truncate(256 * MIB)
    assert "big" in refused(tmp_path, "-m", "128M", "-kernel", kernel, "-initrd", "big", *pmem("a.img", size="16M"))


def test_command_line_too_long(tmp_path, kernel):
    errors = refused(tmp_path, "-kernel", kernel, "-append", "x" * 5000, *pmem("a.img", size="16M"))
    assert re.search(r"204[78]", errors)


@pytest.mark.parametrize(
    "size,names", [("3M", ["2 MiB", "4 MiB"]), ("1M", ["2 MiB", "4 MiB"]), ("4097K", ["4 MiB", "6 MiB"])]
)
def test_size_not_a_multiple_of_two_mebibytes(tmp_path, kernel, size, names):
    errors = refused(tmp_path, "-kernel", kernel, *pmem("a.img", size=size))
    assert all(name in errors for name in names), errors


def test_file_too_small(tmp_path, kernel):
    (tmp_path / "a.img").write_bytes(bytes(4 * MIB))
    errors = refused(tmp_path, "-kernel", kernel, *pmem("a.img", size="8M"))
    assert re.search(r"0x400000\b.*0x800000\b", errors), errors
    assert (tmp_path / "a.img").stat().st_size == 4 * MIB


def test_a_created_file_goes_when_a_later_one_fails(tmp_path, kernel):
    errors = refused(
        tmp_path, "-kernel", kernel, *pmem("a.img", 1, size="16M"), *pmem("no/such/dir/b.img", 2, size="16M")
    )
    assert "can't open backing store no/such/dir/b.img for guest RAM: No such file or directory" in errors


def test_an_existing_file_stays_when_the_start_fails(tmp_path, kernel):
    (tmp_path / "a.img").write_bytes(b"data" * MIB)
    refused(tmp_path, "-kernel", kernel, *pmem("a.img", 1), *pmem("no/such/dir/b.img", 2, size="16M"))
    assert (tmp_path / "a.img").read_bytes() == b"data" * MIB


@pytest.mark.parametrize(
    "args,text",
    [
        (
            ["-object", "memory-backend-file,id=m,mem-path=a,size=16M", "-device", "virtio-pmem-pci,memdev=zz"],
            "Device 'zz' not found",
        ),
        (["-device", "virtio-pmem-pci"], "'memdev' property must be set"),
        ([*pmem("a.img", size="16M"), "-device", "virtio-pmem-pci,memdev=mem1"], "can't use already busy memdev: mem1"),
        ([*pmem("a.img", size="16M"), *pmem("b.img", size="16M")], "Duplicate"),
        (["-device", "virtio-pmem-xxx"], "'virtio-pmem-xxx' is not a valid device model name"),
        (["-object", "memory-backend-file,id=m,mem-path=a,size=16M,sise=3"], "'sise'"),
        (["-no-such-option"], "invalid option"),
        (["-smb", "2"], "smp"),
        (["-object", "memory-backend-file,id=m,mem-path=a,size=64MB"], "did you mean 64M?"),
        (["-m", "64X"], "64X"),
    ],
)
def test_options(tmp_path, kernel, args, text):
    errors = refused(tmp_path, "-kernel", kernel, *args)
    assert text in errors


def test_memaddr(tmp_path, kernel):
    def place(address, number=1):
        device = pmem(f"{number}.img", number, size="16M")
        return device[:-1] + [f"{device[-1]},memaddr={address}"]

    assert "address must be aligned to 0x200000 bytes" in refused(tmp_path, "-kernel", kernel, *place("0x140100000"))
    assert "can't add memory device [0x1000000:0x1000000], usable range for memory devices [0x100000000:" in refused(
        tmp_path, "-kernel", kernel, *place("0x1000000")
    )
    assert "address range conflicts with memory device id='nv1'" in refused(
        tmp_path, "-kernel", kernel, *place("0x140000000", 1), *place("0x140800000", 2)
    )


def test_slot_in_use(tmp_path, kernel):
    pairs = pmem("1.img", 1, size="16M") + pmem("2.img", 2, size="16M")
    pairs = [f"{word},addr=5" if word.startswith("virtio-pmem-pci") else word for word in pairs]
    assert "slot 5" in refused(tmp_path, "-kernel", kernel, *pairs)


def test_more_memory_than_the_host_has(tmp_path, kernel):
    errors = refused(tmp_path, "-m", "16T", "-kernel", kernel, *pmem("a.img", size="16M"))
    assert "cannot set up guest memory 'pc.ram': Cannot allocate memory" in errors and "hint:" in errors


def test_serial_errors(tmp_path, kernel):
    errors = refused(tmp_path, "-serial", "file:no/such/dir/x", "-kernel", kernel, *pmem("a.img", size="16M"))
    assert "no/such/dir/x" in errors
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "taken"))
        other.listen()
        assert "Address already in use" in refused(
            tmp_path, "-serial", "unix:taken,server=on,wait=off", "-kernel", kernel
        )
    # Stale: a socket that nobody serves is replaced, and gone afterwards.
    status, _, errors = run_pmvm(
        "-display",
        "none",
        "-serial",
        "unix:taken,server=on,wait=off",
        "-kernel",
        kernel,
        "-append",
        "x" * 5000,
        cwd=tmp_path,
    )
    assert status == 1 and not (tmp_path / "taken").exists()


def test_pidfile(tmp_path, kernel):
    assert "no/such/pid" in refused(tmp_path, "-pidfile", "no/such/pid", "-kernel", kernel, *pmem("a.img", size="16M"))
    (tmp_path / "notes").write_text("not a process id")
    assert "is no pid file" in refused(tmp_path, "-pidfile", "notes", "-kernel", kernel, *pmem("a.img", size="16M"))
    assert (tmp_path / "notes").read_text() == "not a process id"
    # As /dev/null, which a wrong program would delete; and links, to a file and to none.
    if os.geteuid() == 0:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        assert "is not a regular file" in refused(
            tmp_path, "-pidfile", "null", "-kernel", kernel, *pmem("a.img", size="16M")
        )
        assert stat.S_ISCHR((tmp_path / "null").lstat().st_mode)
    (tmp_path / "number").write_text("17\n")
    for target in "number", "missing":
        (tmp_path / "link").symlink_to(target)
        assert "is a symbolic link" in refused(
            tmp_path, "-pidfile", "link", "-kernel", kernel, *pmem("a.img", size="16M")
        )
        assert os.readlink(tmp_path / "link") == target
        (tmp_path / "link").unlink()
    assert (tmp_path / "number").read_text() == "17\n" and not (tmp_path / "missing").exists()
    # A start that fails after the pidfile was written removes it.
    refused(tmp_path, "-pidfile", "pid", "-kernel", kernel, "-append", "x" * 5000, *pmem("a.img", size="16M"))


def in_namespace(tmp_path, setup, *args):
    """Runs pmvm in a mount namespace of its own, prepared by a shell command."""
    script = f'{setup}; exec setpriv --reuid=0 "$@"' if shutil.which("setpriv") else f'{setup}; exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(pmvm()), *map(str, args)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace")
def test_no_kvm(tmp_path, kernel):
    status, errors = in_namespace(
        tmp_path, "mount -t tmpfs none /dev", "-nographic", "-kernel", kernel, *pmem("a.img", size="16M")
    )
    assert (
        status == 1
        and "Could not access KVM kernel module: No such file or directory" in errors
        and "modprobe" in errors
    )
    status, errors = in_namespace(
        tmp_path, "mount --bind /dev/null /dev/kvm", "-nographic", "-kernel", kernel, *pmem("a.img", size="16M")
    )
    assert status == 1 and "kvm" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_no_permission_on_kvm():
    script = (
        "cp -a /dev/kvm /tmp/kvm.$$ && chmod 600 /tmp/kvm.$$ && mount --bind /tmp/kvm.$$ /dev/kvm && rm -f /tmp/kvm.$$;"
        ' exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
    )
    done = subprocess.run(
        [
            "unshare",
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            str(pmvm()),
            "-nographic",
            "-kernel",
            "/etc/passwd",
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1
    assert "Could not access KVM kernel module: Permission denied" in done.stderr and "group kvm" in done.stderr
