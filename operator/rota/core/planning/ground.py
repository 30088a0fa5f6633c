"""The ground that a decision stands on: what is observed, as the board that placement works with."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from rota.core.model import Fleet, Host, WorkloadId
from rota.core.observed import HostState, HostView, ObservedContainer, ObservedState
from rota.core.placement.board import Board
from rota.core.quantities import format_amount
from rota.core.resources import Resources

ASSIGNED_PORTS = range(20000, 32000)


def capacity_of(host: Host, view: HostView) -> Resources | None:
    """What Rota may use of a host; None where neither the manifest nor the Engine says.

    Cpu as declared, memory the smaller of declared and reported; minus what is reserved.
    """
    reported = view.engine
    cpu = host.cpu if host.cpu is not None else (reported.cpu if reported else None)
    memories = [
        amount for amount in (host.memory, reported.memory if reported else None) if amount is not None
    ]
    if cpu is None or not memories:
        return None
    return Resources(cpu=cpu, memory=min(memories), extended=host.resources) - host.reserved


def less_than_declared(host: Host, view: HostView) -> str:
    """What an Engine reports to have less of than its manifest declares, in words; empty where nothing.

    Cpu counts as declared all the same: where Engines run in slices of a machine, only people know.
    """
    if view.engine is None:
        return ""
    short = [
        f"{name} {format_amount(name, declared)} and its Engine reports {format_amount(name, reported)}"
        for name, declared, reported in (
            ("cpu", host.cpu, view.engine.cpu),
            ("memory", host.memory, view.engine.memory),
        )
        if declared is not None and declared > reported
    ]
    return f"declares {', '.join(short)}" if short else ""


def view_of(name: str, observed: ObservedState) -> HostView:
    """What is known of a host: nothing, where it was never asked."""
    return observed.hosts.get(name) or HostView(name=name, state=HostState.UNKNOWN)


def board_of(
    fleet: Fleet,
    observed: ObservedState,
    cordons: Mapping[str, str],
    leaving: Iterable[ObservedContainer],
) -> Board:
    """The board of `observed`. `leaving` is what this decision stops."""
    capacities, closed = {}, {}
    for name, host in fleet.hosts.items():
        view = view_of(name, observed)
        capacity = capacity_of(host, view)
        if capacity is not None:
            capacities[name] = capacity
        if view.state is not HostState.REACHABLE:
            closed[name] = f"{view.state}{': ' + view.detail if view.detail else ''}"
    board = Board.of(fleet.hosts.values(), fleet.services, capacities, closed, cordons)
    gone = {(container.host, container.id) for container in leaving}
    tenancy = _Tenancy(board)
    for name in board.rows:
        view = view_of(name, observed)
        for container in view.all_containers:
            stays = (name, container.id) not in gone and container.id not in view.stopping
            tenancy.add(container, stays=stays)
    tenancy.settle()
    return board


@dataclass(slots=True)
class _Tenancy:
    """Collects containers, and puts them on the board in one go."""

    board: Board
    rows: list[int] = field(default_factory=list)
    needs: list[tuple[int, ...]] = field(default_factory=list)
    stays: list[bool] = field(default_factory=list)
    slots: dict[WorkloadId, dict[int, set[int]]] = field(default_factory=lambda: defaultdict(dict))
    ports: dict[bool, dict[tuple[int, str], set[int]]] = field(
        default_factory=lambda: {True: defaultdict(set), False: defaultdict(set)}
    )

    def add(self, container: ObservedContainer, *, stays: bool) -> None:
        row = self.board.rows[container.host]
        amounts = dict(container.requests.items())
        self.rows.append(row)
        self.needs.append(tuple(amounts.get(name, 0) for name in self.board.resources))
        self.stays.append(stays)
        for port in container.ports:
            self.ports[False][port.published, port.protocol].add(row)
            if stays:
                self.ports[True][port.published, port.protocol].add(row)
        service = self.board.services.get(container.workload)
        for fixed in service.container.fixed_ports if service is not None else ():
            # Until it runs, an Engine lists none of its ports.
            self.ports[False][fixed].add(row)
            if stays:
                self.ports[True][fixed].add(row)
        if stays:
            self.slots[container.workload].setdefault(row, set()).add(container.slot)

    def settle(self) -> None:
        board = self.board
        if self.rows:
            rows, needs, stays = np.array(self.rows), np.array(self.needs), np.array(self.stays)
            np.subtract.at(board.free_now, rows, needs)
            np.subtract.at(board.free_after, rows[stays], needs[stays])
        for workload, hosts in self.slots.items():
            held = sorted(hosts.items())
            board.add(
                workload, np.array([row for row, _ in held]), np.array([len(slots) for _, slots in held])
            )
        board.ports_now.update((port, frozenset(rows)) for port, rows in self.ports[False].items())
        board.ports_after.update((port, frozenset(rows)) for port, rows in self.ports[True].items())


@dataclass(slots=True)
class PortBook:
    """The host ports of this decision: those in use, and those that it gives away."""

    observed: ObservedState
    taken: dict[str, set[int]] = field(default_factory=dict)

    def fixed(self, host: str, ports: Iterable[tuple[int, str]]) -> None:
        """A fixed port is given to a new instance."""
        self._on(host).update(port for port, _protocol in ports)

    def assign(self, host: str, seed: str) -> int | None:
        """A free port of the assigned range, looked for from a place that depends on `seed` only."""
        taken = self._on(host)
        start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) % len(ASSIGNED_PORTS)
        for offset in range(len(ASSIGNED_PORTS)):
            port = ASSIGNED_PORTS[(start + offset) % len(ASSIGNED_PORTS)]
            if port not in taken:
                taken.add(port)
                return port
        return None

    def _on(self, host: str) -> set[int]:
        if host not in self.taken:
            containers = view_of(host, self.observed).all_containers
            self.taken[host] = {port.published for one in containers for port in one.ports}
        return self.taken[host]
