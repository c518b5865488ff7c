#!/usr/bin/python3
"""The keeper of a machine where something fails: pmvm ends, the guest is hostile, nobody answers.

SPDX-License-Identifier: Apache-2.0

Usage: keeper_faults_test.py KEEPER_RIG. The test is the agent of the guest, and the engine. Prints TAP.
"""
import contextlib
import functools
import os
import signal
import struct
import threading

from keeper_world import connect, connect_from, is_running, main, read_all, receive, send, wait_for, world


def failed(host, text, hint=None):
    """The keeper has said why the container could not be created, and has ended with pmvm."""
    answer = receive(host.ready)
    assert text in answer["error"] and answer.get("hint") == hint, answer
    assert host.end() == 255
    wait_for("the end of pmvm", lambda: not is_running(host.pid()))


def lost(host, text, status=255):
    assert host.end() == status
    errors = host.errors()
    assert f"container c1: {text}" in errors, errors
    wait_for("the end of pmvm", lambda: not is_running(host.pid()))


def test_pmvm_that_does_not_start():
    with world(mode="exit") as host:
        failed(host, "could not start the machine: pmvm: this is why", hint="do that")


def test_pmvm_ends_before_hello():
    with world() as host:
        host.agent()
        host.kill_pmvm()
        # "could not start the machine", or "the machine has ended": the keeper may be at either.
        failed(host, ": it was killed by signal 9")


def test_pmvm_ends_before_create_is_answered():
    with world() as host:
        host.agent().hello().request("create")
        host.kill_pmvm()
        failed(host, "the machine has ended")


def test_pmvm_ends_when_created():
    with world() as host:
        host.created()
        host.kill_pmvm()
        # As the kernel does it that has no memory left; engines know it by this status.
        lost(host, "the machine has ended", 137)


def test_pmvm_ends_while_a_request_waits():
    with world() as host:
        agent, _ = host.running()
        client = host.ask({"do": "ps"})
        agent.request("ps")
        host.kill_pmvm()
        assert receive(client)["error"] == "the machine has ended"
        lost(host, "the machine has ended", 137)


def test_pmvm_crashes():
    with world() as host:
        host.running()
        os.kill(host.pid(), signal.SIGABRT)
        lost(host, "the machine has ended")


def test_pmvm_ends_while_streams_are_drained():
    with world() as host:
        agent, (_, stdout, _) = host.running()
        agent.exit(4)
        stdout.sendall(b"x")
        assert host.keeper.stdout.read(1) == b"x"
        host.kill_pmvm()
        # The status is known.
        assert host.end() == 4


def drained_while_it_sends(chunk, pause):
    with world() as host:
        agent, (_, stdout, _) = host.running()
        stop = threading.Event()

        def flood():
            with contextlib.suppress(OSError):
                while not stop.wait(pause):
                    stdout.sendall(chunk)

        threads = [threading.Thread(target=flood), threading.Thread(target=host.keeper.stdout.read)]
        for thread in threads:
            thread.start()
        agent.exit(5)
        agent.serve("shutdown")
        host.kill_pmvm()
        assert host.end() == 5
        stop.set()
        for thread in threads:
            thread.join()


def test_guest_that_sends_without_end():
    drained_while_it_sends(b"x" * 65536, 0)


def test_guest_that_sends_a_byte_now_and_then():
    drained_while_it_sends(b"x", 0.05)


def test_guest_that_does_not_power_off():
    with world() as host:
        agent, streams = host.running()
        for stream in streams:
            stream.close()
        agent.exit(6)
        agent.serve("shutdown")
        assert host.end() == 6
        wait_for("the end of pmvm", lambda: not is_running(host.pid()))


def test_keeper_is_killed():
    with world() as host:
        host.running()
        host.keeper.kill()
        host.end()
        wait_for("the end of pmvm", lambda: not is_running(host.pid()))


def test_signal_before_it_is_created():
    with world() as host:
        host.agent()
        host.keeper.send_signal(signal.SIGTERM)
        assert "signal 15" in receive(host.ready)["error"]
        assert host.end() == 143


def test_the_monitor_has_the_time_of_a_creation():
    for mode, text in ("mute", "its monitor does not answer"), ("dumb", "qmp_capabilities: it does not answer"):
        with world(mode=mode) as host:
            failed(host, f"pmvm: {text} within 3 s")


def test_agent_says_nothing():
    with world() as host:
        host.agent()
        failed(host, "not ready after 3 s: its kernel or its agent did not start")


