"""Known rules of placement, each on the same fleets and held to the same constraints.

A rule says which of two hosts a container goes to. Taking container by container, the host that a filling
rule chose stays its choice until it is full, and an evening rule goes round by round; so all containers of
a workload are seated at once by the order of the hosts, with the same outcome (`judges.py` compares).
Only Nomad's sampling and the plain loops have to go container by container: `loops.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.placement.checker import MAX_SKEW, Placement
from benchmarks.placement.fleets import ZONES, Fleet, Floats, Ints, Mask

NO_END = np.int64(1 << 40)


@dataclass(slots=True)
class State:
    """What is taken so far."""

    fleet: Fleet
    free: Ints
    tasks: Ints
    ports: dict[int, Mask] = field(default_factory=dict)

    @classmethod
    def empty(cls, fleet: Fleet) -> State:
        return cls(fleet, fleet.capacity.copy(), np.zeros(len(fleet.zone), np.int64))

    def room(self, workload: int) -> Ints:
        """How many instances of `workload`, of which none is seated yet, each host takes."""
        fits = (self.free // self.fleet.requests[workload]).min(axis=1)
        if self.fleet.one_each[workload]:
            fits = np.minimum(fits, 1)
        port = int(self.fleet.port[workload])
        taken = self.ports.get(port)
        admitted = self.fleet.eligible(workload)
        return np.where(admitted if taken is None else admitted & ~taken, fits, 0)

    def seat(self, workload: int, counts: Ints) -> None:
        self.free -= counts[:, None] * self.fleet.requests[workload]
        self.tasks += counts
        if port := int(self.fleet.port[workload]):
            self.ports[port] = self.ports.get(port, np.zeros(len(counts), np.bool_)) | (counts > 0)


Rule = Callable[[State, int, Ints, Ints, int], Ints]
"""state, workload, hosts (row numbers), room of each, how many (at most all the room) → how many on each."""


def in_turn(order: Ints, room: Ints, count: int) -> Ints:
    """Fill one host after the other."""
    sorted_room = room[order]
    before = np.cumsum(sorted_room) - sorted_room
    counts = np.zeros(len(room), np.int64)
    counts[order] = np.clip(count - before, 0, sorted_room)
    return counts


def by_turns(order: Ints, room: Ints, count: int) -> Ints:
    """One on each host that has room, in order, again and again."""
    low, high = 0, int(room.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(room, middle).sum() <= count else (low, middle - 1)
    counts = np.minimum(room, low)
    further = order[room[order] > low][: count - int(counts.sum())]
    counts[further] += 1
    return counts


def first_fit(state: State, _: int, hosts: Ints, room: Ints, count: int) -> Ints:
    """The first host in a fixed order, large ones first."""
    return in_turn(np.lexsort((hosts, -state.fleet.capacity[hosts, 0])), room, count)


def best_fit(state: State, workload: int, hosts: Ints, room: Ints, count: int) -> Ints:
    """The host in use with the least left over; then an empty one, large ones first."""
    mean = state.fleet.capacity.mean(axis=0)
    left = ((state.free[hosts] - state.fleet.requests[workload]) / mean).sum(axis=1)
    empty = state.tasks[hosts] == 0
    return in_turn(np.lexsort((hosts, np.where(empty, -left, left), empty)), room, count)


def nomad(state: State, workload: int, hosts: Ints, room: Ints, count: int) -> Ints:
    """Nomad's bin packing: the highest 20 - (10^free cpu + 10^free memory), free as shares afterwards.

    Its penalty for hosts that run the same job is left out, which is in favour of its density.
    """
    free = (state.free[hosts] - state.fleet.requests[workload]) / state.fleet.capacity[hosts]
    score = np.clip(20.0 - (10.0**free).sum(axis=1), 0.0, 18.0)
    return in_turn(np.lexsort((hosts, -score)), room, count)


def swarm(state: State, _: int, hosts: Ints, room: Ints, count: int) -> Ints:
    """Swarm's spread: the fewest of this service, then the fewest tasks; requests only filter."""
    return by_turns(np.lexsort((hosts, state.tasks[hosts])), room, count)


