"""Random fleets through random trouble: what holds after every decision, and that all comes to an end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, note
from hypothesis import strategies as st

from rota.core.decide import Decision
from rota.core.ids import WorkloadId
from rota.core.model import Amount, Canary, Drain, Fleet, OnFailure, Order, Service, Singleton, UpdateRules
from rota.core.observed import HostState, ObservedState
from rota.core.planning.actions import StartInstance, StopInstance
from tests import builders
from tests.core.placement.strategies import examples
from tests.core.scenes import Course, bring_back, changes, doubt, lose

VERSIONS = ("1", "2", "3", "sick-1", "sick-2")
EVERYTHING_MAY_GO = Amount(value=100, percent=True)
CALM_PASSES = 12
MOST_PASSES = 260
"""Of five seconds: the longest is a rollout that fails, is returned and is tried after its back-offs."""


class _SickVersions:
    """The specs that never become healthy, by their name."""

    def __contains__(self, spec: object) -> bool:
        return "sick" in str(spec)


@st.composite
def services(draw: st.DrawFn, name: str) -> Service:
    kind = draw(st.sampled_from(("plain", "plain", "stop-first", "strict", "pinned")))
    stop_first = kind != "plain"
    canary = Canary(count=1, hold=20.0) if draw(st.booleans()) and not stop_first else None
    update = UpdateRules(
        order=Order.STOP_FIRST if stop_first else Order.START_FIRST,
        max_surge=Amount(value=draw(st.integers(1, 2))),
        min_healthy_time=1.0,
        healthy_deadline=30.0,
        progress_deadline=60.0,
        on_failure=draw(st.sampled_from(OnFailure)),
        canary=canary,
    )
    made = builders.service(
        name,
        1 if kind == "strict" else draw(st.integers(1, 5)),
        cpu=draw(st.sampled_from((300, 700))),
        update=update,
        max_unavailable=Amount(value=1 if stop_first else draw(st.integers(0, 1))),
        singleton=Singleton.STRICT if kind == "strict" else Singleton.NONE,
    )
    return replace(made, container=builders.pinned("web:1")) if kind == "pinned" else made


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    names = ["api", "db", "web"][: draw(st.integers(1, 3))]
    hosts = [builders.host(f"h{number}") for number in range(draw(st.integers(2, 5)))]
    ones = [draw(services(name)) for name in names]
    for at in range(1, len(ones)):
        if draw(st.integers(0, 3)) == 0:
            ones[at] = replace(ones[at], depends_on=(ones[at - 1].id,))
    made = builders.fleet(hosts, [_of_version(one, "1") for one in ones])
    return replace(made, max_removals=EVERYTHING_MAY_GO)


def _of_version(of: Service, version: str) -> Service:
    container = replace(of.container, image=f"web:{version}")
    return replace(of, container=container, spec_hash=f"v1:{version}", document_hash=f"d:{version}")


def happen(course: Course, draw: st.DrawFn) -> str:
    """One thing goes wrong, gets better, or is asked for; what it was."""
    of, number = course.fleet, str(len(course.log) % 10)
    name = draw(st.sampled_from(sorted(of.hosts)))
    some = of.services[draw(st.sampled_from(sorted(of.services)))]
    event = draw(
        st.sampled_from(("version", "version", "count", "policy", "lost", "lost", "doubt", "back", "drain"))
    )
    match event:
        case "version":
            changed = _of_version(some, draw(st.sampled_from(VERSIONS)))
            course.fleet = _with(of, changed, number)
            return f"{some.id} is to be {changed.spec_hash}"
        case "count":
            most = 1 if some.singleton is Singleton.STRICT else 6
            changed = replace(some, replicas=draw(st.integers(0, most)))
            course.fleet = _with(of, changed, number)
            return f"{changed.replicas} of {some.id}"
        case "policy" if some.singleton is Singleton.NONE:
            base = {some.id: Amount(value=draw(st.integers(0, 6)))}
            course.fleet = replace(of, policies=(builders.policy(base=base),))
            return f"the policy gives {some.id} {base[some.id]}"
        case "lost":
            course.observed = lose(course.observed, name, course.now.mono)
        case "doubt" if course.observed.hosts[name].state is HostState.REACHABLE:
            course.observed = doubt(course.observed, name)
        case "drain":
            drain = None if of.hosts[name].drain is not None else Drain()
            course.fleet = replace(of, hosts={**of.hosts, name: replace(of.hosts[name], drain=drain)})
        case _:
            course.observed = bring_back(course.observed, name)
    return f"{event} {name}"


def _with(of: Fleet, changed: Service, number: str) -> Fleet:
    return replace(of, services={**of.services, changed.id: changed}, revision=number * 40)


# --- what always holds


def serving(observed: ObservedState, workload: WorkloadId, course: Course) -> set[int]:
    """The slots that are counted on: ready for a second, on hosts that are not lost."""
    return {
        one.slot
        for one in observed.containers()
        if one.workload == workload
        and observed.hosts[one.host].state is not HostState.LOST
        and one.ready_since is not None
        and course.now.mono - one.ready_since >= 1.0
    }


def problems(decision: Decision, before: ObservedState, course: Course) -> list[str]:
    """What a decision about `before` does that it must not."""
    found = []
    for workload, service in decision.fleet.services.items():
        wanted = decision.wants[workload].count
        least = wanted - service.max_unavailable.of(wanted)
        stopped = {
            (one.host, one.container_id)
            for one in decision.actions
            if isinstance(one, StopInstance) and one.workload == workload
        }
        was = len(serving(before, workload, course))
        left = len(serving(_without(before, stopped), workload, course))
        if left < was and left < least:
            found.append(f"{workload}: stops leave {left} of {was} that serve, {least} are owed")
        starts = sum(isinstance(one, StartInstance) and one.workload == workload for one in decision.actions)
        alive = starts + _alive(before, workload, wanted)
        most = wanted + max(service.update.max_surge.of(wanted), 1)
        if starts and alive > most:
            found.append(f"{workload}: {alive} are alive with what starts, at most {most} may be")
        there = starts + sum(one.workload == workload for one in before.containers())
        if starts and service.singleton is Singleton.STRICT and there > 1:
            found.append(f"{workload}: {there} of a strict singleton")
    return found


def _without(observed: ObservedState, stopped: set[tuple[str, str]]) -> ObservedState:
    views = {
        name: replace(view, containers=tuple(one for one in view.containers if (name, one.id) not in stopped))
        for name, view in observed.hosts.items()
    }
    return replace(observed, hosts=views)


def _alive(observed: ObservedState, workload: WorkloadId, wanted: int) -> int:
    """What answers, and of what is presumed to run as many as are wanted beside it."""
    ones = [one for one in observed.containers() if one.workload == workload]
    answering = [one.slot for one in ones if observed.hosts[one.host].state is HostState.REACHABLE]
    presumed = {one.slot for one in ones if observed.hosts[one.host].state is HostState.SUSPECT} - set(
        answering
    )
    return len(answering) + max(min(len(presumed), wanted - len(set(answering))), 0)


def take_a_step(course: Course) -> None:
    before = course.observed
    at = replace(course.now)
    decision = course.step()
    course.now, then = at, course.now
    wrong = problems(decision, before, course)
    course.now = then
    note(f"{at.mono:g}: {'; '.join(course.log[-1]) or '-'}")
    assert not wrong, "\n".join([*wrong, *changes(decision)])


def come_to_rest(course: Course) -> None:
    """Passes until a minute went by in which nothing was done."""
    calm = 0
    for _ in range(MOST_PASSES):
        take_a_step(course)
        calm = 0 if course.log[-1] else calm + 1
        if calm == CALM_PASSES:
            return
    raise AssertionError("does not end:\n" + "\n".join(changes(course.decision)))


def trouble(fleet: Fleet, data: st.DataObject) -> Course:
    course = Course(fleet)
    course.never = _SickVersions()
    for _ in range(data.draw(st.integers(0, 3))):
        take_a_step(course)
    for _ in range(data.draw(st.integers(1, 8))):
        note(f"==== {happen(course, data.draw)}")
        for _ in range(data.draw(st.sampled_from((1, 2, 5, 16)))):
            take_a_step(course)
    return course


@examples(40)
@given(fleets(), st.data())
def test_nothing_is_ever_done_that_must_not_be_done(fleet: Fleet, data: st.DataObject) -> None:
    trouble(fleet, data)


@examples(40)
@given(fleets(), st.data())
def test_once_all_is_well_it_ends_with_what_is_wanted_and_nothing_twice(
    fleet: Fleet, data: st.DataObject
) -> None:
    course = trouble(fleet, data)
    note("==== all is well")
    course.observed = bring_back(course.observed, " ".join(fleet.hosts))
    course.fleet = replace(course.fleet, hosts=fleet.hosts)
    course.never = ()
    come_to_rest(course)
    slots = Counter((one.workload, one.slot) for one in course.observed.containers())
    assert [key for key, count in slots.items() if count > 1] == []
    unplaced = {one.workload: one.count for one in course.decision.unplaced}
    for workload, want in course.decision.wants.items():
        there = sum(owner == workload for owner, _ in slots)
        assert there == want.count - unplaced.get(workload, 0), workload


@examples(30)
@given(fleets(), st.data())
def test_it_comes_to_rest_beside_hosts_that_stay_away_as_well(fleet: Fleet, data: st.DataObject) -> None:
    course = trouble(fleet, data)
    course.never = ()
    come_to_rest(course)
