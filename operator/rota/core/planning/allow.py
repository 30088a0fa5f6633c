"""What may be asked of whom in one decision: who may move, yield or be stopped, and what quotas leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from rota.core.model import INSTANCES, Fleet, Order, Quota, Service
from rota.core.placement.board import NO_LIMIT
from rota.core.placement.demand import Demand, Refusal
from rota.core.placement.make_room import Allowance, Tenant, TenantsOf, Way
from rota.core.planning import budget
from rota.core.planning.roster import Roster
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Shift
from rota.core.quantities import format_amount

HOUR = 3600.0


def allowance_of(shifts: Sequence[Shift], scene: Scene) -> Allowance:
    """The budgets of one decision: moves of this hour, and of each workload what it can spare."""
    begun = sum(scene.now.mono - at < HOUR for at in scene.ledger.moves_begun)
    result = Allowance(moves=max(scene.fleet.max_moves_per_hour - begun, 0))
    for shift in shifts:
        roster = shift.roster
        if shift.fill is not None:
            result.weights[shift.id] = shift.fill.weight
        spare = len(roster.kept) - shift.least if shift.least is not None else 0
        result.left[shift.id, Way.YIELD] = max(spare, 0)
        result.left[shift.id, Way.MOVE] = _moves(roster)
        result.left[shift.id, Way.PREEMPT] = _stops(shift, scene)
    return result


def _moves(roster: Roster) -> int:
    """How many of a workload may move at once: its surge, while nothing else of it is under way."""
    service = roster.service
    if service.update.order is not Order.START_FIRST or service.container.pinned or not roster.calm:
        return 0
    return max(service.update.max_surge.of(roster.wanted), 1)


def _stops(shift: Shift, scene: Scene) -> int:
    """How many ready instances the disruption budget lets go, those that stop already taken off; where
    it lets none go, those that serve nobody."""
    roster = shift.roster
    if shift.service.container.pinned:
        return 0
    spare = left_to_spare(shift, scene)
    return spare if spare > 0 else sum(not group[0].serves for group in roster.kept.values())


def left_to_spare(shift: Shift, scene: Scene) -> int:
    """How many more the disruption budget lets go, those that this decision stops taken off."""
    kept = shift.roster.kept
    stopping = sum(stop.container.ready for stop in shift.steps.stops if stop.container.slot in kept)
    return _spare(shift, scene) - stopping


def _spare(shift: Shift, scene: Scene) -> int:
    """How many healthy instances there are above what the disruption budget asks for, as it is stated: what
    fills is stopped first in its rollouts, which is no leave to stop it for others. What may yield is no
    spare as well: of what is left once it has, the budget is asked."""
    roster = shift.roster
    service = scene.fleet.services[roster.service.id]
    wanted = roster.wanted if shift.least is None else min(shift.least, roster.wanted)
    yielding = max(len(roster.kept) - wanted, 0) if shift.least is not None else 0
    return budget.spare(roster, service.max_unavailable, wanted, yielding)


def tenants_by_host(shifts: Sequence[Shift], scene: Scene, edge: datetime | None = None) -> TenantsOf:
    """Who stands where and is there to stay, looked up when it is asked for the first time; as what is due
    now may ask them to make room, or what is only due at `edge`."""
    found: dict[str, list[Tenant]] = {}

    def tenants_of(host: str) -> Sequence[Tenant]:
        if not found:
            found.update(_tenants(shifts, scene, edge))
        return found.get(host, [])

    return tenants_of


def _tenants(shifts: Sequence[Shift], scene: Scene, edge: datetime | None) -> dict[str, list[Tenant]]:
    result: dict[str, list[Tenant]] = defaultdict(list)
    for shift in shifts:
        roster, spare = shift.roster, _spare(shift, scene)
        for slot, group in roster.kept.items():
            best = group[0]
            if len(group) == 1 and not best.untouchable and not best.misplaced:
                ways = {Way.YIELD} if shift.yields(edge) else set()
                if best.container.ready and best.fit:
                    ways.add(Way.MOVE)
                if spare > 0 or not best.container.ready:
                    ways.add(Way.PREEMPT)
                tenant = Tenant(roster.service, slot, frozenset(ways), shift.barred)
                result[best.container.host].append(tenant)
    return result


@dataclass(slots=True)
class QuotaBook:
    """What each quota has left, new instances taken off as they are admitted.

    A quota counts what is wanted, not surge or what drains: so what runs and stays counts first, and
    only new instances can be refused. What fills counts at its least. `freed` is what an edge to come takes
    away of each: what grows at that edge may have begun by then, unless what is due now was `refused`.
    """

    quotas: tuple[Quota, ...]
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    freed: dict[str, dict[str, int]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, fleet: Fleet, shifts: Sequence[Shift]) -> QuotaBook:
        book = cls(fleet.quotas, {str(quota): dict(quota.hard) for quota in fleet.quotas})
        for shift in shifts if fleet.quotas else ():
            wanted = shift.roster.wanted if shift.fill is None else shift.fill.min
            book.spend(shift.service, min(len(shift.roster.kept), wanted))
            for quota in fleet.quotas:
                if quota.covers(shift.service):
                    freed = book.freed.setdefault(str(quota), defaultdict(int))
                    for name, amount in _amounts(shift.service).items():
                        freed[name] += amount * shift.leaves
        return book

    def admit(self, demand: Demand, *, ahead: bool = False) -> tuple[Demand, Refusal | None]:
        """As many of `demand` as every quota allows, and who refuses the rest. Successors replace what
        counts already, and are always admitted. What is `ahead` of an edge may have what it frees."""
        if not demand.new:
            return demand, None
        service = demand.service
        left = self.left_for(service, self.freed if ahead else {})
        if ahead and any(str(one) in self.refused and one.covers(service) for one in self.quotas):
            left = 0
        count = min(demand.count, max(left, 0))
        self.spend(service, count)
        if count < demand.count and not ahead:
            self.refused.add(str(self._tightest(service)))
        refusal = self._refusal(service) if count < demand.count else None
        return replace(demand, count=count), refusal

    def left_for(self, service: Service, freed: Mapping[str, Mapping[str, int]] | None = None) -> int:
        """How many more of `service` every quota allows with what is `freed` of each; below 0, how many too
        many there are."""
        freed = freed or {}
        return min(
            (
                self._fits(quota, service, freed.get(str(quota), {}))
                for quota in self.quotas
                if quota.covers(service)
            ),
            default=int(NO_LIMIT),
        )

    def spend(self, service: Service, count: int) -> None:
        """`count` more of `service` are wanted; fewer, where it is negative."""
        for quota in self.quotas:
            if quota.covers(service):
                left = self.left[str(quota)]
                for name, amount in _amounts(service).items():
                    if name in left:
                        left[name] -= amount * count

    def _fits(self, quota: Quota, service: Service, freed: Mapping[str, int]) -> int:
        needs = _amounts(service)
        lefts = self.left[str(quota)].items()
        return min(
            ((left + freed.get(name, 0)) // needs[name] for name, left in lefts if needs.get(name, 0) > 0),
            default=int(NO_LIMIT),
        )

    def _tightest(self, service: Service) -> Quota:
        """Of the quotas that cover `service`, the one that has the least left for it."""
        covering = [one for one in self.quotas if one.covers(service)]
        return min(covering, key=lambda one: (self._fits(one, service, {}), str(one)))

    def _refusal(self, service: Service) -> Refusal:
        quota = self._tightest(service)
        needs = _amounts(service)
        short = [
            f"{name} {format_amount(name, quota.hard[name] - left)} of "
            f"{format_amount(name, quota.hard[name])} taken, "
            f"one more asks for {format_amount(name, needs[name])}"
            for name, left in self.left[str(quota)].items()
            if needs.get(name, 0) > max(left, 0)
        ]
        return Refusal(filter="quota", hosts=(), detail=f"quota {quota}: {', '.join(short)}")


def _amounts(service: Service) -> dict[str, int]:
    return {INSTANCES: 1, **dict(service.requests.items())}
