"""The dockerd of one host: start it, see it ready, and every way to disturb it."""

import functools
import json
import os
import re
import signal
from pathlib import Path

from tests.lab import engine
from tests.lab.layout import LabHost
from tests.lab.network import inside
from tests.lab.shell import LabError, run
from tests.lab.waiting import wait_for

READY_SECONDS = 30.0
STOP_SECONDS = 40.0
KILL_SECONDS = 10.0
PAUSE_SECONDS = 10.0
LOG_LINES = 12
# From this release on the engine keeps its id in its data root.
FIRST_WITH_OWN_ID = 23
# The pid is written by the shell that becomes dockerd, so it is known before dockerd's own pidfile is.
BECOME_DOCKERD = 'echo $$ >"$1.new"; mv "$1.new" "$1"; hostname "$2"; shift 2; exec "$@"'
IN_BACKGROUND = 'setsid "$@" >>"$0" 2>&1 </dev/null &'


def launch(host: LabHost, certificates: Path) -> None:
    """Start the host's dockerd and come back before it is ready. One that runs already is left alone."""
    if pid(host) is not None:
        return
    # A process that ended and was not reaped yet counts as alive for dockerd: it refuses to start for its
    # own old pidfile, and waits for ever for the containerd that an old pidfile names.
    for stale in (host.pidfile, _containerd_pidfile(host), _started(host)):
        stale.unlink(missing_ok=True)
    host.folder.mkdir(parents=True, exist_ok=True)
    # TMPDIR: where containerd writes its stacks when dockerd loses patience with it.
    dockerd = ("env", f"TMPDIR={host.folder}", "dockerd", *_arguments(host, certificates))
    named = ("unshare", "--uts", "sh", "-c", BECOME_DOCKERD, "sh", str(_started(host)), host.name, *dockerd)
    run("sh", "-c", IN_BACKGROUND, str(host.log), *inside(host, *named))


def wait_ready(host: LabHost, seconds: float = READY_SECONDS) -> None:
    """Wait until the host's API answers, or say what dockerd said instead."""
    try:
        wait_for(lambda: _ready(host), seconds, f"dockerd of {host.name} to answer on {host.socket}")
    except TimeoutError as error:
        raise LabError(f"{error}. The end of {host.log}:\n{_log_tail(host)}") from error


def _ready(host: LabHost) -> bool:
    """Whether the API answers; an error where dockerd has ended and waiting is in vain."""
    if engine.answers(host.socket):
        return True
    # Not `pid`: while the shell becomes dockerd, the kernel shows no command line for an instant.
    if _started(host).exists() and has_ended(int(_started(host).read_text())):
        raise LabError(
            f"dockerd of {host.name} ended while starting. The end of {host.log}:\n{_log_tail(host)}"
        )
    return False


def pid(host: LabHost) -> int | None:
    """The process of the host's dockerd, None where it does not run."""
    return _living(_started(host), host)


def is_paused(host: LabHost) -> bool:
    """Whether the host's dockerd is held by SIGSTOP, to its last thread: one that still runs can answer."""
    number = pid(host)
    return number is not None and all(map(_is_held, Path(f"/proc/{number}/task").iterdir()))


def _is_held(thread: Path) -> bool:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(host: LabHost) -> None:
    """kill -9 of dockerd: its containers go on without it."""
    # The kernel kills containerd with the dockerd that started it; a start before that would adopt it.
    _end(host, signal.SIGKILL, KILL_SECONDS)


def stop(host: LabHost) -> None:
    """Ask dockerd to end: it stops its containers first."""
    unpause(host)
    _end(host, signal.SIGTERM, STOP_SECONDS)


def pause(host: LabHost) -> None:
    """Hold dockerd: its sockets accept and never answer."""
    if pid(host) is not None:
        _send(host, signal.SIGSTOP)
        wait_for(lambda: is_paused(host), PAUSE_SECONDS, f"every thread of {host.name}'s dockerd to be held")


def unpause(host: LabHost) -> None:
    """Let dockerd go on."""
    _send(host, signal.SIGCONT)


