"""The coming day of a plan: its edges with the counts that they change, and what does not fit at them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rota.core.forecast.days import zone_of
from rota.core.forecast.instant import Forecast, Instant, OverrideTurn
from rota.core.forecast.lacks import Lack
from rota.core.ids import WorkloadId
from rota.core.model import Fleet
from rota.core.quantities import format_time
from rota.core.windows import Want, turns, wanted
from rota.report import forecast_words as words
from rota.report.clock_words import local
from rota.report.documents import survives_document
from rota.report.forecast_document import lack_document

COMING_DAY = timedelta(hours=24)
FILL = "fill"
MOST_EDGES = 6
"""So many edges of the coming day stand in the line of a plan."""
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An instant in the coming day at which counts change: which policy (`namespace/name`), from and to which
    window; or which Override begins or ends, `policy` and the windows then being empty.

    A count of None is whatever is left over then. `begins` is when its lead does, and `instant` what the
    forecast says of it; both None where there is none.
    """

    at: datetime
    policy: str
    before: str
    after: str
    counts: tuple[tuple[WorkloadId, int | None, int | None], ...]
    override: OverrideTurn | None = None
    begins: datetime | None = None
    instant: Instant | None = None

    @property
    def ruler(self) -> str:
        """Who asks for the counts: the policy, or the Override."""
        return f"override {self.override.override}" if self.override is not None else self.policy


def edges_of_day(fleet: Fleet, start: datetime, forecast: Forecast | None = None) -> list[Edge]:
    """The edges of the coming 24 hours in order, up to and with the one a whole day ahead, each with the
    counts that its own rule changes."""
    known = {one.at: one for one in forecast.instants} if forecast is not None else {}
    begins = _begins(forecast)
    found = [*_turns(fleet, start), *_overrides(fleet, start)]
    wants = _Wants(fleet, start)
    rulers: dict[datetime, set[str]] = defaultdict(set)
    for one in found:
        rulers[one.at].add(one.ruler)
    edges = []
    for one in found:
        at = one.at.astimezone(UTC)
        began = begins.get((at, one.ruler))
        edges.append(
            replace(
                one,
                counts=tuple(wants.changed(at, one.ruler, rulers[one.at])),
                begins=began.astimezone(one.at.tzinfo) if began is not None else None,
                instant=known.get(at),
            )
        )
    return sorted(edges, key=lambda edge: (edge.at, edge.ruler))


def _turns(fleet: Fleet, start: datetime) -> Iterator[Edge]:
    for policy in fleet.policies:
        for turn in turns(policy, fleet, start, start + COMING_DAY):
            at = turn.at.astimezone(policy.zone)
            yield Edge(at=at, policy=str(policy), before=turn.before, after=turn.after, counts=())


def _overrides(fleet: Fleet, start: datetime) -> Iterator[Edge]:
    """Overrides that begin or end; one that forces a window is told as that policy's edge, too."""
    zone = zone_of(fleet)
    for one in fleet.overrides:
        for at, begins in ((one.start, True), (one.until, False)):
            if at is not None and start < at <= start + COMING_DAY:
                turn = OverrideTurn(override=str(one), begins=begins)
                yield Edge(at=at.astimezone(zone), policy="", before="", after="", counts=(), override=turn)


class _Wants:
    """What is wanted just before and from each edge on, and by whose rule."""

    def __init__(self, fleet: Fleet, start: datetime) -> None:
        self._fleet, self._start = fleet, start
        self._known: dict[datetime, Mapping[WorkloadId, Want]] = {}

    def _at(self, at: datetime) -> Mapping[WorkloadId, Want]:
        if at not in self._known:
            self._known[at] = wanted(self._fleet, at)
        return self._known[at]

    def changed(
        self, at: datetime, ruler: str, others: Collection[str]
    ) -> Iterator[tuple[WorkloadId, int | None, int | None]]:
        """The counts that change at an edge by the rule of `ruler`: the one that gives them from then on,
        else, where none of those at this edge (`others`) does, the one that gave them."""
        before, after = self._at(max(self._start, at - _MOMENT)), self._at(at)
        for workload in sorted(self._fleet.services):
            one, other = _stated(before[workload]), _stated(after[workload])
            if one != other:
                given, gave = _ruler(after[workload], workload), _ruler(before[workload], workload)
                own = next((each for each in (given, gave) if each in others), min(others))
                if own == ruler:
                    yield workload, one, other


