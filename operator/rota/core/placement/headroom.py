"""Whether the fleet survives the loss of any one host, or zone, and what has to be kept free for it.

A loss is played through: what the lost hosts have is placed on the others, as it would be. What fills
beyond its least does not count, neither as lost nor as standing in the way: it yields.

Hosts of one class are each other's equals: the same capacity, labels that matter, taints and state, and as
many instances of every workload. What the loss of one of them means, the loss of any of them means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from rota.core.ids import WorkloadId
from rota.core.model import Loss, Service
from rota.core.placement.board import Board
from rota.core.placement.demand import Claim, Demand, Refusal, precedence
from rota.core.placement.rank import ZONE
from rota.core.placement.refusals import in_words, refusals
from rota.core.placement.seat import seat
from rota.core.placement.terrain import Ints

MOST_LOSSES = 200
"""Losses that are played through, the fullest hosts first: what survives these survives the others, as a
rule, and a large fleet is not to spend its passes on it."""
MOST_ALIKE = 6
"""So many hosts of a class are told by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What would have no place if `lost` (a host or a zone) were lost: how many of which workload, and
    what the hosts that are left would say. `alike` are the other hosts of the class of the lost one."""

    lost: str
    workload: WorkloadId
    count: int
    refusals: tuple[Refusal, ...]
    alike: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.in_words()

    def in_words(self, known: Sequence[Refusal] = ()) -> str:
        """The whole of it, without what is told elsewhere."""
        named = (
            ", ".join(self.alike) if len(self.alike) <= MOST_ALIKE else f"any of {len(self.alike)} like it"
        )
        like = f" (likewise {named})" if self.alike else ""
        told = tuple(one for one in self.refusals if one not in known)
        why = in_words(told) if told else "no other host"
        return f"without {self.lost}{like}, {self.count} of {self.workload}: {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What stays down with `lost` until it comes back, for its volume is there: `count` instances, by their
    `slots` where these are known."""

    lost: str
    workload: WorkloadId
    count: int
    slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """The verdict: shortfalls by the name of what is lost, and `pinned`, which no room elsewhere would help.
    `reserve` is the room to keep free, by host and resource of the board; `checked` of `losses` were played
    through, themselves or by one of their class."""

    loss: Loss
    shortfalls: tuple[Shortfall, ...]
    reserve: Ints = field(compare=False)
    checked: int
    losses: int
    pinned: tuple[Pinned, ...] = ()

    @property
    def by_loss(self) -> frozenset[tuple[str, WorkloadId, int]]:
        """Each loss with what has no place then, whichever host speaks for its class."""
        return frozenset(
            (lost, one.workload, one.count) for one in self.shortfalls for lost in (one.lost, *one.alike)
        )


class _Candidate(NamedTuple):
    """Something that can be lost: its name, its hosts, and the names and hosts of its equals."""

    name: str
    rows: Ints
    equals: tuple[tuple[str, Ints], ...] = ()


def headroom(
    loss: Loss, board: Board, elastic: Mapping[WorkloadId, int], most: int = MOST_LOSSES
) -> Headroom:
    """Play through the losses on `board`, which is left as it was. `elastic` says how many instances of a
    workload are beyond its least; `most` is how many losses are played through."""
    candidates = _candidates(loss, board)
    played = candidates[:most]
    reserve = np.zeros_like(board.free_after)
    shortfalls: list[Shortfall] = []
    firm = _without_elastic(board, elastic)
    tenants = _tenants_by_row(firm)
    for one in played:
        used, short = _play(one, firm, reserve, tenants)
        reserve = np.maximum(reserve, used)
        shortfalls += short
    spare = most - len(played) if elastic else 0
    for one in played:
        # Room that is kept on an equal of the lost host is of no use when that one is lost.
        for name, rows in one.equals:
            if spare > 0 and (reserve[rows] > 0).any():
                used, _ = _play(_Candidate(name, rows), firm, reserve, tenants)
                reserve = np.maximum(reserve, used)
                spare -= 1
    return Headroom(
        loss=loss,
        shortfalls=tuple(sorted(shortfalls, key=lambda one: one.lost)),
        reserve=reserve,
        checked=sum(1 + len(one.equals) for one in played),
        losses=sum(1 + len(one.equals) for one in candidates),
        pinned=tuple(_pinned(candidates, firm, tenants)),
    )


