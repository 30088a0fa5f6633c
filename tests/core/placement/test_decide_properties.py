"""Whole decisions on small random fleets: judged after every pass, and when all is settled."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rota.core.decide import decide
from rota.core.model import Fill, Fleet, Service
from tests import builders
from tests.core.placement.course import Course, with_hosts, without_hosts
from tests.core.placement.strategies import examples, hosts, services
from tests.core.scenes import changes


@st.composite
def fleets(draw: st.DrawFn, *, plain: bool = False, fills: bool = True) -> Fleet:
    of, ones = draw(hosts()), draw(services(plain=plain, ports=False))
    base = {}
    if fills:
        for one in ones[:2]:
            if draw(st.integers(0, 2)) == 0:
                least = draw(st.integers(0, 2))
                base[one.id] = Fill(
                    min=least,
                    max=draw(st.sampled_from((least, least + 2, least + 5, None))),
                    weight=draw(st.integers(1, 3)),
                )
    ones = [
        one if one.requests.cpu else replace(one, requests=replace(one.requests, cpu=100)) for one in ones
    ]
    policies = (builders.policy(base=base),) if base else ()
    made = builders.fleet(of, ones, policies)
    return replace(made, max_moves_per_hour=draw(st.sampled_from((0, 1, 60))))


def change(fleet: Fleet, draw: st.DrawFn) -> tuple[Fleet, str, str]:
    """One thing is different: the fleet, what, and a host that is no more."""
    names = sorted(fleet.hosts)
    kind = draw(st.sampled_from(("add", "remove", "count", "request", "cordon", "none")))
    some = fleet.services[draw(st.sampled_from(sorted(fleet.services)))]
    match kind:
        case "add":
            (new,) = draw(hosts(1, 1))
            new = replace(new, name="new", endpoint="tcp://new:2375", address="new")
            return replace(fleet, hosts={**fleet.hosts, "new": new}), kind, ""
        case "remove" if len(names) > 1:
            gone = draw(st.sampled_from(names))
            return (
                replace(fleet, hosts={name: one for name, one in fleet.hosts.items() if name != gone}),
                kind,
                gone,
            )
        case "count":
            return _with(fleet, replace(some, replicas=draw(st.integers(0, 6)))), kind, ""
        case "request":
            cpu = draw(st.sampled_from((250, 500, 1000)))
            other = replace(some, requests=replace(some.requests, cpu=cpu), spec_hash=f"v1:cpu{cpu}")
            return _with(fleet, other), kind, ""
        case "cordon":
            one = fleet.hosts[draw(st.sampled_from(names))]
            one = replace(one, unschedulable=not one.unschedulable)
            return replace(fleet, hosts={**fleet.hosts, one.name: one}), kind, ""
    return fleet, "none", ""


def _with(fleet: Fleet, service: Service) -> Fleet:
    return replace(fleet, services={**fleet.services, service.id: service})


@examples(100)
@given(fleets())
def test_a_fleet_settles_as_the_design_says_and_then_nothing_moves(fleet: Fleet) -> None:
    course = Course(fleet)
    course.settle()
    assert not course.final_problems(), "\n".join([*course.final_problems(), *course.log])


@examples(100)
@given(fleets(), st.data())
def test_after_one_change_it_settles_again_without_ping_pong(fleet: Fleet, data: st.DataObject) -> None:
    course = Course(fleet)
    course.settle()
    changed, kind, gone = change(fleet, data.draw)
    course.fleet = replace(changed, revision="2" * 40, max_removals=replace(fleet.max_removals, value=100))
    course.observed = with_hosts(course.observed, course.fleet)
    dead = bool(gone) and data.draw(st.booleans())
    if dead:
        course.observed = without_hosts(course.observed, gone)
    course.log.append(f"==== {kind} {gone} {'dead' if dead else ''}")
    course.settle()
    assert not course.final_problems(), "\n".join([*course.final_problems(), *course.log])


@examples(60)
@given(fleets(), st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_in_which_a_fleet_is_told_does_not_matter(fleet: Fleet, choose: object, steps: int) -> None:
    course = Course(fleet, check=False)
    for _ in range(steps):
        course.step()
    names, ids = list(fleet.hosts), list(fleet.services)
    choose.shuffle(names)  # type: ignore[attr-defined]
    choose.shuffle(ids)  # type: ignore[attr-defined]
    other = replace(
        fleet,
        hosts={name: fleet.hosts[name] for name in names},
        services={one: fleet.services[one] for one in ids},
    )
    views = {}
    for name in names:
        containers = list(course.observed.hosts[name].containers)
        choose.shuffle(containers)  # type: ignore[attr-defined]
        views[name] = replace(course.observed.hosts[name], containers=tuple(containers))
    one = decide(fleet, course.observed, course.ledger, course.now)
    two = decide(other, replace(course.observed, hosts=views), course.ledger, course.now)
    assert changes(one) == changes(two)
    assert one == two