def test_agent_does_not_answer_create():
    with world() as host:
        host.agent().hello().request("create")
        failed(host, "not ready after 3 s: its agent does not answer")


def test_agent_does_not_connect_the_streams():
    with world() as host:
        agent = host.agent().hello()
        agent.serve("create")
        agent.stream("stdout")
        failed(host, "its agent has not connected the container's streams")


def test_other_version():
    with world() as host:
        host.agent().hello(version=1)
        failed(host, "version 1")


def test_second_control_connection():
    with world() as host:
        agent, _ = host.created()
        send(agent.connect(), {"hello": 4} | agent.token)
        lost(host, "the agent in the guest has connected twice")


def test_process_of_the_container_connects():
    """It may even have a port that the agent has given up; what it does not know is the token."""
    with world() as host:
        agent, _ = host.running()
        session, ready = host.session({"args": ["x"]})
        request = agent.request("exec")
        for token in ({}, {"token": ""}, {"token": "0"}, {"token": 5}):
            for message in ({"hello": 4}, {"stream": {"process": request["process"], "which": "stdin"} | token}):
                stranger = agent.connect()
                send(stranger, message | token)
                assert read_all(stranger) == b"", message
        stdin, _, _ = agent.streams(request["process"])
        send(agent.control, {"id": request["id"], "ok": {}})
        assert receive(ready) == {"ok": {}}
        session.stdin.write(b"a secret")
        session.stdin.close()
        assert read_all(stdin) == b"a secret"
        agent.exit(0, request["process"])
        assert host.end(session) == 0
        assert host.call({"do": "state"}) == {"ok": {"status": "running"}}


def test_token_that_is_none():
    for token in ({"token": ""}, {"token": "x" * 65}):
        with world() as host:
            agent = host.agent()
            agent.token = token
            agent.hello()
            failed(host, "a token that is none")


RUBBISH = (
    b"abc",
    b"[]",
    b"{}",
    b"{" * 2000,
    b'{"id": 1}',
    b'{"event": "x"}',
    b'{"event": "exit", "process": "init"}',
    b'{"event": "connect"}',
    b'{"event": "connect", "port": -1}',
    b'{"event": "connect", "port": 4294967296}',
    b'{"event": "exit", "process": 1, "status": 0}',
    b'{"event": "exit", "process": "init", "status": "zero"}',
    b'{"event": "exit", "process": "init", "status": 1000}',
    b'{"event": "exit", "process": "init", "status": -1}',
    b'{"id": 9999, "error": "x"}',
    b'{"id": -1, "error": "x"}',
)
HEADS = (struct.pack("<I", 0xFFFFFFFF), struct.pack("<I", (1 << 20) + 1))


def rubbish(data):
    with world() as host:
        agent, _ = host.created()
        agent.control.sendall(data)
        lost(host, "the agent in the guest")


def answer_that_is_none(answer):
    with world() as host:
        agent, _ = host.running()
        client = host.ask({"do": "ps"})
        request = agent.request("ps")
        send(agent.control, {"id": request["id"]} | answer)
        assert "error" in receive(client)
        assert host.end() == 255


def test_events_that_mean_nothing():
    with world() as host:
        agent, _ = host.running()
        agent.exit(1, "exec-77")
        agent.exit(1, "nobody")
        agent.exit(8)
        agent.exit(9)
        host.shut_down(agent)
        assert host.end() == 8


def test_streams_that_nobody_wants():
    with world() as host:
        agent, streams = host.running()
        for process, which in (("init", "stdout"), ("init", "terminal"), ("exec-5", "stdin"), ("", "")):
            stream = agent.stream(which, process)
            assert read_all(stream) == b""
        for message in ({}, {"stream": 5}, {"stream": {}}, {"stream": {"process": "init"}}, {"do": "x"}, b"rubbish"):
            stranger = agent.connect()
            send(stranger, message)
            try:
                assert read_all(stranger) == b""
            except ConnectionResetError:
                pass
        # The true ones are as they were.
        streams[1].sendall(b"fine")
        assert host.keeper.stdout.read(4) == b"fine"


def test_connections_that_say_nothing():
    with world() as host:
        agent, _ = host.running()
        silent = [agent.connect() for _ in range(8)]
        # One more is closed at once, as there is no place for it.
        assert read_all(agent.connect()) == b""
        # After their time they are closed, and others can connect.
        assert all(read_all(sock) == b"" for sock in silent)
        session, ready = host.session({"args": ["x"]})
        request = agent.request("exec")
        agent.streams(request["process"])
        send(agent.control, {"id": request["id"], "ok": {}})
        assert receive(ready) == {"ok": {}}
        agent.exit(0, request["process"])
        assert host.end(session) == 0


