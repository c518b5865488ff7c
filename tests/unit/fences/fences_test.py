#!/usr/bin/python3
"""The build keeps the rooms apart: what a room may not know, it cannot include.

SPDX-License-Identifier: Apache-2.0

Usage: fences_test.py SOURCE_ROOT BUILD_ROOT

For each room, a file that includes a header of each other room is preprocessed with the room's own command out of
compile_commands.json: it finds the headers of the rooms that it may know, and none of the others, which is an error
when it is compiled. A path to the header would be found; tools/fences.py, a part of the build, refuses it. Prints TAP.
"""
import concurrent.futures
import itertools
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

# What each room may know beside itself and include/vpmem.h: the table of docs/architecture.md.
MAY_KNOW = {
    "virtio": [],
    "libvpmem": ["virtio"],
    "vmm/base": [],
    "vmm/vm": ["virtio", "vmm/base"],
    "vmm/chardev": ["vmm/base"],
    "vmm/net": ["vmm/chardev", "vmm/base"],
    "vmm/sandbox": ["vmm/base"],
    "vmm/kvm": ["virtio", "vmm/vm", "vmm/base"],
    "vmm/x86": ["virtio", "vmm/vm", "vmm/chardev", "vmm/base"],
    "vmm/pci": ["virtio", "vmm/vm", "vmm/base"],
    "vmm/virtio": ["virtio", "vmm/pci", "vmm/vm", "vmm/base"],
    "vmm/config": ["vmm/chardev", "vmm/base"],
    "vmm/options": ["vmm/config", "vmm/chardev", "vmm/base"],
}
MAY_KNOW["vmm/machine"] = [room for room in MAY_KNOW if room not in ("libvpmem", "vmm/options")]
MAY_KNOW["vmm/monitor"] = [*MAY_KNOW["vmm/machine"], "vmm/machine", "vmm/monitor/hmp", "vmm/monitor/qmp"]
MAY_KNOW["oci/wire"] = ["vmm/base"]
MAY_KNOW["oci/agent"] = ["oci/wire", "vmm/base"]
MAY_KNOW["oci/net"] = ["vmm/base"]
MAY_KNOW["oci/layers"] = ["vmm/base"]
MAY_KNOW["oci/bundle"] = ["vmm/base"]
MAY_KNOW["oci/machine"] = ["oci/bundle", "oci/layers", "oci/net", "oci/wire", "vmm/sandbox", "vmm/base"]
MAY_KNOW["oci/runtime"] = ["oci/machine", "oci/bundle", "oci/layers", "oci/net", "oci/wire", "vmm/base"]
MAY_KNOW["watch/client"] = ["vmm/base"]
MAY_KNOW["watch/metrics"] = ["watch/client", "vmm/base"]
MAY_KNOW["watch/top"] = ["watch/client", "vmm/base"]
# It has no list of its own: the front ends are compiled with the monitor.
TARGETS_ONLY = ["vmm/monitor/hmp", "vmm/monitor/qmp"]

SOURCE = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()


def room_commands():
    """The compiler's arguments in each room, without what names its input and output."""
    commands = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        folder = (pathlib.Path(entry["directory"]) / entry["file"]).resolve().parent
        room = str(folder.relative_to(SOURCE)) if folder.is_relative_to(SOURCE) else None
        words = iter(shlex.split(entry["command"]))
        if room not in MAY_KNOW or room in commands:
            continue
        kept = []
        for word in words:
            if word in ("-o", "-MF", "-MQ", "-c"):
                next(words)
            elif word not in ("ccache", "-MD", "-fdiagnostics-color=always"):
                kept.append(word)
        commands[room] = kept
    return commands


