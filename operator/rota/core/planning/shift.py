"""One workload's turn in a decision, and the seats that its starts draw from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rota.core.ids import WorkloadId
from rota.core.model import Fill, Service
from rota.core.planning.actions import ChangeKind
from rota.core.planning.roster import Roster
from rota.core.planning.steps import Causes, Start, Steps, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Who is on duty of one workload, what its rollout asks for, and why.

    `fill` is set where its count is what is left over; `least` is how many it keeps when it yields to others,
    None where it does not. Of an edge to come, `leaves` is how many it takes away at least, `keeps` the most
    that it leaves (None where it takes nothing from what yields) and `going` the slots that it takes, as they
    stand now; `yields_at` is that edge, where they make room for what grows at it. `barred` are the hosts
    where its starts failed, each with the reason; `shunned` those where it kept dying, which come last.
    `terms` are what its rollout heeds; `former` is the service with the spec that was good before, where that
    is another one, and `former_barred` are the hosts where starts of that one failed.
    """

    roster: Roster
    causes: Causes
    steps: Steps
    terms: Terms
    former: Service | None = None
    fill: Fill | None = None
    least: int | None = None
    leaves: int = 0
    yields_at: datetime | None = None
    keeps: int | None = None
    going: frozenset[int] = frozenset()
    barred: Mapping[str, str] = field(default_factory=dict)
    shunned: frozenset[str] = frozenset()
    former_barred: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> WorkloadId:
        return self.roster.service.id

    @property
    def service(self) -> Service:
        return self.roster.service

    def yields(self, edge: datetime | None) -> bool:
        """Whether what it has beyond its least makes room for what is due now, or for growth ahead of `edge`:
        what fills always does, what an edge takes away only for growth at that edge or a later one."""
        if self.fill is not None:
            return True
        return edge is not None and self.yields_at is not None and self.yields_at <= edge

    def is_ahead(self, start: Start) -> bool:
        """Whether a start is only due at an edge to come: as its rollout says, or, of what is going to fill,
        because all that is due now is there."""
        fills_early = self.fill is not None and bool(self.causes.ahead)
        all_there = len(self.roster.kept) >= self.causes.due
        return start.ahead or (fills_early and all_there and start.change is ChangeKind.START)

    def kind_of(self, start: Start) -> Kind:
        """Which seats a start draws from."""
        successor = start.change is not ChangeKind.START
        own = self.service.container.pinned or (successor and self._each_by_itself())
        slot = start.slot if own else None
        return Kind(self.id, successor, slot, start.ahead, start.former, start.wait is not None)

    def service_of(self, start: Start) -> Service:
        """What a start makes an instance of: its spec, or the one that was good before."""
        return self.former if start.former and self.former is not None else self.service

    def barred_for(self, start: Start) -> Mapping[str, str]:
        """The hosts where such starts failed."""
        return self.former_barred if start.former and self.former is not None else self.barred

    def _each_by_itself(self) -> bool:
        """Whether it matters which of several successors takes which seat: a predecessor makes place for its
        own one only, as long as it stands."""
        rules = self.service.placement
        apart = any(one.required and one.workload == self.id for one in rules.anti_affinity)
        return apart or rules.max_per_host is not None or any(one.hard for one in rules.spread)


class Kind(NamedTuple):
    """Which starts of a workload share seats: new instances, successors, or one slot with its volumes; and
    apart from these, what is only due at an edge to come, what gets the spec that was good before, and what
    cannot start now."""

    workload: WorkloadId
    successor: bool = False
    slot: int | None = None
    ahead: bool = False
    former: bool = False
    waits: bool = False


class Seat(NamedTuple):
    """A host for one instance. `waits_for_room`: it fits once what leaves that host has left."""

    host: str
    waits_for_room: bool = False