def could_be_off(
    found: Headroom, board: Board, elastic: Mapping[WorkloadId, int], empty: Iterable[str]
) -> tuple[str, ...]:
    """Those of the `empty` hosts without which, all at once, the verdict stays: the first by name of each
    class, for what is kept free on one of them can as well be kept free on another."""
    rows = np.array([board.rows[name] for name in empty if name in board.rows], np.int64)
    off: list[int] = []
    for one in _by_class(rows, board):
        alike = [int(one.rows[0]), *(int(each[0]) for _, each in one.equals)]
        least, most = 0, len(alike)
        while least < most:
            middle = (least + most + 1) // 2
            stays = _stays(found, board, elastic, [*off, *alike[:middle]])
            least, most = (middle, most) if stays else (least, middle - 1)
        off += alike[:least]
    return tuple(sorted(board.hosts[row].name for row in off))


def _stays(found: Headroom, board: Board, elastic: Mapping[WorkloadId, int], off: Sequence[int]) -> bool:
    """Whether no loss takes more while the hosts of these rows are off."""
    names = {board.hosts[row].name for row in off}
    closed = tuple("it is off" if row in off else why for row, why in enumerate(board.closed))
    dark = replace(board.checkpoint(), closed=closed, _remembered={})
    without = headroom(found.loss, dark, elastic, found.checked).by_loss
    return without <= {one for one in found.by_loss if one[0] not in names}


def _pinned(
    candidates: Iterable[_Candidate], board: Board, tenants: Mapping[int, Sequence[tuple[WorkloadId, int]]]
) -> Iterator[Pinned]:
    """What would stay down with each thing that can be lost, by its name."""
    every = [each for one in candidates for each in ((one.name, one.rows), *one.equals)]
    for name, rows in sorted(every, key=lambda one: one[0]):
        counts: dict[WorkloadId, int] = defaultdict(int)
        for row in rows.tolist():
            for workload, count in tenants.get(row, ()):
                service = board.services.get(workload)
                if service is not None and service.container.pinned:
                    counts[workload] += count
        for workload, count in sorted(counts.items()):
            yield Pinned(lost=name, workload=workload, count=count)


def _candidates(loss: Loss, board: Board) -> list[_Candidate]:
    """What can be lost, the fullest first, of hosts that are open; equals stand for each other."""
    used = (board.capacity - board.free_after)[:, :2] / np.maximum(
        board.capacity[:, :2].max(axis=0, initial=1), 1
    )
    weight = used.sum(axis=1)
    if loss is Loss.HOST:
        found = _by_class(np.flatnonzero(board.reachable), board)
    else:
        domains = board.domains(ZONE)
        zones = [
            _Candidate(f"{ZONE} {value}", rows[board.reachable[rows]])
            for value, rows in zip(domains.values, domains.members, strict=True)
        ]
        # A host of no zone is its own.
        lone = np.flatnonzero((domains.codes < 0) & board.reachable)
        found = [one for one in zones if len(one.rows)] + _by_class(lone, board)
    return sorted(found, key=lambda one: (-float(weight[one.rows].sum()), one.name))


def _by_class(rows: Ints, board: Board) -> list[_Candidate]:
    """Hosts as losses, one for each class: the first by name speaks for the others."""
    tenants = _tenants_by_row(board)
    keys = _label_keys(board)
    classes: dict[object, list[int]] = defaultdict(list)
    for row in rows.tolist():
        host = board.hosts[row]
        labels = tuple(host.labels.get(key) for key in keys)
        room = (board.capacity[row].tobytes(), board.free_now[row].tobytes(), board.free_after[row].tobytes())
        state = (bool(board.cordons[row]), frozenset(host.taints), bool(board.known[row]))
        classes[labels, room, state, tuple(tenants.get(row, ()))].append(row)
    result = []
    for first, *others in classes.values():
        equals = tuple((board.hosts[row].name, np.array([row])) for row in others)
        result.append(_Candidate(board.hosts[first].name, np.array([first]), equals))
    return result


