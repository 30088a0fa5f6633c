"""What the lab needs from the machine: Linux, root, and a few Debian packages."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.shell import SYSTEM_PATH, LabError, run, works

PROGRAM_OF_PACKAGE = {
    "docker.io": "dockerd",
    "iproute2": "ip",
    "iptables": "iptables",
    "busybox-static": "busybox",
    "git": "git",
    "docker-registry": "docker-registry",
}
START_POLICY = Path("/usr/sbin/policy-rc.d")
NEVER_START = b"#!/bin/sh\n# Written for one installation by Rota's lab: start no service.\nexit 101\n"
UPDATE_SECONDS = 120.0
INSTALL_SECONDS = 300.0


def program(name: str) -> str | None:
    """The path of a program, also where the caller's PATH lacks the sbin directories."""
    return shutil.which(name, path=SYSTEM_PATH)


def busybox() -> Path | None:
    """The statically linked busybox: the only one that runs inside an image without libraries."""
    found = program("busybox")
    if found is None:
        return None
    with open(found, "rb") as binary:
        first_page = binary.read(4096)
    # A dynamically linked program names its loader (…/ld-linux-….so) in its first page.
    return None if b"/ld-" in first_page else Path(found)


def missing_packages() -> list[str]:
    """The Debian packages whose program is not on this machine."""
    return [
        package
        for package, name in PROGRAM_OF_PACKAGE.items()
        if (busybox() if name == "busybox" else program(name)) is None
    ]


def why_not() -> str | None:
    """Why no lab can be had on this machine and what to do about it; None where one can."""
    if platform.system() != "Linux":
        return f"the lab needs Linux and this is {platform.system()}: run it in a Linux virtual machine"
    if os.geteuid() != 0:
        return "the lab makes network namespaces and needs root: run the same command as root"
    if not Path("/sys/fs/cgroup").is_dir() or not os.listdir("/sys/fs/cgroup"):
        return "the lab needs cgroups and /sys/fs/cgroup is empty: mount them, or use a virtual machine"
    if not works("unshare", "--net", "--uts", "true"):
        return (
            "the lab needs network namespaces and this machine refuses them to root:"
            " run it in a virtual machine, or in a container with --privileged"
        )
    missing = missing_packages()
    if missing and program("apt-get") is None:
        return (
            f"the lab needs {', '.join(PROGRAM_OF_PACKAGE[package] for package in missing)} and there is no"
            " apt-get to install it: install Docker Engine, iproute2, iptables, a static busybox and git"
        )
    return None


def ensure_packages(log: Callable[[str], None] = print) -> None:
    """Install what is missing, and only that, without letting a system dockerd start."""
    missing = missing_packages()
    if not missing:
        return
    log(f"installing {', '.join(missing)} with apt-get")
    if not all(_has_candidate(package) for package in missing):
        _apt("update", seconds=UPDATE_SECONDS)
    with _no_service_starts():
        _apt("install", "--yes", "--no-install-recommends", *missing, seconds=INSTALL_SECONDS)
    still_missing = missing_packages()
    if still_missing:
        raise LabError(
            f"apt-get installed {', '.join(still_missing)}, yet the programs are not in {SYSTEM_PATH}:"
            " install Docker Engine, iproute2, iptables, a static busybox and git by hand"
        )
    log("installed")


def _has_candidate(package: str) -> bool:
    """Whether apt knows a version to install: false on an image whose package lists were removed."""
    return works("apt-cache", "show", "--no-all-versions", package)


def _apt(*arguments: str, seconds: float) -> None:
    """One apt-get command that asks nothing and waits at most a minute for another apt."""
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    lock_wait = ("-o", "DPkg::Lock::Timeout=60")
    run("apt-get", "-qq", *lock_wait, *arguments, seconds=seconds, environment=environment)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Forbid package scripts to start services, and put back the policy that was there before."""
    before = START_POLICY.read_bytes() if START_POLICY.exists() else None
    mode = START_POLICY.stat().st_mode if before is not None else 0o755
    START_POLICY.write_bytes(NEVER_START)
    START_POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            START_POLICY.unlink()
        else:
            START_POLICY.write_bytes(before)
            START_POLICY.chmod(mode)
