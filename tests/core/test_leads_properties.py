"""Leads on small random fleets, followed from long before their edges to long after the last one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.leads import Prospect, prospect
from rota.core.ledger import EdgeRecord, Ledger
from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Order, Override, Quota, Service, UpdateRules
from rota.core.observed import Now, ObservedState
from rota.core.planning.actions import (
    OUTRANKED,
    Change,
    ChangeKind,
    StartInstance,
    StopInstance,
    makes_room_for,
)
from rota.core.planning.edge_records import KEPT
from rota.core.rules import Affinity, PlacementRules, Spread, Strategy
from rota.core.status import SourceStatus, summarise
from rota.core.windows import next_edge, wanted
from rota.reconcile import reserved_from_now_on
from rota.report.state import ledger_document, read_ledger
from tests import builders
from tests.builders import fleet, host, service
from tests.core.placement.course import Course
from tests.core.placement.strategies import NAMES, examples, wid
from tests.core.scenes import NOW
from tests.core.test_leads import EDGE, GUESS, at, counts, go_to, lines, started

CLOCKS = ("14:20", "14:22", "14:30", "14:31", "14:40")
"""When windows open in Berlin; it is 14:00 when a day begins here."""
LAST = NOW.wall + timedelta(minutes=60)
MOST_PASSES = 120

# --- fleets


RULES = (
    PlacementRules(),
    PlacementRules(),
    PlacementRules(strategy=Strategy.PACK),
    PlacementRules(max_per_host=2),
    PlacementRules(spread=(Spread(key="zone", hard=True),)),
)


@st.composite
def workloads(draw: st.DrawFn) -> list[Service]:
    result = []
    for name in NAMES[: draw(st.integers(2, 5))]:
        alone = PlacementRules(anti_affinity=(Affinity(workload=wid(name), required=True),))
        kind = draw(st.sampled_from(("plain", "plain", "plain", "stop first", "pinned")))
        fields: dict[str, object] = {} if kind != "pinned" else {"container": builders.pinned()}
        order = Order.START_FIRST if kind == "plain" else Order.STOP_FIRST
        result.append(
            builders.service(
                name,
                draw(st.integers(0, 3)),
                cpu=draw(st.sampled_from((250, 500, 1000))),
                priority=draw(st.sampled_from((50, 100, 100, 200))),
                placement=draw(st.sampled_from((*RULES, alone))),
                update=UpdateRules(min_healthy_time=1.0, max_surge=Amount(value=1), order=order),
                max_unavailable=Amount(value=draw(st.integers(0, 2))),
                **fields,
            )
        )
    return result


def asked() -> st.SearchStrategy[Amount | Fill]:
    numbers = st.builds(Amount, value=st.integers(0, 6))
    fills = st.builds(
        lambda least, more, weight: Fill(
            min=least, max=None if more is None else least + more, weight=weight
        ),
        st.integers(0, 2),
        st.sampled_from((0, 2, 5, None)),
        st.integers(1, 2),
    )
    return st.one_of(numbers, numbers, fills)


@st.composite
def policies(draw: st.DrawFn, names: list[str]) -> tuple[CapacityPolicy, ...]:
    some = st.dictionaries(st.sampled_from(names).map(wid), asked(), max_size=4)
    result = []
    for number in range(draw(st.integers(1, 2))):
        windows = []
        for nth, opens in enumerate(draw(st.lists(st.sampled_from(CLOCKS), min_size=1, max_size=2))):
            lead = draw(st.sampled_from((None, None, 0.0, 90.0, 700.0)))
            window = builders.window(opens, draw(st.sampled_from(("14:42", "18:00"))), lead=lead)
            windows.append(replace(window, name=f"w{nth}", replicas=draw(some), priority=nth))
        result.append(builders.policy(name=f"p{number}", base=draw(some), windows=tuple(windows)))
    return tuple(result)


@st.composite
def overrides(draw: st.DrawFn, names: list[str]) -> tuple[Override, ...]:
    if draw(st.integers(0, 3)):
        return ()
    return (
        Override(
            namespace="shop",
            name="sale",
            target_kind="Service",
            target_name=draw(st.sampled_from(names)),
            start=NOW.wall + timedelta(minutes=draw(st.sampled_from((21, 30, 35)))),
            until=NOW.wall + timedelta(minutes=41),
            reason="sale",
            replicas=draw(asked()),
        ),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    count = draw(st.integers(2, 4))
    of = [
        builders.host(f"h{at}", cpu=draw(st.sampled_from((1000, 2000, 3000))), labels={"zone": "xyx"[at % 3]})
        for at in range(count)
    ]
    ones = draw(workloads())
    names = [one.id.name for one in ones]
    made = builders.fleet(of, ones, draw(policies(names)), draw(overrides(names)))
    most = draw(st.sampled_from((None, None, None, 6, 9)))
    quotas = () if most is None else (Quota(namespace="shop", name="q", hard={"instances": most}),)
    return replace(made, quotas=quotas, max_moves_per_hour=draw(st.sampled_from((0, 1, 60))))


# --- a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass: what was there before it, what it did, and whether all was at rest after it."""

    now: Now
    observed: ObservedState
    ledger: Ledger
    decision: Decision
    at_rest: bool = False

    def __str__(self) -> str:
        return f"{self.now.wall:%H:%M:%S}"