def _ruler(want: Want, workload: WorkloadId) -> str:
    """Whose rule a want is by: `NAMESPACE/POLICY`, `override NAMESPACE/NAME`, or empty. All are in the
    namespace of the workload."""
    if want.rule.startswith("override "):
        return f"override {workload.namespace}/{want.rule.removeprefix('override ')}"
    policy, slash, _ = want.rule.removeprefix("window ").rpartition("/")
    return f"{workload.namespace}/{policy}" if slash else ""


def _begins(forecast: Forecast | None) -> dict[tuple[datetime, str], datetime]:
    """When the leads of each edge begin, by the edge and whose it is."""
    found: dict[tuple[datetime, str], datetime] = {}
    for instant in forecast.instants if forecast is not None else ():
        for lead in instant.leads:
            key = (lead.at, lead.policy or lead.window)
            found[key] = min(found.get(key, lead.begun), lead.begun)
    return found


def _stated(want: Want) -> int | None:
    """The number that is wanted; None where it is what is left over, which only that hour will tell."""
    return None if want.fill is not None else want.count


def coming_day_lines(edges: Sequence[Edge], forecast: Forecast | None) -> list[str]:
    """The edges in one line, the first few of many; then what has no place at them, a line each."""
    told = _in_words(edges)
    lines = []
    if told:
        more = len(told) - MOST_EDGES
        day = f"{edges[MOST_EDGES].at:%Y-%m-%d}" if more > 0 else ""
        rest = f" · and {more} more: rota plan --day {day}" if more > 0 else ""
        lines.append(f"Edges in the next 24 h: {' · '.join(told[:MOST_EDGES])}{rest}")
    if forecast is None:
        return lines
    return lines + [
        f"! {local(one.at, forecast, dated=False)} {words.what(one, forecast)}: {words.no_place(lack)}"
        for one, lack in new_lacks(forecast)
    ]


def new_lacks(forecast: Forecast) -> Iterator[tuple[Instant, Lack]]:
    """What has no place from some instant on and had one, or was fewer, before."""
    before = {lack.workload: lack.count for lack in forecast.instants[0].lacks}
    for one in forecast.instants[1:]:
        for lack in one.lacks:
            if before.get(lack.workload) != lack.count:
                yield one, lack
        before = {lack.workload: lack.count for lack in one.lacks}


def _in_words(edges: Sequence[Edge]) -> list[str]:
    """Each edge in its policy's own civil time; policies and zones are named where there are several."""
    policies = words.shortest(sorted({edge.policy for edge in edges if edge.policy}))
    overrides = words.shortest(sorted({edge.override.override for edge in edges if edge.override}))
    zones = {str(edge.at.tzinfo) for edge in edges}
    texts = []
    for edge in edges:
        counts = ", ".join(
            f"{workload.name} {_or_fill(before)} -> {_or_fill(after)}"
            for workload, before, after in edge.counts
        )
        zone = f" {edge.at.tzinfo}" if len(zones) > 1 else ""
        changed = f" ({counts})" if counts else ""
        begins = f", begins {edge.begins:%H:%M}" if edge.begins is not None else ""
        if edge.override is not None:
            name = overrides[edge.override.override]
            what = f" Override {name} {'begins' if edge.override.begins else 'ends'}"
        else:
            policy = f" {policies[edge.policy]}" if len(policies) > 1 else ""
            what = f"{policy} {edge.before} -> {edge.after}"
        texts.append(f"{edge.at:%H:%M}{zone}{what}{changed}{begins}")
    return texts


def edge_document(edge: Edge) -> dict[str, Any]:
    """One edge of `rota plan --format json`."""
    lacks = edge.instant.lacks if edge.instant is not None else ()
    return {
        "at": format_time(edge.at),
        "begins": format_time(edge.begins) if edge.begins is not None else None,
        "policy": edge.policy,
        "override": edge.override.override if edge.override is not None else "",
        "change": _change(edge),
        "from": edge.before,
        "to": edge.after,
        "counts": [
            {"workload": str(workload), "from": _or_fill(before), "to": _or_fill(after)}
            for workload, before, after in edge.counts
        ],
        "unplaced": [lack_document(lack) for lack in lacks],
        "survives": survives_document(edge.instant.headroom if edge.instant is not None else None),
    }


def _change(edge: Edge) -> str:
    if edge.override is None:
        return ""
    return "begins" if edge.override.begins else "ends"


def _or_fill(count: int | None) -> int | str:
    return FILL if count is None else count
