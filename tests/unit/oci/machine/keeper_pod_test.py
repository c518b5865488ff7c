#!/usr/bin/python3
"""Further containers of a pod: their processes on the host, their devices, their end.

SPDX-License-Identifier: Apache-2.0

Usage: keeper_pod_test.py KEEPER_RIG. The test is the agent of the guest, and the engine. Prints TAP.
"""
import os
import signal
import socket

from keeper_world import main, read_all, receive, send, wait_for, world

ADDRESS = "0000:00:0d.0"  # of the first device that is plugged


def created(host, agent, name="m", number=1, **kwargs):
    """The process of a container that is created, and its streams in the guest."""
    process, ready = host.member(name, **kwargs)
    request = agent.request("create")
    assert (request["container"], request["pod_pid"]) == (number, 5), request
    streams = agent.streams(f"init-{number}")
    send(agent.control, {"id": request["id"], "ok": {"pid": 9}})
    assert receive(ready) == {"ok": {}}
    return process, streams, request


def running(host, agent, name="m", number=1, **kwargs):
    process, streams, request = created(host, agent, name, number, **kwargs)
    client = host.ask({"do": "start", "container": name})
    assert agent.serve("start")["container"] == number
    assert receive(client) == {"ok": {}}
    return process, streams, request


def device_commands(host):
    return [(command, arguments["id"]) for command, arguments in host.arguments() if arguments and "id" in arguments]


def test_life():
    with world(pod=True) as host:
        agent, _ = host.running()
        process, (stdin, stdout, stderr), request = running(host, agent)
        assert request["pci"] == ADDRESS
        assert (host.state / "slot0").exists()
        commands = dict(host.arguments()[-2:])
        assert commands["object-add"]["mem-path"] == "/slot0" and commands["object-add"]["readonly"] is True
        assert (commands["device_add"]["bus"], commands["device_add"]["addr"]) == ("pcie.0", "0xd")
        process.stdin.write(b"in")
        process.stdin.close()
        assert read_all(stdin) == b"in"
        stdout.sendall(b"out")
        for stream in stdout, stderr:
            stream.close()
        agent.exit(7, "init-1")
        assert agent.serve("remove")["container"] == 1
        assert process.stdout.read() == b"out" and host.end(process) == 7
        assert device_commands(host)[-2:] == [("device_del", "slot0"), ("object-del", "image0")]
        assert not (host.state / "slot0").exists()
        assert (host.dir / "m/status").read_text(encoding="utf-8").split() == ["created", "stopped"]
        # The place is free again, the number is not.
        assert running(host, agent, number=2)[2]["pci"] == ADDRESS
        assert host.keeper.poll() is None


def test_verbs_go_to_the_container_that_they_name():
    with world(pod=True) as host:
        agent, _ = host.running()
        process, _, _ = running(host, agent)
        expected = {"kill": "signal", "ps": "ps", "update": "update", "stats": "stats"}
        for verb, request in expected.items():
            client = host.ask({"do": verb, "container": "m", "signal": 15})
            got = agent.serve(request, result={"is": verb})
            assert got["container"] == 1 and (verb != "kill" or (got["process"], got["signal"]) == ("init", 15)), got
            assert receive(client)["ok"]["is"] == verb
            client = host.ask({"do": verb, "signal": 15})
            assert "container" not in agent.serve(request)
            receive(client)
        host.environment = {"KEEPER_RIG_CONTAINER": "m"}
        host.session({"args": ["x"]})
        assert agent.request("exec")["container"] == 1
        assert host.call({"do": "start", "container": "m"})["error"] == "cannot start a container that is running"
        assert host.call({"do": "start", "container": "x"})["error"] == "container not running"
        # Only its own process may say what it has.
        assert "does not know" in host.call({"do": "create", "container": "m", "create": {}})["error"]
        process.send_signal(signal.SIGTERM)
        got = agent.serve("signal")
        assert (got["container"], got["signal"]) == (1, 15)


def test_pid_namespace_of_another_container():
    with world(pod=True) as host:
        agent, _ = host.running()
        running(host, agent)
        for name, pid in {"m": 9, "c1": 5, None: 5}.items():
            request = {"do": "join", "container": f"of-{name}", "images": 1} | ({"pidns": name} if name else {})
            joined = host.call(request)["ok"]
            assert (joined["pid"], joined["pidns"]) == (5, pid), joined
            agent.serve("remove")
        request = {"do": "join", "container": "n", "images": 1, "pidns": "x"}
        assert "whose pid namespace it joins does not run" in host.call(request)["error"]
        # One that has ended has none, although it is still there.
        agent.exit(0, "init-1")
        agent.request("remove")
        assert "does not run" in host.call(request | {"pidns": "m"})["error"]