def fill_disk(host: LabHost) -> None:
    """Leave no room where the engine keeps its containers: one that is new cannot be written down.

    For a host without containers: what it has is out of its sight meanwhile.
    """
    if not disk_is_full(host):
        run("mount", "-t", "tmpfs", "-o", "size=4k", "full", str(_containers(host)))
        (_containers(host) / "filler").write_bytes(bytes(os.sysconf("SC_PAGE_SIZE")))


def free_disk(host: LabHost) -> None:
    """Give the room back."""
    if disk_is_full(host):
        run("umount", "--lazy", str(_containers(host)))


def disk_is_full(host: LabHost) -> bool:
    """Whether `fill_disk` holds."""
    return _containers(host).is_mount()


def _containers(host: LabHost) -> Path:
    """Where the engine writes down what containers it has."""
    return host.data_root / "containers"


def _end(host: LabHost, number: signal.Signals, seconds: float) -> None:
    """Send dockerd a signal that ends it, and wait until it and its containerd hold nothing open any more."""
    ending = [found for found in (pid(host), _living(_containerd_pidfile(host), host)) if found is not None]
    _send(host, number)
    wait_for(
        lambda: all(has_ended(one) for one in ending),
        seconds,
        f"dockerd of {host.name} and its containerd to end after {number.name}",
    )


def has_ended(number: int) -> bool:
    """Whether it is gone, or waits with no thread left to be reaped; its sockets are closed only then."""
    folder = Path(f"/proc/{number}")
    try:
        is_zombie = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return is_zombie and len(list((folder / "task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def _send(host: LabHost, number: signal.Signals) -> None:
    """Send a signal to dockerd, if it runs."""
    dockerd = pid(host)
    if dockerd is not None:
        os.kill(dockerd, number)


def _arguments(host: LabHost, certificates: Path) -> list[str]:
    """dockerd's command line. It picks overlay2 by itself where the disk allows it, else vfs."""
    tcp = f"tcp://{host.address}:{host.port}"
    arguments = [
        f"--config-file={_config_file(host)}",
        f"--data-root={host.data_root}",
        f"--exec-root={host.exec_root}",
        f"--pidfile={host.pidfile}",
        f"--host=unix://{host.socket}",
        f"--host={tcp}",
        f"--label=zone={host.zone}",
        # A cgroup of the lab's own, by which the processes of its containers are found when it is torn down.
        f"--cgroup-parent=/{host.cgroup}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
    ]
    if not host.tls:
        return [*arguments, "--tls=false"]
    return [
        *arguments,
        "--tlsverify",
        f"--tlscacert={certificates / 'ca.pem'}",
        f"--tlscert={certificates / f'{host.name}.pem'}",
        f"--tlskey={certificates / f'{host.name}.key'}",
    ]


def _config_file(host: LabHost) -> Path:
    """Lets the engine pull without TLS from the lab's own network, and gives an old one an id of its own: it
    comes from a key file that all engines here would share."""
    settings: dict[str, object] = {"insecure-registries": [f"{host.address}/24"]}
    if _release() < FIRST_WITH_OWN_ID:
        settings["deprecated-key-path"] = str(host.folder / "key.json")
    path = host.folder / "daemon.json"
    path.write_text(json.dumps(settings))
    return path


@functools.cache
def _release() -> int:
    """The major release of the engine on this machine."""
    printed = run("dockerd", "--version")
    found = re.search(r"version (\d+)\.", printed)
    if found is None:
        raise LabError(f"`dockerd --version` printed no release: {printed.strip()!r}; install Docker Engine")
    return int(found[1])


def _containerd_pidfile(host: LabHost) -> Path:
    """Written by the dockerd that started this containerd."""
    return host.exec_root / "containerd" / "containerd.pid"


def _living(pidfile: Path, host: LabHost) -> int | None:
    """The process this file names, if it lives and is still a program of this host."""
    try:
        number = int(pidfile.read_text())
        command = Path(f"/proc/{number}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    # A pid can be given to another program; a process that ended and was not reaped has no command.
    return number if f"{host.folder}/".encode() in command else None


def _started(host: LabHost) -> Path:
    """Holds the pid of the dockerd that was started last; missing until its shell has written it."""
    return host.folder / "started.pid"


def _log_tail(host: LabHost) -> str:
    """The last lines dockerd printed."""
    if not host.log.exists():
        return "(nothing was printed)"
    lines = host.log.read_text(errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES:])
