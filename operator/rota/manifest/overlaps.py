"""Windows that are open at one time with equal priority for one workload: which of them would hold?

Windows of one zone are compared on its civil week, where daylight saving changes nothing: resolving
civil times keeps their order. Windows of different zones are compared as UTC instants over a fixed
year, so that validity does not depend on the day of the check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from rota.core.model import CapacityPolicy, Window, WorkloadId
from rota.core.windows import interval_on
from rota.manifest.capacity import DAYS
from rota.manifest.document import Manifest
from rota.manifest.problem import Problem

_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_YEAR: Final = 2028  # a leap year, and as good as any other


_Place = tuple[str, int, int]


class _Claim(NamedTuple):
    """One window of one policy. Claims are in the order of their places."""

    manifest: Manifest
    policy: CapacityPolicy
    number: int

    @property
    def window(self) -> Window:
        return self.policy.windows[self.number]

    def __str__(self) -> str:
        return f"{self.window.name} of CapacityPolicy {self.policy}"


class _Span(NamedTuple):
    """A half-open stretch of a line, in minutes of the week or in seconds since 1970."""

    start: int
    end: int
    order: int


def overlapping_windows(policies: Iterable[tuple[Manifest, CapacityPolicy]]) -> Iterator[Problem]:
    """One problem for each pair of windows found, at the later of the two."""
    contested: dict[tuple[WorkloadId, int], list[_Claim]] = {}
    for manifest, policy in policies:
        for number, window in enumerate(policy.windows):
            for workload in window.replicas:
                contested.setdefault((workload, window.priority), []).append(_Claim(manifest, policy, number))
    told: set[tuple[_Place, _Place]] = set()
    for (workload, _), claims in contested.items():
        for earlier, later, when in _conflicts(claims) if len(claims) > 1 else ():
            pair = (_place(earlier), _place(later))
            if pair not in told:
                told.add(pair)
                yield _problem(earlier, later, workload, when)


def _place(claim: _Claim) -> _Place:
    return (*claim.manifest.order, claim.number)


def _problem(earlier: _Claim, later: _Claim, workload: WorkloadId, when: str) -> Problem:
    message = (
        f"window {later} overlaps window {earlier} {when};"
        f" both state {workload} with priority {later.window.priority}"
    )
    mend = "Give one of them a higher priority, or other hours."
    return later.manifest.problem(("spec", "windows", later.number), message, mend)


def _conflicts(claims: Sequence[_Claim]) -> Iterator[tuple[_Claim, _Claim, str]]:
    """Pairs of claims, the one that stands earlier first, with the words for when they meet."""
    by_zone: dict[str, list[int]] = {}
    for order, claim in enumerate(claims):
        by_zone.setdefault(claim.policy.zone.key, []).append(order)
    for orders in by_zone.values():
        spans = [span for order in orders for span in _week(claims[order].window, order)]
        for first, second, start, end in _meetings(spans):
            yield claims[first], claims[second], f"on {_weekly(start)}-{_clock(end)}"
    if len(by_zone) > 1:
        spans = [
            _Span(start, end, order)
            for order, claim in enumerate(claims)
            for start, end in _spans_of_year(claim)
        ]
        for first, second, start, end in _meetings(spans):
            if claims[first].policy.zone != claims[second].policy.zone:
                begin, until = (datetime.fromtimestamp(at, UTC) for at in (start, end))
                yield claims[first], claims[second], f"such as {begin:%Y-%m-%d %H:%M} to {until:%H:%M} UTC"


def _meetings(spans: list[_Span]) -> Iterator[tuple[int, int, int, int]]:
    """Of overlapping spans, the orders of at least one pair each, with the start and end of the overlap."""
    spans.sort()
    longest = spans[0]
    for span in spans[1:]:
        if span.start < longest.end and span.order != longest.order:
            first, second = sorted((longest.order, span.order))
            yield first, second, span.start, min(span.end, longest.end)
        longest = max(longest, span, key=lambda each: each.end)


def _week(window: Window, order: int) -> Iterator[_Span]:
    start = window.start.hour * 60 + window.start.minute
    end = _DAY if window.end is None else window.end.hour * 60 + window.end.minute
    length = end - start if end > start else end - start + _DAY
    for day in window.days:
        opens = day * _DAY + start
        closes = opens + length
        yield _Span(opens, min(closes, _WEEK), order)
        if closes > _WEEK:
            yield _Span(0, closes - _WEEK, order)


def _weekly(minute: int) -> str:
    return f"{DAYS[minute // _DAY]} {_clock(minute)}"


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _spans_of_year(claim: _Claim) -> tuple[tuple[int, int], ...]:
    window = claim.window
    return _year(claim.policy.zone, window.days, window.start, window.end)


@lru_cache(maxsize=128)
def _year(zone: ZoneInfo, days: frozenset[int], start: time, end: time | None) -> tuple[tuple[int, int], ...]:
    """The UTC spans of a window over the fixed year, in seconds since 1970."""
    window = Window(name="", days=days, start=start, end=end, replicas={})
    first = date(_YEAR, 1, 1)
    intervals = (interval_on(window, first + timedelta(days=offset), zone) for offset in range(366))
    return tuple(
        (int(each.start.timestamp()), int(each.end.timestamp())) for each in intervals if each is not None
    )
