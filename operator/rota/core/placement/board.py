"""The fleet while a placement is worked out: hosts as rows of arrays, workloads as counts per host.

Memory is linear in workloads + hosts: what a workload has is kept for the hosts that have any of it.
A board is changed as instances are seated, and never leaves the decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Host, Service
from rota.core.placement.terrain import Domains, Floats, Ints, Mask, Terrain, stable_hash, terrain_of
from rota.core.resources import Resources
from rota.core.rules import Affinity, Requirement, Toleration

if TYPE_CHECKING:
    from rota.core.placement.demand import Demand

Port = tuple[int, str]

T = TypeVar("T")

NO_LIMIT = np.int64(1 << 40)
"""More instances than any host takes."""


class Tally(NamedTuple):
    """How many instances of one workload some hosts have: row numbers, rising, and counts."""

    rows: Ints
    counts: Ints

    def plus(self, other: Tally) -> Tally:
        """Both added up."""
        if not len(self.rows):
            return other
        rows = np.concatenate((self.rows, other.rows))
        order = np.argsort(rows, kind="stable")
        rows, counts = rows[order], np.concatenate((self.counts, other.counts))[order]
        new = np.ones(len(rows), np.bool_)
        np.not_equal(rows[1:], rows[:-1], out=new[1:])
        first = new.nonzero()[0]
        rows, counts = rows[first], np.add.reduceat(counts, first)
        return Tally(rows, counts)


NONE = Tally(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(slots=True)
class Board:
    """One placement's accounting. Rows are hosts by name, columns `resources`.

    `free_now` counts everything that is there, stopping instances included; `free_after` is what is
    left once everything that leaves is gone. `closed` and `cordons` say in words why a host is given
    nothing new, empty where it may be; `known` are the hosts of which the capacity is known. `services`
    are all workloads of the fleet, `rivals` whom each must be apart from, `followers` who must be with it.
    """

    hosts: tuple[Host, ...]
    terrain: Terrain
    resources: tuple[str, ...]
    capacity: Ints
    free_now: Ints
    free_after: Ints
    closed: tuple[str, ...]
    cordons: tuple[str, ...]
    known: Mask
    services: Mapping[WorkloadId, Service]
    tallies: dict[WorkloadId, Tally] = field(default_factory=dict)
    ports_now: dict[Port, frozenset[int]] = field(default_factory=dict)
    ports_after: dict[Port, frozenset[int]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    rivals: Mapping[WorkloadId, tuple[Affinity, ...]] = field(default_factory=dict)
    followers: Mapping[WorkloadId, tuple[tuple[WorkloadId, Affinity], ...]] = field(default_factory=dict)
    _remembered: dict[object, Any] = field(default_factory=dict)
    _free_both: Ints | None = None
    _load: Floats | None = None
    _floats: dict[bool, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        hosts: Iterable[Host],
        services: Mapping[WorkloadId, Service],
        capacities: Mapping[str, Resources],
        closed: Mapping[str, str] | None = None,
        cordons: Mapping[str, str] | None = None,
    ) -> Board:
        """An empty board: `capacities` by host name, what Rota may use of each; a host without is given
        nothing."""
        closed, cordons = closed or {}, cordons or {}
        ordered = tuple(sorted(hosts, key=lambda host: host.name))
        names = {name for one in capacities.values() for name, _ in one.extended}
        names |= {name for service in services.values() for name, _ in service.requests.extended}
        resources = ("cpu", "memory", *sorted(names))
        column = {name: at for at, name in enumerate(resources)}
        capacity = np.zeros((len(ordered), len(resources)), np.int64, order="F")
        for row, host in enumerate(ordered):
            for name, amount in capacities.get(host.name, Resources()).items():
                capacity[row, column[name]] = amount
        shut = tuple(closed.get(host.name, "") for host in ordered)
        kept_back = tuple(cordons.get(host.name, "") for host in ordered)
        return cls(
            hosts=ordered,
            terrain=terrain_of(ordered),
            resources=resources,
            capacity=capacity,
            free_now=capacity.copy(),
            free_after=capacity.copy(),
            closed=shut,
            cordons=kept_back,
            known=np.array([host.name in capacities for host in ordered], np.bool_),
            services=services,
            rows=terrain_of(ordered).rows,
            rivals=_rivals(services),
            followers=_followers(services),
        )

    # --- reading

    def vector(self, requests: Resources) -> Ints:
        """`requests` by column, to be read only."""

        def by_column() -> Ints:
            amounts = dict(requests.items())
            return np.array([amounts.get(name, 0) for name in self.resources], np.int64)

        return self.remembered(requests, by_column)

    def free(self, *, after: bool) -> Ints:
        """What can be given away: now, or once what leaves has left (never more than both allow)."""
        if after:
            return self.free_after
        if self._free_both is None:
            self._free_both = np.minimum(self.free_now, self.free_after)
        return self._free_both

    def free_float(self, *, after: bool) -> Floats:
        """`free` as doubles, exact below 2^53: what is divided again and again is converted once."""
        kept = self._floats.get(after)
        if kept is None:
            kept = self._floats[after] = np.asfortranarray(self.free(after=after), np.float64)
        return kept

    def counts(self, workload: WorkloadId) -> Ints:
        """Instances of `workload` by host, as an array of its own."""
        result = np.zeros(len(self.hosts), np.int64)
        tally = self.tallies.get(workload)
        if tally is not None:
            result[tally.rows] = tally.counts
        return result

    def load(self) -> Floats:
        """The fuller of cpu and memory of each host, 0 empty to 1 full, as it will be."""
        if self._load is None:
            self._load = self._load_of(np.arange(len(self.hosts)))
        return self._load

    def _load_of(self, rows: Ints) -> Floats:
        whole = np.maximum(self.capacity[rows, :2], 1)
        share = self.free_after[rows, :2] / whole
        return np.asarray(1.0 - np.minimum(share[:, 0], share[:, 1]))

    def domains(self, key: str) -> Domains:
        """The values of the label `key` over all hosts."""
        return self.terrain.domains(key)

    def selected(self, selector: tuple[Requirement, ...]) -> Mask:
        """Which hosts have the labels that `selector` asks for."""
        return self.terrain.selected(selector)

    def tolerated(self, tolerations: tuple[Toleration, ...]) -> Mask:
        """Which hosts have no taint that is not tolerated."""
        return self.terrain.tolerated(tolerations)

    def ties(self, workload: WorkloadId) -> Ints:
        """A number for each host, below 2^24, that depends on its name and on `workload` only: it breaks
        ties. By multiplicative hashing."""
        factor = np.uint64(stable_hash(str(workload)) | 1)
        return np.asarray((self.terrain.names * factor) >> np.uint64(40)).astype(np.int64)

    @property
    def reachable(self) -> Mask:
        """Hosts that answer."""
        return self.remembered("reachable", lambda: np.array([not one for one in self.closed], np.bool_))

    @property
    def schedulable(self) -> Mask:
        """Hosts that are not cordoned."""
        return self.remembered("schedulable", lambda: np.array([not one for one in self.cordons], np.bool_))

    @property
    def open(self) -> Mask:
        """Hosts that may be given anything new."""
        return self.remembered("open", lambda: np.asarray(self.reachable & self.schedulable))

    def ports_taken(self, port: Port, *, after: bool) -> frozenset[int]:
        """The rows on which a host port is in use."""
        there = self.ports_after.get(port, frozenset())
        return there if after else there | self.ports_now.get(port, frozenset())

    def remembered(self, key: object, work_out: Callable[[], T]) -> T:
        """What `work_out` gives for `key`, worked out once: for what no seat changes."""
        if key not in self._remembered:
            self._remembered[key] = work_out()
        found: T = self._remembered[key]
        return found

    # --- changing

    def seat(self, service: Service, rows: Ints, counts: Ints) -> None:
        """Put `counts` instances of `service` on `rows` (each row once)."""
        self.hold_back(counts[:, None] * self.vector(service.requests), rows)
        self.add(service.id, rows, counts)
        for port in service.container.fixed_ports:
            taken = frozenset(rows[counts > 0].tolist())
            self.ports_now[port] = self.ports_now.get(port, frozenset()) | taken
            self.ports_after[port] = self.ports_after.get(port, frozenset()) | taken

    def unseat(self, service: Service, rows: Ints, counts: Ints) -> None:
        """Let `counts` instances of `service` go from `rows`: their room is free once they have left."""
        self.free_after[rows] += counts[:, None] * self.vector(service.requests)
        self._changed(rows)
        self.add(service.id, rows, -counts)
        left = self.counts(service.id)
        gone = frozenset(row for row in rows.tolist() if left[row] <= 0)
        for port in service.container.fixed_ports:
            self.ports_after[port] = self.ports_after.get(port, frozenset()) - gone

    def without(self, demand: Demand) -> Board:
        """The board as a demand sees it: what it replaces counts for none of the rules."""
        if not demand.replaces:
            return self
        rows = np.array([self.rows[host] for host in demand.replaces], np.int64)
        seen = self.checkpoint()
        seen.add(demand.service.id, rows, -np.array(list(demand.replaces.values()), np.int64))
        return seen

    def leave(self, demand: Demand, seats: Tally) -> None:
        """A successor on the host of its predecessor is one slot, not two."""
        for host, count in demand.replaces.items():
            row = self.rows[host]
            new = int(seats.counts[seats.rows == row].sum())
            if new:
                self.add(demand.service.id, np.array([row]), np.array([-min(new, count)]))

    def hold_back(self, amounts: Ints, rows: Ints) -> None:
        """Take `amounts` (by row and resource) of what is free; negative ones give it back."""
        self.free_now[rows] -= amounts
        self.free_after[rows] -= amounts
        self._changed(rows)

    def _changed(self, rows: Ints) -> None:
        if self._free_both is not None:
            self._free_both[rows] = np.minimum(self.free_now[rows], self.free_after[rows])
        for after, kept in self._floats.items():
            kept[rows] = self.free(after=after)[rows]
        if self._load is not None:
            self._load[rows] = self._load_of(rows)

    def add(self, workload: WorkloadId, rows: Ints, counts: Ints) -> None:
        """Count instances without accounting for their room. Tallies are replaced, never changed."""
        before = self.tallies.get(workload)
        after = Tally(rows, counts) if before is None else before.plus(Tally(rows, counts))
        kept = after.counts != 0
        self.tallies[workload] = Tally(after.rows[kept], after.counts[kept])

    def checkpoint(self) -> Board:
        """A board that can be changed without changing this one."""
        return replace(
            self,
            free_now=self.free_now.copy(),
            free_after=self.free_after.copy(),
            _free_both=None if self._free_both is None else self._free_both.copy(),
            _load=None if self._load is None else self._load.copy(),
            _floats={after: kept.copy(order="F") for after, kept in self._floats.items()},
            tallies=dict(self.tallies),
            ports_now=dict(self.ports_now),
            ports_after=dict(self.ports_after),
        )

    def become(self, other: Board) -> None:
        """Take over what `other`, a checkpoint of this board, has come to."""
        self.free_now, self.free_after = other.free_now, other.free_after
        self._free_both, self._load, self._floats = other._free_both, other._load, other._floats
        self.tallies, self.ports_now, self.ports_after = other.tallies, other.ports_now, other.ports_after


def _rivals(services: Mapping[WorkloadId, Service]) -> dict[WorkloadId, tuple[Affinity, ...]]:
    """Who keeps away from whom by requirement, told to both sides: what came first must not decide."""
    result: dict[WorkloadId, tuple[Affinity, ...]] = {}
    for workload in sorted(services):
        for one in services[workload].placement.anti_affinity:
            if one.required:
                result[workload] = (*result.get(workload, ()), one)
                if one.workload != workload:
                    result[one.workload] = (*result.get(one.workload, ()), replace(one, workload=workload))
    return {workload: tuple(dict.fromkeys(rivals)) for workload, rivals in result.items()}


def _followers(
    services: Mapping[WorkloadId, Service],
) -> dict[WorkloadId, tuple[tuple[WorkloadId, Affinity], ...]]:
    result: dict[WorkloadId, tuple[tuple[WorkloadId, Affinity], ...]] = {}
    for workload in sorted(services):
        for one in services[workload].placement.affinity:
            if one.required:
                result[one.workload] = (*result.get(one.workload, ()), (workload, one))
    return result