@dataclass
class Day:
    """A fleet followed through its edges: it is woken when the decision says, and as long as it works."""

    fleet: Fleet
    course: Course
    leads: bool = True
    passes: list[Pass] = field(default_factory=list)

    @classmethod
    def of(cls, fleet: Fleet, slow: int = 0, *, leads: bool = True) -> Day:
        ledger = Ledger(start_times=dict.fromkeys(fleet.services, (8.0,) * 8))
        return cls(fleet, Course(fleet, ledger=ledger, slow=slow, check=False), leads)

    def run(self, until: datetime = LAST) -> Day:
        with patch("rota.core.decide.prospect", prospect if self.leads else _without_leads):
            while self.course.now.wall <= until:
                self._rest()
                decision = self.course.decision
                assert decision is not None
                if decision.next_edge is None:
                    break
                wall = max(decision.next_edge, self.course.now.wall)
                self.course.now = Now(
                    wall=wall, mono=self.course.now.mono + (wall - self.course.now.wall).total_seconds()
                )
        return self

    def _rest(self) -> None:
        """Passes of a second, none over an instant at which it would be woken, until nothing goes on."""
        quiet, passed = 0, len(self.passes)
        while quiet < 4 + 2 * self.course.slow:
            assert len(self.passes) - passed < MOST_PASSES, "no rest\n" + self.told(30)
            now, observed, ledger = self.course.now, self.course.observed, self.course.ledger
            wake = self.course.decision.next_edge if self.course.decision is not None else None
            left = (wake - now.wall).total_seconds() if wake is not None and wake > now.wall else 1.0
            decision = self.course.step(min(left, 1.0))
            quiet = 0 if decision.actions else quiet + 1
            self.passes.append(Pass(now=now, observed=observed, ledger=ledger, decision=decision))
        self.passes[-1] = replace(self.passes[-1], at_rest=True)

    def told(self, lines: int = 200) -> str:
        return "\n".join([str(self.fleet.policies), *self.course.log[-lines:]])

    def rests(self) -> Iterator[Pass]:
        return (one for one in self.passes if one.at_rest)


def _without_leads(fleet: Fleet, _ledger: Ledger, now: Now) -> Prospect:
    return Prospect(wants=wanted(fleet, now.wall), wake=next_edge(fleet, now.wall))


def slots(observed: ObservedState, workload: WorkloadId) -> set[int]:
    return {
        one.slot
        for one in observed.containers()
        if one.workload == workload and not observed.is_stopping(one)
    }


def serving(observed: ObservedState, workload: WorkloadId) -> int:
    return len({one.slot for one in observed.containers() if one.workload == workload and one.ready})


SLOW = st.sampled_from((0, 0, 1, 2))