def compiles(command, line):
    """Whether a file with this line compiles, and what the compiler said."""
    done = subprocess.run(
        [*command, "-fsyntax-only", "-x", "c", "-"],
        input=line + "\n", cwd=BUILD, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    return done.returncode == 0, done.stderr


def header_of(room, taken):
    """A header of the room whose name nobody else has: error.h, for one, is in three places."""
    own = [
        path for path in sorted((SOURCE / room).glob("*.h"))
        if taken.count(path.name) == 1 and not pathlib.Path("/usr/include", path.name).exists()
    ]  # fmt: skip
    # Rather one that includes nothing else of ours.
    return min(own, key=lambda path: ('#include "' in path.read_text()) + ("<vpmem.h>" in path.read_text())).name


def found_headers(command, headers):
    """Those of the headers which a room with this command can include."""
    done = subprocess.run(
        # Lists all files that are included; a header that is not found is one of the list, without a directory.
        [*command, "-M", "-MG", "-x", "c", "-"],
        input="".join(f'#include "{header}"\n' for header in headers),
        cwd=BUILD, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = set(done.stdout.replace("\\\n", " ").split())
    found = {header for header in headers if any(file.endswith(f"/{header}") for file in files)}
    assert found | files >= set(headers), f"neither found nor missing: {set(headers) - found - files}"
    return found


def fences(line):
    """Whether tools/fences.py lets a room have this line; None: a symbolic link."""
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root, "vmm/pci")
        folder.mkdir(parents=True)
        if line is None:
            (folder / "pci.c").symlink_to("/dev/null")
        else:
            (folder / "pci.c").write_text(f"/* a room */\n{line}\n", encoding="utf-8")
        done = subprocess.run(
            [SOURCE / "tools/fences.py", root], capture_output=True, text=True, timeout=60, check=False
        )
        where = f"vmm/pci/pci.c:{1 if line is None else 2}:"
        assert done.returncode in (0, 1) and (where in done.stderr) == (done.returncode == 1), done.stderr
        return done.returncode == 0


def facts():
    """Each (whether it is so, fact, remark)."""
    commands = room_commands()
    targets = [*MAY_KNOW, *TARGETS_ONLY]
    taken = [path.name for room in targets for path in (SOURCE / room).glob("*.h")]
    headers = {room: header_of(room, taken) for room in targets}
    yield set(commands) == set(MAY_KNOW), "every room is compiled", sorted(set(MAY_KNOW) - set(commands))
    names = list(headers.values())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(commands, pool.map(lambda room: found_headers(commands[room], names), commands)))
    for room, target in itertools.product(commands, targets):
        if room != target:
            allowed = target in MAY_KNOW[room]
            fact = f"{room} {'may' if allowed else 'cannot'} include {headers[target]} of {target}"
            yield (headers[target] in found[room]) == allowed, fact, None

    # What is not found does not compile.
    done, said = compiles(commands["vmm/pci"], '#include "kvm.h"')
    missing = "kvm.h: No such file" in said or "'kvm.h' file not found" in said
    yield not done and missing, "a file of vmm/pci that includes kvm.h does not compile", said
    by_path = '#include "../kvm/kvm.h"'
    probe = [*commands["vmm/pci"], f"-I{SOURCE}/vmm/pci"]
    yield compiles(probe, by_path)[0], f"the compiler takes {by_path} in vmm/pci", "then this test shows nothing"
    for line in [
        by_path, '#include "vmm/kvm/kvm.h"', "#include <../kvm/kvm.h>", '#  include "/usr/include/kvm.h"',
        "#include KVM_H", '#include \\\n"../kvm/kvm.h"', "#include </tmp/kvm.h>", '/* */ #include "../kvm/kvm.h"',
        '# /* */ include /* */ "../kvm/kvm.h"', '%:include "../kvm/kvm.h"', '??=include "../kvm/kvm.h"',
        '\f#include "../kvm/kvm.h"',
    ]:  # fmt: skip
        yield not fences(line), f"fences.py refuses {line!r}", None
    for line in ['#include "pci.h"', "#include <sys/mman.h>", "#include <linux/kvm.h>", '// "../kvm/kvm.h"']:
        yield fences(line), f"fences.py lets pass {line!r}", None
    yield not fences(None), "fences.py refuses a symbolic link", None
    yield (BUILD / "fences.stamp").exists(), "fences.py is a part of the build", None


def main():
    count = failed = 0
    for good, fact, remark in facts():
        count += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {count} - {fact}")
        if not good and remark:
            print("\n".join(f"# {line}" for line in str(remark).splitlines()))
    print(f"1..{count}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
