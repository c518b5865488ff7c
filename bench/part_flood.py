"""What other vCPUs wait for while one floods the ring with requests that are not in due form. Counts only.

SPDX-License-Identifier: Apache-2.0
"""
import re

import machine
from bench_common import Failed, Figure, directory, pmem, say

SECONDS_MAX = 300
WRITES = 2  # of registers in a round of tests/guest/flood.c: one takes the device's lock once, the other three times
BATCH_MAX = 128  # requests that are answered in one hold of the lock
# An interrupt takes 20 ms, with the lock held: so on any number of processors the ring is full at the end of each
# batch, and the other vCPU has time to ask for the lock. No other call is delayed.
SLOW = (
    "strace -f --seccomp-bpf -qq -o /dev/null -P anon_inode:[eventfd] -e trace=write -e inject=write:delay_enter=20000"
)
METHOD = (
    "tests/guest/flood.c, {form}; two vCPUs, each interrupt takes 20 ms with the device's lock held (strace); until the"
    " device asks for a reset, or has served 16384 requests"
)
FORMS = {"wrong type": "requests of a wrong type", "wrong type, and one flush": "the same and a flush in each batch"}


def figures(name, value_max=None):
    return {
        form: Figure(f"{name}, {text}", "", METHOD.format(form=text), value_max=value_max)
        for form, text in FORMS.items()
    }


SERVED = figures("requests served")
ACCESSES = figures("register writes of the other vCPU meanwhile")
RATIO = figures("requests served for a register write", 2 * BATCH_MAX)
WORST = figures("requests served during two register writes, at most", 4 * BATCH_MAX)
FIGURES = [figure for form in FORMS for figure in (SERVED[form], ACCESSES[form], RATIO[form], WORST[form])]


def counts(where):
    """{form: (requests served, rounds of register accesses, requests served in a round at most)}"""
    program = machine.near(machine.CHECKOUT / "build/tests/guest/flood.elf")
    with machine.Vm(
        ["-m", "64M", "-smp", "2", "-nographic", "-kernel", program, *pmem(where / "a.img")], prefix=SLOW.split()
    ) as vm:
        vm.wait_for("^(SUCCESS|FAILURE)", SECONDS_MAX)
        vm.end()
    found = re.findall(r"^# (.+): (\d+) requests served, (\d+) rounds, .* most (\d+) requests", vm.text, re.MULTILINE)
    return {form: tuple(map(int, numbers)) for form, *numbers in found}


def measure(_, runs, samples):
    for run in range(runs):
        say(f"  flood: run {run + 1} of {runs}")
        with directory("tmpfs") as where:
            found = counts(where)
        for form in FORMS:
            if form not in found:
                raise Failed(f"the guest printed no count of: {form}")
            served, rounds, worst = found[form]
            samples.add(SERVED[form], "pmvm", served)
            samples.add(ACCESSES[form], "pmvm", WRITES * rounds)
            samples.add(RATIO[form], "pmvm", served / (WRITES * rounds))
            samples.add(WORST[form], "pmvm", worst)