def test_images_of_a_container():
    """They are what its process says, and refused by the name of the file."""
    with world(pod=True) as host:
        host.running()
        client = host.ask({"do": "join", "container": "n", "images": 1})
        assert receive(client)["ok"]["addresses"] == [ADDRESS, "0000:00:0e.0"]
        send(client, {"do": "plug", "container": "n", "share": False, "images": []})
        with open("/dev/null", "rb") as image:
            socket.send_fds(client, [b"x"], [image.fileno()])
            assert "plug: images" in receive(client)["error"]
            images = [{"file": "/f", "readonly": False}]
            send(client, {"do": "plug", "container": "n", "share": False, "images": images})
            socket.send_fds(client, [b"x"], [image.fileno()])
        assert receive(client) == {"ok": {}}
        assert host.arguments()[-1][0] == "object-add" and host.arguments()[-1][1]["readonly"] is False
    with world(pod=True) as host:
        host.running()
        (host.state / "slot0").touch()
        _, ready = host.member("m")
        assert receive(ready)["error"].startswith("/cache/layer.erofs: ")


def test_killed_process_takes_its_container_with_it():
    with world(pod=True) as host:
        agent, _ = host.running()
        process, _, _ = running(host, agent)
        process.kill()
        assert agent.serve("remove")["container"] == 1
        wait_for("the device to go", lambda: ("object-del", "image0") in device_commands(host))
        assert host.keeper.poll() is None


def test_pause():
    with world(pod=True) as host:
        agent, _ = host.running()
        running(host, agent)
        assert "is not paused" in host.call({"do": "resume", "container": "m"})["error"]
        client = host.ask({"do": "pause", "container": "m"})
        assert agent.serve("pause")["container"] == 1 and receive(client) == {"ok": {}}
        assert "not running" in host.call({"do": "pause", "container": "m"})["error"]
        assert "paused: resume it" in host.call({"do": "exec", "container": "m", "process": {}})["error"]
        # The sandbox and the machine run.
        host.session({"args": ["x"]})
        agent.serve("exec")
        assert "stop" not in (host.dir / "commands").read_text(encoding="utf-8").split()
        client = host.ask({"do": "resume", "container": "m"})
        assert agent.serve("resume")["container"] == 1 and receive(client) == {"ok": {}}


def test_pause_fails():
    with world(pod=True) as host:
        agent, _ = host.running()
        created(host, agent)
        assert "not running" in host.call({"do": "pause", "container": "m"})["error"]
        running(host, agent, "n", 2)
        client = host.ask({"do": "pause", "container": "n"})
        agent.serve("pause", error="no freezer")
        assert receive(client) == {"error": "no freezer"}
        assert "is not paused" in host.call({"do": "resume", "container": "n"})["error"]


def virtiofsd(host, name="m"):
    return (host.dir / name / "share.socket").read_text(encoding="utf-8")


def kill_virtiofsd(host):
    """Another one takes its place."""
    former = virtiofsd(host)
    os.kill(int(former), signal.SIGKILL)
    wait_for("another virtiofsd", lambda: virtiofsd(host) not in ("", former))


def test_virtiofsd_is_killed():
    """Its container ends, whatever the program ends with. The others stay."""
    with world(pod=True) as host:
        agent, _ = host.running()
        process, streams, _ = running(host, agent, share=True)
        other = running(host, agent, "n", 2, share=True)[0]
        kill_virtiofsd(host)
        request = agent.request("remove")
        assert request["container"] == 1
        os.kill(host.pid(), signal.SIGHUP)  # pmvm says the same later
        for stream in streams:
            stream.close()
        agent.exit(3, "init-1")
        send(agent.control, {"id": request["id"], "ok": {}})
        assert host.end(process) == 128 + 9
        assert b"the volumes are gone" in process.stderr.read()
        assert {("object-del", "image0"), ("device_del", "slot1")} <= set(device_commands(host))
        assert other.poll() is None and host.keeper.poll() is None
        # Nothing more was asked of the guest.
        assert running(host, agent, "o", 3)[2]["pci"] == ADDRESS
        os.kill(int(virtiofsd(host)), signal.SIGKILL)


