"""One workload's turn in a decision, and the seats that its starts draw from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.core.model import Fill, Service, WorkloadId
from rota.core.planning.actions import ChangeKind
from rota.core.planning.rollout import Causes, Start, Steps
from rota.core.planning.roster import Roster


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Who is on duty of one workload, what its rollout asks for, and why.

    `fill` is set where its count is what is left over; `barred` are the hosts where its starts failed,
    each with the reason.
    """

    roster: Roster
    causes: Causes
    steps: Steps
    fill: Fill | None = None
    barred: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> WorkloadId:
        return self.roster.service.id

    @property
    def service(self) -> Service:
        return self.roster.service

    def kind_of(self, start: Start) -> Kind:
        """Which seats a start draws from."""
        successor = start.change is not ChangeKind.START
        own = self.service.container.pinned or (successor and self._each_by_itself())
        return Kind(self.id, successor, start.slot if own else None)

    def _each_by_itself(self) -> bool:
        """Whether it matters which of several successors takes which seat: a predecessor makes place for its
        own one only, as long as it stands."""
        rules = self.service.placement
        apart = any(one.required and one.workload == self.id for one in rules.anti_affinity)
        return apart or rules.max_per_host is not None or any(one.hard for one in rules.spread)


class Kind(NamedTuple):
    """Which starts of a workload share seats: new instances, successors, or one slot with its volumes."""

    workload: WorkloadId
    successor: bool = False
    slot: int | None = None


class Seat(NamedTuple):
    """A host for one instance. `waits_for_room`: it fits once what leaves that host has left."""

    host: str
    waits_for_room: bool = False