# --- what happens before an edge


def going(day: Day, one: Pass) -> Iterator[tuple[StopInstance, Change | None]]:
    """The stops of a pass that leave their slot empty, each with the change that says why."""
    ids = {(stop.host, stop.container_id) for stop in one.decision.actions if isinstance(stop, StopInstance)}
    for stop in one.decision.actions:
        if not isinstance(stop, StopInstance):
            continue
        (container,) = (
            each
            for each in one.observed.containers()
            if (each.host, each.id) == (stop.host, stop.container_id)
        )
        beside = [
            each
            for each in one.observed.containers()
            if (each.workload, each.slot) == (container.workload, container.slot)
            and (each.host, each.id) not in ids
        ]
        if not beside:
            found = [
                change
                for change in one.decision.changes
                if (change.workload, change.slot, change.source)
                == (container.workload, container.slot, container.host)
            ]
            yield stop, found[0] if found else None


def begun(fleet: Fleet, one: Pass) -> list[tuple[datetime, WorkloadId]]:
    ahead = prospect(fleet, one.ledger, one.now)
    return [(each.at, each.workload) for each in ahead.growth if each.begins <= one.now.wall]


@examples(20)
@given(fleets(), SLOW)
def test_nothing_is_stopped_before_an_edge_but_for_whom_it_makes_room(fleet: Fleet, slow: int) -> None:
    day = Day.of(fleet, slow).run()
    for one in day.passes:
        due = wanted(fleet, one.now.wall)
        seated = {
            (change.workload, change.host)
            for change in one.decision.changes
            if change.kind is ChangeKind.START
        }
        for stop, change in going(day, one):
            assert change is not None, f"{one}: {stop.id}\n{day.told()}"
            workload, want = stop.workload, due[stop.workload]
            left = len(slots(one.observed, workload)) - sum(
                each.workload == workload for each, _ in going(day, one)
            )
            least = want.fill.min if want.fill is not None else want.count
            claimants = [
                each for each in fleet.services.values() if change.cause.startswith(makes_room_for(each.id))
            ]
            for claimant in claimants:
                assert (claimant.id, stop.host) in seated, f"{one}: {stop.id} for nothing\n{day.told()}"
            if left >= least:
                continue  # fills, or more than are due
            assert claimants, f"{one}: {stop.id}, {change.cause}, {left} of {least}\n{day.told()}"
            (claimant,) = claimants
            priority = fleet.services[workload].priority
            assert priority < claimant.priority, f"{one}: {stop.id}\n{day.told()}"
            if OUTRANKED in change.cause:
                continue
            # What a later edge takes away may go for growth at an earlier one as well, if both have begun.
            edges = {edge for edge, _ in begun(fleet, one)}
            leaves = [wanted(fleet, edge)[workload].count for edge in edges]
            assert left >= min(leaves, default=least), f"{one}: {stop.id} leaves {left}\n{day.told()}"


@examples(20)
@given(fleets(), SLOW)
def test_what_an_edge_lets_grow_stays(fleet: Fleet, slow: int) -> None:
    """What was started ahead is not stopped before its edge or when that has settled, nor started twice."""
    day = Day.of(fleet, slow).run()
    ahead: dict[str, datetime] = {}
    started: Counter[tuple[WorkloadId, int]] = Counter()
    for one in day.passes:
        early = {(each.workload, each.slot) for each in one.decision.changes if each.ahead}
        if not begun(fleet, one):
            started.clear()
        want = one.decision.wants
        for action in one.decision.actions:
            if isinstance(action, StartInstance) and (action.workload, action.slot) in early:
                edge = want[action.workload].ahead
                assert edge is not None
                ahead[f"{action.host}/id-{action.name}"] = edge.at
                started[action.workload, action.slot] += 1
        assert not [each for each, times in started.items() if times > 1], f"{one}\n{day.told()}"
        for stop, change in going(day, one):
            at = ahead.get(f"{stop.host}/{stop.container_id}")
            if at is None or want[stop.workload].fill is not None or change is None:
                continue
            assert one.now.wall > at or change.kind is ChangeKind.MOVE, f"{one}: {stop.id}\n{day.told()}"


