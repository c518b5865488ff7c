"""Podman's own system tests, with pmvm-oci as the runtime.

SPDX-License-Identifier: Apache-2.0

tests/foreign-suites downloads them, and they run as they are. The tables below have those that cannot hold for a
machine and those for which something is missing, each with its reason. They run as well: one that passes has to leave
its table.
With PMVM_OCI_RUNTIME=crun the same tests are given to crun.
"""
import os
import pathlib
import re
import shutil
import subprocess

import oci_engine
import oci_runtime
import podman
import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SUITE = CHECKOUT / "build/suites/podman/test/system"
IN_BOX = bool(os.environ.get("PMVM_IN_BOX"))
COMMAND_MAX = 600  # seconds for one command of podman
TEST_MAX = 3000  # seconds; some start twenty machines
TAG = "20220615"
IMAGE = f"quay.io/libpod/testimage:{TAG}"

FILES = ["030-run", "035-logs", "075-exec", "160-volumes"]
CANNOT = {
    "030-run/podman run --preserve-fds": "of the host: a descriptor, which cannot be passed into a machine",
    "030-run/podman run : user namespace preserved root ownership": "of the host: its devices, by --privileged",
    "030-run/Verify /run/.containerenv exist": "of the host: its devices, by --privileged",
    "030-run/podman run --privileged as root with systemd will not mount /dev/tty": "of the host: its devices",
    "030-run/podman run --device-read-bps": "missing: limits of block devices (blockIO)",
    "030-run/podman run with --net=host and --port prints warning": "of the host: its network",
    "160-volumes/podman volume type=tmpfs": "of the host: its mount of a tmpfs, which is virtiofs in the machine",
}
NOT_HERE = {
    "030-run/podman run --pull": "it needs a registry",
    "030-run/podman run --rmi": "it needs a registry",
}
# Tests that assert how long something takes, which an emulated host does not hold, with any runtime.
TIMED = {
    "035-logs/podman logs - multi k8s-file": "a container that lives 13 s is to be there when the next one was started",
}

