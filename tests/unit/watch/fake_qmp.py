"""A QMP server that answers what a test wants, or misbehaves.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import socket
import threading

GREETING = {
    "QMP": {"version": {"qemu": {"major": 8, "minor": 2, "micro": 0}, "package": "pmvm 1.2.3"}, "capabilities": []}
}

BUCKETS = 26


def histogram(counts=()):
    """As query-pmem has it: the first limit is 1024 ns, each is twice the one before, the last bucket has none."""
    counts = [*counts, *[0] * (BUCKETS - len(counts))]
    limits = [{"below-ns": 1024 << i} for i in range(BUCKETS - 1)] + [{}]
    return [limit | {"count": count} for limit, count in zip(limits, counts)]


def pmem_info(name="nv1", counts=(), **members):
    """An element of query-pmem."""
    return {
        "id": name,
        "memdev": f"/objects/mem-{name}",
        "mem-path": f"/images/{name}.img",
        "memaddr": 1 << 32,
        "size": 64 << 20,
        "resident": 16 << 20,
        "allocated": 32 << 20,
        "share": True,
        "readonly": False,
        "flushes": {"requested": sum(counts) + 2, "completed": sum(counts) + 1, "failed": 1},
        "syncs": {
            "count": sum(counts),
            "errors": 1,
            "total-ns": 2_500_000_000,
            "max-ns": 1_500_000_000,
            "histogram": histogram(counts),
        },
        "interrupts": 7,
        "refused-stores": 3,
        "werror": "report",
        "state": "ok",
    } | members


def answers(*pmems):
    """The answers of a machine with one of everything."""
    return {
        "qmp_capabilities": {},
        "query-status": {"status": "running", "running": True},
        "query-version": {"qemu": GREETING["QMP"]["version"]["qemu"], "package": "pmvm 1.2.3"},
        "query-name": {"name": "a guest"},
        "query-uuid": {"UUID": "12345678-9abc-4def-8123-456789abcdef"},
        "query-cpus-fast": [
            {"cpu-index": i, "qom-path": f"/machine/{i}", "thread-id": 1, "bus-locks": 5 + i, "notify-exits": 2}
            for i in range(2)
        ],
        "query-stats": [
            {
                "provider": "kvm",
                "qom-path": f"/machine/unattached/device[{i}]",
                "stats": [
                    {"name": "exits", "value": 100 + i},
                    {"name": "io_exits", "value": 17},
                    {"name": "halt_exits", "value": [1, 2]},
                ],
            }
            for i in range(2)
        ],
        "query-memory-size-summary": {"base-memory": 256 << 20, "plugged-memory": 64 << 20},
        "query-balloon": {"actual": 200 << 20},
        "query-pmem": [*pmems],
        "query-net-clients": [
            {"name": "n0", "index": 0, "type": "tap", "info": "ifname=tap0", "peer": "card"},
            {"name": "card", "index": 0, "type": "nic", "info": "model=x", "link": True, "peer": "n0"},
            {"name": "card", "index": 1, "type": "nic", "info": "model=x", "link": True, "peer": "n0"},
        ],
        "query-vhost-user": [{"id": "disk", "path": "/machine/d", "chardev": "c", "connected": True, "state": "idle"}],
        "query-sandbox": {
            "mode": "on",
            "no-new-privileges": True,
            "undumpable": True,
            "empty-root": False,
            "landlock": 2,
            "namespaces": ["user", "net"],
            "threads": [{"kind": "main", "system-calls": 40}, {"kind": "vcpu", "system-calls": 9}],
            "broker": {"pid": 1, "paths": [], "truncated": False, "any-address": False},
        },
    }


class FakeMonitor:
    """Listens on a path. `serve` gets each connection, and what it returns or raises ends it."""

    def __init__(self, path, serve, backlog=8):
        self.path, self.serve = path, serve
        self.ended = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(backlog)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError, ValueError):
            self.serve(client, self.ended)

    def close(self):
        self.ended.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def line(value):
    return json.dumps(value).encode() + b"\r\n"


def requests(client):
    """Each request that the client sends, until it hangs up."""
    buffer = b""
    while data := client.recv(65536):
        *lines, buffer = (buffer + data).split(b"\n")
        yield from map(json.loads, lines)


def answering(values, pieces=None):
    """A good monitor: `values` is a dictionary, or a function that returns one for each connection."""

    def serve(client, _ended):
        own = values() if callable(values) else values
        client.sendall(line(GREETING))
        for request in requests(client):
            name, tag = request["execute"], {"id": request["id"]} if "id" in request else {}
            if name in own:
                reply = {"return": own[name]} | tag
            else:
                error = {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}
                reply = {"error": error} | tag
            text = line({"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 2}}) + line(reply)
            step = pieces or len(text)
            for at in range(0, len(text), step):
                client.sendall(text[at : at + step])

    return serve


def sending(*texts, then="hang"):
    """Sends texts whatever is asked, and then hangs, or hangs up; or repeats the last one for ever."""

    def serve(client, ended):
        for text in texts:
            client.sendall(text)
        while then == "repeat":
            client.sendall(texts[-1])
        if then == "hang":
            ended.wait()

    return serve