def counted(day: Day) -> dict[datetime, dict[WorkloadId, int]]:
    """Slots by workload, at every instant at which all is at rest."""
    return {
        one.now.wall: {key: len(slots(one.observed, key)) for key in day.fleet.services}
        for one in day.rests()
    }


@examples(20)
@given(fleets(), SLOW)
def test_what_is_due_never_suffers_from_what_is_ahead(fleet: Fleet, slow: int) -> None:
    """But for who yields, or is outranked: of lower priority than some growth."""
    fleet = replace(fleet, max_moves_per_hour=0)
    day, plain = Day.of(fleet, slow).run(), Day.of(fleet, slow, leads=False).run()
    other = counted(plain)
    for one in day.rests():
        due = wanted(fleet, one.now.wall)
        before = max((at for at in other if at <= one.now.wall), default=None)
        grows = begun(fleet, one)
        highest = max((fleet.services[each].priority for _, each in grows), default=0)
        if before is None or not grows:
            continue
        for key, want in due.items():
            if fleet.services[key].priority < highest:
                continue
            has, had = len(slots(one.observed, key)), other[before][key]
            assert min(has, want.count) >= min(had, want.count), f"{one}: {key} {has} < {had}\n{day.told()}"


@examples(20)
@given(fleets(), SLOW)
def test_nothing_is_missed_between_wakes(fleet: Fleet, slow: int) -> None:
    day = Day.of(fleet, slow).run()
    for one in day.rests():
        now, wake = one.now, one.decision.next_edge
        this = prospect(fleet, one.decision.ledger, now)
        assert this.wake == wake
        for part in (0.001, 0.3, 0.999) if wake is not None else ():
            wall = now.wall + (wake - now.wall) * part
            if now.wall < wall < wake:
                then = prospect(fleet, one.decision.ledger, replace(now, wall=wall))
                assert then == this, f"{one} {wall}\n{day.told()}"
                late = decide(fleet, one.observed, one.decision.ledger, replace(now, wall=wall))
                again = decide(fleet, one.observed, one.decision.ledger, now)
                assert (late.wants, late.actions) == (again.wants, again.actions), f"{one}\n{day.told()}"


@examples(20)
@given(fleets(), SLOW)
def test_records_of_edges(fleet: Fleet, slow: int) -> None:
    day = Day.of(fleet, slow).run()
    over: dict[tuple[datetime, WorkloadId], EdgeRecord] = {}
    expected = set()
    for number, one in enumerate(day.passes):
        records = one.decision.ledger.edges
        keys = [(each.at, each.workload) for each in records]
        assert len(set(keys)) == len(keys)
        assert len([each for each in records if each.over]) <= KEPT
        for each in records:
            key = each.at, each.workload
            assert over.get(key, each) == each, f"{one}: {over.get(key)} {each}\n{day.told()}"
            if each.over:
                over[key] = each
            if each.over and not each.elastic and each.offset:  # 0: started and ready at the edge itself
                (last,) = [p for p in day.passes if p.now.wall == each.at] or [one]
                ready = {
                    c.slot for c in last.observed.containers() if c.workload == each.workload and c.ready
                }
                assert (each.offset <= 0) == (len(ready) >= each.wanted), f"{one}: {each}\n{day.told()}"
        if number:
            ahead = prospect(fleet, day.passes[number - 1].decision.ledger, day.passes[number - 1].now)
            expected |= {(g.at, g.workload) for g in ahead.growth if g.at == one.now.wall}
        assert expected <= set(keys), f"{one}: {expected - set(keys)}\n{day.told()}"


