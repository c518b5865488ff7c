"""The runtime that an engine of the tests calls: pmvm-oci, or another one with PMVM_OCI_RUNTIME in the environment.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
RUNTIME = os.environ.get("PMVM_OCI_RUNTIME", "")
IS_OURS = not RUNTIME
# The program, and what it finds beside itself.
PARTS = ["pmvm-oci", "pmvm", "oci/kernel", "oci/initrd.img"]


def missing():
    """What is not built yet."""
    return [part for part in PARTS if IS_OURS and not (CHECKOUT / "build" / part).exists()]


def installed(folder):
    """A copy of the runtime: in the box the checkout is slow, and each machine reads its kernel."""
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / "build" / part, folder / part)
    return folder / "pmvm-oci"


def configured(folder, create_timeout):
    """The words that call the runtime. Ours is a copy below folder, with settings of its own."""
    if not IS_OURS:
        return RUNTIME
    settings = f"create-timeout = {create_timeout}\nlayer-cache = {folder}/layers\nmemory = 256M\n"
    (folder / "oci.conf").write_text(settings)
    return f"{installed(folder / 'pmvm')} --config {folder}/oci.conf"