def spread(state: State, workload: int, hosts: Ints, room: Ints, count: int) -> Ints:
    """Plain spreading: the host whose fuller resource is the least full afterwards."""
    capacity = state.fleet.capacity[hosts]
    used = (capacity - state.free[hosts]) / capacity
    step = state.fleet.requests[workload] / capacity
    after = (used + step).max(axis=1)
    near = np.argsort(after, kind="stable")
    near = near[room[near] > 0][:count]
    deep = int(min(count, room[near].max(initial=1)))
    further = np.arange(1, deep + 1)
    levels: Floats = (used[near, None, :] + step[near, None, :] * further[:, None]).max(axis=2)
    levels[further > room[near, None]] = np.inf
    chosen = np.argsort(levels, axis=None, kind="stable")[:count] // deep
    counts = np.zeros(len(hosts), np.int64)
    np.add.at(counts, near[chosen], 1)
    return counts


Order = Callable[[Fleet], Ints]


def as_given(fleet: Fleet) -> Ints:
    return np.arange(len(fleet.replicas))


def decreasing_size(fleet: Fleet) -> Ints:
    """By the request, both resources as shares of what all hosts have."""
    return np.argsort(-(fleet.requests / fleet.capacity.sum(axis=0)).sum(axis=1), kind="stable")


def constrained_first(fleet: Fleet) -> Ints:
    """Those with fewer hosts to choose from first; otherwise as given, which is at random."""
    return np.lexsort((~fleet.even, ~fleet.one_each, -fleet.label))


def grouped(fleet: Fleet, rule: Rule, order: Order = as_given) -> Placement:
    """All workloads by `rule`, all containers of one at a time."""
    state = State.empty(fleet)
    found: list[tuple[int, Ints, Ints]] = []
    unplaced = fleet.replicas.copy()
    for workload in order(fleet).tolist():
        counts = _one(state, rule, workload)
        state.seat(workload, counts)
        hosts = np.flatnonzero(counts)
        found.append((workload, hosts, counts[hosts]))
        unplaced[workload] -= int(counts.sum())
    return gathered(found, unplaced)


def gathered(found: list[tuple[int, Ints, Ints]], unplaced: Ints) -> Placement:
    """One Placement of what was found by workload."""
    return Placement(
        workloads=np.repeat([one[0] for one in found], [len(one[1]) for one in found]),
        hosts=np.concatenate([one[1] for one in found]),
        counts=np.concatenate([one[2] for one in found]),
        unplaced=unplaced,
    )


def _one(state: State, rule: Rule, workload: int) -> Ints:
    room = state.room(workload)
    counts = np.zeros(len(room), np.int64)
    wanted = int(state.fleet.replicas[workload])
    for hosts, share in _shares(state, workload, room, wanted):
        if share:
            counts[hosts] = rule(state, workload, hosts, room[hosts], share)
    return counts


def _shares(state: State, workload: int, room: Ints, wanted: int) -> list[tuple[Ints, int]]:
    """The hosts with room, with how many they get together: by zone if the workload is spread."""
    open_hosts = np.flatnonzero(room)
    if not state.fleet.even[workload]:
        return [(open_hosts, min(wanted, int(room.sum())))]
    zone = state.fleet.zone
    eligible = np.unique(zone[state.fleet.eligible(workload)])
    limits = np.bincount(zone, weights=room, minlength=ZONES).astype(np.int64)[eligible]
    spare = np.bincount(zone, weights=state.free[:, 0] * (room > 0), minlength=ZONES)[eligible]
    limits = np.minimum(limits, limits.min() + MAX_SKEW) if len(limits) else limits
    shares = by_turns(np.argsort(-spare, kind="stable"), limits, min(wanted, int(limits.sum())))
    return [
        (open_hosts[zone[open_hosts] == one], share)
        for one, share in zip(eligible.tolist(), shares.tolist(), strict=True)
    ]