@examples(20)
@given(fleets(), SLOW)
def test_a_fleet_that_only_waits_for_its_edge_is_ready(fleet: Fleet, slow: int) -> None:
    day = Day.of(fleet, slow).run()
    for one in day.passes:
        others = [each for each in one.decision.changes if not each.ahead]
        if others or one.decision.unplaced:
            continue
        due, grows = wanted(fleet, one.now.wall), {key for _, key in begun(fleet, one)}
        ready = all(
            serving(one.observed, key) >= (want.count if key in grows else one.decision.wants[key].count)
            for key, want in due.items()
        )
        if ready:
            status = summarise(fleet, one.observed, one.decision, SourceStatus(applied="1"), one.ledger)
            assert status.ready, f"{one}: {status.workloads}\n{day.told()}"


def done(day: Day) -> list[list[str]]:
    """What was done, pass by pass, but for passes that do nothing."""
    return [[action.id for action in one.decision.actions] for one in day.passes if one.decision.actions]


@examples(20)
@given(fleets(), SLOW)
def test_a_daemon_that_starts_anew_ahead_of_an_edge_does_the_same(fleet: Fleet, slow: int) -> None:
    whole = Day.of(fleet, slow).run()
    begins = [each.now.wall for each in whole.rests() if begun(fleet, each)]
    if not begins:
        return
    day = Day.of(fleet, slow).run(until=begins[0] - timedelta(seconds=30))
    while day.course.now.wall < begins[0]:
        day.course.step(1.0)
    written = json.dumps(ledger_document(day.course.ledger)).encode()
    day.course.ledger = reserved_from_now_on(read_ledger(written), day.course.now)
    assert json.dumps(ledger_document(day.course.ledger)).encode() == written
    day.run()
    assert counted(day).get(LAST) == counted(whole).get(LAST)
    at_end = [{key: len(slots(d.course.observed, key)) for key in fleet.services} for d in (day, whole)]
    assert at_end[0] == at_end[1], day.told()


@examples(20)
@given(fleets(), SLOW)
def test_in_the_end_leads_leave_as_many_as_there_would_be_without(fleet: Fleet, slow: int) -> None:
    """Of instances of one size that may stand anywhere. Else it may be one less: what grows ahead of an edge
    is placed one workload after the other, what is due all at once."""
    fleet = replace(fleet, services={key: as_any_other(one) for key, one in fleet.services.items()})
    day, plain = Day.of(fleet, slow).run(), Day.of(fleet, slow, leads=False).run()
    wants = wanted(fleet, day.passes[-1].now.wall)
    ends = [Counter[int](), Counter[int]()]
    for end, course in zip(ends, (day.course, plain.course), strict=True):
        for key, want in wants.items():
            end[fleet.services[key].priority] += min(len(slots(course.observed, key)), want.count)
    assert ends[0] == ends[1], day.told()


def as_any_other(one: Service) -> Service:
    requests = builders.service("any", cpu=500).requests
    container = builders.service("any").container
    return replace(one, requests=requests, placement=PlacementRules(), container=container)


@examples(8)
@given(fleets(), SLOW)
def test_the_same_day_is_the_same_again(fleet: Fleet, slow: int) -> None:
    one, two = Day.of(fleet, slow).run(), Day.of(fleet, slow).run()
    assert [each.decision for each in one.passes] == [each.decision for each in two.passes]
    settled = list(one.rests())
    for each in settled:
        assert not each.decision.actions


# --- what the search found


def asking(
    base: Mapping[str, int | Fill], day: Mapping[str, int | Fill], name: str = "day-night", **fields: object
) -> CapacityPolicy:
    """A window from 14:30 that may fill, and what holds before it."""
    stated = [
        {wid(key): one if isinstance(one, Fill) else Amount(value=one) for key, one in each.items()}
        for each in (base, day)
    ]
    window = builders.window("14:30", "16:00", {}, **fields)
    return builders.policy(name=name, base=stated[0], windows=(replace(window, replicas=stated[1]),))


def test_what_fills_and_finds_nothing_left_over_was_not_late() -> None:
    ones = [service("web", 2, cpu=1000), service("etl", 0, cpu=500)]
    course = started(fleet([host("a", cpu=2000)], ones, (asking({}, {"etl": Fill()}),)))
    go_to(course, -GUESS)
    go_to(course, 0)
    assert [one.over for one in course.ledger.edges] == [True]
    assert lines(course) == []


