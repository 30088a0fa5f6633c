"""What a forecast says: values only, one `Instant` for each edge, each beginning of a lead, and the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rota.core.decide import Decision
from rota.core.forecast.lacks import Lack
from rota.core.ids import WorkloadId
from rota.core.model import Fleet
from rota.core.placement.headroom import Headroom
from rota.core.planning.actions import ChangeKind
from rota.core.resources import Resources

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An edge of one policy (`namespace/name`): from which window to which, as `base` where none is open."""

    policy: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadBegin:
    """The beginning of the lead of an edge: growth that is to be healthy `at` begins at `begun`, at first,
    and the last of it at `last`. `policy` is `namespace/name`, and empty where it is an Override that begins:
    then `window` is `override NAMESPACE/NAME`. Where there is no room for any of it before the edge,
    `roomless` says how many of which workload follow it."""

    at: datetime
    begun: datetime
    last: datetime
    policy: str
    window: str
    roomless: tuple[tuple[WorkloadId, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideTurn:
    """An Override (`namespace/name`) that begins, or ends."""

    override: str
    begins: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """A quota of which all, or more than there is, is wanted: the amounts of one dimension."""

    quota: str
    dimension: str
    wanted: int
    hard: int

    @property
    def over(self) -> int:
        return max(self.wanted - self.hard, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One instant (UTC), and what holds from it until the next.

    Leads that begin on one day before one edge are told as one: `at` is where the first of them begins, and
    `judged_at`, else the same, where the last one has. `turns`, `overrides` and `leads` say what it is; all
    empty, it is the start. `windows` are those in force from now on, by policy.
    `wanted` and `counts` are by workload, the latter what has a place, and `before` what had one until now.
    `changed` counts the slots that start, stop, move or are replaced, `after_room` the starts that had to
    wait for room which only this edge frees. `headroom` is None where nobody asked, or no host can be lost.
    `empty` hosts run nothing of Rota's; those in `spare` could be off, the others are needed for a loss.
    `silent`: nothing is different from here on that anybody could see. Costs are per hour.
    """

    at: datetime
    judged_at: datetime
    turns: tuple[Turn, ...] = ()
    overrides: tuple[OverrideTurn, ...] = ()
    leads: tuple[LeadBegin, ...] = ()
    windows: tuple[tuple[str, str], ...] = ()
    wanted: Mapping[WorkloadId, int] = field(default_factory=dict)
    before: Mapping[WorkloadId, int] = field(default_factory=dict)
    counts: Mapping[WorkloadId, int] = field(default_factory=dict)
    changed: Mapping[ChangeKind, int] = field(default_factory=dict)
    after_room: Mapping[WorkloadId, int] = field(default_factory=dict)
    lacks: tuple[Lack, ...] = ()
    headroom: Headroom | None = None
    quotas: tuple[QuotaUse, ...] = ()
    empty: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    silent: bool = False
    cost: float = 0.0
    cost_in_use: float = 0.0
    held: str = ""

    @property
    def fits(self) -> bool:
        return not self.lacks

    @property
    def survives(self) -> bool | None:
        """Whether every loss that was played through is survived; None where nobody asked."""
        return None if self.headroom is None else not self.headroom.shortfalls

    def same_as(self, before: Instant) -> bool:
        """Whether nothing is different from what held `before` that anybody could see."""
        losses = [one.headroom.by_loss if one.headroom is not None else None for one in (self, before)]
        return not (
            self.turns
            or self.overrides
            or self.leads
            or self.changed
            or (self.before, self.wanted) != (self.counts, before.wanted)
            or (self.lacks, self.quotas) != (before.lacks, before.quotas)
            or (self.empty, self.spare, self.held) != (before.empty, before.spare, before.held)
            or losses[0] != losses[1]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a stretch of time [start, end) comes to if nothing fails, instants in order, the start first.

    `decision` is what is decided at the start about what is observed. `capacity` is what all the hosts
    that answer offer together. `complete` is False where there were more instants than are looked at:
    then `end` is as far as it reaches.
    """

    fleet: Fleet
    start: datetime
    end: datetime
    zone: ZoneInfo
    instants: tuple[Instant, ...]
    decision: Decision
    capacity: Resources
    complete: bool = True

    @property
    def fits(self) -> bool:
        return all(one.fits for one in self.instants)

    @property
    def edges(self) -> tuple[Instant, ...]:
        """The instants at which a window opens or closes, the start itself left out."""
        return tuple(one for one in self.instants if one.turns)

    def until(self, number: int) -> datetime:
        """When what instant `number` says ends."""
        return self.instants[number + 1].at if number + 1 < len(self.instants) else self.end

    @property
    def cost(self) -> float:
        """What all hosts cost over the whole stretch."""
        return self._sum([one.cost for one in self.instants])

    @property
    def cost_in_use(self) -> float:
        """The same for the hosts that run something, hour by hour."""
        return self._sum([one.cost_in_use for one in self.instants])

    def _sum(self, rates: Sequence[float]) -> float:
        """Each instant's rate by its hours, without the last digits, which are only those of doubles."""
        hours = ((self.until(number) - one.at) / HOUR for number, one in enumerate(self.instants))
        return round(sum(rate * length for rate, length in zip(rates, hours, strict=True)), 6)