def test_virtiofsd_ends_as_pmvm_says():
    """Also where the program is removed before its end is known."""
    with world(pod=True) as host:
        agent, _ = host.running()
        process, streams, _ = running(host, agent, share=True)
        os.kill(host.pid(), signal.SIGHUP)
        agent.serve("remove")
        for stream in streams:
            stream.close()
        assert host.end(process) == 128 + 9
        assert host.keeper.poll() is None
        os.kill(int(virtiofsd(host)), signal.SIGKILL)


def test_virtiofsd_is_killed_while_its_container_is_created():
    with world(pod=True) as host:
        agent, _ = host.running()
        process, ready = host.member("m", share=True)
        agent.request("create")
        kill_virtiofsd(host)
        assert "the volumes are gone" in receive(ready)["error"]
        assert host.end(process) == 255 and agent.serve("remove")["container"] == 1
        wait_for("the image to go", lambda: ("object-del", "image0") in device_commands(host))
        assert host.keeper.poll() is None
        os.kill(int(virtiofsd(host)), signal.SIGKILL)


def test_container_without_virtiofsd_that_cannot_be_removed_ends_the_pod():
    with world(pod=True) as host:
        agent, _ = host.running()
        process = running(host, agent, share=True)[0]
        kill_virtiofsd(host)
        agent.serve("remove", error="no")
        assert host.end() == 255 and host.end(process) == 128 + 9
        os.kill(int(virtiofsd(host)), signal.SIGKILL)


def test_machine_ends():
    with world(pod=True) as host:
        agent, _ = host.running()
        process, _, _ = running(host, agent)
        host.kill_pmvm()
        assert host.end(process) == 128 + 9 and host.end() == 128 + 9


def test_sandbox_ends():
    """What its containers wrote is unmounted before the guest powers off."""
    with world(pod=True) as host:
        agent, streams = host.running()
        process, _, _ = running(host, agent)
        for stream in streams:
            stream.close()
        agent.exit(0)
        assert agent.serve("remove")["container"] == 1
        host.shut_down(agent)
        assert host.end() == 0 and host.end(process) == 128 + 9


def test_create_fails():
    with world(pod=True) as host:
        agent, _ = host.running()
        process, ready = host.member("m")
        agent.serve("create", error="executable file `x` not found in $PATH")
        assert receive(ready) == {"error": "executable file `x` not found in $PATH"}
        assert host.end(process) == 255
        assert agent.serve("remove")["container"] == 1
        wait_for("the device to go", lambda: ("object-del", "image0") in device_commands(host))


def test_no_device():
    with world(pod=True, mode="full") as host:
        agent, _ = host.running()
        process, ready = host.member("m")
        assert receive(ready) == {"error": "pmvm: device_add: not now"}
        assert host.end(process) == 255
        agent.serve("remove")
        wait_for("the image to go", lambda: ("object-del", "image0") in device_commands(host))


def test_device_that_the_guest_keeps():
    with world(pod=True, mode="keep") as host:
        agent, _ = host.running()
        process, streams, _ = running(host, agent)
        for stream in streams:
            stream.close()
        agent.exit(3, "init-1")
        agent.serve("remove")
        assert host.end(process) == 3
        assert ("object-del", "image0") not in device_commands(host)
        # Its place stays taken,
        assert running(host, agent, number=2)[2]["pci"] == "0000:00:0e.0"
        os.kill(host.pid(), signal.SIGUSR2)
        wait_for("the guest to let it go", (host.dir / "let-go").exists)
        # until the guest has let it go. The keeper has read that when it next asks pmvm.
        places = [running(host, agent, name, number)[2]["pci"] for name, number in (("n", 3), ("o", 4))]
        assert ADDRESS in places, places
        assert ("object-del", "image0") in device_commands(host)


def test_refusals():
    with world() as host:
        host.running()
        process, ready = host.member("m")
        assert receive(ready) == {"error": "it is no sandbox of a pod: not supported"}
        assert host.end(process) == 255
    with world(pod=True) as host:
        agent, _ = host.running()
        running(host, agent)
        assert "of this id is there" in host.call({"do": "join", "container": "m", "images": 1})["error"]
        for images in 60, 61, -1:
            assert "image" in host.call({"do": "join", "container": "n", "images": images})["error"]


main({name[5:]: test for name, test in list(globals().items()) if name.startswith("test_")})
