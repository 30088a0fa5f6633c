"""The same fleets in Rota's own values, and Rota's placement as an entry of the tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.placement.checker import Placement, Violation, check
from benchmarks.placement.fleets import RARE, SSD, Fleet, Ints
from rota.core.container import ContainerSpec, Port
from rota.core.ids import WorkloadId
from rota.core.model import Host, Service
from rota.core.placement.board import Board
from rota.core.placement.demand import Demand, Seating
from rota.core.placement.place import place
from rota.core.placement.puzzle import Solver
from rota.core.resources import Resources
from rota.core.rules import HOST_SCOPE, Affinity, Operator, PlacementRules, Requirement, Spread

ZONE_LABEL = "zone"
SELECTORS = {
    SSD: (Requirement(key="disk", operator=Operator.IN, values=("ssd",)),),
    RARE: (Requirement(key="rare", operator=Operator.IN, values=("yes",)),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A fleet as Rota sees it. Rows of the board and numbers of the fleet are the same hosts."""

    fleet: Fleet
    hosts: tuple[Host, ...]
    services: tuple[Service, ...]
    capacities: Mapping[str, Resources]

    @classmethod
    def of(cls, fleet: Fleet) -> Stage:
        hosts = tuple(_host(fleet, number) for number in range(len(fleet.zone)))
        capacities = {
            host.name: Resources(cpu=cpu, memory=memory)
            for host, (cpu, memory) in zip(hosts, fleet.capacity.tolist(), strict=True)
        }
        services = tuple(_service(fleet, number) for number in range(len(fleet.replicas)))
        return cls(fleet=fleet, hosts=hosts, services=services, capacities=capacities)

    def board(self, closed: Iterable[int] = ()) -> Board:
        """An empty board; `closed` hosts are given nothing."""
        return Board.of(
            self.hosts,
            {service.id: service for service in self.services},
            self.capacities,
            {self.hosts[number].name: "unreachable" for number in closed},
        )

    def demands(self, counts: Ints) -> list[Demand]:
        """So many of each workload, those without any left out."""
        return [
            Demand(service=self.services[number], count=int(counts[number]))
            for number in np.flatnonzero(counts).tolist()
        ]

    def placement(self, board: Board, wanted: Ints) -> Placement:
        """What stands on `board`, with what is missing from `wanted` as unplaced."""
        found = [board.tallies.get(service.id) for service in self.services]
        rows = [np.zeros(0, np.int64) if one is None else one.rows for one in found]
        counts = [np.zeros(0, np.int64) if one is None else one.counts for one in found]
        seated = np.array([int(one.sum()) for one in counts])
        return Placement(
            workloads=np.repeat(np.arange(len(found)), [len(one) for one in rows]),
            hosts=np.concatenate(rows),
            counts=np.concatenate(counts),
            unplaced=wanted - seated,
        )

    def restore(self, placement: Placement, board: Board) -> None:
        """Seat a placement that was found before."""
        starts = np.searchsorted(placement.workloads, np.arange(len(self.services) + 1))
        for number, service in enumerate(self.services):
            part = slice(starts[number], starts[number + 1])
            board.seat(service, placement.hosts[part], placement.counts[part])


def number_of(workload: WorkloadId) -> int:
    return int(workload.name[1:])


def _host(fleet: Fleet, number: int) -> Host:
    labels = {ZONE_LABEL: "abc"[fleet.zone[number]]}
    labels |= {"disk": "ssd"} if fleet.labels[number] & SSD else {"disk": "hdd"}
    labels |= {"rare": "yes"} if fleet.labels[number] & RARE else {}
    name = f"h{number:05}"
    return Host(name=name, endpoint=f"tcp://{name}:2376", address=name, labels=labels)


def _service(fleet: Fleet, number: int) -> Service:
    identity = WorkloadId("bench", f"w{number:05}")
    cpu, memory = fleet.requests[number].tolist()
    port = int(fleet.port[number])
    apart = (Affinity(workload=identity, scope=HOST_SCOPE, required=True),) if fleet.apart[number] else ()
    rules = PlacementRules(
        host_selector=SELECTORS.get(int(fleet.label[number]), ()),
        spread=(Spread(key=ZONE_LABEL, hard=True),) if fleet.even[number] else (),
        anti_affinity=apart,
        strategy=fleet.wish.strategy,
    )
    return Service(
        id=identity,
        replicas=int(fleet.replicas[number]),
        container=ContainerSpec(
            image="example.org/bench:1",
            ports=(Port(name="http", target=8080, published=port),) if port else (),
        ),
        requests=Resources(cpu=cpu, memory=memory),
        spec_hash=identity.name,
        placement=rules,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One placement of a whole fleet from nothing, in seconds, the parts apart."""

    placement: Placement
    seatings: Sequence[Seating]
    values: float
    """Making hosts, services and demands, which Rota has from its manifests."""
    empty_board: float
    placing: float
    processor: float
    """Of the placing: what other work on the machine does not lengthen."""


def placed(fleet: Fleet, solver: Solver | None = None) -> Run:
    """Rota's answer for `fleet`, found to be what it says and to break no rule."""
    began = time.perf_counter()
    stage = Stage.of(fleet)
    demands = stage.demands(fleet.replicas)
    valued = time.perf_counter()
    board = stage.board()
    processor = time.process_time()
    ready = time.perf_counter()
    seatings = place(demands, board, solver)
    ended = time.perf_counter()
    processor = time.process_time() - processor
    placement = stage.placement(board, fleet.replicas)
    check(fleet, placement)
    agree(stage, board, seatings, placement)
    return Run(
        placement=placement,
        seatings=seatings,
        values=valued - began,
        empty_board=ready - valued,
        placing=ended - ready,
        processor=processor,
    )


def agree(stage: Stage, board: Board, seatings: Sequence[Seating], placement: Placement) -> None:
    """Raises Violation unless the answers, the seats on the board and its accounts are the same."""
    seats = {
        (number_of(seating.demand.service.id), int(host[1:]), count)
        for seating in seatings
        for host, count in seating.now.items()
    }
    triples = np.column_stack([placement.workloads, placement.hosts, placement.counts]).tolist()
    if seats != {tuple(one) for one in triples}:
        raise Violation("the seats that were answered are not those on the board")
    if any(
        seating.unplaced != placement.unplaced[number_of(seating.demand.service.id)] for seating in seatings
    ):
        raise Violation("what is said to be unplaced is not what is missing on the board")
    fleet = stage.fleet
    used = np.zeros_like(fleet.capacity)
    np.add.at(used, placement.hosts, placement.counts[:, None] * fleet.requests[placement.workloads])
    if (board.free_after != fleet.capacity - used).any():
        raise Violation("the board's free room is not its capacity less what is seated")
