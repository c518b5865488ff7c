#!/usr/bin/python3
"""The keeper of a machine: create, start, streams, terminal, signals, exit status.

SPDX-License-Identifier: Apache-2.0

Usage: keeper_test.py KEEPER_RIG. The test is the agent of the guest, and the engine. Prints TAP.
"""
import fcntl
import hashlib
import os
import signal
import struct
import termios
import threading

from keeper_world import is_running, main, read_all, read_exactly, receive, send, wait_for, world

BIG = 10_000_000


def test_create_start_exit_status():
    for status in (0, 1, 137):
        with world() as host:
            agent, streams = host.created()
            assert host.call({"do": "state"}) == {"ok": {"status": "created"}}
            start = host.ask({"do": "start"})
            agent.serve("start")
            assert receive(start) == {"ok": {}}
            assert host.call({"do": "state"}) == {"ok": {"status": "running"}}
            for stream in streams:
                stream.close()
            agent.exit(status)
            host.shut_down(agent)
            assert host.end() == status
            assert host.statuses()[-1] == "stopped" and host.statuses()[:2] == ["created", "created"], host.statuses()


def test_create_passes_the_configuration():
    with world() as host:
        request = host.agent().hello().request("create")
        assert request["config"] == {"is": "the guest's"} and isinstance(request["id"], int)


def test_create_error_is_relayed():
    with world() as host:
        host.agent().hello().serve(
            "create", error="executable file `nope` not found in $PATH: No such file or directory"
        )
        assert receive(host.ready) == {"error": "executable file `nope` not found in $PATH: No such file or directory"}
        assert host.end() == 255
        assert not is_running(host.pid())


def test_answer_is_seen_before_the_streams():
    with world() as host:
        agent = host.agent().hello()
        agent.serve("create")
        agent.streams()
        host.is_ready()


def test_command_line():
    with world() as host:
        host.agent()
        argv = (host.dir / "argv").read_text(encoding="utf-8").split("\n")
        after = dict(zip(argv, argv[1:]))
        assert after["-kernel"] == "/kernel" and after["-initrd"] == "/initrd" and after["-m"] == "262144K"
        assert "pmvm.port=1234" in after["-append"] and "panic=-1" in after["-append"]
        assert after["-serial"] == "none" and after["-display"] == "none"
        assert any(word.startswith("vhost-vsock-pci,guest-cid=") for word in argv)


def test_streams_in_both_directions():
    data = {name: os.urandom(BIG) for name in ("stdin", "stdout", "stderr")}
    got = {}

    def fetch(name, read):
        got[name] = hashlib.sha256(read()).digest()

    with world() as host:
        agent, (stdin, stdout, stderr) = host.running()
        threads = [
            threading.Thread(target=fetch, args=("stdin", lambda: read_all(stdin))),
            threading.Thread(target=fetch, args=("stdout", host.keeper.stdout.read)),
            threading.Thread(target=fetch, args=("stderr", host.keeper.stderr.read)),
            threading.Thread(target=lambda: (host.keeper.stdin.write(data["stdin"]), host.keeper.stdin.close())),
            threading.Thread(target=lambda: (stdout.sendall(data["stdout"]), stdout.close())),
            threading.Thread(target=lambda: (stderr.sendall(data["stderr"]), stderr.close())),
        ]
        for thread in threads:
            thread.start()
        threads[0].join(60)
        agent.exit(0)
        host.shut_down(agent)
        for thread in threads:
            thread.join(60)
        assert host.end() == 0
        assert got == {name: hashlib.sha256(part).digest() for name, part in data.items()}


def test_half_close():
    with world() as host:
        agent, (stdin, stdout, _) = host.running()
        host.keeper.stdin.write(b"last words")
        host.keeper.stdin.close()
        assert read_all(stdin) == b"last words"
        # The other direction goes on, and a stream that the guest closes is closed for the engine.
        stdout.sendall(b"an answer")
        assert host.keeper.stdout.read(9) == b"an answer"
        stdout.close()
        assert host.keeper.stdout.read() == b""
        assert host.keeper.poll() is None
        agent.exit(3)
        host.shut_down(agent)
        assert host.end() == 3


def test_slow_reader_slows_the_guest_down():
    with world() as host:
        _, (_, stdout, _) = host.running()
        stdout.settimeout(1)
        sent = 0
        try:
            while sent < BIG:
                sent += stdout.send(b"x" * 65536)
        except TimeoutError:
            pass
        # Two sockets, a pipe, and one buffer.
        assert sent < 2_000_000, sent
        stdout.settimeout(60)
        threading.Thread(target=lambda: (stdout.sendall(b"y"), stdout.close())).start()
        assert host.keeper.stdout.read() == b"x" * sent + b"y"