def test_connections_that_the_agent_has_not_announced():
    """Those of a process of the container take nobody's place, however many they are and whatever the port is."""
    with world() as host:
        agent, _ = host.running()
        used = agent.announce()
        assert connect_from(host.agent_socket, used)
        os.unlink(host.agent_socket.parent / str(used))
        for port in (None, used, 4711):
            silent = [connect_from(host.agent_socket, port)]
            silent += [connect(host.agent_socket) for _ in range(40)]
            session, ready = host.session({"args": ["x"]})
            request = agent.request("exec")
            agent.streams(request["process"])
            send(agent.control, {"id": request["id"], "ok": {}})
            assert receive(ready) == {"ok": {}}
            assert all(read_all(sock) == b"" for sock in silent)
            agent.exit(0, request["process"])
            assert host.end(session) == 0


def test_more_announced_than_anybody_connects_from():
    """An agent that is not ours does so: the latest count."""
    with world() as host:
        agent, _ = host.running()
        for _ in range(100):
            agent.announce()
        session, ready = host.session({"args": ["x"]})
        request = agent.request("exec")
        agent.streams(request["process"])
        send(agent.control, {"id": request["id"], "ok": {}})
        assert receive(ready) == {"ok": {}}
        agent.exit(0, request["process"])
        assert host.end(session) == 0


def test_agent_that_ends():
    with world() as host:
        agent, _ = host.running()
        client = host.ask({"do": "ps"})
        agent.request("ps")
        agent.control.close()
        assert receive(client)["error"] == "the agent in the guest has ended"
        lost(host, "the agent in the guest has ended")


def test_kill_that_the_guest_does_not_answer():
    with world() as host:
        host.running()
        client = host.ask({"do": "kill", "signal": 9})
        assert receive(client) == {"ok": {}}
        assert host.end() == 137
        wait_for("the end of pmvm", lambda: not is_running(host.pid()))


def test_kill_that_the_guest_only_answers():
    with world() as host:
        agent, _ = host.running()
        client = host.ask({"do": "kill", "signal": 9})
        agent.serve("signal")
        assert receive(client) == {"ok": {}}
        assert host.end() == 137


def test_kill_of_a_machine_that_cannot_be_resumed():
    with world(mode="stay") as host:
        host.running()
        assert host.call({"do": "pause"}) == {"ok": {}}
        assert "not now" in host.call({"do": "resume"})["error"]
        assert host.call({"do": "kill", "signal": 9}) == {"ok": {}}
        assert host.end() == 137
        wait_for("the end of pmvm", lambda: not is_running(host.pid()))


def test_machine_that_stops_by_itself():
    with world() as host:
        host.running()
        assert host.call({"do": "pause"}) == {"ok": {}}
        assert host.call({"do": "resume"}) == {"ok": {}}
        os.kill(host.pid(), signal.SIGUSR1)
        lost(host, "the machine has stopped, in run state internal-error")


def test_requests_after_the_end():
    with world() as host:
        agent, streams = host.running()
        agent.exit(0)
        wait_for("the end", lambda: host.call({"do": "state"}) == {"ok": {"status": "stopped"}})
        for request in ({"do": "kill", "signal": 15}, {"do": "ps"}, {"do": "start"}, {"do": "pause"}):
            assert host.call(request)["error"] == "container not running"
        for stream in streams:
            stream.close()
        host.shut_down(agent)
        assert host.end() == 0


def test_client_that_sends_rubbish():
    with world() as host:
        host.running()
        for rubbish in (b"\xff\xff\xff\xff", b"\x02\0\0\0[]", b"\x01"):
            client = connect(host.state / "control")
            client.sendall(rubbish)
            client.close()
        assert host.call({"do": "kill"})["error"] == "kill: no signal"
        assert host.call({"do": "state"}) == {"ok": {"status": "running"}}


tests = {name[5:]: test for name, test in list(globals().items()) if name.startswith("test_")}
for frame in (*HEADS, *(struct.pack("<I", len(text)) + text for text in RUBBISH)):
    tests[f"rubbish {frame[:60]}"] = functools.partial(rubbish, frame)
for no_answer in ({}, {"ok": 5}, {"ok": {}, "error": "x"}, {"error": 5}):
    tests[f"answer {no_answer}"] = functools.partial(answer_that_is_none, no_answer)
main(tests)
