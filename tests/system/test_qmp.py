"""QMP on a running machine: the protocol, its errors, its events, and clients that misbehave.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import stat
import time

import pytest

import echo
from machine import CHECKOUT, COMMAND_MAX, END_MAX, MIB, Guest, Vm, linux_options, pmem, run_pmvm, wait_until
from monitor import ANSWER_MAX, Qmp, Refused, connect


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    """One machine for all tests that leave it as it was. The guest's kernel is loaded and not started."""
    directory = tmp_path_factory.mktemp("qmp")
    with Vm(
        [
            *linux_options(),
            "-S",
            "-display",
            "none",
            "-name",
            "guest=test-vm",
            "-uuid",
            "12345678-9abc-4def-8123-456789abcdef",
            *pmem(directory / "a.img", size="16M"),
            "-qmp",
            f"unix:{directory}/qmp,server=on,wait=off",
            "-qmp-pretty",
            f"unix:{directory}/pretty,server=on,wait=off",
        ]
    ) as machine:
        machine.directory, machine.path = directory, directory / "qmp"
        yield machine


@pytest.fixture
def qmp(vm):
    with Qmp(vm.path) as session:
        yield session


def error(reply):
    """The class and QEMU's text, without the hint that may follow it."""
    return reply["error"]["class"], re.sub(r" \(hint: .*\)$", "", reply["error"]["desc"])


def test_greeting_and_negotiation(vm):
    with Qmp(vm.path, negotiate=False) as qmp:
        assert set(qmp.greeting["QMP"]) == {"version", "capabilities"}
        assert set(qmp.greeting["QMP"]["version"]["qemu"]) == {"major", "minor", "micro"}
        assert qmp.greeting["QMP"]["capabilities"] == ["oob"]
        assert error(qmp.exchange({"execute": "query-status"})) == (
            "CommandNotFound",
            "Expecting capabilities negotiation with 'qmp_capabilities'",
        )
        assert qmp.exchange({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}) == {"return": {}}
        assert error(qmp.exchange({"execute": "qmp_capabilities"})) == (
            "CommandNotFound",
            "Capabilities negotiation is already complete, command ignored",
        )
        assert "running" in qmp.run("query-status")
        assert error(qmp.exchange({"exec-oob": "query-status", "id": 1})) == (
            "GenericError",
            "The command query-status does not support OOB",
        )


@pytest.mark.parametrize("number", [1, "text", None, True, [1, {"a": 2}], {"b": [3]}, 1.5, -1])
def test_id_is_echoed(qmp, number):
    assert qmp.exchange({"execute": "query-name", "id": number}) == {"return": {"name": "test-vm"}, "id": number}
    reply = qmp.exchange({"execute": "no-such-command", "id": number})
    assert reply["id"] == number and error(reply) == (
        "CommandNotFound",
        "The command no-such-command has not been found",
    )


