"""pmvm-oci with layers of images: who shares them, and a host whose disk is full while one is made.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import pathlib
import re
import subprocess

import pytest

from oci_runtime import COMMAND_MAX, FOREVER, eventually, make_bundle

MIB = 1 << 20


def images(oci):
    """{name of the layer: row of `layers list`}"""
    rows = json.loads(oci("layers", "list", "--format", "json"))
    return {pathlib.Path(row["source"]).parent.name: row for row in rows}


def mapped_inodes(pid):
    """The inodes of the files that a process has mapped. Their paths are those of its own mount namespace."""
    return {int(line.split()[4]) for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()}


@pytest.mark.long
def test_two_machines_share_the_layer_that_they_have_in_common(store, oci, tmp_path):
    base, top = store.layer("base"), store.layer("top", {"of-the-top": b"x"})
    for name, lowers in ("c1", [top, base]), ("c2", [base]):
        oci.create(name, store.bundle(tmp_path / name, lowers, FOREVER))
        oci("start", name)
    rows = images(oci)
    assert rows["base"]["users"] >= 2 and rows["base"]["containers"] == ["c1", "c2"], rows
    assert rows["top"]["containers"] == ["c1"], rows
    # One file of the host, so one page cache; and in the guests no copy of it: a mapping by DAX has no pages of RAM.
    inode = os.stat(rows["base"]["path"]).st_ino
    for name in "c1", "c2":
        assert inode in mapped_inodes(oci.members(name)["pmvm"])
        smaps = oci("exec", name, "cat", "/proc/self/smaps")
        text = smaps[: smaps.index("VmFlags")]
        assert "/bin/busybox" in text and re.search(r"^Rss: +0 kB", text, re.MULTILINE), text
    resident = {
        name: {
            image["file"]: image["resident"] for image in json.loads(oci("events", "--stats", name))["pmem"]
        }
        for name in ("c1", "c2")
    }  # fmt: skip
    path = rows["base"]["path"]
    assert resident["c1"][path] > MIB and resident["c2"][path] > MIB, resident
    # A layer in use stays.
    assert "2 in use" in oci("layers", "prune") and images(oci).keys() == {"base", "top"}
    assert oci("exec", "c1", "ls", "/of-the-top") == "/of-the-top\n"
    oci("delete", "--force", "c1")
    assert images(oci)["base"]["containers"] == ["c2"] and images(oci)["top"]["containers"] == []
    oci("layers", "prune")
    assert images(oci).keys() == {"base"}


def test_what_a_container_writes_can_be_persistent_memory(store, oci, tmp_path):
    """It is a DAX mapping of a file without a name, which ends with the machine; the engine gets nothing of it."""
    annotations = {"io.pmvm.upper": "pmem,size=64M"}
    lowers = [store.layer("top", {"file": b"of the layer"}), store.layer("base")]
    bundle = store.bundle(tmp_path / "c", lowers, FOREVER, annotations=annotations)
    pid = oci.create("c", bundle)
    oci("start", "c")
    oci("exec", "c", "sh", "-c", "echo changed >/file; mkdir /x; cp /bin/busybox /x/cat; sync /x/cat")
    assert oci("exec", "c", "cat", "/file") == "changed\n"
    smaps = oci("exec", "c", "/x/cat", "/proc/self/smaps")
    text = smaps[: smaps.index("VmFlags")]
    assert "/x/cat" in text and re.search(r"^Rss: +0 kB", text, re.MULTILINE), text
    upper = next(row for row in json.loads(oci("events", "--stats", "c"))["pmem"] if row["file"] == "upper")
    assert upper["size"] == 64 * MIB and upper["flushes"] > 0 and upper["failed"] == 0, upper
    assert not any((store.folder / "c-own/diff").iterdir())
    # An engine that joins the pid's mount namespace, as podman cp does, is in the container's root and not the host's.
    joined = ["nsenter", "-t", str(pid), "-m", "/bin/busybox", "cat", "/file"]
    assert subprocess.run(joined, check=True, capture_output=True, text=True).stdout == "of the layer"
    # Nobody else is this user.
    status = pathlib.Path(f"/proc/{oci.members('c')['pmvm']}/status").read_text()
    user, group = (int(re.search(rf"^{name}:\t(\d+)", status, re.MULTILINE)[1]) for name in ("Uid", "Gid"))
    assert user == group and 0x70000000 <= user < 0x80000000, status
    names = {path.suffix for path in oci.cache.iterdir()}
    assert names == {".erofs", ".json", ".lock"}, names
    oci("delete", "--force", "c")
    # The next one begins anew.
    oci.create("c", bundle)
    oci("start", "c")
    assert oci("exec", "c", "cat", "/file") == "of the layer"


@pytest.mark.long
@pytest.mark.parametrize("has_layers", [True, False], ids=["layers", "directory"])
def test_links_of_a_root_do_not_lead_out_of_it(store, oci, tmp_path, has_layers):
    """An image may have any link: for the program, and for where a volume is mounted, its root is the container's."""
    outside, volume = tmp_path / "outside", tmp_path / "volume"
    outside.mkdir()
    volume.mkdir()
    (outside / "secret").write_text("of the host")
    mount = {"destination": "/way/data", "type": "bind", "source": str(volume), "options": ["rbind", "rw"]}
    script = "cat /way/secret /up/secret; echo x >/up/new; echo x >/way/data/new; mkdir -p /up/made; ls /way"
    if has_layers:
        links = store.layer("links", {"empty": b""})
        bundle = store.bundle(tmp_path / "c", [links, store.layer("base")], script)
    else:
        bundle = make_bundle(tmp_path / "c", script)
        links = bundle / "rootfs"
    # What the links name is in the container as well: without it crun refuses the volume.
    (links / str(outside)[1:]).mkdir(parents=True)
    (links / "way").symlink_to(outside)
    (links / "up").symlink_to("../" * 20 + str(outside)[1:])
    config = json.loads((bundle / "config.json").read_text())
    config["mounts"].append(mount)
    (bundle / "config.json").write_text(json.dumps(config))
    with oci.popen(
        "run", "--bundle", bundle, "c", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:  # fmt: skip
        output, _ = process.communicate(timeout=COMMAND_MAX)
    assert "of the host" not in output and output.splitlines()[-3:] == ["data", "made", "new"], output
    assert [path.name for path in outside.iterdir()] == ["secret"], output
    assert (volume / "new").read_text() == "x\n", output


def test_a_root_without_layers_has_no_persistent_memory(oci, tmp_path):
    bundle = make_bundle(tmp_path / "c", "true", annotations={"io.pmvm.upper": "pmem"})
    error = oci.create("c", bundle, status=1)
    assert "io.pmvm.upper=pmem: the root has no layers" in error and "leave the annotation out" in error, error
    assert oci.left() == []


def slow_mkfs(oci, tmp_path, timeout_s):
    """mkfs.erofs that has begun its image, and does not end. The file that is there when it has begun."""
    program, begun = tmp_path / "mkfs", tmp_path / "begun"
    script = 'for image; do last=$before; before=$image; done; : >"$last"'
    program.write_text(f"#!/bin/sh\n{script}; : >{begun}\nexec sleep 1000\n")
    program.chmod(0o755)
    oci.settings.write_text(oci.settings.read_text() + f"mkfs.erofs = {program}\nlayer-timeout = {timeout_s}\n")
    return begun


def test_delete_by_force_ends_a_create_that_makes_a_layer(store, oci, tmp_path):
    bundle = store.bundle(tmp_path / "c", [store.layer("base")], "true")
    begun = slow_mkfs(oci, tmp_path, 0)
    with oci.popen("create", "--bundle", bundle, "c", stderr=subprocess.PIPE, text=True) as process:
        oci.containers.add("c")
        eventually(begun.exists)
        assert [path.suffix for path in oci.cache.iterdir() if path.suffix != ".lock"] == [".tmp"]
        oci("delete", "--force", "c")
        assert process.wait(COMMAND_MAX) == 1
        assert "got signal 15" in process.stderr.read()
    assert oci.left() == [] and not list(oci.cache.iterdir())


def test_a_layer_that_takes_too_long_fails_create(store, oci, tmp_path):
    bundle = store.bundle(tmp_path / "c", [store.layer("base")], "true")
    slow_mkfs(oci, tmp_path, 1)
    error = oci.create("c", bundle, status=1)
    assert "it did not end within 1 s" in error and "layer-timeout" in error, error
    assert oci.left() == [] and not list(oci.cache.iterdir())


@contextlib.contextmanager
def small_disk(path, size_mib):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=700", "none", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.long
def test_a_full_disk_fails_create_and_leaves_nothing(store, oci, tmp_path):
    # What fits, and what does not: busybox has 2 MB.
    top, base = store.layer("top", {"big": os.urandom(6 * MIB)}), store.layer("base")
    bundle = store.bundle(tmp_path / "c", [base, top], "true")
    with small_disk(oci.cache, 4):
        error = oci.create("c", bundle, status=1)
        assert "No space left on device" in error and f"{top}" in error and "layers prune" in error, error
        assert oci.left() == []
        # The layer that did fit is whole, and is kept for the next one.
        assert images(oci).keys() == {"base"} and oci("layers", "verify")
        assert sorted(path.suffix for path in oci.cache.iterdir()) == [".erofs", ".json", ".lock"]
        subprocess.run(["mount", "-o", "remount,size=64m", oci.cache], check=True)
        assert oci.create("c", bundle) > 0
        oci("delete", "--force", "c")
