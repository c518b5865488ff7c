#!/usr/bin/python3
"""Builds the fuzz targets (clang, libFuzzer) and runs each for a while on its corpus.

SPDX-License-Identifier: Apache-2.0

Usage: tests/fuzz/fuzz.py [--time SECONDS] [--only TARGET[,TARGET]] [--sanitize LIST] [--optimization LEVEL]
                          [--input FILE] [--hex FILE]
  --time SECONDS    for each target, after its whole corpus was run (60)
  --only TARGET     these targets; the name is that of <name>_fuzz.c
  --sanitize LIST   clang's sanitizers: address,undefined or thread (address,undefined)
  --optimization LEVEL  the compiler's (2); tests/check.py builds with 0, which takes half the time
  --input FILE      runs this one input, of the target that --only names: a finding, or a seed (also as .hex)
  --hex FILE        prints an input as hexadecimal text, as tests/fuzz/corpus has them

A target is a line of tests/fuzz/meson.build. Its seeds are tests/fuzz/corpus/<target>/*: text, and *.hex,
hexadecimal numbers with comments after '#'. <target>.dict is its dictionary, if there is one.
What a run learns stays in build/fuzz/corpus, findings go to build/fuzz/findings; both outlive it. Prints a TAP line
per target; the exit status is 1 after a finding.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
HERE = CHECKOUT / "tests/fuzz"
WORK = CHECKOUT / "build/fuzz"
INPUT_MAX = 60  # seconds for one input, far more than any takes; other programs may use the processors
MEMORY_MAX = 2048  # MiB
LENGTH_MAX = 4096  # bytes of an input
START_MAX = 120  # seconds for what is not fuzzing: the corpus, the end
SANITIZE = "address,undefined"
GOLD = "-Dc_link_args=-fuse-ld=gold"  # it links programs with sanitizers in half the time of ld
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
    "CMOCKA_TEST_ABORT": "1",
}


def directory_of(sanitize, optimization):
    return WORK / f"build-{sanitize.replace(',', '-')}-O{optimization}"


def options(sanitize, optimization):
    """What Meson is given for such a build, with clang. tests/check.py runs the unit tests of one as well.

    clang's sanitizers need undefined symbols in shared libraries: -Db_lundef=false.
    """
    return [
        "-Dfuzz=true",
        "-Ddefault_library=static",
        f"-Db_sanitize={sanitize}",
        "-Db_lundef=false",
        f"-Doptimization={optimization}",
        GOLD,
    ]


def build(sanitize, optimization):
    """Returns the programs by target name."""
    directory = directory_of(sanitize, optimization)
    directory.mkdir(parents=True, exist_ok=True)
    commands = [["ninja", "-C", directory, "fuzz"]]
    if not (directory / "build.ninja").exists():
        commands.insert(0, ["meson", "setup", directory, CHECKOUT, *options(sanitize, optimization)])
    log = directory / "fuzz-build.log"
    with open(log, "wb") as output:
        for command in commands:
            if subprocess.run(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                check=False,
                env=os.environ | {"CC": "clang"},
            ).returncode:
                sys.exit(
                    f"tests/fuzz/fuzz.py: cannot build, see {log}; its end:\n{log.read_text(errors='replace')[-3000:]}"
                )
    built = json.loads(subprocess.check_output(["meson", "introspect", "--targets", directory], text=True))
    return {
        target["name"].removesuffix("_fuzz"): pathlib.Path(target["filename"][0])
        for target in built
        if target["type"] == "executable" and target["name"].endswith("_fuzz")
    }


def bytes_of(path):
    """Returns the input in a file: *.hex is hexadecimal text with comments; the last newline of a text is dropped."""
    if path.suffix != ".hex":
        return path.read_bytes().removesuffix(b"\n") if HERE in path.resolve().parents else path.read_bytes()
    return bytes.fromhex(re.sub(r"#.*", "", path.read_text()))


def print_hex(path):
    data = path.read_bytes()
    for off in range(0, len(data), 16):
        print(data[off : off + 16].hex(" "))


def unpack_seeds(target):
    seeds = WORK / "seeds" / target
    seeds.mkdir(parents=True, exist_ok=True)
    for old in seeds.iterdir():
        old.unlink()
    for path in sorted((HERE / "corpus" / target).glob("*")):
        (seeds / path.stem).write_bytes(bytes_of(path))
    if not any(seeds.iterdir()):
        sys.exit(f"tests/fuzz/fuzz.py: {target} has no corpus: tests/fuzz/corpus/{target}")
    return seeds


def fuzz(target, program, seconds):
    """Runs one target; prints its TAP line and returns whether nothing was found."""
    seeds, corpus, findings = unpack_seeds(target), WORK / "corpus" / target, WORK / "findings" / target
    for directory in (corpus, findings):
        directory.mkdir(parents=True, exist_ok=True)
    dictionary = HERE / "corpus" / f"{target}.dict"
    log = WORK / f"{target}.log"
    command = [
        program,
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_MAX}",
        f"-rss_limit_mb={MEMORY_MAX}",
        f"-max_len={LENGTH_MAX}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
        *([f"-dict={dictionary}"] if dictionary.exists() else []),
        corpus,
        seeds,
    ]
    with open(log, "wb") as output:
        try:
            status = subprocess.run(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                check=False,
                timeout=seconds + START_MAX,
                env=os.environ | ENVIRONMENT,
            ).returncode
        except subprocess.TimeoutExpired:
            status = "no end"
    text = log.read_text(errors="replace")
    found = {
        name: re.findall(pattern, text)
        for name, pattern in {
            "runs": r"number_of_executed_units: (\d+)",
            "rate": r"average_exec_per_sec: +(\d+)",
            "cov": r" cov: (\d+)",
            "inputs": r" corp: (\d+)",
            "seeds": r"seed corpus: files: (\d+)",
        }.items()
    }
    last = {name: values[-1] if values else "?" for name, values in found.items()}
    print(
        (
            f"{'not ok' if status else 'ok'} {target}: {last['runs']} inputs, {last['rate']} per second, "
            f"{last['cov']} edges covered, {last['inputs']} inputs kept"
        ),
        flush=True,
    )
    if status:
        written = re.findall(r"Test unit written to (\S+)", text)
        again = f"tests/fuzz/fuzz.py --only {target} --input {written[-1]}" if written else f"see {log}"
        print(f"# exit status {status}; once more: {again}\n{text[-6000:]}", flush=True)
    return not status


def run_input(program, path):
    """One input, as libFuzzer runs it; its output is shown."""
    once = WORK / "one-input"
    once.write_bytes(bytes_of(path))
    return subprocess.run(
        [program, f"-timeout={INPUT_MAX}", once], check=False, timeout=START_MAX, env=os.environ | ENVIRONMENT
    ).returncode


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("Usage: ")[1])
    parser.add_argument("--time", type=int, default=60)
    parser.add_argument("--only", default="")
    parser.add_argument("--sanitize", default=SANITIZE)
    parser.add_argument("--optimization", type=int, choices=range(4), default=2)
    parser.add_argument("--input", type=pathlib.Path)
    parser.add_argument("--hex", type=pathlib.Path)
    args = parser.parse_args()
    if args.hex:
        print_hex(args.hex)
        return 0
    subprocess.run([CHECKOUT / "tools/install-packages", "build", "test"], check=True)
    programs = build(args.sanitize, args.optimization)
    names = [name for name in args.only.split(",") if name] or list(programs)
    unknown = [name for name in names if name not in programs]
    if unknown:
        sys.exit(f"tests/fuzz/fuzz.py: no target '{unknown[0]}'; there are: {' '.join(programs)}")
    if args.input:
        return run_input(programs[names[0]], args.input)
    results = [fuzz(name, programs[name], args.time) for name in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