@pytest.mark.parametrize(
    "request_text,wanted",
    [
        ('{"execute": "query-status", "arguments": {"a": 1}}', ("GenericError", "Parameter 'a' is unexpected")),
        ('{"execute": "device_del"}', ("GenericError", "Parameter 'id' is missing")),
        (
            '{"execute": "device_del", "arguments": {"id": 5}}',
            ("GenericError", "Invalid parameter type for 'id', expected: string"),
        ),
        ('{"execute": "device_del", "arguments": {"id": "nv9"}}', ("DeviceNotFound", "Device 'nv9' not found")),
        ('{"execute": "object-del", "arguments": {"id": "m9"}}', ("GenericError", "object 'm9' not found")),
        (
            '{"execute": "object-del", "arguments": {"id": "mem1"}}',
            ("GenericError", "object 'mem1' is in use, can not be deleted"),
        ),
        ('{"execute": "device_add", "arguments": {"id": "x"}}', ("GenericError", "Parameter 'driver' is missing")),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-xxx"}}',
            ("GenericError", "'virtio-pmem-xxx' is not a valid device model name"),
        ),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci"}}',
            ("GenericError", "'memdev' property must be set"),
        ),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "memdev": "zz"}}',
            ("DeviceNotFound", "Device 'zz' not found"),
        ),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "memdev": "mem1"}}',
            ("GenericError", "can't use already busy memdev: mem1"),
        ),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "id": "nv1", "memdev": "mem1"}}',
            ("GenericError", "Duplicate device ID 'nv1'"),
        ),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "memdev": "mem1", "foo": 1}}',
            ("GenericError", "Property 'virtio-pmem-pci.foo' not found"),
        ),
        (
            '{"execute": "device_add", "arguments": {"driver": "virtio-pmem-pci", "memdev": "mem1", "bus": "nobus"}}',
            ("GenericError", "Bus 'nobus' not found"),
        ),
        (
            (
                '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-file", "id": "mem1", "mem-path":'
                ' "x", "size": 2097152}}'
            ),
            ("GenericError", "attempt to add duplicate property 'mem1' to object (type 'container')"),
        ),
        (
            (
                '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-file", "id": "m2", "mem-path":'
                ' "x", "size": "2M"}}'
            ),
            ("GenericError", "Parameter 'size' expects uint64"),
        ),
        (
            (
                '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-file", "id": "m2", "mem-path":'
                ' "x", "share": "on"}}'
            ),
            ("GenericError", "Invalid parameter type for 'share', expected: boolean"),
        ),
        (
            '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-file", "id": "m2", "size": 2097152}}',
            ("GenericError", "Parameter 'mem-path' is missing"),
        ),
        (
            '{"execute": "object-add", "arguments": {"qom-type": "memory-backend-xx", "id": "m2"}}',
            ("GenericError", "Parameter 'qom-type' does not accept value 'memory-backend-xx'"),
        ),
        (
            '{"execute": "qom-get", "arguments": {"path": "/objects/m9", "property": "size"}}',
            ("DeviceNotFound", "Device '/objects/m9' not found"),
        ),
        (
            '{"execute": "device-list-properties", "arguments": {"typename": "e1000"}}',
            ("DeviceNotFound", "Device 'e1000' not found"),
        ),
        ('{"execute": 5}', ("GenericError", "QMP input member 'execute' must be a string")),
        ('{"id": 5}', ("GenericError", "QMP input lacks member 'execute'")),
        ('{"execute": "stop", "extra": 1}', ("GenericError", "QMP input member 'extra' is unexpected")),
        ('{"execute": "stop", "arguments": []}', ("GenericError", "QMP input member 'arguments' must be an object")),
        ("[1]", ("GenericError", "QMP input must be a JSON object")),
    ],
)
def test_errors_are_qemus(qmp, request_text, wanted):
    assert error(qmp.exchange(request_text + "\n")) == wanted
    # Nothing came of it, and the session goes on.
    assert [dev["id"] for dev in qmp.run("query-memdev")] in (["pc.ram", "mem1"], ["mem1", "pc.ram"])


def test_the_next_step_follows_the_text_of_an_error(qmp):
    reply = qmp.exchange({"execute": "object-del", "arguments": {"id": "mem1"}})
    assert reply["error"]["desc"] == (
        "object 'mem1' is in use, can not be deleted (hint: device_del its device first, and wait for DEVICE_DELETED)"
    )