# What the image of these tests has, as far as they read it; busybox is the rest.
DIRECTORIES = [".", "bin", "dev", "etc", "home", "home/podman", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin"]
IMAGE_FILES = {
    # The shell adds variables of its own.
    "bin/printenv": "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ | sed -n \"s/^${1-}${1+=}//p\"\n",
    "etc/group": "root:x:0:\nping:x:999:\n",
    "etc/mtab": "",
    "etc/os-release": "NAME=busybox\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nguest:x:405:100:guest:/dev/null:/bin/sh\n",
    "home/podman/pause": "#!/bin/sh\necho Confirmed: testimage pause invoked as $0\nwhile :; do sleep 0.1; done\n",
    "home/podman/testimage-id": f"{TAG}\n",
    "usr/bin/nsenter": '#!/bin/sh\nexec /bin/nsenter "$@"\n',
}
CHANGES = [
    "WORKDIR /home/podman",
    'CMD ["/bin/echo", "This container is intended for podman CI testing"]',
    "LABEL created_by=test/system/build-testimage",
    "LABEL created_at=2022-06-15T18:00:00Z",
]
CONF = """
[containers]
default_sysctls = []
log_driver = "k8s-file"
[engine]
runtime_supports_json = ["crun", "pmvm-oci"]
[network]
network_backend = "netavark"
"""
# No test may reach a registry, whatever the host can reach.
REGISTRIES = """
[[registry]]
location = "quay.io"
blocked = true
"""
# Tests call this with and without further options, and with other files of settings.
PODMAN = """#!/bin/sh
exec podman --root {folder}/root --runroot {folder}/run --tmpdir {folder}/podman-tmp \\
    --network-config-dir {folder}/networks --storage-driver overlay --cgroup-manager cgroupfs --events-backend file \\
    --runtime {folder}/runtime/{name} "$@"
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(podman.MISSING), reason=f"missing: {', '.join(podman.MISSING)}"),
    pytest.mark.skipif(not shutil.which("bats"), reason="there is no bats: tools/install-packages podman"),
]


def marks(key):
    """What is expected of a test of the tables."""
    if re.search("journald|--log-driver$", key) and not os.path.exists("/run/systemd/journal/socket"):
        return [pytest.mark.skip("this host has no journald")]
    if why := NOT_HERE.get(key) or (oci_engine.IS_OURS and CANNOT.get(key)):
        return [pytest.mark.xfail(reason=why, strict=True)]
    if IN_BOX and key in TIMED:
        return [pytest.mark.skip(f"an emulated host is too slow: {TIMED[key]}")]
    return []


def parameters():
    """(file, test) of all."""
    if not (SUITE / "helpers.bash").exists():
        return [pytest.param("", "", marks=pytest.mark.skip("podman's tests are not there: run tests/foreign-suites"))]
    found = []
    for file in FILES:
        for name in re.findall(r'^@test "(.*)" \{$', (SUITE / f"{file}.bats").read_text(), re.MULTILINE):
            key = f"{file}/{name.strip()}"
            found.append(pytest.param(file, name, id=key, marks=marks(key)))
    return found


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def write_runtime(folder):
    """The runtime of the tests, with its settings; returns its name."""
    if not oci_engine.IS_OURS:
        name = pathlib.Path(oci_engine.RUNTIME).name
        write_program(folder / "runtime" / name, f'#!/bin/sh\nexec {shutil.which(oci_engine.RUNTIME)} "$@"\n')
        return name
    if why := oci_runtime.why_not():
        pytest.skip(why)
    write_program(folder / "runtime/pmvm-oci", f'#!/bin/sh\nexec {oci_engine.configured(folder, COMMAND_MAX)} "$@"\n')
    return "pmvm-oci"


class Bats:
    """One run of a file, as its start takes long. The tests come in the order of the file."""

    def __init__(self, file, names, environment):
        pattern = "|".join(re.sub(r"[^\w -]", ".", name) for name in names)
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["bats", "--formatter", "tap", "--filter", f"^({pattern})$", SUITE / f"{file}.bats"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.last = ""
        self.results = {}

    def result(self, name):
        """The line of TAP of a test; when it failed, with its remarks, which end where the next test begins."""
        while self.last == name or name not in self.results:
            line = self.process.stdout.readline()
            if end := re.match(r"(?:not )?ok \d+ (.*?) *(?:#.*)?$", line):
                self.last = end[1]
            self.results[self.last] = self.results.get(self.last, "") + line
            if not line or (name in self.results and line.startswith("ok")):
                break
        return self.results.get(name, f"bats ended without a result: {self.results}")


def chosen(items, file):
    """Those tests of a file that are to run."""
    mine = [item for item in items if getattr(item, "callspec", None) and item.callspec.params.get("file") == file]
    return [item.callspec.params["name"] for item in mine if not item.get_closest_marker("skip")]


@pytest.fixture(scope="module", name="environment")
def environment_fixture(tmp_path_factory):
    """The environment of the tests: podman with files of its own and the one image that they need."""
    folder = tmp_path_factory.mktemp("podman")
    (folder / "tmp").mkdir()
    (folder / "containers.conf").write_text(CONF)
    (folder / "registries.conf").write_text(REGISTRIES)
    write_program(folder / "podman", PODMAN.format(folder=folder, name=write_runtime(folder)))
    environment = os.environ | {
        "PODMAN": f"{folder}/podman",
        "PODMAN_TIMEOUT": str(COMMAND_MAX),
        "PODMAN_TEST_IMAGE_TAG": TAG,
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "CONTAINERS_REGISTRIES_CONF": f"{folder}/registries.conf",
        "TMPDIR": f"{folder}/tmp",
        "BATS_TEST_TIMEOUT": str(TEST_MAX),
    }
    podman.base_tar(folder / "image.tar", DIRECTORIES, IMAGE_FILES)
    changes = [word for change in CHANGES for word in ("--change", change)]
    subprocess.run([folder / "podman", "import", *changes, folder / "image.tar", IMAGE], env=environment, check=True)
    yield environment
    subprocess.run([folder / "podman", "rm", "-a", "-f", "-t", "0"], env=environment, check=False)
    assert not podman.machines(), "machines are left"


@pytest.fixture(scope="module", name="files")
def files_fixture(environment):
    """The runs of bats that were begun. All have to come to their end."""
    files = {}
    yield environment, files
    for bats in files.values():
        bats.process.communicate(timeout=TEST_MAX)


@pytest.mark.parametrize("file, name", parameters())
def test_of_podman(files, request, file, name):
    environment, runs = files
    if file not in runs:
        runs[file] = Bats(file, chosen(request.session.items, file), environment)
    result = runs[file].result(name.strip())
    if end := re.match(r"ok .* # skip ?(.*)", result):
        pytest.skip(f"podman's test skips itself: {end[1]}")
    if not result.startswith("ok"):
        pytest.fail(result, pytrace=False)
