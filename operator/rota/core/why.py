"""Why a workload runs where it does, or nowhere: what every host says of one more, and what would change it.

It stands on the board that a decision leaves, so that it says what the decision itself went by. What
backs off after failed starts is not told: that lives with the daemon, and stands in its status.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rota.core.decide import Decision, survey
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.make_way import held_back, makes_way
from rota.core.model import Fleet, Service
from rota.core.observed import Now, ObservedState
from rota.core.placement.board import NO_LIMIT, Board
from rota.core.placement.demand import Demand, Refusal
from rota.core.placement.feasibility import ADMIT, room
from rota.core.placement.puzzle import Solver
from rota.core.placement.refusals import FLEETWIDE, shortage, shortage_words
from rota.core.planning.actions import Change, ChangeKind
from rota.core.quantities import format_amount, format_shortage
from rota.core.quotas import usage
from rota.core.resources import Resources

ROOM = "room"
"""The name of the last obstacle: what a host has left is not enough."""

_NAMES_ITS_HOST = ("unschedulable", "hostSelector")
"""Filters whose mend is done to the host, and says its name."""


class Mend(NamedTuple):
    """One change after which hosts would take an instance: `before` their names, and `after` them where
    `names_hosts`; else `before` is all there is to say."""

    before: str
    after: str = ""
    names_hosts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing for which a host refuses: the filter, its words, and what would mend it (None: nothing that
    anybody should do). `size` compares mends of one filter: how large a part of the request is missing."""

    filter: str
    detail: str
    mend: Mend | None = None
    size: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one host has of the workload, and what it says of one more instance.

    `runs` are there now, of which `leaves` go; `starts` come. `more` is how many it would take beyond
    all of these; where it is 0, `obstacles` say why, the first one first.
    """

    host: str
    runs: int
    starts: int
    leaves: int
    more: int
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A mend, and the hosts that would take one more instance with it; none: it holds for the fleet."""

    mend: Mend
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that can be said of where a workload is, and of what has no place.

    `fills`: what is wanted is what is left over. `slot` is the one that is asked for where it holds
    volumes. `fleetwide` refuses before any host is asked. `remedies` are what would give one more a place,
    the smallest first; `last_resort` what is to be said where there are none. `makes_room` is what gives
    way to it, `held_back` what could but for its budget.
    """

    service: Service
    wanted: int
    rule: str
    fills: bool
    running: int
    unplaced: int
    hosts: tuple[Answer, ...]
    changes: tuple[Change, ...]
    slot: int | None = None
    fleetwide: tuple[Refusal, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    last_resort: str = ""
    makes_room: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    decision: Decision

    @property
    def workload(self) -> WorkloadId:
        return self.service.id


def explain(
    workload: WorkloadId,
    fleet: Fleet,
    observed: ObservedState,
    ledger: Ledger,
    now: Now,
    solver: Solver | None = None,
) -> Explanation:
    """Where `workload`, which the fleet has, is and is to be, and what every host says of one more of it."""
    decision, board = survey(fleet, observed, ledger, now, solver)
    service = fleet.services[workload]
    changes = tuple(one for one in decision.changes if one.workload == workload)
    found = next((one for one in decision.unplaced if one.workload == workload), None)
    slot = _asked_slot(service, changes)
    pinned_to = decision.ledger.pins.get((workload, slot)) if slot is not None else None
    demand = Demand(service=service, count=1, pinned_to=pinned_to)
    hosts = tuple(_answers(demand, board, changes, observed))
    told = Explanation(
        service=service,
        wanted=decision.wants[workload].count,
        rule=decision.wants[workload].rule,
        fills=decision.wants[workload].fill is not None,
        running=len(_slots(service, observed)),
        unplaced=found.count if found is not None else 0,
        hosts=hosts,
        changes=changes,
        slot=slot if pinned_to is not None else None,
        decision=decision,
    )
    if found is None:
        return replace(told, makes_room=makes_way(workload, decision))
    fleetwide = tuple(one for one in found.refusals if not one.hosts)
    remedies = tuple(_quota_remedy(fleetwide, told, fleet) if fleetwide else _remedies(hosts))
    placeable = any(one.more > 0 for one in hosts)
    return replace(
        told,
        fleetwide=fleetwide,
        remedies=remedies,
        last_resort="" if remedies or placeable else _last_resort(demand, board, told, bool(fleetwide)),
        makes_room=makes_way(workload, decision),
        held_back=() if fleetwide else held_back(demand, _short_of_room(hosts), board, observed, decision),
    )


def _asked_slot(service: Service, changes: Sequence[Change]) -> int | None:
    """The first slot without a place: what holds volumes is asked for slot by slot."""
    if not service.container.pinned:
        return None
    lacking = [one.slot for one in changes if one.kind is ChangeKind.START and one.host is None]
    return min(lacking, default=None)


def _slots(service: Service, observed: ObservedState, host: str | None = None) -> set[int]:
    """The slots that run, on one host or on any."""
    return {
        one.slot
        for one in observed.containers()
        if one.workload == service.id
        and one.running
        and host in (None, one.host)
        and not observed.is_stopping(one)
    }


# --- what every host says


def _answers(
    demand: Demand, board: Board, changes: Sequence[Change], observed: ObservedState
) -> Iterator[Answer]:
    runs: dict[str, set[int]] = defaultdict(set)
    for one in observed.containers():
        if one.workload == demand.service.id and one.running and not observed.is_stopping(one):
            runs[one.host].add(one.slot)
    more = room(demand, board, after=True)
    verdicts = [(one, one.admits(demand, board, True)) for one in ADMIT]
    for row, host in enumerate(board.hosts):
        obstacles = []
        if more[row] <= 0:
            obstacles = [
                _obstacle(one.name, one.explain(demand, board, row), one.mend(demand, board, row), host.name)
                for one, admits in verdicts
                if admits is not None and admits[row] <= 0
            ]
            if board.known[row]:
                obstacles += _room(demand, board, row)
        yield Answer(
            host=host.name,
            runs=len(runs[host.name]),
            starts=sum(_comes(one, host.name) for one in changes),
            leaves=sum(_goes(one, host.name) for one in changes),
            more=int(min(more[row], NO_LIMIT)),
            obstacles=tuple(obstacles),
        )


def _comes(change: Change, host: str) -> bool:
    return change.host == host and (change.kind is ChangeKind.START or change.source != host)


def _goes(change: Change, host: str) -> bool:
    return change.source == host and change.kind is not ChangeKind.START and change.host != host


def _obstacle(name: str, detail: str, mend: str, host: str) -> Obstacle:
    if not mend:
        return Obstacle(filter=name, detail=detail)
    if name in _NAMES_ITS_HOST:
        before, _, after = mend.partition(f" {host}")
        return Obstacle(filter=name, detail=detail, mend=Mend(f"{before} ", after, names_hosts=True))
    return Obstacle(filter=name, detail=detail, mend=Mend(mend))


def _room(demand: Demand, board: Board, row: int) -> Iterator[Obstacle]:
    """What the host is short of. To free it helps only where it has enough, itself and what it has of the
    workload already taken together."""
    missing = shortage(demand, board, row, after=True)
    if not missing:
        return
    needs = dict(zip(board.resources, board.vector(demand.service.requests).tolist(), strict=True))
    whole = dict(zip(board.resources, board.capacity[row].tolist(), strict=True))
    own = int(board.counts(demand.service.id)[row])
    small = [name for name in missing if whole[name] < (own + 1) * needs[name]]
    if small:
        has = _listed([_amount(name, whole[name]) for name in small])
        included = f", with {own} of {demand.service.id} on it" if own else ""
        yield Obstacle(filter=ROOM, detail=f"{shortage_words(missing)} (it has {has}{included})")
        return
    asked = _listed([f"{format_shortage(name, amount)} of {name}" for name, amount in missing.items()])
    yield Obstacle(
        filter=ROOM,
        detail=shortage_words(missing),
        mend=Mend(f"free {asked} on ", names_hosts=True),
        size=sum(amount / needs[name] for name, amount in missing.items()),
    )


def _amount(name: str, quantity: int) -> str:
    """`4 cpu`, `8Gi of memory`, `no gpu`."""
    shown = format_amount(name, quantity) if quantity > 0 else "no"
    return f"{shown} of memory" if name == "memory" and quantity > 0 else f"{shown} {name}"


# --- what would give it a place


def _remedies(hosts: Iterable[Answer]) -> Iterator[Remedy]:
    """What a single change would do, hosts for which it is the same joined."""
    filters = {name: at for at, name in enumerate([ROOM, *(one.name for one in ADMIT)])}
    found: dict[tuple[int, float, Mend], list[str]] = defaultdict(list)
    for answer in hosts:
        if len(answer.obstacles) == 1 and answer.obstacles[0].mend is not None:
            (one,) = answer.obstacles
            assert one.mend is not None
            found[filters[one.filter], one.size, one.mend].append(answer.host)
    for (_filter, _size, mend), names in sorted(found.items()):
        yield Remedy(mend=mend, hosts=tuple(names))


def _short_of_room(hosts: Iterable[Answer]) -> list[str]:
    """Hosts that would take it if others left."""
    return [
        one.host
        for one in hosts
        if [each.filter for each in one.obstacles if each.mend is not None] == [ROOM]
        and len(one.obstacles) == 1
    ]


def _quota_remedy(refused: Iterable[Refusal], told: Explanation, fleet: Fleet) -> Iterator[Remedy]:
    """What quotas would have to allow, where nothing else stands in the way."""
    if any(one.filter != FLEETWIDE for one in refused) or all(one.more <= 0 for one in told.hosts):
        return
    raises = []
    for quota in fleet.quotas:
        if quota.covers(told.service):
            used = usage(quota, fleet, told.decision.wants)
            short = {name: amount for name, amount in used.items() if amount > quota.hard[name]}
            raises += [
                f"{name} of quota {quota} to {format_amount(name, amount)}" for name, amount in short.items()
            ]
    if raises:
        yield Remedy(mend=Mend(f"raise {' and '.join(raises)}"), hosts=())


def _last_resort(demand: Demand, board: Board, told: Explanation, quota: bool) -> str:
    """A sentence for where no single change helps, without its full stop."""
    service = demand.service
    if quota:
        return "No single change helps: the quota refuses, and so does every host"
    if demand.pinned_to is not None:
        return f"Slot {told.slot} can only run on {demand.pinned_to}, for its volumes are there"
    mates = [str(one.workload) for one in service.placement.affinity if one.required]
    if mates:
        return f"No single change helps: it has to be with {' and '.join(mates)}"
    if not board.known.any():
        return "No capacity is known: let the Hosts declare theirs, or an operator look at them"
    needs = board.vector(service.requests)
    large = (board.capacity >= needs).all(axis=1)
    asked = f"a host with at least {_amounts(service.requests)}"
    if service.placement.host_selector:
        asked += f", labelled so that {' and '.join(map(str, service.placement.host_selector))}"
    if large.any():
        return f"No single change helps: it takes {asked}"
    return f"No host is large enough: it takes {asked}. {_largest(board, service)}"


def _amounts(requests: Resources) -> str:
    return _listed([_amount(name, quantity) for name, quantity in requests.items() if quantity])


def _listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _largest(board: Board, service: Service) -> str:
    """The host that comes nearest to what is asked for."""
    needs = board.vector(service.requests)
    asked = [at for at, amount in enumerate(needs.tolist()) if amount > 0]
    share = (board.capacity[:, asked] / needs[asked]).clip(0.0, 1.0).sum(axis=1)
    row = int(share.argmax())
    whole: Mapping[str, int] = dict(zip(board.resources, board.capacity[row].tolist(), strict=True))
    has = _listed([_amount(board.resources[at], whole[board.resources[at]]) for at in asked])
    return f"The nearest there is, {board.hosts[row].name}, has {has}"