def test_reader_that_is_gone():
    with world() as host:
        agent, (_, stdout, _) = host.running()
        host.keeper.stdout.close()
        try:
            while True:
                stdout.sendall(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        agent.exit(141)
        host.shut_down(agent)
        assert host.end() == 141


def test_last_bytes_come_before_the_end():
    with world() as host:
        agent, (_, stdout, _) = host.running()
        agent.exit(0)
        stdout.sendall(b"late")
        stdout.close()
        host.shut_down(agent)
        assert host.keeper.stdout.read() == b"late"
        assert host.end() == 0


def test_guest_that_keeps_a_stream_open():
    with world() as host:
        agent, _ = host.running()
        agent.exit(5)
        host.shut_down(agent)
        assert host.end() == 5


def test_terminal():
    with world(console=True) as host:
        master = host.terminal()
        agent = host.agent().hello()
        request = agent.request("create")
        stream = agent.stream("terminal")
        wait_for("the stream", lambda: os.write(master, b"a\n") and read_exactly(stream, 2) == b"a\n")
        send(agent.control, {"id": request["id"], "ok": {}})
        host.is_ready()
        size = fcntl.ioctl(master, termios.TIOCGWINSZ, bytes(8))
        assert struct.unpack("HHHH", size)[:2] == (11, 22)
        # Raw: neither echo, nor lines, nor signals, nor "\r\n".
        os.write(master, b"\x03b")
        assert read_exactly(stream, 2) == b"\x03b"
        stream.sendall(b"c\n")
        assert os.read(master, 10) == b"c\n"
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 132, 0, 0))
        resize = agent.serve("resize")
        assert (resize["process"], resize["rows"], resize["columns"]) == ("init", 40, 132)
        stream.close()
        agent.exit(0)
        host.shut_down(agent)
        assert host.end() == 0


def test_kill():
    with world() as host:
        agent, _ = host.running()
        kill = host.ask({"do": "kill", "signal": 15})
        request = agent.serve("signal")
        assert (request["process"], request["signal"], request["all"]) == ("init", 15, False)
        assert receive(kill) == {"ok": {}}
        agent.exit(143)
        host.shut_down(agent)
        assert host.end() == 143


def test_kill_before_start():
    with world() as host:
        agent, _ = host.created()
        kill = host.ask({"do": "kill", "signal": 9, "all": True})
        assert agent.serve("signal")["all"] is True
        assert receive(kill) == {"ok": {}}
        agent.exit(137)
        host.shut_down(agent)
        assert host.end() == 137


def test_signal_to_the_keeper_is_passed_on():
    with world() as host:
        agent, _ = host.running()
        host.keeper.send_signal(signal.SIGTERM)
        assert agent.serve("signal")["signal"] == signal.SIGTERM
        host.keeper.send_signal(signal.SIGUSR1)
        assert agent.serve("signal")["signal"] == signal.SIGUSR1


def test_requests_that_are_passed_on():
    with world() as host:
        agent, _ = host.running()
        for request, result in (
            ({"do": "ps"}, {"pids": [1, 2]}),
            ({"do": "update", "resources": {"memory": {"limit": 5}}}, {}),
            ({"do": "stats"}, {"memory": {"current": 1}}),
        ):
            client = host.ask(request)
            got = agent.serve(request["do"], result)
            assert {key: val for key, val in got.items() if key != "id"} == request
            assert receive(client) == {"ok": result}
        client = host.ask({"do": "ps"})
        agent.serve("ps", error="no")
        assert receive(client) == {"error": "no"}


def test_two_requests_at_once():
    with world() as host:
        agent, _ = host.running()
        processes = host.ask({"do": "ps"})
        first = agent.request("ps")
        stats = host.ask({"do": "stats"})
        second = agent.request("stats")
        send(agent.control, {"id": second["id"], "ok": {"which": "second"}})
        assert receive(stats) == {"ok": {"which": "second"}}
        send(agent.control, {"id": first["id"], "ok": {"which": "first"}})
        assert receive(processes) == {"ok": {"which": "first"}}


def test_start_twice():
    with world() as host:
        agent, _ = host.created()
        first = host.ask({"do": "start"})
        request = agent.request("start")
        assert "running" in host.call({"do": "start"})["error"]
        send(agent.control, {"id": request["id"], "ok": {}})
        assert receive(first) == {"ok": {}}
        assert "running" in host.call({"do": "start"})["error"]


def test_start_that_fails_can_be_repeated():
    with world() as host:
        agent, _ = host.created()
        first = host.ask({"do": "start"})
        agent.serve("start", error="no")
        assert receive(first) == {"error": "no"}
        second = host.ask({"do": "start"})
        agent.serve("start")
        assert receive(second) == {"ok": {}}


def test_pause_resume():
    with world() as host:
        agent, _ = host.running()
        assert host.call({"do": "pause"}) == {"ok": {}}
        assert host.call({"do": "state"}) == {"ok": {"status": "paused"}}
        assert "paused" in host.call({"do": "ps"})["error"]
        assert host.call({"do": "resume"}) == {"ok": {}}
        assert "not paused" in host.call({"do": "resume"})["error"]
        assert (host.dir / "commands").read_text(encoding="utf-8").split()[1:] == ["stop", "cont"]
        # SIGKILL ends a paused container as well.
        assert host.call({"do": "pause"}) == {"ok": {}}
        kill = host.ask({"do": "kill", "signal": 9})
        agent.serve("signal")
        assert receive(kill) == {"ok": {}}


def test_pause_that_pmvm_refuses():
    with world(mode="refuse") as host:
        host.running()
        assert host.call({"do": "pause"}) == {"error": "pmvm: stop: not now"}
        assert host.call({"do": "state"}) == {"ok": {"status": "running"}}


def test_start_has_the_time_of_a_creation():
    with world() as host:
        agent, _ = host.created()
        first = host.ask({"do": "start"})
        agent.request("start")
        assert receive(first) == {"error": 'the agent in the guest did not answer "start" in time'}
        second = host.ask({"do": "start"})
        agent.serve("start")
        assert receive(second) == {"ok": {}}


def test_unknown_request():
    with world() as host:
        host.created()
        assert "does not know" in host.call({"do": "dance"})["error"]
        assert "does not know" in host.call({"what": "dance"})["error"]


main({name[5:]: test for name, test in list(globals().items()) if name.startswith("test_")})
