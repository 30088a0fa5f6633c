"""What quotas allow, against what windows and Overrides will want over the coming year."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from rota.core.hours import instant
from rota.core.ids import WorkloadId
from rota.core.model import INSTANCES, Fleet, Quota, Service
from rota.core.outlook import Demand, Outlook
from rota.core.quantities import format_amount
from rota.core.windows import Want

_SHOWN = 6
"""So many shares are told one by one: who wants most is who can give most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one workload wants of one dimension: `count` instances of `each`, by `rule`."""

    workload: WorkloadId
    count: int
    each: int
    rule: str

    @property
    def amount(self) -> int:
        return self.count * self.each


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """More is wanted of one dimension than a quota allows.

    `at` and `until` are the first span of it, `until` None where that outlasts the time that was judged
    and so is the only one; `times` counts the spans that show the same shares. `zone` is that of the
    policy which rules the largest share, for people to read the times in.
    """

    quota: Quota
    at: datetime
    until: datetime | None
    times: int
    dimension: str
    wanted: int
    hard: int
    shares: tuple[Share, ...]
    zone: tzinfo = UTC


def usage(quota: Quota, fleet: Fleet, wants: Mapping[WorkloadId, Want]) -> Mapping[str, int]:
    """What the wants of the workloads that `quota` covers sum to, by each dimension that it limits."""
    covered = [
        (service, wants[workload].count)
        for workload, service in fleet.services.items()
        if workload in wants and quota.covers(service)
    ]
    return {
        dimension: sum(count * _each(service, dimension) for service, count in covered)
        for dimension in quota.hard
    }


def breaches(fleet: Fleet, start: datetime, days: int = 365) -> tuple[Breach, ...]:
    """Every distinct over-use of a quota from `start` on, by quota, then instant, then dimension.

    Two spans are one breach where the same workloads want the same by the same rules; workloads that
    want nothing of its dimension do not tell them apart.
    """
    if not fleet.quotas:
        return ()
    outlook = Outlook(fleet, start, start + timedelta(days=days))
    quotas = sorted(fleet.quotas, key=lambda quota: (quota.namespace, quota.name))
    return tuple(
        breach
        for quota in quotas
        for breach in sorted(_of_quota(quota, outlook), key=lambda one: (one.at, one.dimension))
    )


def in_words(breach: Breach) -> str:
    """One sentence, without its full stop: who, how much, when, how often, and who wants it by which rule."""
    wanted, hard, over = (
        format_amount(breach.dimension, amount)
        for amount in (breach.wanted, breach.hard, breach.wanted - breach.hard)
    )
    return (
        f"quota {breach.quota}: {breach.dimension} {wanted} of {hard} wanted {_when(breach)} ({over} over): "
        f"{', '.join(_shown_shares(breach))}"
    )


def _each(service: Service, dimension: str) -> int:
    """What one instance of a workload takes of a dimension."""
    if dimension == INSTANCES:
        return 1
    return next((amount for name, amount in service.requests.items() if name == dimension), 0)


def _of_quota(quota: Quota, outlook: Outlook) -> Iterator[Breach]:
    covered = [
        outlook.demand(service) for service in outlook.fleet.services.values() if quota.covers(service)
    ]
    deciding = 0
    for demand in covered:
        deciding |= demand.deciding
    states = outlook.states(deciding)
    occurring = {bits for _, bits in states}
    for dimension, hard in quota.hard.items():
        takers = [(demand, each) for demand in covered if (each := _each(demand.service, dimension))]
        excesses, under = _excesses(takers, hard, occurring)
        for excess, spans in zip(excesses, _spans(states, under, len(excesses)), strict=True):
            shares = _largest_first(excess)
            at, until = spans[0]
            yield Breach(
                quota=quota,
                at=instant(at),
                until=instant(until) if until is not None else None,
                times=len(spans),
                dimension=dimension,
                wanted=sum(share.amount for share in shares),
                hard=hard,
                shares=shares,
                zone=outlook.demand(outlook.fleet.services[shares[0].workload]).zone(shares[0].rule),
            )


@dataclass(frozen=True, eq=False)
class _Use:
    """What a group of workloads wants of a dimension. A group has one object for equal shares."""

    shares: tuple[Share, ...]
    amount: int


class _Group:
    """Workloads that depend on the same bits, with what one instance of each takes of a dimension."""

    def __init__(self) -> None:
        self.takers: list[tuple[Demand, int]] = []
        self._uses: dict[tuple[Share, ...], _Use] = {}
        self._known: dict[int, _Use] = {}

    def use(self, bits: int) -> _Use:
        """What they want together, worked out once for each set of the bits that matter to them."""
        deciding = bits & self.takers[0][0].deciding
        known = self._known.get(deciding)
        if known is None:
            shares = tuple(_shares(self.takers, deciding))
            use = _Use(shares, sum(share.amount for share in shares))
            known = self._known[deciding] = self._uses.setdefault(shares, use)
        return known


_Excess = tuple[_Use, ...]
"""One use of each group, together more than a quota allows."""


def _excesses(
    takers: Iterable[tuple[Demand, int]], hard: int, occurring: Iterable[int]
) -> tuple[Sequence[_Excess], Mapping[int, int]]:
    """The distinct ways in which more than `hard` is wanted, and under which bits each of them is."""
    groups: dict[int, _Group] = defaultdict(_Group)
    for demand, each in takers:
        groups[demand.deciding].takers.append((demand, each))
    numbers: dict[_Excess, int] = {}
    under = {}
    for bits in occurring:
        uses = tuple(group.use(bits) for group in groups.values())
        if sum(use.amount for use in uses) > hard:
            under[bits] = numbers.setdefault(uses, len(numbers))
    return tuple(numbers), under


def _shares(takers: Iterable[tuple[Demand, int]], bits: int) -> Iterator[Share]:
    """Who wants how much, without those who want nothing."""
    for demand, each in takers:
        want = demand.want(bits)
        if want.count:
            yield Share(workload=demand.service.id, count=want.count, each=each, rule=want.rule)


def _largest_first(excess: _Excess) -> tuple[Share, ...]:
    shares = (share for use in excess for share in use.shares)
    return tuple(sorted(shares, key=lambda share: (-share.amount, share.workload)))


def _spans(
    states: Sequence[tuple[int, int]], under: Mapping[int, int], count: int
) -> Sequence[Sequence[tuple[int, int | None]]]:
    """The spans of each of `count` excesses, in order; an edge that leaves one as it is does not cut it."""
    spans: list[list[tuple[int, int | None]]] = [[] for _ in range(count)]
    since, held = 0, None
    for at, bits in states if under else ():
        number = under.get(bits)
        if number == held:
            continue
        if held is not None:
            spans[held].append((since, at))
        since, held = at, number
    if held is not None:
        spans[held].append((since, None))
    return spans


def _when(breach: Breach) -> str:
    """`from 2026-11-24T07:00+01:00 until 20:00, 251 times in the coming year`."""
    begin = breach.at.astimezone(breach.zone)
    if breach.until is None:
        return f"from {_shown_time(begin)} on"
    end = breach.until.astimezone(breach.zone)
    often = "once" if breach.times == 1 else f"{breach.times} times"
    same_day = begin.date() == end.date()
    until = f"{end:%H:%M}" if same_day and not end.second else _shown_time(end)
    return f"from {_shown_time(begin)} until {until}, {often} in the coming year"


def _shown_time(at: datetime) -> str:
    """ISO with the offset, to the minute where it is a full one."""
    return at.isoformat(timespec="seconds" if at.second else "minutes").replace("+00:00", "Z")


def _shown_shares(breach: Breach) -> Iterator[str]:
    for share in breach.shares[:_SHOWN]:
        each = "" if breach.dimension == INSTANCES else f" x {format_amount(breach.dimension, share.each)}"
        yield f"{share.workload} {share.count}{each} ({share.rule})"
    others = breach.shares[_SHOWN:]
    if others:
        amount = format_amount(breach.dimension, sum(share.amount for share in others))
        yield f"{len(others)} others {amount} together"
