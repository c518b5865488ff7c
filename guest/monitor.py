"""Clients of the monitor, for QMP and HMP; for the demo and the tests.

SPDX-License-Identifier: Apache-2.0
"""
import json
import re
import socket
import time

ANSWER_MAX = 200


class Refused(Exception):
    """An error that the monitor answered: `error_class` and the text."""

    def __init__(self, error):
        super().__init__(error["desc"])
        self.error_class = error["class"]


def connect(path, timeout=ANSWER_MAX):
    """A socket connected to the monitor, which may be about to open it, or busy with other clients."""
    end = time.monotonic() + timeout
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(timeout)
        try:
            client.connect(str(path))
            return client
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            client.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Qmp:
    """A QMP session: replies in order, events put aside in `events`."""

    def __init__(self, path, negotiate=True):
        self.socket = connect(path)
        self.buffer = b""
        self.events = []
        self.greeting = self.receive()
        if negotiate:
            self.run("qmp_capabilities")

    def receive(self, timeout=ANSWER_MAX):
        """The next message."""
        self.socket.settimeout(timeout)
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the monitor hung up")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def reply(self):
        while "event" in (message := self.receive()):
            self.events.append(message)
        return message

    def exchange(self, request):
        """Sends one request, a dict or text, and returns the whole reply."""
        text = request if isinstance(request, (str, bytes)) else json.dumps(request)
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())
        return self.reply()

    def run(self, command, arguments=None, **more):
        """Runs a command and returns its value. Names that contain '-' can only be given in `arguments`."""
        request = {"execute": command}
        if arguments or more:
            request["arguments"] = (arguments or {}) | more
        reply = self.exchange(request)
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["return"]

    def wait_event(self, name, timeout=ANSWER_MAX, **data):
        """Returns the first event of that name with those members since the last call; earlier events are dropped."""
        end = time.monotonic() + timeout
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no event {name} {data} in {timeout} s")
            try:
                self.events.append(self.receive(left))
            except TimeoutError:
                continue

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Hmp:
    """A user at the monitor's prompt."""

    PROMPT = "(pmvm) "

    def __init__(self, path):
        self.socket = connect(path)
        self.pending = ""
        self.banner = self.until_prompt()

    def until_prompt(self, timeout=ANSWER_MAX):
        end = time.monotonic() + timeout
        raw = b""
        while not plain(raw).endswith(self.PROMPT):
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"the monitor hung up after {raw!r}")
            raw += data
        return plain(raw)[: -len(self.PROMPT)]

    def run(self, line):
        """Types a line; returns what the monitor printed, without the echo."""
        self.socket.sendall(line.encode() + b"\n")
        shown = self.until_prompt()
        return shown.split("\n", 1)[1] if "\n" in shown else ""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def plain(raw):
    """Returns roughly what remains on the screen: no terminal sequences and carriage returns."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][A-Z0-9]?", "", raw.decode(errors="replace"))
    return text.replace("\r", "")
