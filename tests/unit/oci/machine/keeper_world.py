"""A keeper, the agent of its guest, and an engine, for the tests of the keeper.

SPDX-License-Identifier: Apache-2.0
"""
import array
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
RIG = sys.argv[1] if len(sys.argv) > 1 else "keeper_rig"
WAIT_MAX = 60
AT_ONCE = 6  # tests
NOTE = re.compile(r"pmvm answered after (\d+) ms, the agent after (\d+) ms, the container after (\d+) ms")


def wait_for(what, condition):
    end = time.monotonic() + WAIT_MAX
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {WAIT_MAX} s"
        time.sleep(0.02)


def connect(path):
    return connect_from(path, None)


def connect_from(path, port):
    """From a socket beside it whose name is a number, as the port of vsock is one."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(WAIT_MAX)
    if port:
        client.bind(str(path.parent / str(port)))
    client.connect(str(path))
    return client


def send(sock, message):
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    sock.sendall(struct.pack("<I", len(text)) + text)


def read_exactly(sock, size):
    got = b""
    while len(got) < size:
        part = sock.recv(size - len(got))
        if not part:
            raise EOFError(f"the connection ended after {len(got)} of {size} bytes")
        got += part
    return got


def receive(sock):
    (size,) = struct.unpack("<I", read_exactly(sock, 4))
    return json.loads(read_exactly(sock, size))


def read_all(sock):
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


class Agent:
    """What the guest does: the test decides."""

    ports = itertools.count(1)

    def __init__(self, world):
        self.world = world
        self.control = None
        self.token = {"token": "0123456789abcdef0123456789abcdef"}

    def hello(self, version=4):
        self.world.kept.append(self)
        self.control = connect(self.world.agent_socket)
        send(self.control, {"hello": version} | self.token)
        return self

    def announce(self):
        """The port from which it connects next."""
        port = next(self.ports)
        send(self.control, {"event": "connect", "port": port})
        return port

    def connect(self):
        return connect_from(self.world.agent_socket, self.announce())

    def stream(self, which, process="init"):
        sock = self.connect()
        send(sock, {"stream": {"process": process, "which": which} | self.token})
        self.world.kept.append(sock)
        return sock

    def streams(self, process="init"):
        return [self.stream(which, process) for which in ("stdin", "stdout", "stderr")]

    def request(self, verb):
        request = receive(self.control)
        assert request["do"] == verb, f"{verb} expected: {request}"
        return request

    def serve(self, verb, result=None, error=None):
        request = self.request(verb)
        answer = {"error": error} if error else {"ok": result or {}}
        send(self.control, {"id": request["id"]} | answer)
        return request

    def exit(self, status, process="init"):
        send(self.control, {"event": "exit", "process": process, "status": status})


class World:
    """A state directory with a keeper in it. `engine` has our ends of its streams."""

    def __init__(self, mode="run", console=False, pod=False):
        self.environment = {"KEEPER_RIG_POD": "1"} if pod else {}
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="keeper-"))
        (self.dir / "mode").write_text(mode, encoding="utf-8")
        self.state = self.dir / "state"
        self.state.mkdir()
        self.agent_socket = self.dir / "agent"
        self.processes = []
        self.kept = []  # what must not be closed because no test refers to it
        self.console = None
        if console:
            self.console = socket.socket(socket.AF_UNIX)
            self.console.bind(str(self.dir / "console"))
            self.console.listen(4)
            self.console.settimeout(WAIT_MAX)
        self.keeper, self.ready = self.start("keeper", self.state, self.agent_socket, HERE / "fake_pmvm.py")

    def start(self, kind, *args, console=None):
        """A process of the rig with pipes, and our end of the socket on which it says that it is ready."""
        ours, theirs = socket.socketpair()
        ours.settimeout(WAIT_MAX)
        words = [RIG, kind, *map(str, args)]
        words.insert(len(words) if kind == "keeper" else 3, str(theirs.fileno()))
        if console or (kind == "keeper" and self.console):
            words.append(str(self.dir / "console"))
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()], env=os.environ | {"FAKE_PMVM": str(self.dir)} | self.environment,
        )  # fmt: skip
        theirs.close()
        self.processes.append(process)
        return process, ours

    def member(self, name, share=False):
        """The process of a further container of the pod, and what it says when it is ready."""
        folder = self.dir / name
        folder.mkdir(exist_ok=True)
        ours, theirs = socket.socketpair()
        ours.settimeout(WAIT_MAX)
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [RIG, "member", folder, str(theirs.fileno()), name, self.state],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[theirs.fileno()],
            env=os.environ | ({"KEEPER_RIG_SHARE": "1"} if share else {}),
        )  # fmt: skip
        theirs.close()
        self.processes.append(process)
        return process, ours

    def arguments(self):
        """What pmvm was asked for: [[command, its arguments]]."""
        return [json.loads(line) for line in (self.dir / "arguments").read_text(encoding="utf-8").splitlines()]

    def session(self, process, console=False):
        return self.start("session", self.state, json.dumps(process), console=console)

    def agent(self):
        wait_for("the keeper's socket", self.agent_socket.exists)
        wait_for("pmvm", (self.dir / "commands").exists)
        return Agent(self)

    def created(self):
        """An agent, and the three streams of a container that is created."""
        agent = self.agent().hello()
        request = agent.request("create")
        streams = agent.streams()
        send(agent.control, {"id": request["id"], "ok": {"pid": 5}})
        self.is_ready()
        return agent, streams

    def is_ready(self):
        """The keeper says so, with the times of its steps in their order."""
        note = receive(self.ready)["ok"]["note"]
        times = NOTE.fullmatch(note)
        assert times, note
        assert sorted(map(int, times.groups())) == list(map(int, times.groups())), note

    def running(self):
        agent, streams = self.created()
        client = self.ask({"do": "start"})
        agent.serve("start")
        assert receive(client) == {"ok": {}}
        return agent, streams

    def ask(self, request):
        client = connect(self.state / "control")
        send(client, request)
        return client

    def call(self, request):
        return receive(self.ask(request))

    def pid(self):
        return int((self.dir / "pid").read_text(encoding="utf-8"))

    def shut_down(self, agent):
        """The guest powers off when it is asked to."""
        agent.serve("shutdown")
        self.kill_pmvm()

    def kill_pmvm(self):
        os.kill(self.pid(), 9)

    def statuses(self):
        return (self.state / "status").read_text(encoding="utf-8").split()

    def end(self, process=None):
        return (process or self.keeper).wait(WAIT_MAX)

    def errors(self):
        return self.keeper.stderr.read().decode()

    def terminal(self):
        """The master of the terminal that a process of ours has sent."""
        connection, _ = self.console.accept()
        name, rights, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(4))
        assert name and len(rights) == 1
        return array.array("i", rights[0][2])[0]

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main(tests):
    """Runs each function and prints TAP. Several run at once, as they wait for time-outs most of the time."""
    print(f"1..{len(tests)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = {name: pool.submit(test) for name, test in tests.items()}
        for number, (name, test) in enumerate(running.items(), 1):
            if error := test.exception():
                failed += 1
                print(f"not ok {number} {name}")
                print("".join(f"# {line}\n" for line in traceback.format_exception(error)), flush=True)
            else:
                print(f"ok {number} {name}", flush=True)
    sys.exit(failed > 0)


@contextlib.contextmanager
def world(**kwargs):
    host = World(**kwargs)
    try:
        yield host
    finally:
        host.close()
