"""A lab of real Docker hosts on one machine: bring it up, disturb it, look at it, take it down."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from tests.lab import certificates, contents, daemon, engine, leftovers, network, packages, state
from tests.lab.images import image_archive
from tests.lab.layout import STATE_ROOT, LabHost, Layout
from tests.lab.shell import LabError
from tests.lab.waiting import wait_for

__all__ = ["Lab", "LabError", "LabHost", "accepts"]

Log = Callable[[str], None]

PICK_SUBNET_SECONDS = 20.0
PORT_SECONDS = 5.0
KNOCK_SECONDS = 0.2
ENDED_BY_SIGTERM = 128 + signal.SIGTERM


class Lab:
    """`count` Docker hosts named h1 to hN, each with its own engine, network and host name.

    A host may be given by its name or as the `LabHost`. Whoever brings a lab up owns it: it is taken
    down when the `with` block or the Python process ends, also by SIGTERM. After a kill -9 the next
    `up` of the same name cleans up first.
    """

    def __init__(self, layout: Layout, lock: state.Lock) -> None:
        self.layout = layout
        self.hosts: dict[str, LabHost] = layout.hosts
        self._lock = lock
        self._owner = os.getpid()
        self._is_down = False

    @classmethod
    def up(
        cls,
        count: int = 3,
        *,
        root: Path | None = None,
        name: str = "rota",
        tls: bool = False,
        log: Log = print,
    ) -> Self:
        """Bring a lab up and own it. Ready means: every host answers and has every image."""
        reason = packages.why_not()
        if reason is not None:
            raise LabError(reason)
        packages.ensure_packages(log)
        _exit_on_sigterm()
        lock = state.lab_lock(name)
        state.claim(lock, name)
        try:
            _remove_dead_run(name, log)
            layout = _plan(name, root or STATE_ROOT, count, tls)
        except BaseException:
            _release(lock, name)
            raise
        lab = cls(layout, lock)
        atexit.register(lab._down_at_exit)
        try:
            lab._build(log)
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def attach(cls, name: str = "rota") -> Self:
        """A lab that is up already, without owning it: to look at it and to disturb it by hand."""
        layout = state.saved(name)
        if layout is None:
            raise LabError(f"there is no lab {name!r}: `python -m tests.lab up --name {name}` brings it up")
        return cls(layout, state.lab_lock(name))

    @staticmethod
    def why_not() -> str | None:
        """Why no lab can be had on this machine and what to do about it; None where one can."""
        return packages.why_not()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """Take away everything the lab made. Doing it again does nothing."""
        if self._is_down:
            return
        state.claim(self._lock, self.layout.name)
        _take_down(self.layout)
        _release(self._lock, self.layout.name)
        self._is_down = True
        atexit.unregister(self._down_at_exit)

    def leave(self) -> None:
        """Own the lab no more: it stays up when this Python ends, for `attach` and for a later `down`."""
        atexit.unregister(self._down_at_exit)
        self._lock.release(remove=False)

    @property
    def client_certificates(self) -> certificates.ClientCertificates | None:
        """The paths of the CA, the client's certificate and its key; None where the lab has no TLS."""
        return certificates.client_certificates(self.layout) if self.layout.tls else None

    def host(self, host: LabHost | str) -> LabHost:
        """A host by its name."""
        if isinstance(host, LabHost):
            return host
        if host not in self.hosts:
            raise LabError(f"lab {self.layout.name!r} has no host {host!r}: it has {', '.join(self.hosts)}")
        return self.hosts[host]

    def cut(self, host: LabHost | str) -> None:
        """Pull the host's network cable: it and its containers go on, out of everyone's reach."""
        network.set_link(self.host(host), up=False)

    def heal(self, host: LabHost | str) -> None:
        """Plug the host's network cable in again."""
        network.set_link(self.host(host), up=True)

    def kill(self, host: LabHost | str) -> None:
        """kill -9 of dockerd: its containers go on serving."""
        daemon.kill(self.host(host))

    def stop(self, host: LabHost | str) -> None:
        """End dockerd in good order: it stops its containers first."""
        daemon.stop(self.host(host))

    def start(self, host: LabHost | str) -> None:
        """Start dockerd again and wait until it answers on its unix socket."""
        self._launch(self.host(host))
        daemon.wait_ready(self.host(host))

    def pause(self, host: LabHost | str) -> None:
        """Hold dockerd: it accepts connections and never answers, also on its unix socket."""
        daemon.pause(self.host(host))

    def unpause(self, host: LabHost | str) -> None:
        """Let dockerd go on."""
        daemon.unpause(self.host(host))

    def drop_answers(self, host: LabHost | str) -> None:
        """Lose the answers of the host's API: what was asked is done, and nobody hears of it."""
        network.drop_answers(self.host(host))

    def restore_answers(self, host: LabHost | str) -> None:
        """Let the answers of the host's API out again."""
        network.restore_answers(self.host(host))

    def fill_disk(self, host: LabHost | str) -> None:
        """Fill the disk of a host without containers: none can be made there."""
        daemon.fill_disk(self.host(host))

    def free_disk(self, host: LabHost | str) -> None:
        """Make room on its disk again."""
        daemon.free_disk(self.host(host))

    def mend(self, host: LabHost | str) -> None:
        """Undo every fault: cable in, answers out, room on the disk, dockerd running and not held.

        It ends when the host is within reach: a wire that was just plugged in may lose the first packet.
        """
        self.heal(host)
        self.free_disk(host)
        self.restore_answers(host)
        self.unpause(host)
        self.start(host)
        _reachable(self.host(host))

    def mend_all(self) -> None:
        """Undo every fault of every host."""
        _each(self.mend, self.hosts.values())

    def api(self, host: LabHost | str, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        """One call to the host's Engine API over its unix socket: status code and answer."""
        return engine.call(self.host(host).socket, method, path, body)

    def containers(self, host: LabHost | str, *, running_only: bool = False) -> list[dict[str, Any]]:
        """The Engine's own list of containers, also those that do not run unless `running_only`."""
        return contents.containers(self.host(host), running_only=running_only)

    def clear(self, host: LabHost | str) -> None:
        """Remove every container, volume and network of the host, and bring back images that were removed."""
        contents.clear(self.host(host))
        contents.load_images(self.host(host), image_archive())

    def clear_all(self) -> None:
        """Clear every host, all at once."""
        _each(self.clear, self.hosts.values())

    def _build(self, log: Log) -> None:
        """Wires, daemons, images. The layout is saved already, so a crash anywhere here can be undone."""
        network.make_bridge(self.layout)
        for host in self.hosts.values():
            network.connect(self.layout, host)
        if self.layout.tls:
            certificates.issue(self.layout)
        for host in self.hosts.values():
            self._launch(host)
        archive = image_archive(log)
        _each(lambda host: _finish(host, archive), self.hosts.values())
        log(f"lab {self.layout.name} is up: " + ", ".join(host.endpoint for host in self.hosts.values()))

    def _launch(self, host: LabHost) -> None:
        daemon.launch(host, certificates.certificate_folder(self.layout))

    def _down_at_exit(self) -> None:
        # A forked child inherits this registration, not the lab.
        if os.getpid() == self._owner:
            self.down()


def _plan(name: str, root: Path, count: int, tls: bool) -> Layout:
    """Pick a free subnet and save the layout, which claims the subnet, before anything is made."""
    subnets = state.subnet_lock()
    subnets.wait(PICK_SUBNET_SECONDS)
    try:
        subnet = network.free_subnet(name, claimed=state.subnets())
        layout = Layout(name=name, root=root, subnet=subnet, count=count, tls=tls)
        state.save(layout)
    finally:
        subnets.release(remove=True)
    return layout


def _remove_dead_run(name: str, log: Log) -> None:
    """Take down what a run of the same name left: one that crashed, or one left up by hand."""
    dead = state.saved(name)
    if dead is not None:
        log(f"taking down what is left of the last lab {name}")
        _take_down(dead)


def _take_down(layout: Layout) -> None:
    """Remove what the lab made, then its state: what could not be removed is tried again the next time."""
    leftovers.remove_all(layout)
    state.remove_if_empty(layout.folder)
    state.forget(layout.name)


def _finish(host: LabHost, archive: Path) -> None:
    """See a launched host ready, give it the images, and see its port answer from here."""
    daemon.wait_ready(host)
    contents.load_images(host, archive)
    _reachable(host)


def _reachable(host: LabHost) -> None:
    wait_for(
        lambda: accepts(host, KNOCK_SECONDS),
        PORT_SECONDS,
        f"{host.name} to accept connections on {host.endpoint}",
    )


def accepts(host: LabHost, seconds: float = 1.0) -> bool:
    """Whether the host's API port takes a connection from this machine within `seconds`."""
    with suppress(OSError), socket.create_connection((host.address, host.port), timeout=seconds):
        return True
    return False


def _each(act: Callable[[LabHost], None], hosts: Iterable[LabHost]) -> None:
    """Do it on all hosts at once; the first error is raised after every host is through."""
    hosts = list(hosts)
    with ThreadPoolExecutor(len(hosts)) as threads:
        list(threads.map(act, hosts))


def _release(lock: state.Lock, name: str) -> None:
    """Give the lab's lock back and leave no empty directory behind."""
    lock.release(remove=True)
    state.remove_if_empty(STATE_ROOT / name)
    state.remove_if_empty(STATE_ROOT)


def _exit_on_sigterm() -> None:
    """Let SIGTERM end Python as an exit, so that `with` and `atexit` run; another handler is respected."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _raise_exit)


def _raise_exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(ENDED_BY_SIGTERM)