def _label_keys(board: Board) -> tuple[str, ...]:
    """The labels that anybody's placement looks at."""
    keys = {ZONE}
    for service in board.services.values():
        rules = service.placement
        keys.update(one.key for one in rules.host_selector)
        keys.update(one.key for one in rules.spread)
        keys.update(one.scope for one in (*rules.affinity, *rules.anti_affinity))
    return tuple(sorted(keys))


def _tenants_by_row(board: Board) -> dict[int, list[tuple[WorkloadId, int]]]:
    """What stands on each host: workloads in order, and how many of each."""
    result: dict[int, list[tuple[WorkloadId, int]]] = defaultdict(list)
    for workload in sorted(board.tallies):
        tally = board.tallies[workload]
        for row, count in zip(tally.rows.tolist(), tally.counts.tolist(), strict=True):
            if count > 0:
                result[row].append((workload, count))
    return result


def _without_elastic(board: Board, elastic: Mapping[WorkloadId, int]) -> Board:
    """The board as if what fills beyond its least had yielded, from the hosts that have most of it."""
    firm = board.checkpoint()
    for workload, count in sorted(elastic.items()):
        tally = board.tallies.get(workload)
        left = count
        for at in [] if tally is None else np.argsort(-tally.counts, kind="stable").tolist():
            if tally is not None and left > 0:
                leaving = min(left, int(tally.counts[at]))
                firm.unseat(board.services[workload], tally.rows[at : at + 1], np.array([leaving]))
                left -= leaving
    return firm


def _play(
    loss: _Candidate, firm: Board, reserve: Ints, tenants: Mapping[int, Sequence[tuple[WorkloadId, int]]]
) -> tuple[Ints, list[Shortfall]]:
    """What a loss takes from the others, seats in room kept for other losses first."""
    rows = loss.rows
    gone = set(rows.tolist())
    closed = tuple(f"{loss.name} is lost" if row in gone else why for row, why in enumerate(firm.closed))
    trial = replace(firm.checkpoint(), closed=closed, _remembered={})
    before = trial.free_after.copy()
    short = []
    for service, count in _lost_tenants(rows, firm, tenants):
        left = _leave(service, rows, trial)
        demand = Demand(
            service=service,
            count=count,
            prefer=_kept_for(service, reserve - (before - trial.free_after), trial),
            claim=Claim.NOTHING,
        )
        given = seat(demand, trial, left, after=True)
        seats = np.flatnonzero(given)
        trial.seat(service, seats, given[seats])
        missing = left - int(given.sum())
        if missing:
            words = tuple(
                one
                for one in refusals(demand, trial)
                if not gone.issuperset(map(firm.rows.__getitem__, one.hosts))
            )
            short.append(
                Shortfall(
                    lost=loss.name,
                    workload=service.id,
                    count=missing,
                    refusals=words,
                    alike=tuple(name for name, _ in loss.equals),
                )
            )
    return np.maximum(before - trial.free_after, 0), short


def _lost_tenants(
    rows: Ints, board: Board, tenants: Mapping[int, Sequence[tuple[WorkloadId, int]]]
) -> Sequence[tuple[Service, int]]:
    """What stands on `rows`, in the order in which it would be placed again. Pinned data stays lost."""
    counts: dict[WorkloadId, int] = defaultdict(int)
    for row in rows.tolist():
        for workload, count in tenants.get(row, ()):
            counts[workload] += count
    found = [
        (board.services[workload], count) for workload, count in counts.items() if workload in board.services
    ]
    return sorted((one for one in found if not one[0].container.pinned), key=lambda one: precedence(one[0]))


def _leave(service: Service, rows: Ints, trial: Board) -> int:
    """Take a workload off the lost hosts, whose room is of no use; how many there were."""
    counts = trial.counts(service.id)[rows]
    trial.add(service.id, rows, -counts)
    return int(counts.sum())


def _kept_for(service: Service, spare: Ints, board: Board) -> dict[str, int]:
    """Hosts that have room kept for another loss already: only one of them happens at a time."""
    needs = board.vector(service.requests)
    asked = needs > 0
    if not asked.any():
        return {}
    fit = np.floor_divide(np.maximum(spare[:, asked], 0), needs[asked]).min(axis=1)
    return {board.hosts[row].name: int(fit[row]) for row in np.flatnonzero(fit > 0).tolist()}
