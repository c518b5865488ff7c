#!/usr/bin/python3
"""In place of pmvm, for keeper_test.py: its monitor, and no machine.

SPDX-License-Identifier: Apache-2.0

FAKE_PMVM in the environment is a directory. It gets `argv` and `pid`; `commands` has a line for each command of the
monitor, and `arguments` what it got. `mode` says what it does: run; exit (at once, with a message); mute (no greeting);
dumb (the greeting, and no answer); refuse (the stop command); stay (refuse the cont command); full (refuse device_add);
keep (no device leaves the guest until SIGUSR2).
"""
import json
import os
import pathlib
import re
import signal
import socket
import sys

signal.signal(signal.SIGTERM, signal.SIG_IGN)
folder = pathlib.Path(os.environ["FAKE_PMVM"])
mode = (folder / "mode").read_text(encoding="utf-8")
(folder / "argv").write_text("\n".join(sys.argv), encoding="utf-8")
(folder / "pid.new").write_text(str(os.getpid()), encoding="utf-8")
(folder / "pid.new").rename(folder / "pid")
if mode == "exit":
    sys.exit("pmvm: first line\npmvm: this is why\npmvm: hint: do that")
number = re.search(r"socket,id=qmp,fd=(\d+)", "\n".join(sys.argv))[1]
monitor = socket.socket(fileno=int(number))
kept = []


def deleted(device):
    for data in ({"path": f"/machine/{device}/virtio-backend"}, {"path": f"/machine/{device}", "device": device}):
        monitor.sendall(json.dumps({"event": "DEVICE_DELETED", "data": data}).encode() + b"\r\n")


def let_go(*_):
    for device in kept:
        deleted(device)
    (folder / "let-go").touch()


signal.signal(signal.SIGUSR2, let_go)
# The back end of the second device has ended.
signal.signal(
    signal.SIGHUP,
    lambda *_: monitor.sendall(
        b'{"event": "VHOST_USER_CHANGE", "data": {"device": "slot1", "path": "", "connected": false}}\r\n'
    ),
)
# It stops by itself, if the test says so.
signal.signal(signal.SIGUSR1, lambda *_: monitor.sendall(b'{"event": "STOP"}\r\n'))
if mode == "mute":
    signal.pause()
monitor.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
if mode == "dumb":
    signal.pause()
for line in monitor.makefile("r", encoding="utf-8"):
    message = json.loads(line)
    command = message["execute"]
    with open(folder / "commands", "a", encoding="utf-8") as commands:
        commands.write(command + "\n")
    with open(folder / "arguments", "a", encoding="utf-8") as arguments:
        arguments.write(json.dumps([command, message.get("arguments")]) + "\n")
    if (command, mode) in (("stop", "refuse"), ("cont", "stay"), ("device_add", "full")):
        monitor.sendall(b'{"error": {"class": "GenericError", "desc": "not now"}}\r\n')
        continue
    if command == "stop":
        monitor.sendall(b'{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}\r\n')
    answer = {"status": "internal-error"} if command == "query-status" else {}
    monitor.sendall(json.dumps({"return": answer}).encode() + b"\r\n")
    if command == "device_del" and mode == "keep":
        kept.append(message["arguments"]["id"])
    elif command == "device_del":
        deleted(message["arguments"]["id"])
signal.pause()