def test_the_recorded_session(tmp_path):
    """What QEMU answered, member by member; only addresses, versions and paths are this machine's own."""
    with (
        Guest("-S", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", wait=False, cwd=tmp_path) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        session = [
            (
                {
                    "execute": "object-add",
                    "arguments": {
                        "qom-type": "memory-backend-file",
                        "id": "m1",
                        "share": True,
                        "mem-path": "p.img",
                        "size": 67108864,
                    },
                },
                {},
            ),
            (
                {
                    "execute": "device_add",
                    "arguments": {"driver": "virtio-pmem-pci", "id": "nv1", "memdev": "m1", "bus": "pcie.0"},
                },
                {},
            ),
            (
                {"execute": "query-memory-devices"},
                [
                    {
                        "type": "virtio-pmem",
                        "data": {"memdev": "/objects/m1", "memaddr": 4294967296, "size": 67108864, "id": "nv1"},
                    }
                ],
            ),
            ({"execute": "query-memory-size-summary"}, {"base-memory": 268435456, "plugged-memory": 67108864}),
        ]
        for request, answer in session:
            assert qmp.exchange(request) == {"return": answer}
        memdevs = {dev["id"]: dev for dev in qmp.run("query-memdev")}
        assert memdevs["m1"] == {
            "share": True,
            "reserve": True,
            "prealloc": False,
            "host-nodes": [],
            "size": 67108864,
            "merge": True,
            "dump": True,
            "policy": "default",
            "id": "m1",
        }
        assert memdevs["pc.ram"]["size"] == 268435456
        assert guest.process.poll() is None


def test_devices_without_an_id_and_the_order_of_the_list(tmp_path):
    with (
        Guest("-S", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", wait=False, cwd=tmp_path) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        for number, address in (1, 0x180000000), (2, 0x140000000):
            qmp.run(
                "object-add",
                {
                    "qom-type": "memory-backend-file",
                    "id": f"m{number}",
                    "mem-path": f"{number}.img",
                    "share": True,
                    "size": 2 * MIB,
                },
            )
            # Numbers and text alike, as in QEMU.
            qmp.run(
                "device_add",
                driver="virtio-pmem-pci",
                memdev=f"m{number}",
                memaddr=address if number == 1 else str(address),
            )
        devices = qmp.run("query-memory-devices")
        assert [(dev["data"]["memaddr"], dev["data"]["memdev"]) for dev in devices] == [
            (0x140000000, "/objects/m2"),
            (0x180000000, "/objects/m1"),
        ]
        assert all("id" not in dev["data"] for dev in devices)
        anonymous = [
            entry["name"]
            for entry in qmp.run("qom-list", path="/machine/peripheral-anon")
            if entry["type"].startswith("child<")
        ]
        assert anonymous == ["device[0]", "device[1]"]
        assert guest.process.poll() is None


def test_every_command_is_in_the_schema_and_every_reference_resolves(qmp):
    commands = {entry["name"] for entry in qmp.run("query-commands")}
    schema = {
        (entry["meta-type"] in ("command", "event"), entry["name"]): entry for entry in qmp.run("query-qmp-schema")
    }
    assert {name for is_call, name in schema if is_call and schema[is_call, name]["meta-type"] == "command"} == commands
    assert {"object-add", "device_add", "query-pmem", "human-monitor-command", "query-qmp-schema"} <= commands
    for entry in schema.values():
        for key in "arg-type", "ret-type", "element-type":
            if key in entry:
                assert (False, entry[key]) in schema, entry
        for member in entry.get("members", []) + entry.get("variants", []):
            if "type" in member:
                assert (False, member["type"]) in schema, (entry["name"], member)
    events = {entry["name"] for entry in qmp.run("query-events")}
    assert events == {
        "STOP",
        "RESUME",
        "RESET",
        "SHUTDOWN",
        "POWERDOWN",
        "DEVICE_DELETED",
        "DEVICE_UNPLUG_GUEST_ERROR",
        "PMEM_ERROR",
        "PMEM_NOSPACE",
        "PMEM_STORE_REFUSED",
        "BALLOON_CHANGE",
        "NETDEV_STREAM_CONNECTED",
        "NETDEV_STREAM_DISCONNECTED",
        "NETDEV_VHOST_USER_CONNECTED",
        "NETDEV_VHOST_USER_DISCONNECTED",
        "NIC_RX_FILTER_CHANGED",
        "VHOST_USER_CHANGE",
        "VSERPORT_CHANGE",
    }


def test_queries(vm, qmp):
    assert qmp.run("query-status") == {"status": "prelaunch", "running": False}
    assert qmp.run("query-kvm") == {"enabled": True, "present": True}
    assert qmp.run("query-uuid") == {"UUID": "12345678-9abc-4def-8123-456789abcdef"}
    (cpu,) = qmp.run("query-cpus-fast")
    assert cpu["cpu-index"] == 0 and pathlib.Path(f"/proc/{vm.process.pid}/task/{cpu['thread-id']}").exists()
    (bus,) = qmp.run("query-pci")
    device = [dev for dev in bus["devices"] if dev["qdev_id"] == "nv1"][0]
    assert (device["id"]["vendor"], device["id"]["device"], device["class_info"]["class"]) == (0x1AF4, 0x105B, 0xFF)
    assert qmp.run("qom-get", path="/machine/peripheral/nv1", property="memdev") == "/objects/mem1"
    assert (
        qmp.run("qom-get", path="/machine/peripheral/nv1", property="memaddr")
        == qmp.run("query-memory-devices")[0]["data"]["memaddr"]
    )
    assert qmp.run("qom-get", path="/objects/mem1", property="mem-path") == str(vm.directory / "a.img")
    names = {entry["name"] for entry in qmp.run("device-list-properties", typename="virtio-pmem-pci")}
    assert {"memdev", "memaddr", "addr"} <= names
    text = qmp.run("human-monitor-command", {"command-line": "info status"})
    assert text == "VM status: paused (prelaunch)\r\n"
    assert qmp.run("human-monitor-command", {"command-line": "device_del nv9"}) == "Error: Device 'nv9' not found\r\n"


def test_pretty(vm):
    client = connect(vm.directory / "pretty")
    client.sendall(b'{"execute": "qmp_capabilities"}')
    text = b""
    while text.count(b"\n}") < 2:
        text += client.recv(65536)
    client.close()
    assert text.replace(b"\r", b"").startswith(b'{\n    "QMP": {\n        "version": {\n            "qemu": {\n')


def test_a_sender_that_closes_at_once(vm):
    """Capabilities and a command in one write, then close: it is carried out."""
    for number in range(20):
        path = str(vm.directory / f"once{number}")
        arguments = {
            "qom-type": "memory-backend-file",
            "id": f"once{number}",
            "mem-path": path,
            "size": 2 * MIB,
            "share": True,
        }
        request = {"execute": "object-add", "arguments": arguments}
        with connect(vm.directory / "qmp") as client:
            client.sendall(json.dumps({"execute": "qmp_capabilities"}).encode() + json.dumps(request).encode())
    with Qmp(vm.directory / "qmp") as qmp:
        end = time.monotonic() + ANSWER_MAX
        names = set()
        while len(names) < 20:
            assert time.monotonic() < end, names
            names = {memdev["id"] for memdev in qmp.run("query-memdev") if memdev["id"].startswith("once")}
        for number in range(20):
            qmp.run("object-del", id=f"once{number}")


def test_a_half_closed_client_gets_all_answers(vm):
    client = connect(vm.directory / "qmp")
    client.sendall(b'{"execute": "qmp_capabilities"}' + b'{"execute": "query-qmp-schema"}' * 20)
    client.shutdown(socket.SHUT_WR)
    text = b""
    while data := client.recv(4096):
        text += data
    client.close()
    replies = [json.loads(line) for line in text.splitlines()]
    assert len(replies) == 22 and all(len(reply["return"]) > 100 for reply in replies[2:])


# ---- clients that misbehave


def test_garbage_gets_an_error_and_the_session_goes_on(qmp):
    for garbage in (
        b"{\n",
        b"}\n",
        b"nonsense\n",
        b'{"execute": "stop"\n}}}\n',
        b'{"a": \xff\xfe}\n',
        b"\x00\x01\x02\n",
        b'{"execute": "\xc3\x28"}\n',
        b'{"x": 1e999999}\n',
        b"'" * 100 + b"\n",
    ):
        qmp.socket.sendall(garbage)
    qmp.socket.sendall(b'\n{"execute": "query-name", "id": "after"}\n')
    for _ in range(1000):
        message = qmp.receive()
        if message.get("id") == "after":
            break
        # Between the garbage there was one whole request: stop.
        assert "error" in message or message == {"return": {}}
    assert message["return"] == {"name": "test-vm"}


def survivors(vm):
    """Another client is served, and the memory stays small."""
    with Qmp(vm.path) as other:
        assert other.run("query-name") == {"name": "test-vm"}
    status = pathlib.Path(f"/proc/{vm.process.pid}/status").read_text()
    assert int(re.search(r"RssAnon:\s+(\d+)", status)[1]) < 64 * 1024 + 256 * 1024


def at_end(client):
    """The monitor has hung up."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def drain_until_error_or_end(client, bound=60):
    client.settimeout(bound)
    received = b""
    try:
        while b'"error"' not in received and (data := client.recv(65536)):
            received += data
    except (ConnectionError, TimeoutError):
        pass
    return received


@pytest.mark.parametrize(
    "flood",
    [b"[" * (10 << 20), b'{"execute": "' + b"x" * (10 << 20), b'{"a":' * (2 << 20), b"1" * (10 << 20)],
    ids=["nesting", "string", "objects", "number"],
)
def test_ten_mebibytes_without_an_end(vm, flood):
    with Qmp(vm.path) as qmp:
        qmp.socket.settimeout(200)
        try:
            qmp.socket.sendall(flood)
        except ConnectionError:
            pass
        else:
            qmp.socket.sendall(b"\n")
            # An error, or the end of the connection.
            assert b'"error"' in drain_until_error_or_end(qmp.socket) or at_end(qmp.socket)
        survivors(vm)


def test_a_client_that_asks_and_never_reads(vm):
    with Qmp(vm.path) as greedy:
        greedy.socket.setblocking(False)
        request, sent = b'{"execute": "query-qmp-schema"}\n' * 100, 0
        try:
            while sent < 20 << 20:
                sent += greedy.socket.send(request)
        except BlockingIOError:
            pass
        assert sent < 20 << 20, "the monitor takes requests without end"
        survivors(vm)


def test_half_a_value_and_a_stall(vm):
    stalled = connect(vm.path)
    stalled.sendall(b'{"execute": "qmp_capab')
    survivors(vm)
    stalled.close()
    survivors(vm)


def test_many_clients_at_once(vm):
    sessions = [Qmp(vm.path) for _ in range(10)]
    for number, session in enumerate(sessions):
        assert session.exchange({"execute": "query-name", "id": number})["id"] == number
    for session in sessions:
        session.close()
    # Clients that are one too many are refused, and there is room again when others have left.
    crowd = [connect(vm.path) for _ in range(40)]
    turned_away = sum(at_end(client) for client in crowd)
    assert turned_away == 40 - 16
    for client in crowd:
        client.close()
    survivors(vm)


def test_a_client_that_hangs_up_before_its_answer(vm):
    for _ in range(50):
        client = connect(vm.path)
        client.sendall(b'{"execute": "qmp_capabilities"}{"execute": "query-qmp-schema"}')
        client.close()
    survivors(vm)


# ---- the life of the machine


def qmp_option(directory):
    return ["-qmp", f"unix:{directory}/qmp,server=on,wait=off"]


def prints_no_more(vm):
    """Waits until nothing has come for a second; what was on its way may be late. Returns where the console is."""
    length, since = len(vm.output), time.monotonic()

    def is_quiet():
        nonlocal length, since
        if len(vm.output) != length:
            length, since = len(vm.output), time.monotonic()
        return time.monotonic() > since + 1

    wait_until(is_quiet, "the guest runs while it is stopped", 200)
    return length


def test_stop_cont_reset_quit_and_their_events(tmp_path):
    with (
        Vm(["-nographic", *echo.options(), *qmp_option(tmp_path)]) as vm,
        Qmp(tmp_path / "qmp") as qmp,
        Qmp(tmp_path / "qmp") as other,
    ):
        vm.wait_for(echo.READY)
        vm.send("print 10000000\n")
        vm.wait_for("^10$")
        qmp.run("stop")
        assert qmp.wait_event("STOP") and other.wait_event("STOP")
        length = prints_no_more(vm)
        qmp.run("stop")
        qmp.run("cont")
        qmp.wait_event("RESUME")
        vm.wait_for(r"\d+", start=length)
        start = len(vm.output)
        qmp.run("system_reset")
        assert qmp.wait_event("RESET")["data"] == {"guest": False, "reason": "host-qmp-system-reset"}
        vm.wait_for(echo.READY, start=start)
        assert other.wait_event("RESET")
        start = len(vm.output)
        vm.send("reset\n")
        assert qmp.wait_event("RESET")["data"] == {"guest": True, "reason": "guest-reset"}
        vm.wait_for(echo.READY, start=start)
        assert qmp.run("quit") == {}
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-quit"}
        assert vm.end() == 0


def test_no_shutdown(tmp_path):
    with (
        Vm(["-nographic", "-no-shutdown", *echo.options(), *qmp_option(tmp_path)]) as vm,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        vm.send("end\n")
        assert qmp.wait_event("SHUTDOWN")["data"]["reason"] == "guest-shutdown"
        qmp.wait_event("STOP")
        assert qmp.run("query-status") == {"status": "shutdown", "running": False}
        with pytest.raises(Refused, match="^Resetting the Virtual Machine is required "):
            qmp.run("cont")
        start = len(vm.output)
        qmp.run("system_reset")
        qmp.wait_event("RESET")
        qmp.run("cont")
        vm.wait_for(echo.READY, start=start)
        qmp.run("quit")
        assert vm.end() == 0


def test_no_reboot_reports_the_reason(tmp_path):
    with Vm(["-nographic", "-no-reboot", *echo.options(), *qmp_option(tmp_path)]) as vm, Qmp(tmp_path / "qmp") as qmp:
        vm.send("reset\n")
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-reset"}
        assert vm.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_program_in_order(tmp_path, number):
    with (
        Guest(
            *pmem(tmp_path / "a.img", size="16M"),
            "-qmp",
            f"unix:{tmp_path}/qmp,server=on,wait=off",
            "-pidfile",
            tmp_path / "pid",
            serial=("-serial", f"file:{tmp_path}/console", "-display", "none"),
            wait=False,
        ) as guest,
        Qmp(tmp_path / "qmp") as qmp,
    ):
        # Also of a machine that is stopped.
        qmp.run("stop")
        guest.signal(number)
        assert qmp.wait_event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-signal"}
        assert guest.end() == 0
        assert not (tmp_path / "qmp").exists() and not (tmp_path / "pid").exists()


def test_daemonize(tmp_path):
    """The parent returns when the machine is ready; relative paths keep their meaning."""
    options = [
        *linux_options(),
        "-daemonize",
        "-display",
        "none",
        "-serial",
        "file:console",
        "-pidfile",
        "pid",
        "-qmp",
        "unix:qmp,server=on,wait=off",
    ]
    before = os.umask(0)
    try:
        status, output, errors = run_pmvm(*options, *pmem("a.img", size="16M"), cwd=tmp_path)
    finally:
        os.umask(before)
    assert (status, output, errors) == (0, "", "")
    # Other users cannot access any of it, whatever the umask was; the monitor and the pidfile are for the owner alone.
    modes = {name: stat.S_IMODE((tmp_path / name).lstat().st_mode) for name in ("pid", "qmp", "console", "a.img")}
    assert modes["pid"] == 0o600 and modes["qmp"] == 0o700 and not any(mode & 0o027 for mode in modes.values()), modes
    pid = int((tmp_path / "pid").read_text())
    try:
        assert os.getsid(pid) != os.getsid(0) and os.readlink(f"/proc/{pid}/fd/2") == "/dev/null"
        with Qmp(tmp_path / "qmp") as qmp:
            qmp.run(
                "object-add",
                {"qom-type": "memory-backend-file", "id": "m2", "mem-path": "b.img", "share": True, "size": 2 * MIB},
            )
            assert (tmp_path / "b.img").exists()
            qmp.run("quit")
        end = time.monotonic() + END_MAX
        while pathlib.Path(f"/proc/{pid}").exists():
            assert time.monotonic() < end, "quit did not end the daemon"
            time.sleep(0.1)
        assert not (tmp_path / "pid").exists() and not (tmp_path / "qmp").exists()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_daemonize_reports_an_error_in_the_foreground(tmp_path):
    status, _, errors = run_pmvm(
        *linux_options(), "-daemonize", "-display", "none", *pmem("no-such/a.img", size="16M"), cwd=tmp_path
    )
    assert status == 1 and "no-such/a.img" in errors
    status, _, errors = run_pmvm(*linux_options(), "-daemonize", "-nographic", cwd=tmp_path)
    assert status == 1 and "-nographic cannot be used with -daemonize" in errors


def test_stdio(tmp_path):
    with Vm([*linux_options(), "-S", "-display", "none", "-qmp", "stdio"]) as vm:
        vm.wait_for(rb'"QMP"'.decode())
        vm.send('{"execute": "qmp_capabilities"}\n{"execute": "query-status"}\n')
        vm.wait_for("prelaunch")
        vm.send('{"execute": "quit"}\n')
        assert vm.end() == 0
        assert json.loads(vm.text.strip().splitlines()[-1])["event"] == "SHUTDOWN"


def test_a_start_that_fails_leaves_no_socket(tmp_path):
    status, _, errors = run_pmvm(
        *linux_options(),
        "-qmp",
        "unix:qmp,server=on,wait=off",
        "-monitor",
        "unix:no-such/socket,server=on,wait=off",
        *pmem("a.img", size="16M"),
        cwd=tmp_path,
    )
    assert status == 1 and "no-such/socket" in errors
    assert list(tmp_path.iterdir()) == []


def test_query_pmem_shows_a_failure_and_a_sync_that_hangs(tmp_path):
    inject = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1:delay_enter=5000000")
    prefix = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", *inject]
    program = ["-kernel", CHECKOUT / "build/tests/guest/syscalls.elf", "-append", "single=1"]
    program += ["-sandbox", "off"]  # strace has its own way to make a call fail: one that does not exist
    # -S: the sync begins when somebody looks.
    options = ["-S", "-nographic", "-no-shutdown", *program, *pmem(tmp_path / "a.img", size="16M")]
    with Vm([*options, *qmp_option(tmp_path)], prefix=prefix) as vm, Qmp(tmp_path / "qmp") as qmp:
        qmp.run("cont")
        ages, end = [], time.monotonic() + 200
        while len(ages) < 2 and time.monotonic() < end:
            (dev,) = qmp.run("query-pmem")
            ages += [dev["syncs"]["in-flight-ns"]] if "in-flight-ns" in dev["syncs"] else []
            time.sleep(0.1)
        assert len(ages) == 2 and ages[0] < ages[1]
        vm.wait_for("^not ok 1 - flushes one at a time")
        qmp.wait_event("SHUTDOWN")
        (dev,) = qmp.run("query-pmem")
        assert dev["state"] == "failed" and dev["error"]["errno"] == 5 and abs(dev["error"]["time"] - time.time()) < 600
        assert dev["flushes"]["failed"] >= 1 and dev["syncs"]["errors"] == 1
        assert "in-flight-ns" not in dev["syncs"]
        qmp.run("quit")
        assert vm.end() == 1


# ---- a running Linux, one for all of these tests; the last one ends it

# The parent process may have blocked the signal that makes vCPUs leave the guest.
BLOCKED = (
    "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); os.execv(sys.argv[1],"
    " sys.argv[1:])"
)


@pytest.fixture(scope="module")
def linux(tmp_path_factory):
    directory = tmp_path_factory.mktemp("linux")
    pairs = pmem(directory / "a.img", size="16M") + pmem(directory / "b.img", 2, size="16M", share="off")
    with Guest(*pairs, *qmp_option(directory), cpus=2, prefix=["python3", "-c", BLOCKED]) as guest:
        guest.directory = directory
        yield guest


@pytest.fixture
def linux_qmp(linux):
    with Qmp(linux.directory / "qmp") as session:
        yield session


def test_a_guest_knows_the_time_without_a_network(linux):
    """It gets the host's from kvmclock, at boot. It may have been stopped since, for some seconds."""
    assert abs(int(linux.run("date +%s")) - time.time()) < 60


def test_a_signal_that_was_blocked_does_not_keep_the_guest(linux, linux_qmp):
    linux_qmp.run("stop")
    assert linux_qmp.run("query-status")["status"] == "paused"
    linux_qmp.run("cont")
    assert linux.run("echo runs") == "runs"


def test_the_guests_clock_stops_while_it_is_stopped(linux, linux_qmp):
    assert linux.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource") == "kvm-clock"
    began = time.monotonic()
    before = float(linux.run("cat /proc/uptime").split()[0])
    linux_qmp.run("stop")
    stopped = time.monotonic()
    time.sleep(5)
    stopped = time.monotonic() - stopped
    linux_qmp.run("cont")
    guest_time = float(linux.run("cat /proc/uptime").split()[0]) - before
    # No more than what was not stopped; the clocks may differ a little.
    assert guest_time < time.monotonic() - began - stopped + 1


def test_printing_over_stop_and_cont_loses_nothing(linux, linux_qmp):
    start = len(linux.output)
    linux.send("dmesg -n 1; seq 1 1000; echo the-end\n")
    end = time.monotonic() + COMMAND_MAX
    while b"the-end" not in linux.output[start:]:
        assert time.monotonic() < end
        linux_qmp.run("stop")
        linux_qmp.run("cont")
        time.sleep(0.05)
    match = linux.wait_for(r"^the-end", start=start)
    numbers = bytes(linux.output[start : match.start()]).replace(b"\r", b"").split()
    assert [int(n) for n in numbers if n.isdigit()] == list(range(1, 1001))


def test_query_pmem(linux, linux_qmp):
    path = str(linux.directory / "a.img")
    before = {dev["id"]: dev for dev in linux_qmp.run("query-pmem")}["nv1"]
    assert before["size"] == 16 * MIB and before["mem-path"] == path
    assert before["state"] == "ok" and "error" not in before
    linux.run("dd if=/dev/zero of=/dev/pmem0 bs=1M count=4 conv=fsync")
    linux.run("for i in 1 2 3 4; do dd if=/dev/zero of=/dev/pmem0 bs=4096 count=1 conv=fsync || exit; done")
    dev = {dev["id"]: dev for dev in linux_qmp.run("query-pmem")}["nv1"]
    assert dev["flushes"]["requested"] == dev["flushes"]["completed"] >= before["flushes"]["completed"] + 5
    assert dev["syncs"]["count"] >= before["syncs"]["count"] + 5
    assert sum(bucket["count"] for bucket in dev["syncs"]["histogram"]) == dev["syncs"]["count"]
    assert dev["syncs"]["max-ns"] <= dev["syncs"]["total-ns"]
    assert 4 * MIB <= dev["resident"] <= 16 * MIB and 4 * MIB <= dev["allocated"] <= 17 * MIB
    text = linux_qmp.run("human-monitor-command", {"command-line": "info pmem"})
    assert "nv1" in text and path in text and "ok" in text


def test_system_powerdown(linux, linux_qmp):
    """The guest receives the power button and powers off, in order."""
    linux.heed_power_button("echo in-order >/dev/console; sync; poweroff -f")
    linux_qmp.run("system_powerdown")
    linux_qmp.wait_event("POWERDOWN")
    assert linux_qmp.wait_event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}
    assert linux.end() == 0
    assert "in-order" in linux.text
