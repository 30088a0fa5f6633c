"""The ground that a decision stands on: what is observed, as the board that placement works with."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Fleet, Host
from rota.core.observed import HostState, HostView, ObservedContainer, ObservedState
from rota.core.placement.board import Board, Port
from rota.core.quantities import format_amount
from rota.core.resources import Resources

ASSIGNED_PORTS = range(20000, 32000)

Containers = Sequence[ObservedContainer]


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
    gone: dict[str, set[str]] = defaultdict(set)
    for container in leaving:
        gone[container.host].add(container.id)
    tenancy = _Tenancy(board)
    for row, name in enumerate(board.rows):
        view = view_of(name, observed)
        there, going = view.all_containers, view.stopping | gone[name]
        tenancy.add(row, there, [one for one in there if one.id not in going] if going else there)
    tenancy.settle()
    return board


class _Tenancy:
    """Collects containers host by host, and puts them on the board in one go.

    Of the ports only those count that a manifest fixes: nobody asks for another one.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        fixed = {workload: one.container.fixed_ports for workload, one in board.services.items()}
        self.fixed = {workload: ports for workload, ports in fixed.items() if ports}
        self.asked = {port for ports in self.fixed.values() for port in ports}
        self.used = np.zeros_like(board.free_now)
        self.kept = np.zeros_like(board.free_now)
        self.rows: dict[WorkloadId, list[int]] = defaultdict(list)
        self.taken_now: dict[Port, set[int]] = defaultdict(set)
        self.taken_after: dict[Port, set[int]] = defaultdict(set)

    def add(self, row: int, there: Containers, staying: Containers) -> None:
        """The containers of one host, and which of them stay."""
        if not there:
            return
        self.used[row] = self._taken(there)
        self.kept[row] = self.used[row] if staying is there else self._taken(staying)
        for workload, _slot in dict.fromkeys([(one.workload, one.slot) for one in staying]):
            self.rows[workload].append(row)
        if self.asked:
            for taken, ones in ((self.taken_now, there), (self.taken_after, staying)):
                for port in self._ports(ones):
                    taken[port].add(row)

    def _taken(self, containers: Containers) -> list[int]:
        """The room that they take together, by column."""
        amounts = {
            "cpu": sum([one.requests.cpu for one in containers]),
            "memory": sum([one.requests.memory for one in containers]),
        }
        for one in containers:
            for name, amount in one.requests.extended:
                amounts[name] = amounts.get(name, 0) + amount
        return [amounts.get(name, 0) for name in self.board.resources]

    def _ports(self, containers: Containers) -> set[Port]:
        """The ports in use: those that an Engine lists, and those of what does not run yet."""
        listed = {(port.published, port.protocol) for one in containers for port in one.ports}
        fixed = {port for one in containers for port in self.fixed.get(one.workload, ())}
        return (listed | fixed) & self.asked

    def settle(self) -> None:
        board = self.board
        board.free_now -= self.used
        board.free_after -= self.kept
        for workload, rows in self.rows.items():
            counts = Counter(rows)
            board.add(workload, np.array(list(counts)), np.array(list(counts.values())))
        board.ports_now.update((port, frozenset(rows)) for port, rows in self.taken_now.items())
        board.ports_after.update((port, frozenset(rows)) for port, rows in self.taken_after.items())


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
