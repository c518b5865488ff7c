#!/usr/bin/python3
"""Processes of exec: sessions, their streams, their exit status.

SPDX-License-Identifier: Apache-2.0

Usage: keeper_exec_test.py KEEPER_RIG. The test is the agent of the guest, and the engine. Prints TAP.
"""
import fcntl
import os
import signal
import struct
import termios
import threading

from keeper_world import main, read_all, read_exactly, receive, send, wait_for, world

PROCESS = {"args": ["sh"], "cwd": "/"}


def begin(host, agent, process=None, **kwargs):
    """A session whose process runs: the session, its name in the guest, the streams."""
    session, ready = host.session(process or PROCESS, **kwargs)
    request = agent.request("exec")
    assert request["spec"] == (process or PROCESS)
    streams = agent.streams(request["process"])
    send(agent.control, {"id": request["id"], "ok": {"pid": 7}})
    assert receive(ready) == {"ok": {}}
    return session, request["process"], streams


def test_exec():
    with world() as host:
        agent, _ = host.running()
        session, name, (stdin, stdout, stderr) = begin(host, agent)
        session.stdin.write(b"to the process")
        session.stdin.close()
        assert read_all(stdin) == b"to the process"
        stderr.sendall(b"err")
        stderr.close()
        agent.exit(42, name)
        threading.Thread(target=lambda: (stdout.sendall(b"out" * 1_000_000), stdout.close())).start()
        assert session.stdout.read() == b"out" * 1_000_000 and session.stderr.read() == b"err"
        assert host.end(session) == 42
        assert host.keeper.poll() is None


def test_a_control_group():
    with world() as host:
        agent, _ = host.running()
        host.environment = {"KEEPER_RIG_CGROUP": "/group"}
        host.session(PROCESS)
        assert agent.request("exec")["cgroup"] == "/group"
        host.environment = {}
        host.session(PROCESS)
        assert "cgroup" not in agent.request("exec")


def test_error_is_relayed():
    with world() as host:
        agent, _ = host.running()
        session, ready = host.session(PROCESS)
        agent.serve("exec", error="executable file `sh` not found in $PATH")
        assert receive(ready) == {"error": "executable file `sh` not found in $PATH"}
        assert host.end(session) == 255


def test_exit_before_the_answer_and_the_streams():
    with world() as host:
        agent, _ = host.running()
        session, ready = host.session(PROCESS)
        request = agent.request("exec")
        agent.exit(9, request["process"])
        send(agent.control, {"id": request["id"], "ok": {"pid": 7}})
        assert receive(ready) == {"ok": {}}
        _, stdout, stderr = agent.streams(request["process"])
        stdout.sendall(b"short")
        stdout.close()
        stderr.close()
        assert session.stdout.read() == b"short"
        assert host.end(session) == 9


def test_several_at_once():
    with world() as host:
        agent, _ = host.running()
        sessions = [begin(host, agent) for _ in range(5)]
        assert len({name for _, name, _ in sessions}) == 5
        for status, (_, name, streams) in enumerate(reversed(sessions), 1):
            streams[1].sendall(name.encode())
            for stream in streams:
                stream.close()
            agent.exit(status, name)
        for status, (session, name, _) in enumerate(reversed(sessions), 1):
            assert session.stdout.read() == name.encode()
            assert host.end(session) == status


def test_signals_go_to_the_process():
    with world() as host:
        agent, _ = host.running()
        session, name, _ = begin(host, agent)
        session.send_signal(signal.SIGTERM)
        request = agent.serve("signal")
        assert (request["process"], request["signal"]) == (name, signal.SIGTERM)
        agent.exit(143, name)
        assert host.end(session) == 143


def test_session_that_is_killed():
    with world() as host:
        agent, _ = host.running()
        session, name, streams = begin(host, agent)
        session.kill()
        request = agent.serve("signal")
        assert (request["process"], request["signal"]) == (name, signal.SIGKILL)
        assert read_all(streams[0]) == b""
        agent.exit(137, name)
        # The container goes on, and others can be executed in it.
        session, name, _ = begin(host, agent)
        agent.exit(0, name)
        assert host.end(session) == 0


def test_session_that_is_killed_before_the_answer():
    with world() as host:
        agent, _ = host.running()
        session, _ = host.session(PROCESS)
        request = agent.request("exec")
        session.kill()
        killed = agent.serve("signal")
        assert killed["process"] == request["process"]
        send(agent.control, {"id": request["id"], "ok": {"pid": 7}})
        again = agent.serve("signal")
        assert (again["process"], again["signal"]) == (request["process"], signal.SIGKILL)


def test_terminal():
    process = PROCESS | {"terminal": True, "consoleSize": {"height": 33, "width": 44}}
    with world(console=True) as host:
        host.terminal()
        agent = host.agent().hello()
        agent.serve("create")
        agent.stream("terminal")
        host.is_ready()
        session, ready = host.session(process, console=True)
        request = agent.request("exec")
        master = host.terminal()
        stream = agent.stream("terminal", request["process"])
        send(agent.control, {"id": request["id"], "ok": {"pid": 7}})
        assert receive(ready) == {"ok": {}}
        size = fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8))
        assert struct.unpack("HHHH", size)[:2] == (33, 44)
        os.write(master, b"x\n")
        assert read_exactly(stream, 2) == b"x\n"
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 60, 0, 0))
        resize = agent.serve("resize")
        assert (resize["process"], resize["rows"], resize["columns"]) == (request["process"], 50, 60)
        stream.sendall(b"bye")
        stream.close()
        agent.exit(0, request["process"])
        assert os.read(master, 10) == b"bye"
        assert host.end(session) == 0


def test_terminal_without_console_socket():
    with world() as host:
        host.running()
        session, ready = host.start("session", host.state, '{"terminal": true}', "/nowhere/console")
        answer = receive(ready)
        assert "/nowhere/console" in answer["error"] and "No such file" in answer["error"]
        assert host.end(session) == 255


def test_machine_ends():
    with world() as host:
        agent, _ = host.running()
        session, _, _ = begin(host, agent)
        host.kill_pmvm()
        assert host.end(session) == 137
        assert b"the machine has ended" in session.stderr.read()
        assert host.end() == 137


def test_container_ends():
    with world() as host:
        agent, streams = host.running()
        session, name, _ = begin(host, agent)
        for stream in streams:
            stream.close()
        agent.exit(137, name)
        agent.exit(0)
        host.shut_down(agent)
        assert host.end() == 0
        assert host.end(session) == 137


def test_session_without_keeper():
    with world() as host:
        agent, _ = host.running()
        agent.exit(0)
        host.shut_down(agent)
        host.end()
        session, ready = host.session(PROCESS)
        assert "control" in receive(ready)["error"]
        assert host.end(session) == 255


def test_requests_of_a_session_without_a_process():
    with world() as host:
        host.running()
        assert "no process" in host.call({"do": "resize", "rows": 1, "columns": 2})["error"]
        wait_for("the keeper", lambda: host.call({"do": "state"}) == {"ok": {"status": "running"}})


main({name[5:]: test for name, test in list(globals().items()) if name.startswith("test_")})
