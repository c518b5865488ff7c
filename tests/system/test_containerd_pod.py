"""Pods by containerd's interface to Kubernetes: a sandbox, two containers in its machine, and their ends.

SPDX-License-Identifier: Apache-2.0

With PMVM_OCI_RUNTIME=crun the same is asked of crun: a test that crun fails is wrong.
"""
import json
import pathlib
import shutil

import containerd as containerd_module
import oci_engine
import oci_runtime
import pytest

grpc = pytest.importorskip("grpc", reason="python3-grpcio is not installed: tools/install-packages podman")
import cri  # pylint: disable=wrong-import-position

PLUGINS = pathlib.Path("/usr/lib/cni")
PAUSE = "localhost/pause:1"
HANDLER = "tested"
RUNNING, EXITED = 1, 2
CONF = f"""
version = 2
root = "{{folder}}/lib"
state = "{{folder}}/run"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{{folder}}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{{folder}}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "{HANDLER}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{HANDLER}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{HANDLER}.options]
        BinaryName = "{{runtime}}"
"""
SCRIPT = "trap 'exit 7' TERM; while :; do sleep 1; done"

MISSING = containerd_module.missing() + oci_engine.missing() + [str(PLUGINS)] * (not PLUGINS.exists())
pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")]


def network(folder):
    """A bridge of the host, by the plugins of CNI."""
    ipam = {"type": "host-local", "subnet": "10.79.0.0/24", "dataDir": f"{folder}/ipam"}
    bridge = {"type": "bridge", "bridge": "pmvmcni0", "isGateway": True, "ipam": ipam}
    (folder / "cni").mkdir(parents=True)
    (folder / "cni/10-pods.conflist").write_text(
        json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]})
    )


@pytest.fixture(name="containerd")
def containerd_fixture(tmp_path):
    """containerd with an image for the sandbox and one for containers."""
    if oci_engine.IS_OURS and (why := oci_runtime.why_not()):
        pytest.skip(why)
    runtime = shutil.which(oci_engine.RUNTIME) if oci_engine.RUNTIME else oci_engine.installed(tmp_path / "pmvm")
    network(tmp_path / "engine")
    containerd = containerd_module.Containerd(tmp_path / "engine", runtime, CONF, "k8s.io")
    try:
        containerd("images", "import", containerd_module.image_archive(tmp_path / "base"))
        pause = containerd_module.image_archive(tmp_path / "pause", PAUSE, ["/bin/sleep", "1000000"])
        containerd("images", "import", pause)
        yield containerd
        oci_runtime.eventually(lambda: not containerd.shims())
    finally:
        containerd.stop()


def test_two_containers_of_a_pod(containerd, tmp_path):
    engine = cri.Cri(containerd.folder / "containerd.sock")
    (tmp_path / "logs").mkdir()
    config = cri.sandbox_config("web-0", tmp_path / "logs")
    sandbox = engine.run_sandbox(config, HANDLER)
    containers = {}
    for name in "ab":
        words = ["/bin/sh", "-c", f"echo out of {name}; {SCRIPT}"]
        containers[name] = engine.create(sandbox, cri.container_config(name, containerd_module.IMAGE, *words), config)
        engine.call("StartContainer", f1=containers[name])
        assert engine.status(containers[name]) == (RUNNING, 0)
    boot = [engine.exec(containers[name], "/bin/cat", "/proc/sys/kernel/random/boot_id") for name in "ab"]
    assert boot[0] == boot[1] and boot[0][0] == 0
    if oci_engine.IS_OURS:
        assert boot[0][1] != pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(), "no machine of its own"
    assert engine.exec(containers["a"], "/bin/sh", "-c", "hostname; exit 3") == (3, "web-0\n")
    for name in "ab":
        oci_runtime.eventually(lambda name=name: f"out of {name}" in (tmp_path / f"logs/{name}.log").read_text())
    engine.call("StopContainer", f1=containers["a"], f2=oci_runtime.COMMAND_MAX)
    assert engine.status(containers["a"]) == (EXITED, 7)
    assert engine.status(containers["b"]) == (RUNNING, 0)
    engine.call("RemoveContainer", f1=containers["a"])
    engine.call("StopPodSandbox", f1=sandbox)
    assert engine.status(containers["b"])[0] == EXITED
    engine.call("RemovePodSandbox", f1=sandbox)
    assert containerd("containers", "list", "-q").split() == []
