"""containerd with its state in a folder, and an image that is made without a registry.

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import tarfile
import time

import podman

START_MAX = 120
# An emulated host needs most of it.
COMMAND_MAX = 400
IMAGE = "localhost/base:1"
CONF = """
version = 2
root = "{folder}/lib"
state = "{folder}/run"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
"""


def missing():
    """What is not there that the test needs."""
    return [name for name in ("containerd", "ctr", "containerd-shim-runc-v2") if not shutil.which(name)]


def image_archive(folder, name=IMAGE, command=("/bin/sh",)):
    """An OCI image layout with one layer, in a tar archive."""
    folder.mkdir(exist_ok=True)
    layout = folder / "layout"
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    podman.base_tar(folder / "base.tar")
    plain = (folder / "base.tar").read_bytes()
    layer = blob(gzip.compress(plain, mtime=0), "layer.v1.tar+gzip")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [layer],
    }
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, arcname=".")
    return archive


class Containerd:
    """The daemon, until stop(), and ctr(1) as its client."""

    def __init__(self, folder, runtime, conf=CONF, namespace="test"):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.runtime = runtime
        self.namespace = namespace
        (folder / "config.toml").write_text(conf.format(folder=folder, runtime=runtime))
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["containerd", "--config", folder / "config.toml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_MAX
        while self.try_("version").returncode:
            assert self.process.poll() is None, f"containerd has ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"containerd does not answer: {self.log.read_text()[-2000:]}"
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(START_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def command(self, *args):
        return ["ctr", "--address", self.folder / "containerd.sock", "--namespace", self.namespace, *map(str, args)]

    def try_(self, *args, **more):
        """Runs ctr; returns how it ended."""
        return subprocess.run(
            self.command(*args),
            **({"stdin": subprocess.DEVNULL} | more),
            capture_output=True,
            text=True,
            timeout=COMMAND_MAX,
            check=False,
            errors="replace",
        )

    def __call__(self, *args, status=0, **more):
        """Runs ctr; returns its standard output. The status must be the one that is expected."""
        end = self.try_(*args, **more)
        said = f"{args}: status {end.returncode}: {end.stdout[-2000:]}{end.stderr[-2000:]}"
        assert end.returncode == status, f"{said}\n{self.log.read_text(errors='replace')[-3000:]}"
        return end.stdout

    def run(self, name, *args, options=(), status=0, **more):
        """`ctr run --rm`; a single word of args is a script."""
        words = ["/bin/sh", "-c", *args] if len(args) == 1 else args
        return self("run", "--rm", "--runc-binary", self.runtime, *options, IMAGE, name, *words, status=status, **more)

    def detached(self, name, *args, options=()):
        words = ["/bin/sh", "-c", *args] if len(args) == 1 else args
        self("run", "-d", "--runc-binary", self.runtime, *options, IMAGE, name, *words)

    def shims(self):
        """The command lines of the shims that run."""
        found = []
        for path in pathlib.Path("/proc").iterdir():
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"containerd-shim-runc-v2"):
                found.append(words)
        return found
