"""Take away everything a lab made, also after a crash: only what bears the lab's own names and paths."""

import hashlib
import os
import re
import shutil
import signal
from pathlib import Path

from tests.lab import network
from tests.lab.daemon import has_ended
from tests.lab.layout import Layout
from tests.lab.shell import LabError, run
from tests.lab.waiting import wait_for

DEATH_SECONDS = 20.0
SHIM_SOCKETS = Path("/run/containerd/s")
CGROUPS = Path("/sys/fs/cgroup")
DOCKER_PROGRAMS = {"dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2"}


def remove_all(layout: Layout) -> None:
    """Processes, mounts, cgroups, wires and files, in this order: each holds the next one open."""
    wait_for(lambda: not _kill_all(layout), DEATH_SECONDS, f"every process of lab {layout.name!r} to be gone")
    _unmount_all(layout)
    wait_for(lambda: _remove_cgroups(layout), DEATH_SECONDS, f"the cgroups of lab {layout.name!r} to be free")
    network.remove(layout)
    _remove_files(layout)


def living_pids(layout: Layout) -> set[int]:
    """The processes of the lab: in its namespaces, in its cgroup, or a Docker program on its folder.

    Only the last is told by the command line, and only for programs of Docker: an editor or a
    `tail` that has a file of the lab open is no part of it.
    """
    found = _in_namespaces(layout)
    in_cgroup = re.compile(rf":/{re.escape(layout.cgroup)}(/|$)", re.MULTILINE)
    folder = f"{layout.folder}/".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if in_cgroup.search((entry / "cgroup").read_text()):
                found.add(int(entry.name))
            elif folder in (entry / "cmdline").read_bytes():
                program = Path(os.readlink(entry / "exe")).name
                if program in DOCKER_PROGRAMS:
                    found.add(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            # It ended while we looked at it.
            continue
    return {pid for pid in found if not has_ended(pid)}


def mounts(layout: Layout) -> list[str]:
    """The mount points below the lab's folder, the innermost first."""
    folder = f"{layout.folder}/"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # The kernel writes a blank in a path as \040.
    plain = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point) for point in points]
    return [point for point in reversed(plain) if point.startswith(folder)]


def cgroups(layout: Layout) -> list[Path]:
    """The lab's cgroup in each hierarchy: one with cgroups v2, one per controller with v1."""
    return [*CGROUPS.glob(layout.cgroup), *CGROUPS.glob(f"*/{layout.cgroup}")]


def shim_sockets(layout: Layout) -> list[Path]:
    """The sockets of the shims, one per container: the only files of the lab outside its folder.

    containerd names them by a digest of its own socket and the container, and removes them only when
    it ends in good order.
    """
    found = []
    for host in layout.hosts.values():
        containerd = host.exec_root / "containerd" / "containerd.sock"
        for container in (host.data_root / "containers").glob("*"):
            name = hashlib.sha256(f"{containerd}/moby/{container.name}".encode()).hexdigest()
            found.append(SHIM_SOCKETS / name)
    return [path for path in found if path.exists()]


def _in_namespaces(layout: Layout) -> set[int]:
    """What runs in a namespace of the lab: dockerd and all its children, and what a test put there."""
    found: set[int] = set()
    for host in layout.hosts.values():
        if (network.NAMESPACES / host.namespace).exists():
            found.update(int(pid) for pid in run("ip", "netns", "pids", host.namespace).split())
    return found


def _kill_all(layout: Layout) -> set[int]:
    """Kill what lives and give it back, so that the caller asks again until nothing does."""
    living = living_pids(layout)
    for pid in living:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return living


def _unmount_all(layout: Layout) -> None:
    """Unmount everything below the lab's folder; nothing uses it any more."""
    points = mounts(layout)
    if points:
        run("umount", "--lazy", *points)


def _remove_cgroups(layout: Layout) -> bool:
    """Remove the lab's cgroups from the leaves up; false while the kernel still has a dead process in one."""
    try:
        for top in cgroups(layout):
            for folder, _, _ in os.walk(top, topdown=False):
                os.rmdir(folder)
    except OSError:
        return False
    return True


def _remove_files(layout: Layout) -> None:
    """Remove the hosts' folders and the certificates, and the lab's folder where nothing else is in it."""
    still_mounted = mounts(layout)
    if still_mounted:
        raise LabError(
            f"{still_mounted[0]} is still mounted, so nothing below {layout.folder} was removed:"
            " unmount it and take the lab down again"
        )
    for socket in shim_sockets(layout):
        socket.unlink()
    for folder in (*(host.folder for host in layout.hosts.values()), layout.folder / "tls"):
        if folder.exists():
            shutil.rmtree(folder)
