#!/usr/bin/python3
"""The test box: an emulated machine with a working KVM and the files of this one, for machines without KVM.

SPDX-License-Identifier: Apache-2.0

Programs of this machine run in the box as root, in the same directory. There /tmp, /run and /dev/shm are fresh, the
checkout is read-only and always current, and build/box/shared is writable and stays. Everything else can be written
too, but that is lost when the box stops. All processes of a command are killed when it ends. The status is that of
the command, 124 when it timed out, 125 when the box failed.
"""
import argparse
import contextlib
import fcntl
import os
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
import emulator
from box_common import BOX, BoxError, console_tail, say
from session import SILENCE_MAX, SILENCE_MAX_COUNTED, Lost, Session, free_port, raw_terminal

ENVIRONMENT = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TERM|COLUMNS|CI|NO_COLOR|PYTHON\w+|PYTEST\w+|PMVM\w*|[AULMT]+SAN_OPTIONS"
)


def environment(settings):
    """What the command in the box sees of our environment, and the --env settings."""
    env = {name: value for name, value in os.environ.items() if ENVIRONMENT.fullmatch(name)}
    for setting in settings:
        name, equals, value = setting.partition("=")
        env[name] = value if equals else os.environ.get(name, "")
    return env | {"PMVM_IN_BOX": "1"}


def run(args):
    """Runs a command in the running box; returns its status."""
    state = emulator.running()
    if not state:
        raise BoxError("the box does not run; start it with: tests/box/box.py start")
    stdin = args.stdin or args.tty
    try:
        with free_port() as number, Session(number) as session, raw_terminal(args.tty) as size:
            session.request(args.command, os.getcwd(), environment(args.env), args.timeout, stdin, size)
            end = session.converse(stdin, SILENCE_MAX_COUNTED if state["count"] else SILENCE_MAX)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except (OSError, Lost) as e:
        raise BoxError(f"{e}\n{console_tail()}") from None
    if end["text"]:
        say(end["text"])
    return end["status"]


def run_as_user(args, may_start):
    """Runs a command; the last user of a box that was started for a command stops it."""
    if not args.command:
        raise BoxError("no command given")
    BOX.mkdir(parents=True, exist_ok=True)
    with open(BOX / "users.lock", "w", encoding="utf-8") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            if may_start:
                emulator.start(args, automatic=True)
            return run(args)
        finally:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                state = emulator.running()
                if state and state["automatic"]:
                    emulator.stop()


def cmd_start(args):
    emulator.start(args, automatic=False)
    return 0


def cmd_run(args):
    return run_as_user(args, may_start=False)


def cmd_exec(args):
    return run_as_user(args, may_start=True)


def cmd_stop(args):
    say("stopped" if emulator.stop(args.now) else "does not run")
    return 0


def cmd_status(_):
    state = emulator.running()
    if not state:
        print("does not run")
        return 1
    disk = f", disk {state['disk']}" if state["disk"] else ""
    print(
        f"runs for {time.time() - state['began']:.0f} s, pid {state['pid']}, {state['cpus']} CPUs, {state['mem']}{disk}"
    )
    return 0


def parse():
    about, _, more = __doc__.split("\n\n", 2)
    parser = argparse.ArgumentParser(prog="box", description=about, epilog=more)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name, function, text, starts=False, runs=False):
        p = commands.add_parser(name, help=text, description=text)
        p.set_defaults(function=function)
        if starts:
            p.add_argument("--mem", metavar="SIZE", help=f"memory of the box (at most {emulator.MEM_GIB}G)")
            # With two, a guest in the box sometimes hangs in the middle of its boot, with any monitor.
            p.add_argument("--cpus", type=int, default=1, help="processors of the box (default: 1)")
            p.add_argument("--disk", metavar="SIZE", help="a disk at /mnt/disk; kept in build/box/disk.img")
            p.add_argument(
                "--count-instructions", action="store_true", help="its clock counts instructions, one for a nanosecond"
            )
            p.add_argument(
                "--nbd",
                metavar="SOCKET",
                action="append",
                default=[],
                help="a disk from an NBD server, /dev/vda and so on; it is not mounted",
            )
            p.add_argument(
                "--peer",
                metavar="DIR",
                help="a network card, connected to that of the box of another PMVM_BOX_DIR; relative to this one",
            )
            p.add_argument("--append", default="", help="further kernel arguments")
        if runs:
            p.add_argument("--timeout", type=float, metavar="S", help="kill the command after so many seconds")
            p.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]", help="one more variable")
            p.add_argument("-i", "--stdin", action="store_true", help="forward standard input")
            p.add_argument("-t", "--tty", action="store_true", help="forward the terminal")
            p.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD ARG...")
        return p

    add("start", cmd_start, "start the box unless it runs", starts=True)
    add("run", cmd_run, "run a command in the running box", runs=True)
    add(
        "exec",
        cmd_exec,
        "run a command; start the box before and stop it after, if it does not run",
        starts=True,
        runs=True,
    )
    add("stop", cmd_stop, "stop the box").add_argument("--now", action="store_true", help="like a power failure")
    add("status", cmd_status, "say whether the box runs; status 0 when it does")
    args = parser.parse_args()
    if getattr(args, "command", [])[:1] == ["--"]:
        del args.command[0]
    return args


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # an exception, so that all is cleaned up
    args = parse()
    try:
        sys.exit(args.function(args))
    except BoxError as e:
        say(e)
        sys.exit(125)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