def test_how_what_fills_met_an_edge_is_not_judged_by_the_rule_that_follows() -> None:
    ones = [service("etl", 1, cpu=1000)]
    course = started(fleet([host("a", cpu=3000)], ones, (asking({"etl": 1}, {"etl": Fill(min=5)}),)))
    go_to(course, -GUESS)
    go_to(course, 0)
    assert lines(course) == []
    go_to(course, 5400)
    assert counts(course) == {"etl": 1}
    assert lines(course) == ["edge day: 3/5 etl healthy, never all of them"]


def test_an_edge_that_was_met_is_over_although_the_next_one_asks_for_more() -> None:
    later = builders.window("14:32", "16:00", {"web": 9}, name="later", lead=300.0)
    two = builders.policy(name="a-second", windows=(later,))
    course = started(
        fleet([host("a", cpu=4000)], [service("web", 2, cpu=1000)], (asking({}, {"web": 3}), two))
    )
    go_to(course, -120)
    go_to(course, 0)
    assert [(one.wanted, one.over) for one in course.ledger.edges] == [(3, True), (9, False)]


def test_what_will_fill_takes_before_the_edge_nothing_of_what_others_fill() -> None:
    ones = [service("etl", 0, cpu=500), service("pool", 0, cpu=500)]
    before, then = {"pool": Fill(), "etl": 0}, {"pool": Fill(), "etl": Fill()}
    course = started(fleet([host("a", cpu=4000)], ones, (asking(before, then),)))
    go_to(course, -GUESS)
    assert counts(course) == {"pool": 8}
    go_to(course, 0)
    assert counts(course) == {"pool": 4, "etl": 4}
    assert lines(course) == ["edge day: 4/4 etl healthy 5 s after 14:30, after-room"]


@pytest.mark.parametrize("priority", [50, 100])
def test_nobody_else_is_stopped_for_room_that_the_least_of_what_fills_frees(priority: int) -> None:
    low = service("low", 1, cpu=1000, priority=10, max_unavailable=Amount(value=1))
    ones = [service("web", 0, cpu=1000), service("etl", cpu=1000, priority=priority), low]
    of = [host("a", cpu=4000), host("b", cpu=1000)]
    course = started(fleet(of, ones, (asking({"etl": Fill(min=4, max=4)}, {"web": 2, "etl": 1}),)))
    go_to(course, -GUESS - 10)
    assert counts(course) == {"etl": 4, "low": 1}
    go_to(course, 0)
    assert counts(course) == {"etl": 1, "low": 1, "web": 2}
    assert lines(course) == ["edge day: 2/2 web healthy 5 s after 14:30, after-room"]


def test_what_made_room_before_an_edge_is_not_brought_back_because_it_fills_from_then_on() -> None:
    """Its own lead begins later than that of what it made room for."""
    ones = [service("web", 0, cpu=1000), service("etl", cpu=1000, priority=50)]
    course = started(
        fleet(
            [host("a", cpu=6000)],
            ones,
            (asking({"etl": 6}, {"etl": Fill(min=2)}), asking({}, {"web": 4}, name="web", lead=600.0)),
        )
    )
    for seconds in (-600, -GUESS, 0):
        go_to(course, seconds)
        assert counts(course) == {"etl": 2, "web": 4}
        assert course.decision is not None
        assert course.decision.unplaced == ()


def test_a_fleet_of_which_something_fills_is_ready_before_it_is_more() -> None:
    ones = [service("etl", 0, cpu=500)]
    one = fleet([host("a", cpu=4000)], ones, (asking({"etl": Fill(max=2)}, {"etl": 6}),))
    course = started(one, slow=2)
    course.now = at(EDGE, -GUESS)
    for _ in range(4):
        decision, seen = course.step(1.0), course.observed
        status = summarise(one, seen, decision, SourceStatus(applied="1"), course.ledger)
        assert status.ready, status.workloads
    assert counts(course) == {"etl": 6}
